"""`migmodel measure`: run a migration with real QEMU on this host."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from migmodel.cli.scenario_options import scenario_from, scenario_options
from migmodel.errors import InputError, JobError
from migmodel.records.scenario import GuestKind
from migmodel.units import format_bytes, format_duration, parse_duration

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.table import Table

    from migmodel.qemu.guest import GuestImage
    from migmodel.qemu.options import ProgressHandler
    from migmodel.records.measurement import Measurement
    from migmodel.records.status import MigrationStatus

_COLUMNS = (
    "run",
    "verdict",
    "total",
    "downtime",
    "blackout",
    "gap",
    "passes",
    "throttle",
    "sent",
    "valid",
)
_TEXTS = ("run", "verdict", "valid")
_PHASES = {
    "settling": "waiting for a settled guest",
    "baseline": "measuring the guest at rest",
    "after": "watching the guest at its destination",
}


@click.command()
@scenario_options
@click.option(
    "--repeat", type=click.IntRange(min=1), default=1, help="Number of runs. [1]"
)
@click.option(
    "--out", "folder", metavar="DIR", help="Keep the Measurements there. [not kept]"
)
@click.option(
    "--qemu", metavar="FILE", help="QEMU to drive. [the set-up's, else the PATH's]"
)
@click.option(
    "--accel", metavar="kvm|tcg", help="Accelerator. [kvm where it works, else tcg]"
)
@click.option("--kernel", metavar="FILE", help="Kernel of the Linux guest. [found]")
@click.option("--timeout", metavar="TIME", help="Give a run up after that. [10m]")
@click.option(
    "--nice",
    type=click.IntRange(0, 19),
    default=0,
    help="Nice level of the QEMU processes. [0]",
)
def measure(
    repeat: int,
    folder: str | None,
    qemu: str | None,
    accel: str | None,
    kernel: str | None,
    timeout: str | None,
    nice: int,
    **options: Any,
) -> None:
    """Run a migration with real QEMU on this host.

    Source and destination run here, with the stress guest in them. Each run is
    written as it ends; an interrupted series keeps what it has. The exit status is 1
    when a run failed or is not fit for comparing.
    """
    described = scenario_from(**options)
    scenario = described.scenario
    timeout_s = 600.0 if timeout is None else parse_duration(timeout)
    if not timeout_s > 0:
        raise InputError("--timeout must be greater than zero")
    out = None if folder is None else _writable(Path(folder))

    from migmodel.qemu import driver, store
    from migmodel.qemu.options import DriverOptions

    image = _guest_image(scenario.guest.kind, kernel)
    settings = DriverOptions(
        image=image, qemu=qemu, accel=accel, timeout_s=timeout_s, nice=nice
    )
    found, _ = driver.check(scenario, settings)
    asked = None if options.get("scenario") else options.get("qemu_version")
    if asked is not None and scenario.version != found.version:
        raise InputError(
            f"--qemu-version {asked}, but {found.path} is QEMU {found.release}: name "
            "another with --qemu FILE"
        )
    first = 0 if out is None else store.next_repeat(out, scenario)
    done: list[Measurement] = []
    try:
        for number in range(first, first + repeat):
            with _progress(f"run {number - first + 1} of {repeat}") as on_progress:
                measurement = driver.measure(
                    scenario, settings, repeat=number, on_progress=on_progress
                )
            if out is not None:
                store.save(measurement, out)
            done.append(measurement)
    finally:
        _print(done, out)
    useless = [run for run in done if not run.valid]
    if useless:
        raise JobError(
            f"{len(useless)} of {repeat} runs failed or cannot be used: "
            f"{useless[0].problems[0]}"
        )


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"--out: cannot make {folder}: {error.strerror}") from None
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"--out: {folder} cannot be written to")
    return folder


def _guest_image(kind: GuestKind, kernel: str | None) -> GuestImage:
    from migmodel.qemu.guest import GuestImage

    # By name, as the commands are: what stands above migmodel is loaded, not known.
    builder = import_module("migmodel.stress.builder")
    if kind == "bare":
        if kernel is not None:
            raise InputError("--kernel is for the Linux guest: add --guest linux")
        return GuestImage(kind, builder.build_bare())
    kernels = import_module("migmodel.stress.kernel")
    found = kernels.kernel_image(None if kernel is None else Path(kernel))
    return GuestImage(kind, builder.build_linux(), found)


@contextmanager
def _progress(run: str) -> Iterator[ProgressHandler]:
    """One line on the terminal that says what is going on; gone in the end."""
    from rich.console import Console

    console = Console(stderr=True)
    with console.status(f"{run}: starting") as line:

        def show(phase: str, status: MigrationStatus | None) -> None:
            text = _PHASES.get(phase, phase)
            if status is not None:
                text = (
                    f"{status.status} for {format_duration(status.elapsed_s)}, pass "
                    f"{status.dirty_sync_count}, "
                    f"{format_bytes(status.remaining_bytes)} remaining"
                )
                if status.throttle_percent is not None:
                    text += f", throttle {status.throttle_percent:.0f} %"
            line.update(f"{run}: {text}")

        yield show


def _print(runs: list[Measurement], out: Path | None) -> None:
    if not runs:
        return
    from rich.console import Console

    console = Console()
    console.print(_table(runs))
    host = runs[0].host
    click.echo(
        "downtime: as QEMU reports it; blackout: STOP to RESUME; gap: the guest's"
    )
    click.echo(f"QEMU {host.qemu_version}, {host.accel}, {host.cpus} CPUs")
    for run in runs:
        for problem in run.problems:
            click.echo(f"run {run.repeat}: {problem}")
    if out is not None:
        click.echo(f"{len(runs)} Measurements in {out}")


def _table(runs: list[Measurement]) -> Table:
    from rich.table import Table

    table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in _COLUMNS:
        justify: JustifyMethod = "left" if heading in _TEXTS else "right"
        table.add_column(heading, justify=justify, no_wrap=True)
    for run in runs:
        outcome = run.trace.outcome
        throttle = outcome.peak_throttle_percent
        table.add_row(
            str(run.repeat),
            outcome.verdict,
            _time(outcome.total_time_s),
            _time(outcome.downtime_reported_s),
            _time(outcome.downtime_stop_resume_s),
            _time(outcome.downtime_guest_s),
            "-" if outcome.passes is None else str(outcome.passes),
            "-" if throttle is None else f"{throttle:.0f} %",
            "-" if outcome.bytes_sent is None else format_bytes(outcome.bytes_sent),
            "yes" if run.valid else "no",
        )
    return table


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(seconds)
