# Runs on the destination's host, in the session of one ssh connection: does what it is
# told, line by line, and leaves nothing when that connection ends, however it ends.
# A number is the length of a piece of shell that follows. $dir is set by the caller.
set -u
umask 077
qemu=
mkdir -m 700 -- "$dir" || exit 1

# What the watchdog must know in case that this shell itself is killed.
end_all() {
    trap '' HUP INT TERM PIPE
    [ -s "$dir/qemu.pid" ] && kill -9 "$(cat "$dir/qemu.pid")"
    rm -rf -- "$dir"
}

# A connection may die unseen: whoever has it asks several times a second, and each
# question leaves a beat. None for two rounds: it is gone.
watch() {
    missed=0
    nap=
    trap 'kill "$nap"; wait "$nap"; exit' TERM
    while [ -d "$dir" ] && kill -0 $$ && [ "$missed" -lt 2 ]; do
        sleep 10 &
        nap=$!
        wait "$nap"
        if [ -e "$dir/beat" ]; then
            missed=0
            rm -f -- "$dir/beat"
        else
            missed=$((missed + 1))
        fi
    done
    end_all
    kill -9 $$
    exit
}

leave() {
    end_all
    [ -n "$qemu" ] && wait "$qemu"
    kill -TERM "$watchdog"
    wait "$watchdog"
    exit
}

watch </dev/null >/dev/null 2>&1 &
watchdog=$!
trap leave HUP INT TERM PIPE
exec 2>/dev/null
echo "end 0"
while read -r word; do
    : >"$dir/beat"
    case $word in
    clock) date +%s%N ;;
    cpu) grep -H . "/proc/$qemu/stat" "/proc/$qemu"/task/*/comm "/proc/$qemu"/task/*/schedstat ;;
    echo) ;;
    *) part=$(head -c "$word") && eval "$part" ;;
    esac
    echo "end $?"
done
leave
