# Packages unpacked beside the host's own: an apt with folders of its own that
# reads the host's configuration (mirrors, keys, proxies, credentials) and never
# writes to it. Works as an ordinary user. Sourced by ./dev, which removes $SCRATCH.
# shellcheck shell=bash

PRIVATE_APT= # its folder, once open

# apt's own temporary files go with ours, should it be interrupted.
private() {
    local program=$1
    shift
    TMPDIR=$SCRATCH "$program" -c "$PRIVATE_APT/apt.conf" "$@"
}

open_private_apt() {
    [ -z "$PRIVATE_APT" ] || return 0
    if ! command -v apt-get >/dev/null; then
        complain "this host has no apt to fetch packages with"
        return 1
    fi
    make_private_apt "$SCRATCH/apt"
    copy_host_sources
    update_private_apt
}

# make_private_apt FOLDER : without sources yet.
make_private_apt() {
    PRIVATE_APT=$1
    mkdir -p "$PRIVATE_APT"/{lists/partial,cache/archives/partial,sources}
    # Hooks of the host (they clean the host's caches) are not ours to run.
    cat >"$PRIVATE_APT/apt.conf" <<EOF
Dir::State::lists "$PRIVATE_APT/lists";
Dir::Cache "$PRIVATE_APT/cache";
Dir::Cache::archives "archives";
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$PRIVATE_APT/sources";
Dir::Log "$PRIVATE_APT";
Debug::NoLocking "true";
APT::Sandbox::User "root";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
EOF
}

copy_host_sources() {
    local list="" parts="" file
    eval "$(apt-config shell list Dir::Etc::sourcelist/f \
        parts Dir::Etc::sourceparts/d)"
    for file in "$list" "${parts%/}"/*.list "${parts%/}"/*.sources; do
        if [ -f "$file" ] && [ -r "$file" ]; then
            cp -L -- "$file" "$PRIVATE_APT/sources/"
        fi
    done
}

update_private_apt() {
    # One dead source must not stop us: what is needed is looked for afterwards.
    private apt-get update -qq >"$PRIVATE_APT/update.log" 2>&1 || true
}

# The first trouble that apt had with the lists, for a message.
why_no_lists() { grep -m 1 '^[EW]:' "$PRIVATE_APT/update.log" || echo "no errors"; }

# add_backports : the backports suite, from the mirror and with the keys of the
# host's own suite.
add_backports() {
    copy_suite "$(host_codename)-backports" "$PRIVATE_APT/sources" || return 1
    update_private_apt
}

# open_suite_apt SUITE : an apt that knows that suite alone, from the mirror and
# with the keys of the host's own, and takes nothing for installed.
open_suite_apt() {
    local sources=$SCRATCH/sources-$1
    open_private_apt || return 1
    mkdir -p "$sources"
    copy_suite "$1" "$sources" || return 1
    make_private_apt "$SCRATCH/apt-$1"
    mv -- "$sources"/* "$PRIVATE_APT/sources/"
    : >"$PRIVATE_APT/status"
    printf 'Dir::State::status "%s";\n' "$PRIVATE_APT/status" >>"$PRIVATE_APT/apt.conf"
    update_private_apt
}

# shellcheck source=/dev/null
host_codename() (. /etc/os-release && printf '%s' "${VERSION_CODENAME:-}")

# copy_suite SUITE FOLDER : what the host's sources say of its own suite, with
# SUITE in its place.
copy_suite() {
    local codename uri file
    codename=$(host_codename)
    # shellcheck disable=SC2016 # apt expands this, not the shell
    uri=$(private apt-get indextargets --format '$(REPO_URI)' \
        'Created-By: Packages' 'Origin: Debian' "Codename: $codename" | head -n 1)
    if [ -z "$uri" ]; then
        complain "apt knows no Debian mirror of '$codename' ($(why_no_lists))"
        return 1
    fi
    for file in "$PRIVATE_APT"/sources/*; do
        suite_entries "${uri%/}" "$codename" "$1" "${file##*.}" <"$file" \
            >"$2/added-${file##*/}"
    done
}

# suite_entries URI CODENAME SUITE list|sources : copies of the entries (of either
# of apt's formats) for CODENAME at that mirror, with SUITE in its place.
suite_entries() {
    if [ "$4" = list ]; then
        awk -v uri="$1" -v suite="$2" -v wanted="$3" '
            $1 != "deb" { next }
            { for (i = 2; i < NF; i++) {
                here = $i; sub("/$", "", here)
                if (here == uri && $(i + 1) == suite) {
                    $(i + 1) = wanted; print; next } } }'
    else
        awk -v RS= -v uri="$1" -v suite="$2" -v wanted="$3" '
            function has(field, want,    i, j, n, words) {
                for (i = 1; i <= lines; i++)
                    if (tolower(line[i]) ~ "^" field ":") {
                        n = split(line[i], words, " ")
                        for (j = 2; j <= n; j++) {
                            sub("/$", "", words[j])
                            if (words[j] == want) return 1 } }
                return 0 }
            { lines = split($0, line, "\n")
              if (!has("uris", uri) || !has("suites", suite)) next
              if (!has("types", "deb") || has("enabled", "no")) next
              for (i = 1; i <= lines; i++)
                  if (tolower(line[i]) ~ "^suites:")
                      print "Suites: " wanted
                  else if (line[i] !~ "^#") print line[i]
              print "" }'
    fi
}

# newest_version PACKAGE MAJOR : "version suite" of the newest MAJOR.x on offer.
newest_version() {
    private apt-cache madison "$1" \
        | awk -v major="$2" '$3 ~ "^([0-9]+:)?" major "[.]" {
              sub("/.*", "", $6); print $3, $6 }' \
        | sort -V | tail -n 1
}

# unpack_with_libraries FOLDER SUITE PACKAGE=VERSION : the package and all that
# it needs and apt does not take for installed.
unpack_with_libraries() {
    local deb archives=$PRIVATE_APT/cache/archives
    if ! private apt-get -t "$2" install --download-only -y -qq \
        --no-install-recommends "$3" >"$PRIVATE_APT/download.log" 2>&1; then
        complain "apt could not fetch ${3%%=*}:" \
            "$(grep -m 1 '^E:' "$PRIVATE_APT/download.log")"
        return 1
    fi
    for deb in "$archives"/*.deb; do
        dpkg-deb -x "$deb" "$1" && rm -f -- "$deb" || return 1
    done
}

# unpack_alone FOLDER PACKAGE : the package without what it needs.
unpack_alone() {
    (cd "$PRIVATE_APT/cache" && private apt-get download -qq "$2") \
        >"$PRIVATE_APT/download.log" 2>&1 || {
        complain "apt could not fetch $2:" \
            "$(grep -m 1 '^E:' "$PRIVATE_APT/download.log")"
        return 1
    }
    dpkg-deb -x "$PRIVATE_APT/cache/$2"_*.deb "$1"
}
