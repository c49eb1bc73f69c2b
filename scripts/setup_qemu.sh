# QEMU in the user's cache, beside whatever the host has: 10.x, and for comparison
# the 11.x of Debian's forky suite and the 7.x of its bookworm suite. Sourced by ./dev.
# shellcheck shell=bash

QEMU_FOLDER=$CACHE/qemu

setup_qemu() {
    [ -z "${MIGMODEL_QEMU:-}" ] || return 0
    setup_qemu_version 10 unpack_qemu \
        || complain "QEMU: name one of your own instead: MIGMODEL_QEMU=FILE"
}

setup_qemu_11() { setup_qemu_version 11 unpack_qemu_root forky; }

setup_qemu_7() { setup_qemu_version 7 unpack_qemu_root bookworm; }

# setup_qemu_version MAJOR UNPACK... : UNPACK is given a folder and MAJOR as well.
setup_qemu_version() {
    local major=$1 folder=$QEMU_FOLDER/$1 new=$SCRATCH/qemu-$1 host
    local qemu=$folder/qemu-system-x86_64
    shift
    if is_qemu "$major" "$qemu"; then
        return 0
    fi
    mkdir -p -- "$new" "$QEMU_FOLDER"
    host=$(command -v qemu-system-x86_64 || true)
    if [ -n "$host" ] && is_qemu "$major" "$host"; then
        say "QEMU: using this host's own, $(qemu_version "$host")"
        write_host_wrapper "$host" "$new"
    else
        "$1" "$new" "$major" "${@:2}" || return 1
    fi
    starts "$new/qemu-system-x86_64" || return 1
    rm -rf -- "$folder"
    mv -T -- "$new" "$folder" || return 1
    say "QEMU: $(qemu_version "$qemu") is ready as $qemu"
}

qemu_version() { "$1" --version 2>/dev/null | awk 'NR == 1 { print $4 }'; }

is_qemu() {
    case $(qemu_version "$2") in
    "$1".*) return 0 ;;
    *) return 1 ;;
    esac
}

unpack_qemu() {
    local version suite
    say "QEMU: fetching $2.x with apt, to be unpacked under $QEMU_FOLDER" \
        "(nothing is installed on this host)"
    open_private_apt || return 1
    read -r version suite < <(newest_version qemu-system-x86 "$2") || true
    if [ -z "$version" ]; then
        add_backports || return 1
        read -r version suite < <(newest_version qemu-system-x86 "$2") || true
    fi
    if [ -z "$version" ]; then
        complain "apt offers no QEMU $2.x, not in the backports suite either" \
            "($(why_no_lists))"
        return 1
    fi
    say "QEMU: unpacking $version of $suite and the libraries that this host lacks"
    unpack_with_libraries "$1/root" "$suite" "qemu-system-x86=$version" || return 1
    write_unpacked_wrapper "$1"
}

# unpack_qemu_root FOLDER MAJOR SUITE : of another suite than the host's, with all
# that it needs, the C library and its loader included. A subshell: the apt of that
# suite is nobody else's.
unpack_qemu_root() (
    say "QEMU: fetching $2.x of the suite $3 with apt, to be unpacked under" \
        "$QEMU_FOLDER (nothing is installed on this host)"
    open_suite_apt "$3" || return 1
    read -r version suite < <(newest_version qemu-system-x86 "$2") || true
    if [ -z "${version:-}" ]; then
        complain "the suite $3 offers no QEMU $2.x ($(why_no_lists))"
        return 1
    fi
    say "QEMU: unpacking $version with the libraries of $suite"
    unpack_with_libraries "$1/root" "$suite" "qemu-system-x86=$version" || return 1
    rm -rf -- "$1"/root/usr/share/{doc,man,info,locale,i18n}
    write_root_wrapper "$1"
)

# The wrappers end in exec, so that the process id is QEMU's own.

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

write_root_wrapper() {
    cat >"$1/qemu-system-x86_64" <<'EOF'
#!/bin/sh
# Written by ./dev: runs the QEMU unpacked beside this file by the loader, and with
# the libraries, modules and firmware, that came with it.
root=$(dirname -- "$(readlink -f -- "$0")")/root
for loader in "$root"/usr/lib/*/ld-linux-*.so.* "$root"/lib/*/ld-linux-*.so.*; do
    [ -e "$loader" ] && break
done
triplet=$(basename -- "$(dirname -- "$loader")")
QEMU_MODULE_DIR=$root/usr/lib/$triplet/qemu
export QEMU_MODULE_DIR
exec "$loader" --library-path "$root/usr/lib/$triplet:$root/lib/$triplet" \
    "$root/usr/bin/qemu-system-x86_64" -L "$root/usr/share/qemu" \
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
