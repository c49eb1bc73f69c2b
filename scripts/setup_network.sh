# What shaped links and tests of two hosts call: ip, tc, ssh. Sourced by ./dev.
# shellcheck shell=bash

setup_network() {
    local packages=()
    has_all ip tc || packages+=(iproute2)
    has_all ssh ssh-keygen || packages+=(openssh-client)
    [ ${#packages[@]} -eq 0 ] && return 0
    install_on_host "tools for shaped links and for a second host" "${packages[@]}"
}

# Of an ordinary user PATH may lack the administrator's programs.
has_all() {
    local program
    for program in "$@"; do
        PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null || return 1
    done
}
