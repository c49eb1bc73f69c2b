# An OpenSSH server for the tests of two hosts, which start it with keys, settings
# and an address of their own. Sourced by ./dev.
# shellcheck shell=bash

SSHD_FOLDER=$CACHE/sshd
SSHD=$SSHD_FOLDER/sshd

setup_sshd() {
    local new=$SCRATCH/sshd
    if [ -x "$SSHD" ] || [ -x /usr/sbin/sshd ]; then
        return 0
    fi
    say "sshd: fetching openssh-server with apt, to be unpacked under $SSHD_FOLDER" \
        "(nothing is installed on this host)"
    open_private_apt || return 1
    mkdir -p -- "$new/root"
    unpack_alone "$new/root" openssh-server || return 1
    # The one library of it that a host without a server lacks.
    unpack_alone "$new/root" libwrap0 || return 1
    write_sshd_wrapper "$new"
    rm -rf -- "$SSHD_FOLDER"
    mv -T -- "$new" "$SSHD_FOLDER" || return 1
    say "sshd: ready as $SSHD"
}

# sshd runs itself again for every connection, by its absolute path.
write_sshd_wrapper() {
    cat >"$1/sshd" <<'EOS'
#!/bin/sh
# Written by ./dev: runs the sshd unpacked beside this file.
root=$(dirname -- "$(readlink -f -- "$0")")/root
for libraries in "$root"/usr/lib/*-linux-gnu*; do break; done
LD_LIBRARY_PATH=$libraries exec "$root/usr/sbin/sshd" "$@"
EOS
    chmod 755 "$1/sshd"
}
