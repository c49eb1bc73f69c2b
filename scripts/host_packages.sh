# Packages of the distribution that the host itself must have.
# shellcheck shell=bash

# install_on_host WHY PACKAGE... : install as root, tell an ordinary user how.
install_on_host() {
    local why=$1
    shift
    if ! command -v apt-get >/dev/null; then
        complain "missing: $why. Install what your distribution calls: $*"
        return 1
    fi
    if ! is_root; then
        complain "missing: $why. As root: apt-get install $*"
        return 1
    fi
    say "installing on this host, $why: $*"
    # A fresh image has no package lists, and old lists name files that are gone.
    apt-get update -qq || say "apt-get update had trouble; trying all the same"
    DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "$@" >/dev/null \
        || complain "apt-get could not install: $*"
}
