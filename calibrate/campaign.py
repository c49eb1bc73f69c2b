"""The runs of a calibration on this host: made, made again, read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from migmodel.analysis.campaign import execute, is_done, repeats_made, stored_runs
from migmodel.qemu.binary import find_qemu, how_to_get
from migmodel.qemu.driver import check, measure
from migmodel.qemu.host import busy_share
from migmodel.qemu.options import DriverOptions
from migmodel.records import Measurement, Scenario
from migmodel.records.parameters import DEFAULT_QEMU
from migmodel.show.progress import suite_progress

from .disturbed import to_make_again
from .foreign import EMULATED
from .plan import OVERHEAD_S, PlannedRun
from .recipe import PREFIX
from .technique_runs import TECHNIQUE_RUNS

BUSY_WARNING = 0.2  # share of the host's CPUs that others use
OF_TECHNIQUES = {
    PREFIX + recipe.name for own in TECHNIQUE_RUNS.values() for recipe in own
}


def execute_runs(
    runs: Sequence[PlannedRun], folder: Path, full: DriverOptions, brief: DriverOptions
) -> None:
    """Make the runs that are not there yet, then those again that were disturbed.

    Parameters
    ----------
    full, brief : DriverOptions
        Of the basic runs, and of a technique's, which tell what pages cost, not how
        fast guests are.
    """
    runs = _runnable(runs, full)
    busy = busy_share()
    if busy > BUSY_WARNING:
        click.echo(
            f"warning: others use {busy:.0%} of this host's CPUs; the fit will be no "
            "better than the host is quiet",
            err=True,
        )
    expected_s = {run.scenario.name: run.expected_s + OVERHEAD_S for run in runs}

    def make(plan: Sequence[tuple[Scenario, int]]) -> None:
        total_s = sum(
            expected_s[scenario.name]
            for scenario, repeat in plan
            if not is_done(scenario, repeat, folder)
        )
        with suite_progress(total_s, expected_s) as progress:

            def one(scenario: Scenario, repeat: int) -> Measurement:
                progress.starting(scenario.name, repeat)
                options = brief if scenario.name in OF_TECHNIQUES else full
                return measure(
                    scenario, options, repeat=repeat, on_progress=progress.phase
                )

            execute(plan, folder, one, progress.ended)

    make(
        [
            (run.scenario, repeat)
            for repeat in range(max(run.repeats for run in runs))
            for run in runs
            if repeat < run.repeats
        ]
    )
    while again := _again(runs, folder):
        names = ", ".join(scenario.name for scenario, _ in again)
        click.echo(f"made again, for the host was disturbed: {names}", err=True)
        make(again)


def usable_runs(runs: Sequence[PlannedRun], folder: Path) -> list[Measurement]:
    """All valid runs that are there, but those of an emulating KVM, which is said."""
    valid = _valid_runs(runs, folder, with_raw=True)
    told = [measurement for measurement in valid if not measurement.emulated]
    if len(told) < len(valid):
        click.echo(f"left out: {len(valid) - len(told)} runs, {EMULATED}", err=True)
    return told


def _runnable(runs: Sequence[PlannedRun], options: DriverOptions) -> list[PlannedRun]:
    """Leave out runs that need a QEMU which is not there, and say so."""
    able = []
    for run in runs:
        wanted = run.scenario.version
        found = find_qemu(options.qemu, wanted)
        if run.scenario.qemu_version != DEFAULT_QEMU and found.version != wanted:
            click.echo(
                f"left out: {run.scenario.name.removeprefix(PREFIX)} needs QEMU "
                f"{run.scenario.qemu_version}: {how_to_get(wanted)}",
                err=True,
            )
            continue
        check(run.scenario, options)
        able.append(run)
    return able


def _again(runs: Sequence[PlannedRun], folder: Path) -> list[tuple[Scenario, int]]:
    made = {run.scenario.name: repeats_made(run.scenario, folder) for run in runs}
    return to_make_again(runs, _valid_runs(runs, folder), made)


def _valid_runs(
    runs: Sequence[PlannedRun], folder: Path, *, with_raw: bool = False
) -> list[Measurement]:
    scenarios = [run.scenario for run in runs]
    return [
        measurement
        for _, measurement in stored_runs(scenarios, folder, with_raw=with_raw)
        if measurement.valid
    ]
