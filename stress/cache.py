"""Where built guests and unpacked kernels are kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_folder(*parts: str) -> Path:
    """Return a folder of migmodel's in the user's cache, made when missing."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(root, "migmodel", *parts)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


@contextmanager
def written_atomically(target: Path) -> Iterator[Path]:
    """Give a path to write to; it becomes `target` when the block ends well.

    Two processes that build the same thing at once both succeed, and a reader
    never sees half a file.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".new-", dir=target.parent) as folder:
        draft = Path(folder, target.name)
        yield draft
        draft.replace(target)
