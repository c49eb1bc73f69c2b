"""Where built guests and unpacked kernels are kept."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def cache_root() -> Path:
    """Return migmodel's folder in the user's cache."""
    root = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(root, "migmodel")


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
