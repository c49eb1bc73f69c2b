"""Boots a guest alone in QEMU and gives its lines."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .cache import cache_root
from .console import Line, read_line
from .errors import SettingError, StressError

SILENCE_LIMIT_S = 60.0
KVM = Path("/dev/kvm")
MEMINFO = Path("/proc/meminfo")
CPUINFO = Path("/proc/cpuinfo")


def qemu_binary(named: str | None = None) -> str:
    """Return the QEMU to use.

    The first of: `named`; the environment's ``MIGMODEL_QEMU``; the one that the
    set-up put into the user's cache; the host's own.
    """
    named = named or os.environ.get("MIGMODEL_QEMU")
    kept = cache_root() / "qemu" / "10" / "qemu-system-x86_64"
    wanted = named or (str(kept) if kept.exists() else "qemu-system-x86_64")
    binary = shutil.which(wanted)
    if binary is None:
        raise SettingError(
            f"no QEMU at {wanted}: name one with --qemu or MIGMODEL_QEMU"
        )
    return binary


def accelerator() -> str:
    """Return ``kvm`` where the CPU itself virtualizes, else ``tcg``.

    A /dev/kvm without the CPU's flag emulates instructions one by one, slower than
    TCG does.
    """
    flags = CPUINFO.read_text().split()
    virtualizes = "vmx" in flags or "svm" in flags
    return "kvm" if virtualizes and os.access(KVM, os.R_OK | os.W_OK) else "tcg"


def check_memory(wanted_bytes: int) -> None:
    """Refuse a guest that is larger than the host's free memory."""
    for line in MEMINFO.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            free_bytes = int(value.split()[0]) * 1024
            if wanted_bytes > free_bytes:
                raise SettingError(
                    f"the guest's {wanted_bytes >> 20} MiB are more than this host "
                    f"has free, {free_bytes >> 20} MiB: give a smaller --mem"
                )


def guest_lines(argv: Sequence[str], seconds: float) -> Iterator[Line]:
    """Run QEMU and give the guest's lines until `seconds` after it is ready.

    Parameters
    ----------
    argv
        QEMU's, with the guest's first serial port on the standard output.
    seconds
        How long the guest sweeps [s].

    Raises
    ------
    StressError
        The guest refused its settings or fell silent, or QEMU ended.
    """
    until = None
    with tempfile.TemporaryFile() as complaints, _running(argv, complaints) as output:
        for text in _text_lines(output, complaints):
            line = read_line(text)
            if line is None:
                continue
            if line.kind == "error":
                raise StressError(f"the guest says: {line.text}")
            yield line
            if line.kind == "ready":
                until = time.monotonic() + seconds
            if until is not None and time.monotonic() >= until:
                return


def _text_lines(output: int, complaints: IO[bytes]) -> Iterator[str]:
    pending = b""
    while True:
        readable, _, _ = select.select([output], [], [], SILENCE_LIMIT_S)
        if not readable:
            raise StressError(f"the guest printed nothing for {SILENCE_LIMIT_S:.0f} s")
        block = os.read(output, 65536)
        if not block:
            complaints.seek(0)
            said = complaints.read().decode(errors="replace").split("\n", 1)[0]
            raise StressError(f"QEMU ended by itself: {said or 'without a word'}")
        *lines, pending = (pending + block).split(b"\n")
        for line in lines:
            yield line.decode(errors="replace")


@contextmanager
def _running(argv: Sequence[str], complaints: IO[bytes]) -> Iterator[int]:
    """Start QEMU and give its output; it never outlives the block, nor this process."""
    guard = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
    with subprocess.Popen(
        [*guard, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=complaints,
    ) as qemu:
        try:
            assert qemu.stdout is not None
            yield qemu.stdout.fileno()
        finally:
            qemu.kill()
