"""`migmodel stress`: builds the guests, and runs one alone."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .command import CONTENTS, KINDS, PAGE_BYTES, PATTERNS, TOUCHES, guest_arguments
from .errors import SettingError

if TYPE_CHECKING:
    from .summary import ThreadSummary

MIB = 1 << 20
SIZE_FACTORS = {"": 1 << 30, "b": 1, "k": 1 << 10, "m": MIB, "g": 1 << 30}
SIZE = re.compile(r"(\d+(?:\.\d+)?)(?:(b)|([kmg])(?:i?b)?)?", re.IGNORECASE)
BARE_MAX_BYTES = 3 << 30
# What a guest needs beside its working set; Linux unpacks itself there as well.
BESIDE_BYTES = {"bare": 16 * MIB, "linux": 256 * MIB}

KIND = click.option(
    "--kind",
    type=click.Choice(KINDS),
    default="bare",
    show_default=True,
    help="On bare metal, or as the init of Linux.",
)
CC = click.option("--cc", default="gcc", show_default=True, help="The C compiler.")
KERNEL = click.option(
    "--kernel",
    type=click.Path(path_type=Path),
    help="Kernel of the Linux guest; by default the cache's, this host's or Debian's.",
)


def size(text: str) -> int:
    """Read a memory size in bytes: ``512m``, ``4096b``; a number alone is GiB."""
    match = SIZE.fullmatch(text)
    if match is None:
        raise click.BadParameter(f"{text!r} is no size; write 512m, 1.5g or 2 (GiB)")
    unit = match[2] or match[3] or ""
    return round(float(match[1]) * SIZE_FACTORS[unit.lower()])


@click.group()
def stress() -> None:
    """Build and run the guests used to measure."""


@stress.command()
@KIND
@click.option("--out", type=click.Path(path_type=Path), help="Put it there as well.")
@CC
@KERNEL
def build(kind: str, out: Path | None, cc: str, kernel: Path | None) -> None:
    """Build a guest; print its file, and for Linux the kernel's."""
    for path in _built(kind, out, cc, kernel):
        click.echo(path)


@stress.command()
@KIND
@CC
@KERNEL
@click.option("--qemu", help="The QEMU to use. [default: the set-up's, the host's]")
@click.option("--accel", type=click.Choice(["tcg", "kvm"]), help="[default: what fits]")
@click.option(
    "--mem",
    type=size,
    metavar="SIZE",
    help="The guest's RAM. [default: what --ws needs]",
)
@click.option(
    "--ws",
    type=size,
    metavar="SIZE",
    default="64m",
    show_default=True,
    help="Working set, all vCPUs.",
)
@click.option(
    "--rate",
    type=int,
    default=0,
    show_default=True,
    help="Pages/s, all vCPUs; 0 is full speed.",
)
@click.option(
    "--touch",
    type=click.Choice(TOUCHES),
    default="sweep",
    show_default=True,
    help="Every byte with new keys, every byte with one key, a word a page, or none.",
)
@click.option(
    "--pattern",
    type=click.Choice(PATTERNS),
    default="sweep",
    show_default=True,
    help="Which page comes next: in order of address, or any.",
)
@click.option(
    "--content",
    type=click.Choice(CONTENTS),
    default="random",
    show_default=True,
    help="What pages hold.",
)
@click.option(
    "--compressibility",
    type=float,
    help="Of text: the share that repeats, a multiple of 1/8 below 1.",
)
@click.option(
    "--delta-bytes", type=int, help="Of delta: bytes of a page that a touch changes."
)
@click.option("--cpus", type=int, default=1, show_default=True, help="vCPUs.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    default=3.0,
    show_default=True,
    help="How long it sweeps.",
)
def run(
    kind: str,
    cc: str,
    kernel: Path | None,
    qemu: str | None,
    accel: str | None,
    mem: int | None,
    ws: int,
    rate: int,
    touch: str,
    pattern: str,
    content: str,
    compressibility: float | None,
    delta_bytes: int | None,
    cpus: int,
    seconds: float,
) -> None:
    """Boot a guest alone and print how fast it is."""
    from .runner import accelerator, check_memory, guest_lines, qemu_binary
    from .summary import summarize

    mem_bytes = mem or -(-(ws + BESIDE_BYTES[kind]) // MIB) * MIB
    if mem_bytes % MIB or mem_bytes <= ws:
        raise SettingError("--mem is a whole number of MiB, more than --ws")
    if kind == "bare" and mem_bytes > BARE_MAX_BYTES:
        raise SettingError("the bare guest has at most 3 GiB of RAM: --kind linux")
    arguments = partial(
        guest_arguments,
        kind,
        ws_bytes=ws,
        rate_pps=rate,
        touch=touch,
        pattern=pattern,
        content=content,
        compressibility=compressibility,
        delta_bytes=delta_bytes,
        cpus=cpus,
    )
    # Refused before anything is built or started.
    arguments(Path("image"), Path("kernel") if kind == "linux" else None)
    check_memory(mem_bytes)
    binary = qemu_binary(qemu)
    image, *kernels = _built(kind, None, cc, kernel)
    guest = arguments(image, *kernels)
    accel = accel or accelerator()
    threads = ",thread=multi" if accel == "tcg" else ""
    argv = [
        *(binary, "-accel", accel + threads, "-m", f"{mem_bytes // MIB}M"),
        *("-smp", str(cpus), "-nodefaults", "-display", "none", "-no-reboot"),
        *("-serial", "stdio", *guest),
    ]
    lines = list(guest_lines(argv, seconds))
    _print_table(f"{kind} guest, {accel}", summarize(lines))


def _built(kind: str, out: Path | None, cc: str, kernel: Path | None) -> list[Path]:
    from .builder import build_bare, build_linux
    from .kernel import kernel_image

    if kind == "bare":
        if kernel is not None:
            raise SettingError("--kernel is for the Linux guest: add --kind linux")
        return [build_bare(out, cc)]
    return [build_linux(out, cc), kernel_image(kernel)]


def _print_table(title: str, threads: list[ThreadSummary]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    names = ("vCPU", "pages/s", "MB/s", "ms/GiB", "longest gap ms", "bad", "sweeps")
    for name in names:
        table.add_column(name, justify="right")
    for thread in threads:
        ms_per_gib = thread.ms_per_gib
        table.add_row(
            str(thread.cpu),
            f"{thread.pages_per_s:.0f}",
            f"{thread.pages_per_s * PAGE_BYTES / 1e6:.1f}",
            "-" if ms_per_gib is None else f"{ms_per_gib:.1f}",
            f"{thread.longest_gap_ms:.2f}",
            str(thread.bad_pages),
            str(thread.sweeps),
        )
    Console().print(table)
