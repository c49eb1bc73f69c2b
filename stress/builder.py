"""Builds the two guests with the host's C compiler."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from .cache import cache_root, written_atomically
from .errors import StressError
from .initramfs import initramfs

SOURCES = Path(__file__).parent
SOURCE_NAMES = (
    "workload.h",
    "workload.c",
    "settings.c",
    "line.h",
    "tsc.h",
    "bare.S",
    "bare.c",
    "bare.ld",
    "init.c",
)
WORKLOAD = ("workload.c", "settings.c")

COMMON = ("-std=gnu11", "-O2", "-Wall", "-Wextra")
# Freestanding and in general registers only: bare metal has no C library and leaves
# the vector unit off. The workload is compiled so for both guests, hence alike.
FREESTANDING = (
    *COMMON,
    "-ffreestanding",
    "-mgeneral-regs-only",
    "-mno-red-zone",
    "-fno-pic",
    "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    "-fno-tree-loop-distribute-patterns",
    "-fcf-protection=none",
)
LINK_BARE = (
    "-nostdlib",
    "-static",
    "-no-pie",
    "-Wl,--build-id=none",
    "-Wl,-z,max-page-size=4096",
    "-Wl,-z,noexecstack",
    "-Wl,-T,bare.ld",
)
LINK_LINUX = ("-static", "-no-pie", "-pthread", "-Wl,--build-id=none", "-s")
Recipe = Callable[[str, Path, Path], None]


def build_bare(out: Path | None = None, cc: str = "gcc") -> Path:
    """Build the bare-metal guest, an ELF file for QEMU's ``-kernel``.

    Parameters
    ----------
    out
        Where to put it; by default it stays in the cache.
    cc
        The C compiler, gcc or one that takes its options.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    StressError
        No such compiler, one that does not build for x86-64, or a failed build.
    """
    return _built("bare.elf", out, cc, _bare)


def build_linux(out: Path | None = None, cc: str = "gcc") -> Path:
    """Build the Linux guest, a compressed initramfs for QEMU's ``-initrd``.

    Parameters and errors are those of `build_bare`; it needs a static C library.
    """
    return _built("linux.cpio.gz", out, cc, _linux)


def _bare(cc: str, work: Path, target: Path) -> None:
    objects = [
        _compile(cc, FREESTANDING, name, work)
        for name in ("bare.S", "bare.c", *WORKLOAD)
    ]
    _call([cc, *LINK_BARE, "-o", str(target), *objects])


def _linux(cc: str, work: Path, target: Path) -> None:
    objects = [
        _compile(cc, (*COMMON, "-pthread"), "init.c", work),
        *(_compile(cc, FREESTANDING, name, work) for name in WORKLOAD),
    ]
    program = work / "init"
    _call([cc, *LINK_LINUX, "-o", str(program), *objects])
    target.write_bytes(initramfs(program.read_bytes()))


def _compile(cc: str, flags: Sequence[str], source: str, work: Path) -> str:
    target = str(work / f"{source}.o")
    _call([cc, *flags, "-c", "-o", target, source])
    return target


def _built(name: str, out: Path | None, cc: str, recipe: Recipe) -> Path:
    kept = cache_root() / "guest" / _fingerprint(cc) / name
    if not kept.exists():
        with (
            tempfile.TemporaryDirectory(prefix="migmodel-guest-") as work,
            written_atomically(kept) as draft,
        ):
            recipe(cc, Path(work), draft)
    if out is None:
        return kept
    try:
        with written_atomically(out) as draft:
            shutil.copyfile(kept, draft)
    except OSError as error:
        raise StressError(f"cannot write the guest to {out}: {error}") from None
    return out


def _fingerprint(cc: str) -> str:
    """Hash all that a guest is made from: sources, this recipe, the compiler."""
    if shutil.which(cc) is None:
        raise StressError(
            f"no C compiler {cc!r} on this host: install gcc (Debian: apt install gcc "
            "libc6-dev) or name another with --cc"
        )
    machine = _call([cc, "-dumpmachine"]).strip()
    if not machine.startswith("x86_64"):
        raise StressError(
            f"{cc} builds for {machine}; the guests need a compiler for x86_64"
        )
    digest = hashlib.sha256(_call([cc, "--version"]).encode())
    for name in (*SOURCE_NAMES, "builder.py", "initramfs.py"):
        digest.update((SOURCES / name).read_bytes())
    return digest.hexdigest()[:16]


def _call(argv: Sequence[str]) -> str:
    done = subprocess.run(argv, cwd=SOURCES, capture_output=True, text=True)
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if "error" in line]
        said = (lines or done.stderr.splitlines() or ["no message"])[0]
        raise StressError(f"building the guest failed: {argv[0]}: {said.strip()}")
    return done.stdout
