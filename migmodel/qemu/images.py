"""The stress guest's image, built by its own command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from migmodel.errors import JobError
from migmodel.qemu.guest import GuestImage
from migmodel.records.scenario import GuestKind

# The benches hand each other files, never imports.
BUILD = (sys.executable, "-m", "migmodel.cli.main", "stress", "build", "--kind")


def build_image(kind: GuestKind) -> GuestImage:
    """Build a guest, or take it from the cache.

    Raises
    ------
    JobError
        When it cannot be built: what `migmodel stress build` says.
    """
    done = subprocess.run([*BUILD, kind], capture_output=True, text=True, check=False)
    if done.returncode:
        raise JobError(f"cannot build the {kind} guest: {done.stderr.strip()}")
    files = [Path(line) for line in done.stdout.splitlines()]
    return GuestImage(kind, *files)
