"""Which QEMU is driven, and what version it is."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import msgspec

from migmodel.errors import InputError

PROGRAM = "qemu-system-x86_64"
ENVIRONMENT = "MIGMODEL_QEMU"
_VERSION = re.compile(r"QEMU emulator version ((\d+)\.(\d+)\S*)(?: \(([^)]*)\))?")
_ANSWER_TIMEOUT_S = 20.0
_USUAL_MAJOR = 10
# What the parts of ./dev setup bring (scripts/setup_qemu.sh).
_SET_UP = {(7, 2): "qemu-7", (10, 0): "qemu", (11, 1): "qemu-11"}


class QemuBinary(msgspec.Struct, frozen=True):
    """A QEMU that has answered ``--version``.

    Parameters
    ----------
    path : Path
        The program, or a wrapper that ends in it.
    version : (int, int)
        Major and minor; compares.
    version_text : str
        As QEMU states it, with the distribution's package version.
    """

    path: Path
    version: tuple[int, int]
    version_text: str

    @property
    def release(self) -> str:
        """Major and minor as text, like ``10.0``."""
        return ".".join(map(str, self.version))


def find_qemu(
    explicit: str | None = None, wanted: tuple[int, int] | None = None
) -> QemuBinary:
    """Find a QEMU and ask for its version.

    Parameters
    ----------
    explicit : str or None
        A file or a program's name. Without it: the environment's MIGMODEL_QEMU, what
        the set-up puts into the user's cache, the PATH.
    wanted : (int, int) or None
        Version to take where the set-up has several; else its QEMU 10.

    Raises
    ------
    InputError
        When there is none, or what was named is no QEMU for x86_64.
    """
    named = explicit or os.environ.get(ENVIRONMENT)
    if named:
        found = shutil.which(named)
        if found is None:
            raise InputError(f"no QEMU: {named} is no program that can be run")
        return _ask(Path(found).absolute())
    if wanted is not None:
        cached = _cached(wanted[0])
        if os.access(cached, os.X_OK):
            qemu = _ask(cached)
            if qemu.version == wanted:
                return qemu
    cached = _cached(_USUAL_MAJOR)
    if os.access(cached, os.X_OK):
        return _ask(cached)
    found = shutil.which(PROGRAM)
    if found is None:
        raise InputError(
            f"no {PROGRAM} on the PATH and none in {cached.parent}; set one up with "
            f"./dev setup qemu, or name one: --qemu FILE or {ENVIRONMENT}=FILE"
        )
    return _ask(Path(found).absolute())


def how_to_get(version: tuple[int, int]) -> str:
    """What gets that QEMU, for an error message."""
    if version in _SET_UP:
        return f"./dev setup {_SET_UP[version]} gets it, or name one: --qemu FILE"
    return "name another with --qemu FILE"


def _cached(major: int) -> Path:
    return _cache_folder() / "qemu" / str(major) / PROGRAM


def _cache_folder() -> Path:
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "migmodel"


def _ask(path: Path) -> QemuBinary:
    try:
        answer = subprocess.run(
            [path, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_ANSWER_TIMEOUT_S,
            check=False,
        )
    except OSError as error:
        raise InputError(f"{path} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{path} is no QEMU: no answer to --version in {_ANSWER_TIMEOUT_S:g} s"
        ) from None
    match = _VERSION.search(answer.stdout)
    if match is None:
        said = (answer.stdout + answer.stderr).strip().splitlines() or ["nothing"]
        raise InputError(f"{path} is no QEMU: asked for --version, it said '{said[0]}'")
    package = f" ({match[4]})" if match[4] else ""
    version = int(match[2]), int(match[3])
    return QemuBinary(path, version, match[1] + package)
