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


def build_image(kind: GuestKind, kernel: Path | None = None) -> GuestImage:
    """Build a guest, or take it from the cache.

    Parameters
    ----------
    kernel : Path or None
        Of the Linux guest; None finds one.

    Raises
    ------
    JobError
        When it cannot be built: what `migmodel stress build` says.
    """
    named = [] if kernel is None else ["--kernel", str(kernel)]
    command = [*BUILD, kind, *named]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = done.stderr.strip().removeprefix("migmodel: ")
        raise JobError(f"cannot build the {kind} guest: {said}")
    files = [Path(line) for line in done.stdout.splitlines()]
    return GuestImage(kind, *files)
