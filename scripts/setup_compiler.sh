# A C compiler that can link statically: it builds the guests. Sourced by ./dev.
# shellcheck shell=bash

setup_compiler() {
    compiles && return 0
    install_on_host "a C compiler, to build the guests" gcc libc6-dev || return 1
    compiles || complain "gcc does not build a static program; see above"
}

compiles() {
    echo 'int main(void) { return 0; }' \
        | gcc -static -x c -o "$SCRATCH/compiled" - 2>/dev/null
}
