# The virtual environment, with the project installed editable. Sourced by ./dev.
# shellcheck shell=bash

setup_python() { install_project html '.[html]'; }

setup_dev_python() { install_project dev '.[dev]'; }

install_project() {
    local stamp=$VENV/.set-up wanted
    wanted="$1 $(cat -- "$HERE/pyproject.toml" "$HERE/constraints.txt" | sha256sum)"
    if [ -x "$VENV/bin/migmodel" ] && is_set_up "$stamp" "$wanted"; then
        return 0
    fi
    make_venv || return 1
    say "Python: installing migmodel and what it needs ($1) into $VENV"
    (cd -- "$HERE" && "$VENV/bin/python" -m pip install --disable-pip-version-check \
        --no-input -c constraints.txt -e "$2") >"$SCRATCH/pip.log" 2>&1 || {
        tail -n 20 "$SCRATCH/pip.log" >&2
        complain "pip could not install the project; its last words stand above"
        return 1
    }
    printf '%s\n' "$wanted" >"$stamp"
}

# What was set up for development serves everything else too.
is_set_up() {
    [ -r "$1" ] && grep -qxF -e "$2" -e "dev ${2#* }" "$1"
}

make_venv() {
    local python
    if is_new_enough "$VENV/bin/python"; then
        return 0
    fi
    python=$(find_python) || {
        install_on_host "Python 3.11 or newer" python3 python3-venv || return 1
        python=$(find_python) || {
            complain "this distribution's Python is older than the 3.11 needed"
            return 1
        }
    }
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_on_host "Python's venv module" "$(venv_package "$python")" || return 1
    fi
    say "Python: making $VENV with $("$python" --version)"
    "$python" -m venv --clear "$VENV"
}

find_python() {
    local name
    for name in python3 python3.14 python3.13 python3.12 python3.11 /usr/bin/python3; do
        if is_new_enough "$name"; then
            command -v "$name"
            return 0
        fi
    done
    return 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

venv_package() {
    "$1" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'
}
