# What the set-up says, and how it fails. Sourced by ./dev.
# shellcheck shell=bash

say() { printf 'dev: %s\n' "$*" >&2; }

complain() { printf 'dev: %s\n' "$*" >&2; return 1; }

is_root() { [ "$(id -u)" -eq 0 ]; }
