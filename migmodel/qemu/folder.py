"""The private folder of a run, and what killed runs left of theirs."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PREFIX = "migmodel-"
LOCK = "owner.lock"  # held for as long as the run lives: the kernel lets go of it
_DRAFT = "owner.draft"
_PRIVATE = stat.S_IFDIR | 0o700


@contextmanager
def private_folder() -> Iterator[Path]:
    """Make a folder that nobody else can look into, and remove it in the end.

    Folders of runs that were killed before they could do so are removed, too.
    """
    parent = Path(tempfile.gettempdir())
    remove_stale(parent)
    with tempfile.TemporaryDirectory(prefix=PREFIX, dir=parent) as name:
        folder = Path(name)
        # The lock gets its name when it is held, so that no other run finds it free.
        with (folder / _DRAFT).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            (folder / _DRAFT).rename(folder / LOCK)
            yield folder


def remove_stale(parent: Path) -> None:
    """Remove the folders of runs that are gone.

    One is ours when it has our prefix, owner and mode, and a lock file of ours; its run
    is gone when nobody holds that lock. Everything else is left alone.
    """
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # somebody else's, or just being removed
            found = folder.lstat()
            if found.st_mode != _PRIVATE or found.st_uid != os.geteuid():
                continue
            lock = os.open(folder / LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder)
            finally:
                os.close(lock)
