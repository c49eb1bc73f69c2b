# QEMU 10.x in the user's cache, beside whatever the host has. Sourced by ./dev.
# shellcheck shell=bash

QEMU_FOLDER=$CACHE/qemu/10
QEMU=$QEMU_FOLDER/qemu-system-x86_64

setup_qemu() {
    local host new=$SCRATCH/qemu
    if [ -n "${MIGMODEL_QEMU:-}" ] || is_qemu_10 "$QEMU"; then
        return 0
    fi
    mkdir -p -- "$new" "${QEMU_FOLDER%/*}"
    host=$(command -v qemu-system-x86_64 || true)
    if [ -n "$host" ] && is_qemu_10 "$host"; then
        say "QEMU: using this host's own, $(qemu_version "$host")"
        write_host_wrapper "$host" "$new"
    else
        unpack_qemu "$new" || {
            complain "QEMU: name one of your own instead: MIGMODEL_QEMU=FILE"
            return 1
        }
    fi
    starts "$new/qemu-system-x86_64" || return 1
    rm -rf -- "$QEMU_FOLDER"
    mv -T -- "$new" "$QEMU_FOLDER" || return 1
    say "QEMU: $(qemu_version "$QEMU") is ready as $QEMU"
}

qemu_version() { "$1" --version 2>/dev/null | awk 'NR == 1 { print $4 }'; }

is_qemu_10() {
    case $(qemu_version "$1") in
    10.*) return 0 ;;
    *) return 1 ;;
    esac
}

unpack_qemu() {
    local version suite
    say "QEMU: fetching 10.x with apt, to be unpacked under ${QEMU_FOLDER%/*}" \
        "(nothing is installed on this host)"
    open_private_apt || return 1
    read -r version suite < <(newest_version qemu-system-x86 10) || true
    if [ -z "$version" ]; then
        add_backports || return 1
        read -r version suite < <(newest_version qemu-system-x86 10) || true
    fi
    if [ -z "$version" ]; then
        complain "apt offers no QEMU 10.x, not in the backports suite either" \
            "($(why_no_lists))"
        return 1
    fi
    say "QEMU: unpacking $version of $suite and the libraries that this host lacks"
    unpack_with_libraries "$1/root" "$suite" "qemu-system-x86=$version" || return 1
    write_unpacked_wrapper "$1"
}

# Both wrappers end in exec, so that the process id is QEMU's own.

write_host_wrapper() {
    printf '#!/bin/sh\nexec %q "$@"\n' "$1" >"$2/qemu-system-x86_64"
    chmod 755 "$2/qemu-system-x86_64"
}

write_unpacked_wrapper() {
    local triplet
    for triplet in "$1"/root/usr/lib/*-linux-gnu*; do
        break
    done
    sed "s/@TRIPLET@/${triplet##*/}/g" >"$1/qemu-system-x86_64" <<'EOF'
#!/bin/sh
# Written by ./dev: runs the QEMU unpacked beside this file, with the libraries,
# modules and firmware that came with it.
root=$(dirname -- "$(readlink -f -- "$0")")/root
LD_LIBRARY_PATH=$root/usr/lib/@TRIPLET@:$root/lib/@TRIPLET@
QEMU_MODULE_DIR=$root/usr/lib/@TRIPLET@/qemu
export LD_LIBRARY_PATH QEMU_MODULE_DIR
exec "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" \
    -L "$root/usr/share/seabios" "$@"
EOF
    chmod 755 "$1/qemu-system-x86_64"
}

# starts FILE : QEMU makes a machine, answers over QMP and ends when told to.
starts() {
    local answer
    answer=$(printf '%s\n' '{"execute":"qmp_capabilities"}' '{"execute":"quit"}' \
        | timeout 20 "$1" -S -nodefaults -machine q35 -accel tcg -display none \
            -qmp stdio 2>&1) || true
    case $answer in
    *'"SHUTDOWN"'*) return 0 ;;
    esac
    complain "$1 does not start: $(printf '%s' "$answer" | tail -n 1)"
}
