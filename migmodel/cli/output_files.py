"""Checks of the files that a command will write, made before its work begins."""

from __future__ import annotations

import os
from pathlib import Path

from migmodel.errors import InputError

FIGURE_SUFFIXES = (".png", ".svg", ".pdf")


def check_suffix(path: Path, allowed: tuple[str, ...]) -> None:
    """Refuse a file whose name does not end as one of `allowed`.

    Raises
    ------
    InputError
        Names the file and what is allowed.
    """
    if path.suffix.lower() not in allowed:
        raise InputError(f"{path}: the name must end with {' or '.join(allowed)}")


def check_figure(path: Path) -> None:
    """Refuse a figure in a format that is not drawn."""
    check_suffix(path, FIGURE_SUFFIXES)


def check_writable(path: Path) -> None:
    """Refuse a file that cannot be written.

    Raises
    ------
    InputError
        Names the file or its directory, and why.
    """
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a directory")
    if not path.parent.is_dir():
        raise InputError(f"cannot write {path}: there is no directory {path.parent}")
    target = path if path.exists() else path.parent
    if not os.access(target, os.W_OK):
        raise InputError(f"cannot write {path}: permission denied")


def writable_folder(option: str, folder: Path) -> Path:
    """Make a folder, if it is not there, and see that it can be written to.

    Raises
    ------
    InputError
        Names the option, the folder, and why not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{option}: cannot make {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"{option}: {folder} cannot be written to")
    return folder
