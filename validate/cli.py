"""`migmodel validate`: how good predictions are, shown against real migrations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from migmodel.cli.host_options import host_options, hosts_from
from migmodel.cli.link_option import link_of
from migmodel.errors import InputError, JobError
from migmodel.units import format_duration

if TYPE_CHECKING:
    from migmodel.qemu.options import DriverOptions
    from migmodel.records import HostProfile, Measurement, Scenario
    from migmodel.records.scenario import GuestKind

    from .validation import Validation

REPEATS = 3
# Starting, settling, and watching the guest before and after the migration.
AROUND_A_RUN_S = 6.0


@click.command()
@click.option(
    "--suite",
    type=click.Choice(["smoke", "standard", "full"]),
    default="standard",
    show_default=True,
    help="A minute, six minutes a repeat, or under fifty: all techniques, on two "
    "versions of QEMU.",
)
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    required=True,
    help="This host's profile, from migmodel calibrate.",
)
@click.option(
    "--repeat",
    "repeats",
    type=click.IntRange(min=1),
    help=f"Runs of each scenario. [{REPEATS}]",
)
@click.option(
    "--out",
    "out",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Runs, tables and figures; runs that are there are not run again.",
)
@click.option("--only", metavar="NAME,...", help="These scenarios of the suite alone.")
@click.option(
    "--compare-only", is_flag=True, help="Compare the runs in DIR; run nothing."
)
@click.option(
    "--qemu", metavar="FILE", help="QEMU to drive. [the set-up's, else the PATH's]"
)
@click.option(
    "--accel",
    type=click.Choice(["kvm", "tcg"]),
    help="Accelerator. [kvm where it works, else tcg]",
)
@click.option(
    "--link",
    metavar="tcp|netns:RATE,rtt=TIME|RATE",
    help="The link of all scenarios; with --dst-host, what it carries. [the suite's]",
)
@click.option(
    "--kernel",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Kernel of the Linux guest. [found]",
)
@host_options
def validate(
    suite: str,
    profile_name: str,
    repeats: int | None,
    out: Path,
    only: str | None,
    compare_only: bool,
    qemu: str | None,
    accel: str | None,
    link: str | None,
    kernel: Path | None,
    **options: Any,
) -> None:
    """Run a suite of migrations with real QEMU and compare them with predictions.

    The scenarios are ones that calibration never uses. Interrupted, it goes on where
    it was when called again. In the suite full each scenario names its QEMU; what this
    host cannot run is skipped, and said. Its post-copy on QEMU 10.0, which reports no
    fault latencies, is run once more with every fault traced: for them alone. The exit
    status is 1 when a verdict is wrong or a stated tolerance is missed.
    """
    hosts = hosts_from(options)
    hosts.check_link(link)
    for_runs = repeats or qemu or accel or kernel or hosts.keep_awake is not None
    if compare_only and for_runs:
        raise InputError(
            "--compare-only runs nothing: leave out --repeat, --qemu, --accel, "
            "--kernel and --keep-awake"
        )
    from migmodel.analysis.predict import predict
    from migmodel.analysis.profiles import load_profile

    from .guests import Guests
    from .validation import validate_runs

    profile = load_profile(profile_name)
    place = partial(hosts.placed, link=link_of(link) if link else None)
    scenarios = [place(it) for it in _chosen(suite, only)]
    if kernel is not None and all(it.guest.kind != "linux" for it in scenarios):
        raise InputError(
            "--kernel is for the Linux guest, which none of these scenarios has: "
            "leave it out"
        )
    if not compare_only:
        guests = Guests(
            partial(
                _options,
                kernel=kernel,
                qemu=qemu,
                accel=accel,
                hardware=hosts.hardware,
                remote=hosts.remote,
                keep_awake=hosts.keep_awake,
            )
        )
        every = [place(it) for it in _chosen(suite, None)]
        runs = repeats or REPEATS
        _execute(suite, every, scenarios, runs, out, profile, guests.options)
    predictor = partial(predict, profile=profile)
    validation = validate_runs(suite, scenarios, out, profile, predictor)
    _report(validation, out)
    missed = [f"{it.name} ({it.group}): {it.text}" for it in validation.missed]
    if missed:
        stated = sum(it.passed is not None for it in validation.headlines)
        raise JobError(
            f"{len(missed)} of {stated} tolerances missed: {'; '.join(missed)}"
        )


def _chosen(suite: str, only: str | None) -> list[Scenario]:
    from .suites import SUITES

    scenarios = {scenario.name: scenario for scenario in SUITES[suite]}
    if only is None:
        return list(scenarios.values())
    names = [name.strip() for name in only.split(",")]
    for name in names:
        if name not in scenarios:
            raise InputError(
                f"no scenario '{name}' in the suite {suite}; it has "
                + ", ".join(scenarios)
            )
    return [scenario for name, scenario in scenarios.items() if name in names]


def _options(kind: GuestKind, kernel: Path | None, **settings: Any) -> DriverOptions:
    from migmodel.qemu.images import build_image
    from migmodel.qemu.options import DriverOptions

    image = build_image(kind, kernel if kind == "linux" else None)
    return DriverOptions(image=image, **settings)


def _execute(
    suite: str,
    every: Sequence[Scenario],
    scenarios: Sequence[Scenario],
    repeats: int,
    out: Path,
    profile: HostProfile,
    settings: Callable[[GuestKind], DriverOptions],
) -> None:
    from migmodel.analysis.campaign import (
        execute,
        is_done,
        rebuild_table,
        repeat_by_repeat,
    )
    from migmodel.qemu.driver import check, measure
    from migmodel.show.progress import suite_progress

    from .skips import read_skips, skip_notes, sort_out, write_skips
    from .suites import VERSIONED
    from .traced_faults import REPEAT, TRACED, open_traced, traceable, with_twin

    rebuild_table(every, out)  # also refuses another suite's runs
    rebuild_table(every, out / TRACED)
    open_runs = [
        scenario
        for repeat in range(repeats)
        for scenario in scenarios
        if not is_done(scenario, repeat, out)
    ]
    if not open_runs and not open_traced(traceable(scenarios, out), out):
        return
    expected_s: dict[str, float] = {}

    def expect(scenario: Scenario) -> None:
        check(scenario, settings(scenario.guest.kind))
        expected_s[scenario.name] = _expected_s(scenario, profile)

    def expect_of_version(scenario: Scenario) -> None:
        _check_version(scenario, settings(scenario.guest.kind))
        expect(scenario)

    if suite in VERSIONED:
        scenarios, skips = sort_out(scenarios, expect_of_version)
        sorted_out = {*skips, *(it.name for it in scenarios)}
        others = {n: why for n, why in read_skips(out).items() if n not in sorted_out}
        write_skips({**others, **skips}, out)
        for line in skip_notes(skips, list(skips)):
            click.echo(line, err=True)
        open_runs = [it for it in open_runs if it.name not in skips]
    else:
        for scenario in scenarios:
            expect(scenario)

    def tracing(scenario: Scenario) -> DriverOptions:
        kept = settings(scenario.guest.kind)
        return msgspec.structs.replace(kept, trace_faults=True)

    def expect_traced(scenario: Scenario) -> None:
        for it in with_twin(scenario):
            _check_version(it, tracing(it))
            check(it, tracing(it))
            expected_s.setdefault(it.name, _expected_s(it, profile))

    able, untraced = sort_out(traceable(scenarios, out), expect_traced)
    for reason in sorted(set(untraced.values())):
        click.echo(f"fault latency is not traced: {reason}", err=True)
    traced = open_traced(able, out)

    total_s = sum(expected_s[it.name] for it in [*open_runs, *traced])
    also = f" and {len(traced)} with faults traced" if traced else ""
    told = f"{len(open_runs)} runs{also}, about {format_duration(total_s)}"
    click.echo(told, err=True)
    with suite_progress(total_s, expected_s) as progress:

        def run(scenario: Scenario, repeat: int) -> Measurement:
            progress.starting(scenario.name, repeat)
            return measure(
                scenario,
                settings(scenario.guest.kind),
                repeat=repeat,
                on_progress=progress.phase,
            )

        def trace(scenario: Scenario, repeat: int) -> Measurement:
            progress.starting(f"{scenario.name}, faults traced", repeat)
            return measure(
                scenario,
                tracing(scenario),
                repeat=repeat,
                on_progress=progress.phase,
            )

        execute(repeat_by_repeat(scenarios, repeats), out, run, progress.ended)
        plan = [(it, REPEAT) for it in traced]
        execute(plan, out / TRACED, trace, progress.ended)


def _check_version(scenario: Scenario, options: DriverOptions) -> None:
    """Refuse a scenario whose QEMU is not the one that would be driven."""
    from migmodel.qemu.binary import find_qemu, how_to_get

    found = find_qemu(options.qemu, scenario.version)
    if found.version != scenario.version:
        raise InputError(
            f"needs QEMU {scenario.qemu_version}, {found.path} is {found.release}: "
            + how_to_get(scenario.version)
        )


def _expected_s(scenario: Scenario, profile: HostProfile) -> float:
    from migmodel.sim.simulate import simulate_profile

    return AROUND_A_RUN_S + simulate_profile(scenario, profile).phases.end_s


def _report(validation: Validation, out: Path) -> None:
    from .figures import draw_figures
    from .report import report_lines, write_report
    from .summary import write_summary

    write_summary(validation.comparisons, validation.headlines, out)
    write_report(validation, out)
    draw_figures(validation.comparisons, out)
    click.echo("\n".join(report_lines(validation)))
    click.echo(f"runs, tables and figures are in {out}")
