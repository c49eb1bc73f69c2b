"""Executes scenarios run by run; what is there already is not run again."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from migmodel.analysis.predict import quantities_of
from migmodel.errors import InputError
from migmodel.records import Measurement, Scenario
from migmodel.records.files import read_record, write_bytes, write_record

ATTEMPTS = 3  # an invalid run is repeated up to twice
RUNS_FOLDER = "runs"
RUNS_TABLE = "runs.csv"

Measure = Callable[[Scenario, int], Measurement]


class Run(NamedTuple):
    """One place in the plan: a scenario's repeat, tried for the n-th time."""

    scenario: Scenario
    repeat: int
    attempt: int

    def path(self, out: Path) -> Path:
        """Where its Measurement is kept."""
        name = f"{self.scenario.name}-{self.repeat}-{self.attempt}.json.gz"
        return out / RUNS_FOLDER / name


def execute(
    plan: Iterable[tuple[Scenario, int]],
    out: Path,
    measure: Measure,
    on_run: Callable[[Run, Measurement, bool], None] = lambda *_: None,
) -> None:
    """Run scenarios, each for its repeat, in the order given.

    Each Measurement is written as it comes, with a row in the table
    of runs; when interrupted, what is there stays, and the next call goes on from it.

    Parameters
    ----------
    plan : iterable of (Scenario, int)
        Scenarios, told apart by their names, and the number of the repeat.
    out : Path
        Gets ``runs/*.json.gz`` and ``runs.csv``.
    measure : callable
        Executes one scenario; given its number among the repeats.
    on_run : callable
        Told each run, and whether it was already there.

    Raises
    ------
    InputError
        When `out` holds runs of other scenarios with these names.
    """
    for scenario, repeat in plan:
        for attempt in range(ATTEMPTS):
            run = Run(scenario, repeat, attempt)
            found = run.path(out).exists()
            if found:
                measurement = _read(run, out)
            else:
                measurement = measure(scenario, repeat)
                write_record(run.path(out), measurement)
                _append_row(out / RUNS_TABLE, _row(run, measurement))
            on_run(run, measurement, found)
            if measurement.valid:
                break


def repeat_by_repeat(
    scenarios: Sequence[Scenario], repeats: int
) -> list[tuple[Scenario, int]]:
    """All scenarios once, then all again: a drift of the host spreads over all."""
    return [(scenario, repeat) for repeat in range(repeats) for scenario in scenarios]


def stored_runs(
    scenarios: Sequence[Scenario], out: Path, *, with_raw: bool = False
) -> Iterator[tuple[Run, Measurement]]:
    """All runs of these scenarios that are kept, valid or not, in order.

    Raises
    ------
    InputError
        When a run is one of another scenario with the same name.
    """
    for scenario in scenarios:
        for repeat in range(repeats_made(scenario, out)):
            for attempt in range(ATTEMPTS):
                run = Run(scenario, repeat, attempt)
                if run.path(out).exists():
                    yield run, _read(run, out, with_raw)


def repeats_made(scenario: Scenario, out: Path) -> int:
    """How many repeats are kept, valid or not."""
    repeat = 0
    while Run(scenario, repeat, 0).path(out).exists():
        repeat += 1
    return repeat


def rebuild_table(suite: Sequence[Scenario], out: Path) -> None:
    """Write the table of runs anew, from the runs that are there."""
    rows = [_row(run, measurement) for run, measurement in stored_runs(suite, out)]
    if rows:
        write_bytes(out / RUNS_TABLE, _lines(rows, header=True).encode())


def is_done(scenario: Scenario, repeat: int, out: Path) -> bool:
    """Whether a repeat needs no more running."""
    for attempt in range(ATTEMPTS):
        run = Run(scenario, repeat, attempt)
        if not run.path(out).exists():
            return False
        if _read(run, out).valid:
            return True
    return True


def _read(run: Run, out: Path, with_raw: bool = False) -> Measurement:
    path = run.path(out)
    measurement = read_record(path, Measurement)
    # The driver notes the version that ran; it is no part of the suite.
    version = measurement.scenario.qemu_version
    if msgspec.structs.replace(run.scenario, qemu_version=version) != (
        measurement.scenario
    ):
        raise InputError(
            f"{path} is a run of another scenario named {run.scenario.name}: give "
            "another --out, or remove it"
        )
    if with_raw:
        return measurement
    return msgspec.structs.replace(measurement, raw=None)  # large, and not compared


def _row(run: Run, measurement: Measurement) -> dict[str, object]:
    host, outcome = measurement.host, measurement.trace.outcome
    return {
        "scenario": run.scenario.name,
        "technique": run.scenario.policy.technique,
        "repeat": run.repeat,
        "attempt": run.attempt,
        "valid": measurement.valid,
        "problems": "; ".join(measurement.problems),
        "started_at": measurement.started_at,
        "qemu_version": host.qemu_version,
        "accel": host.accel,
        "load_before": host.load_before,
        "verdict": outcome.verdict,
        "reason": outcome.reason,
        **quantities_of(measurement.trace),
    }


def _append_row(path: Path, row: dict[str, object]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        stream.write(_lines([row], header=stream.tell() == 0))


def _lines(rows: Sequence[dict[str, object]], *, header: bool) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
