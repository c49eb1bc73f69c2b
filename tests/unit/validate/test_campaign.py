"""Running a suite: what is kept, what is run again, what is not."""

from __future__ import annotations

import csv
from pathlib import Path

import msgspec
import pytest

from migmodel.analysis.campaign import (
    Run,
    execute,
    is_done,
    rebuild_table,
    repeat_by_repeat,
    stored_runs,
)
from migmodel.errors import InputError, RecordError
from migmodel.records import Limits, Measurement, Scenario

from .conftest import MakeMeasurement


class Bench:
    """Measures from a script: which of the calls are valid, which is interrupted."""

    def __init__(
        self, make: MakeMeasurement, validity: str = "", interrupt_at: int | None = None
    ) -> None:
        self.calls: list[tuple[str, int]] = []
        self._make = make
        self._validity = validity
        self._interrupt_at = interrupt_at

    def __call__(self, scenario: Scenario, repeat: int) -> Measurement:
        number = len(self.calls)
        if number == self._interrupt_at:
            raise KeyboardInterrupt
        self.calls.append((scenario.name, repeat))
        valid = self._validity[number : number + 1] != "-"
        return self._make(scenario, repeat, valid=valid)


@pytest.fixture
def pair(paced: Scenario) -> list[Scenario]:
    return [paced, msgspec.structs.replace(paced, name="other")]


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "runs.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_repeats_go_round(
    pair: list[Scenario], make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    bench = Bench(make_measurement)
    execute(repeat_by_repeat(pair, 2), tmp_path, bench)
    assert bench.calls == [("paced", 0), ("other", 0), ("paced", 1), ("other", 1)]
    assert [(it["scenario"], it["repeat"]) for it in rows(tmp_path)] == [
        (name, str(repeat)) for name, repeat in bench.calls
    ]
    assert float(rows(tmp_path)[0]["total_time_s"]) > 0


def test_an_interrupted_suite_goes_on_where_it_was(
    pair: list[Scenario], make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt):
        execute(
            repeat_by_repeat(pair, 2), tmp_path, Bench(make_measurement, interrupt_at=3)
        )
    assert len(rows(tmp_path)) == 3
    rest = Bench(make_measurement)
    execute(repeat_by_repeat(pair, 2), tmp_path, rest)
    assert rest.calls == [("other", 1)]
    assert len(rows(tmp_path)) == 4


def test_what_is_there_is_told_and_not_run(
    pair: list[Scenario], make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    execute(repeat_by_repeat(pair, 1), tmp_path, Bench(make_measurement))
    told: list[tuple[Run, Measurement, bool]] = []
    nothing = Bench(make_measurement, interrupt_at=0)
    execute(
        repeat_by_repeat(pair, 1), tmp_path, nothing, lambda *what: told.append(what)
    )
    assert [(run.scenario.name, found) for run, _, found in told] == [
        ("paced", True),
        ("other", True),
    ]
    assert len(rows(tmp_path)) == 2


def test_an_invalid_run_is_repeated_and_kept(
    paced: Scenario, make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    bench = Bench(make_measurement, validity="--+")
    execute(repeat_by_repeat([paced], 2), tmp_path, bench)
    assert bench.calls == [("paced", 0)] * 3 + [("paced", 1)]
    kept = [(run.repeat, it.valid) for run, it in stored_runs([paced], tmp_path)]
    assert kept == [(0, False), (0, False), (0, True), (1, True)]
    assert [it["valid"] for it in rows(tmp_path)] == ["False", "False", "True", "True"]
    assert rows(tmp_path)[0]["problems"] == "the guest stopped printing"


def test_after_three_invalid_runs_it_is_given_up(
    paced: Scenario, make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    bench = Bench(make_measurement, validity="---")
    execute(repeat_by_repeat([paced], 1), tmp_path, bench)
    assert len(bench.calls) == 3
    assert is_done(paced, 0, tmp_path)
    again = Bench(make_measurement)
    execute(repeat_by_repeat([paced], 1), tmp_path, again)
    assert again.calls == []


def test_done_means_valid_or_given_up(
    paced: Scenario, make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    assert not is_done(paced, 0, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        execute(
            repeat_by_repeat([paced], 1),
            tmp_path,
            Bench(make_measurement, "-", interrupt_at=1),
        )
    assert not is_done(paced, 0, tmp_path)
    execute(repeat_by_repeat([paced], 1), tmp_path, Bench(make_measurement))
    assert is_done(paced, 0, tmp_path)
    assert not is_done(paced, 1, tmp_path)


def test_runs_of_another_scenario_of_that_name_are_refused(
    paced: Scenario, make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    execute(repeat_by_repeat([paced], 1), tmp_path, Bench(make_measurement))
    changed = msgspec.structs.replace(paced, limits=Limits(max_time_s=5))
    with pytest.raises(InputError, match="another scenario named paced"):
        execute(repeat_by_repeat([changed], 1), tmp_path, Bench(make_measurement))


def test_the_version_that_ran_is_no_other_scenario(
    paced: Scenario, make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    older = msgspec.structs.replace(paced, qemu_version="9.2")
    execute(repeat_by_repeat([paced], 1), tmp_path, lambda *_: make_measurement(older))
    assert is_done(paced, 0, tmp_path)


def test_a_torn_file_is_named(paced: Scenario, tmp_path: Path) -> None:
    path = Run(paced, 0, 0).path(tmp_path)
    path.parent.mkdir()
    path.write_bytes(b"\x1f\x8b")
    with pytest.raises(RecordError, match="paced-0-0"):
        is_done(paced, 0, tmp_path)


def test_the_table_can_be_made_again(
    pair: list[Scenario], make_measurement: MakeMeasurement, tmp_path: Path
) -> None:
    execute(repeat_by_repeat(pair, 2), tmp_path, Bench(make_measurement))
    before = sorted((tmp_path / "runs.csv").read_text().splitlines())
    (tmp_path / "runs.csv").unlink()
    rebuild_table(pair, tmp_path)
    assert sorted((tmp_path / "runs.csv").read_text().splitlines()) == before
