"""`migmodel measure`: run a migration with real QEMU on this host."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from migmodel.cli.batch import Batched, batch_option, batched
from migmodel.cli.host_options import host_options, hosts_from
from migmodel.cli.output_files import writable_folder
from migmodel.cli.scenario_options import scenario_from, scenario_options
from migmodel.errors import InputError, JobError
from migmodel.records.files import read_record
from migmodel.records.scenario import GuestKind
from migmodel.units import (
    format_bandwidth,
    format_bytes,
    format_duration,
    parse_duration,
)

if TYPE_CHECKING:
    from rich.console import JustifyMethod
    from rich.table import Table

    from migmodel.qemu.guest import GuestImage
    from migmodel.qemu.options import DriverOptions, ProgressHandler
    from migmodel.records.link_facts import LinkFacts
    from migmodel.records.measurement import Measurement
    from migmodel.records.scenario import Scenario
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
@batch_option
@click.option(
    "--repeat", type=click.IntRange(min=1), default=1, help="Number of runs. [1]"
)
@click.option(
    "--out", "folder", metavar="DIR", help="Keep the Measurements there. [not kept]"
)
@click.option("--guestperf", metavar="DIR", help="Write guestperf reports there, too.")
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
@host_options
@click.option(
    "--trace-faults",
    is_flag=True,
    help="Log every post-copy fault: such a run tells fault latencies and no more.",
)
def measure(
    batch: str | None,
    repeat: int,
    folder: str | None,
    guestperf: str | None,
    qemu: str | None,
    accel: str | None,
    kernel: str | None,
    timeout: str | None,
    nice: int,
    trace_faults: bool,
    **options: Any,
) -> None:
    """Run a migration with real QEMU.

    Source and destination run here, or the destination on another host, with the
    stress guest in them. Each run is written as it ends; an interrupted series keeps
    what it has. The exit status is 1 when a run failed or is not fit for comparing.
    """
    hosts = hosts_from(options)
    hosts.check_link(options.get("link"))
    if batch is None:
        listed = [Batched("", "measured", scenario_from(**options).scenario)]
    else:
        listed = batched(batch, options)
    listed = [
        it._replace(scenario=it.scenario and hosts.placed(it.scenario)) for it in listed
    ]
    timeout_s = 600.0 if timeout is None else parse_duration(timeout)
    if not timeout_s > 0:
        raise InputError("--timeout must be greater than zero")
    out = None if folder is None else writable_folder("--out", Path(folder))
    reports = (
        None if guestperf is None else writable_folder("--guestperf", Path(guestperf))
    )

    from migmodel.qemu.options import DriverOptions

    kinds = {it.scenario.guest.kind for it in listed if it.scenario}
    options_of = {
        kind: DriverOptions(
            image=_guest_image(kind, kernel),
            qemu=qemu,
            accel=accel,
            timeout_s=timeout_s,
            nice=nice,
            hardware=hosts.hardware,
            remote=hosts.remote,
            keep_awake=hosts.keep_awake,
            trace_faults=trace_faults,
        )
        for kind in kinds
    }
    asked = _asked(options.get("scenario"), options.get("qemu_version"), qemu)
    useless: list[Measurement] = []
    count = 0
    for it in listed:
        if batch is not None:
            click.echo(f"{it.comparison}/{it.name}")
        if it.scenario is None:
            click.echo(f"not run: {it.refused}")
            continue
        settings = options_of[it.scenario.guest.kind]
        try:
            _check(it.scenario, settings, asked)
        except InputError as error:
            if batch is None:
                raise
            click.echo(f"not run: {error}")
            continue
        done = _series(it.scenario, settings, repeat, out)
        count += len(done)
        useless += [run for run in done if not run.valid]
        if reports is not None:
            _write_reports(done, reports / it.comparison, hosts.other_name)
    if useless:
        raise JobError(
            f"{len(useless)} of {count} runs failed or cannot be used: "
            f"{useless[0].problems[0]}"
        )


class _Named(msgspec.Struct):
    """What a scenario file says of QEMU, told from what it leaves to the default."""

    qemu_version: str | None = None


def _asked(file: str | None, version: str | None, qemu: str | None) -> str | None:
    """Who asks for which QEMU, for an error message; None when any will do.

    A file is as good on the QEMU that `--qemu` names: the record says which ran.
    """
    if file is None:
        return None if version is None else f"--qemu-version {version}"
    named = read_record(Path(file), _Named).qemu_version
    if named is None or qemu is not None:
        return None
    return f"{file} asks for QEMU {named}"


def _check(scenario: Scenario, settings: DriverOptions, asked: str | None) -> None:
    from migmodel.qemu import driver
    from migmodel.qemu.binary import find_qemu, how_to_get

    if asked is not None:
        # First of all: what another QEMU lacks is no fault of the scenario.
        found = find_qemu(settings.qemu, scenario.version)
        if scenario.version != found.version:
            raise InputError(
                f"{asked}, but {found.path} is QEMU {found.release}: "
                + how_to_get(scenario.version)
            )
    driver.check(scenario, settings)


def _series(
    scenario: Scenario, settings: DriverOptions, repeat: int, out: Path | None
) -> list[Measurement]:
    """Run one scenario `repeat` times, and print what came out in any case."""
    from migmodel.qemu import store

    if settings.trace_faults:
        from migmodel.qemu.traced import measure_faults as execute
    else:
        from migmodel.qemu.driver import measure as execute
    first = 0 if out is None else store.next_repeat(out, scenario)
    done: list[Measurement] = []
    try:
        for number in range(first, first + repeat):
            with _progress(f"run {number - first + 1} of {repeat}") as on_progress:
                measurement = execute(
                    scenario, settings, repeat=number, on_progress=on_progress
                )
            if out is not None:
                store.save(measurement, out)
            done.append(measurement)
    finally:
        _print(done, out)
    return done


def _write_reports(
    runs: list[Measurement], folder: Path, other_host: str | None
) -> None:
    """As guestperf-batch names them; repeats beyond the first have their number."""
    from migmodel.guestperf.report import write_report
    from migmodel.guestperf.writing import report_of

    for run in runs:
        name = run.scenario.name or run.scenario.policy.technique
        number = f"-r{run.repeat}" if run.repeat else ""
        report = report_of(run, other_host)
        write_report(folder / f"{name}{number}.json", report)


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
    awake = ", kept awake" if host.cpus_kept_awake else ""
    click.echo(f"QEMU {host.qemu_version}, {host.accel}, {host.cpus} CPUs{awake}")
    for run in runs:
        faults = _faults(run)
        if faults:
            click.echo(f"run {run.repeat}: {faults}")
        for problem in run.problems:
            click.echo(f"run {run.repeat}: {problem}")
    facts = runs[0].link_facts
    if facts is not None:
        click.echo(_link_line(facts))
    if out is not None:
        click.echo(f"{len(runs)} Measurements in {out}")


def _link_line(facts: LinkFacts) -> str:
    """What the link was found to be."""
    text = f"link: round trip {format_duration(facts.rtt_s)}"
    if facts.delayed_by != "nothing":
        text += f" by {facts.delayed_by}"
    if facts.throughput_bytes_per_s is not None:
        text += f", {format_bandwidth(facts.throughput_bytes_per_s)} of stream"
    return text


def _faults(run: Measurement) -> str:
    outcome = run.trace.outcome
    if outcome.fault_latency_histogram is None:
        return ""
    return (
        f"{sum(outcome.fault_latency_histogram):.0f} faults waited "
        f"{_time(outcome.fault_latency_mean_s)} in the mean, half of them up to "
        f"{_time(outcome.fault_latency_p50_s)}, 99 % up to "
        f"{_time(outcome.fault_latency_p99_s)}; all vCPUs together stood still for "
        f"{_time(outcome.postcopy_blocktime_s)}"
    )


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
