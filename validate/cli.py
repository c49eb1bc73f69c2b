"""`migmodel validate`: how good predictions are, shown against real migrations."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from migmodel.errors import InputError, JobError
from migmodel.units import format_duration

if TYPE_CHECKING:
    from migmodel.records import HostProfile, Measurement, Scenario

    from .validation import Validation

REPEATS = 3
# Starting, settling, and watching the guest before and after the migration.
AROUND_A_RUN_S = 6.0


@click.command()
@click.option(
    "--suite",
    type=click.Choice(["smoke", "standard"]),
    default="standard",
    show_default=True,
    help="A minute, or five to six minutes a repeat.",
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
def validate(
    suite: str,
    profile_name: str,
    repeats: int | None,
    out: Path,
    only: str | None,
    compare_only: bool,
    qemu: str | None,
    accel: str | None,
) -> None:
    """Run a suite of migrations with real QEMU and compare them with predictions.

    The scenarios are ones that calibration never uses. Interrupted, it goes on where
    it was when called again. The exit status is 1 when a verdict is wrong or a stated
    tolerance is missed.
    """
    if compare_only and (repeats or qemu or accel):
        raise InputError(
            "--compare-only runs nothing: leave out --repeat, --qemu and --accel"
        )
    from migmodel.analysis.predict import predict
    from migmodel.analysis.profiles import load_profile

    from .validation import validate_runs

    profile = load_profile(profile_name)
    scenarios = _chosen(suite, only)
    if not compare_only:
        _execute(suite, scenarios, repeats or REPEATS, out, profile, qemu, accel)
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


def _execute(
    suite: str,
    scenarios: Sequence[Scenario],
    repeats: int,
    out: Path,
    profile: HostProfile,
    qemu: str | None,
    accel: str | None,
) -> None:
    from migmodel.analysis.campaign import (
        execute,
        is_done,
        rebuild_table,
        repeat_by_repeat,
    )
    from migmodel.qemu.driver import check, measure
    from migmodel.qemu.images import build_image
    from migmodel.qemu.options import DriverOptions
    from migmodel.show.progress import suite_progress

    from .suites import SUITES

    rebuild_table(SUITES[suite], out)  # also refuses another suite's runs
    open_runs = [
        scenario
        for repeat in range(repeats)
        for scenario in scenarios
        if not is_done(scenario, repeat, out)
    ]
    if not open_runs:
        return
    options = {
        kind: DriverOptions(image=build_image(kind), qemu=qemu, accel=accel)
        for kind in {scenario.guest.kind for scenario in open_runs}
    }
    for scenario in scenarios:
        check(scenario, options[scenario.guest.kind])

    expected_s = {it.name: _expected_s(it, profile) for it in scenarios}
    total_s = sum(expected_s[it.name] for it in open_runs)
    click.echo(f"{len(open_runs)} runs, about {format_duration(total_s)}", err=True)
    with suite_progress(total_s, expected_s) as progress:

        def run(scenario: Scenario, repeat: int) -> Measurement:
            progress.starting(scenario.name, repeat)
            settings = options[scenario.guest.kind]
            return measure(
                scenario, settings, repeat=repeat, on_progress=progress.phase
            )

        execute(repeat_by_repeat(scenarios, repeats), out, run, progress.ended)


def _expected_s(scenario: Scenario, profile: HostProfile) -> float:
    from migmodel.sim.simulate import simulate_profile

    return AROUND_A_RUN_S + simulate_profile(scenario, profile).phases.end_s


def _report(validation: Validation, out: Path) -> None:
    from rich.console import Console

    from .figures import draw_figures
    from .report import print_report, write_report
    from .summary import write_summary

    write_summary(validation.comparisons, validation.headlines, out)
    write_report(validation, out)
    draw_figures(validation.comparisons, out)
    print_report(validation, Console())
    click.echo(f"runs, tables and figures are in {out}")
