# A kernel for the Linux guest: the host's own where it can be read, else one
# unpacked from the distribution's package. Sourced by ./dev.
# shellcheck shell=bash

KERNEL=$CACHE/kernel/vmlinuz

setup_kernel() {
    local file
    for file in "$KERNEL" /boot/vmlinuz-*; do
        if [ -f "$file" ] && [ -r "$file" ]; then
            return 0
        fi
    done
    unpack_kernel || {
        complain "kernel: put one of your own there instead: $KERNEL"
        return 1
    }
    say "kernel: ready as $KERNEL"
}

unpack_kernel() {
    local package
    open_private_apt || return 1
    package=$(private apt-cache depends linux-image-amd64 2>/dev/null \
        | awk '$1 == "Depends:" && $2 ~ /^linux-image-/ { print $2; exit }')
    if [ -z "$package" ]; then
        complain "apt offers no linux-image-amd64 ($(why_no_lists))"
        return 1
    fi
    say "kernel: fetching $package with apt, to be unpacked into ${KERNEL%/*}" \
        "(nothing is installed on this host)"
    unpack_alone "$SCRATCH/kernel" "$package" || return 1
    mkdir -p -- "${KERNEL%/*}"
    mv -- "$SCRATCH"/kernel/boot/vmlinuz-* "$KERNEL"
}
