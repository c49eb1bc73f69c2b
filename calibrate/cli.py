"""`migmodel calibrate`: fit a profile to this host, from real migrations on it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from migmodel.cli.host_options import Hosts, host_options, hosts_from
from migmodel.errors import InputError, JobError
from migmodel.records.scenario import Link, Transport
from migmodel.units import (
    format_bandwidth,
    format_bytes,
    format_duration,
    parse_bandwidth,
    parse_bytes,
)

if TYPE_CHECKING:
    from migmodel.qemu.options import DriverOptions
    from migmodel.records import Measurement

    from .fit import Fit
    from .plan import Bounds, PlannedRun

DEFAULT_VCPUS = 2
# How long the guest is watched before and after each migration. Before, it has been at
# a steady pace for a second (qemu/settling.py), which counts as well.
BASELINE_S, AFTER_S = 0.8, 0.8
QUICK_BASELINE_S, QUICK_AFTER_S = 0.5, 0.6
_WITH_FROM = ("source", "out", "start", "qemu_version", "cpus")
_BY_DEFAULT = click.core.ParameterSource.DEFAULT


@click.command()
@click.option(
    "--out",
    metavar="FILE.json",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The profile; runs are kept beside it in FILE.runs/.",
)
@click.option("--quick", is_flag=True, help="In 3.5 minutes instead of 8.")
@click.option(
    "--techniques",
    metavar="all|basic|NAME,...",
    default="basic",
    show_default=True,
    help="Beyond pre-copy, pause, auto-converge and post-copy: multifd, zlib, zstd, "
    "xbzrle, compress, preempt; all takes 22 minutes.",
)
@click.option("--mem", "mem", metavar="SIZE", help="Largest guest. [448m]")
@click.option(
    "--cpus",
    type=click.IntRange(min=1),
    default=DEFAULT_VCPUS,
    show_default=True,
    help="Most vCPUs of a guest.",
)
@click.option(
    "--max-bw", metavar="BANDWIDTH", help="Cap on every migration. [unlimited]"
)
@click.option("--low-priority", is_flag=True, help="Run the guests at nice level 19.")
@click.option("--qemu", metavar="FILE", help="QEMU to drive. [found]")
@click.option(
    "--accel",
    type=click.Choice(["kvm", "tcg"]),
    help="Accelerator. [kvm where it works, else tcg]",
)
@click.option("--plan", "plan_only", is_flag=True, help="Say what would run, and stop.")
@click.option(
    "--fit-only", is_flag=True, help="Fit the runs that are there; run nothing."
)
@click.option(
    "--link",
    type=click.Choice(["unix", "tcp"]),
    help="Socket that the migrations go over. [unix; tcp with --dst-host]",
)
@click.option(
    "--from",
    "source",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Run nothing; fit what old Measurements and guestperf reports there tell.",
)
@click.option(
    "--start",
    metavar="NAME|FILE",
    help="With --from: the profile that gives what they do not tell. [kvm-generic]",
)
@click.option("--qemu-version", metavar="VERSION", help="With --from: of reports.")
@host_options
def calibrate(
    out: Path,
    quick: bool,
    techniques: str,
    mem: str | None,
    cpus: int,
    max_bw: str | None,
    low_priority: bool,
    qemu: str | None,
    accel: str | None,
    plan_only: bool,
    fit_only: bool,
    link: Transport | None,
    source: Path | None,
    start: str | None,
    qemu_version: str | None,
    **options: Any,
) -> None:
    """Fit a profile to this host, from real migrations of a stress guest on it.

    Only guests of its own are run, both sides on this host, or the destination on
    another one like it. Interrupted, it goes on where it was when called again; all
    Measurements are kept. A shaped link is none to calibrate over: it hides what the
    hosts can push.
    """
    if source is not None:
        _check_nothing_runs(click.get_current_context())
    hosts = hosts_from(options)
    if link == "unix" and hosts.remote is not None:
        raise InputError("--link unix ends on this host: leave it or --dst-host out")
    from .plan import DEFAULT_RAM_BYTES, Bounds, choose_techniques, plan_runs

    cap = None if max_bw is None else parse_bandwidth(max_bw) or None
    bounds = Bounds(
        ram_bytes=DEFAULT_RAM_BYTES if mem is None else parse_bytes(mem),
        vcpus=cpus,
        max_bandwidth_bytes_per_s=cap,
    )
    if out.suffix != ".json":
        raise InputError(f"--out is a profile and ends in .json, not '{out.name}'")
    if source is not None:
        from .from_folder import fit_folder

        fit_folder(source, out, start, qemu_version, cpus)
        return
    if start or qemu_version:
        raise InputError("--start and --qemu-version go with --from")
    over = None if link is None else Link(transport=link)
    planned = plan_runs(bounds, quick=quick, techniques=choose_techniques(techniques))
    runs = [
        dataclasses.replace(run, scenario=hosts.placed(run.scenario, over))
        for run in planned
    ]
    if not (plan_only or fit_only):
        from migmodel.qemu.accel import check_rates

        check_rates(accel)
    _announce(runs, bounds)
    if plan_only:
        return
    folder = out.with_name(f"{out.stem}.runs")
    from .campaign import execute_runs, usable_runs

    if not fit_only:
        execute_runs(runs, folder, *_options(qemu, accel, low_priority, quick, hosts))
    measurements = usable_runs(runs, folder)
    if not measurements and fit_only:
        raise JobError(f"no valid runs in {folder} to fit: leave out --fit-only")
    if not measurements:
        raise JobError(f"no run was valid, so there is nothing to fit: see {folder}")
    fit = _fit(measurements, out.stem, cpus)
    from migmodel.records.files import write_record

    from .report import print_fit

    write_record(out, fit.profile)
    print_fit(fit, measurements)
    for remark in fit.remarks:
        click.echo(remark)
    click.echo(f"profile written to {out}, runs kept in {folder}")


def _check_nothing_runs(context: click.Context) -> None:
    """Refuse, with --from, what only runs would heed."""
    given = [
        option.opts[0]
        for option in context.command.params
        if option.name not in _WITH_FROM
        and context.get_parameter_source(option.name or "") is not _BY_DEFAULT
        and context.params.get(option.name or "") != option.default
    ]
    if given:
        raise InputError(
            f"--from runs nothing: leave out {', '.join(given)}; with it go --out, "
            "--start, --qemu-version and --cpus, the most processes of the fit"
        )


def _announce(runs: Sequence[PlannedRun], bounds: Bounds) -> None:
    from .plan import estimate_s

    count = sum(run.repeats for run in runs)
    cap = bounds.max_bandwidth_bytes_per_s
    bandwidth = "as much bandwidth between them as this host has"
    if cap is not None:
        bandwidth = f"at most {format_bandwidth(cap)} between them"
    click.echo(
        f"{count} migrations of {len(runs)} kinds, about "
        f"{format_duration(estimate_s(list(runs)))}: two guests of "
        f"{format_bytes(bounds.ram_bytes)} at a time, up to {bounds.vcpus} busy vCPUs "
        f"and two copying threads, {bandwidth}"
    )
    for run in runs:
        name = run.scenario.name.removeprefix("cal-")
        click.echo(f"  {name:15s} {run.repeats} x  {run.purpose}")


def _options(
    qemu: str | None, accel: str | None, low_priority: bool, quick: bool, hosts: Hosts
) -> tuple[DriverOptions, DriverOptions]:
    """Of the basic runs; and of a technique's, which tell no guest's speed."""
    import msgspec

    from migmodel.qemu.images import build_image
    from migmodel.qemu.options import DriverOptions

    full = DriverOptions(
        image=build_image("bare"),
        qemu=qemu,
        accel=accel,
        nice=19 if low_priority else 0,
        baseline_s=QUICK_BASELINE_S if quick else BASELINE_S,
        after_s=QUICK_AFTER_S if quick else AFTER_S,
        hardware=hosts.hardware,
        remote=hosts.remote,
        keep_awake=hosts.keep_awake,
    )
    brief = msgspec.structs.replace(
        full, baseline_s=QUICK_BASELINE_S, after_s=QUICK_AFTER_S
    )
    return full, brief


def _fit(measurements: Sequence[Measurement], name: str, cpus: int) -> Fit:
    from rich.console import Console

    from migmodel.analysis.profiles import load_profile
    from migmodel.qemu.host import usable_cpus

    from .calibration import calibrate as fit_host

    accel = measurements[0].host.accel
    start = load_profile("tcg-2core" if accel == "tcg" else None)
    with Console(stderr=True).status("fitting") as line:
        return fit_host(
            start,
            measurements,
            name=name,
            on_step=lambda step: line.update(f"fitting: evaluation {step}"),
            # No more of the host than the user has granted.
            jobs=min(cpus, usable_cpus()),
        )
