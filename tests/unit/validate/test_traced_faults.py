"""Runs whose faults are traced: which are made, and what becomes of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from migmodel.analysis.campaign import RUNS_FOLDER, execute
from migmodel.analysis.predict import predict
from migmodel.cli.main import run
from migmodel.errors import InputError
from migmodel.qemu import binary, driver, images
from migmodel.qemu.faults import traced_latency
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.trace import only_faults
from migmodel.records import HostProfile, Measurement, Prediction, Raw, Scenario
from migmodel.records.files import write_record
from migmodel.validate.report import report_lines, write_report
from migmodel.validate.suites import FULL, SMOKE, STANDARD
from migmodel.validate.traced_faults import (
    TRACED,
    open_traced,
    traceable,
    traced_faults,
)
from migmodel.validate.validation import Validation, validate_runs

from .conftest import HOST, MakeMeasurement

PAIR = [it for it in FULL if it.name in ("post-fast", "post-fast-on11")]
OLD, NEW = PAIR
Store = Callable[..., None]


def spread_s(bucket: int, faults: int) -> list[float]:
    """Latencies evenly spread over the logarithm of a bucket [s]."""
    return [2.0 ** (bucket + (i + 0.5) / faults) * 1e-6 for i in range(faults)]


def with_faults(run: Measurement, latencies_s: Sequence[float]) -> Measurement:
    """A run as if each of its faults had been traced."""
    latency = traced_latency(latencies_s)
    outcome = msgspec.structs.replace(
        run.trace.outcome,
        fault_latency_histogram=latency and latency.histogram,
        postcopy_blocktime_s=0.05,
    )
    return msgspec.structs.replace(
        run,
        trace=only_faults(msgspec.structs.replace(run.trace, outcome=outcome)),
        traced=True,
        raw=Raw(started_s=0.0, fault_latencies_s=list(latencies_s)),
    )


def as_reported(run: Measurement) -> Measurement:
    """A run as its QEMU tells it: 10.0 nothing, 11.1 all faults in bucket 5."""
    old = run.scenario.qemu_version == "10.0"
    counts = [0] * 24
    counts[5] = 0 if old else 500
    reply = {"postcopy-latency-dist": counts, "postcopy-latency": 45_000}
    outcome = msgspec.structs.replace(
        run.trace.outcome,
        fault_latency_histogram=None if old else [float(it) for it in counts],
    )
    return msgspec.structs.replace(
        run,
        trace=msgspec.structs.replace(run.trace, outcome=outcome),
        raw=Raw(started_s=0.0, destination_queries=[] if old else [[1.0, 1.0, reply]]),
    )


@pytest.fixture
def store(make_measurement: MakeMeasurement) -> Store:
    """Keep runs of the pair, traced ones with each fault twice as long as reported."""

    def keep(
        out: Path,
        *,
        untraced: Sequence[Scenario] = PAIR,
        traced: Sequence[Scenario] = PAIR,
        faults: int = 1200,
        valid: bool = True,
        cpu_model: str = HOST.cpu_model,
    ) -> None:
        host = msgspec.structs.replace(HOST, cpu_model=cpu_model)

        def traces(scenario: Scenario, repeat: int) -> Measurement:
            found = make_measurement(scenario, repeat, valid=valid)
            found = msgspec.structs.replace(found, host=host)
            return with_faults(found, spread_s(6, faults))

        def reports(scenario: Scenario, repeat: int) -> Measurement:
            return as_reported(make_measurement(scenario, repeat))

        execute([(it, 0) for it in untraced], out, reports)
        execute([(it, 0) for it in traced], out / TRACED, traces)

    return keep


@pytest.fixture
def validated(host_profile: HostProfile) -> Callable[[Path], Validation]:
    """The pair's runs, compared with nominal predictions alone."""

    def nominal(scenario: Scenario) -> Prediction:
        return predict(scenario, host_profile, draws=0)

    return lambda out: validate_runs("full", PAIR, out, host_profile, nominal)


def test_old_post_copy_is_traced_with_its_twin(tmp_path: Path) -> None:
    found = traceable(FULL, tmp_path)
    assert [it.name for it in found] == [
        *("post-fast", "post-fast-preempt", "post-slow", "post-slow-preempt"),
        *("post-2cpu", "post-2cpu-preempt", "post-wire", "post-wire-preempt"),
        "post-paced",
    ]
    runs = open_traced(found, tmp_path)
    assert [it.name for it in runs[:2]] == ["post-fast", "post-fast-on11"]
    assert all(it in FULL for it in runs)


@pytest.mark.parametrize("suite", [SMOKE, STANDARD])
def test_other_suites_trace_nothing(suite: Sequence[Scenario], tmp_path: Path) -> None:
    assert traceable(suite, tmp_path) == []


def test_without_its_twin_nothing_is_traced(store: Store, tmp_path: Path) -> None:
    assert traceable([OLD], tmp_path) == []
    store(tmp_path, untraced=[NEW], traced=[])
    assert traceable([OLD], tmp_path) == [OLD], "the twin was run before"


def test_what_was_traced_is_not_traced_again(store: Store, tmp_path: Path) -> None:
    store(tmp_path, traced=[OLD])
    assert open_traced([OLD], tmp_path) == [NEW]
    store(tmp_path)
    assert open_traced([OLD], tmp_path) == []


def test_latencies_are_corrected_by_what_tracing_adds_to_the_twin(
    store: Store, tmp_path: Path
) -> None:
    store(tmp_path)
    found = traced_faults(OLD, tmp_path)
    assert found is not None
    assert found.trace is not None
    histogram = found.trace.outcome.fault_latency_histogram
    assert histogram is not None
    assert (histogram[5], histogram[6]) == (1200, 0), "twice as long, as on 11.1"
    assert (
        "corrected by what tracing adds on QEMU 11.1: median times 0.50" in found.note
    )
    assert "1200 faults waited 111 ms together" in found.note
    assert "blocktime 50 ms" in found.note
    assert traced_faults(NEW, tmp_path) is None, "it reports latencies itself"


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"traced": [OLD]}, "no traced run of post-fast-on11 has faults"),
        ({"untraced": [OLD]}, "no untraced run of post-fast-on11 has faults"),
        ({"faults": 0}, "traced in vain: no fault was logged"),
        ({"valid": False}, "traced in vain: the guest stopped printing"),
    ],
)
def test_what_cannot_be_corrected_says_why(
    store: Store, tmp_path: Path, stored: dict[str, Any], said: str
) -> None:
    store(tmp_path, **stored)
    found = traced_faults(OLD, tmp_path)
    assert found is not None
    assert found.trace is None
    assert said in found.note


def test_traced_runs_tell_fault_latency_and_nothing_else(
    store: Store,
    validated: Callable[[Path], Validation],
    tmp_path: Path,
) -> None:
    bare, full = tmp_path / "bare", tmp_path / "full"
    store(bare, traced=[])
    store(full)
    without, with_it = validated(bare), validated(full)
    for before, after in zip(without.comparisons, with_it.comparisons, strict=True):
        assert after.quantities == before.quantities
        assert len(after.traces) == len(before.traces) == 1
    named = {(it.group, it.name): it for it in without.headlines}
    changed = [it for it in with_it.headlines if named.get((it.group, it.name)) != it]
    assert {it.group for it in changed} == {"postcopy"}
    assert all("fault latency" in it.name for it in changed)
    assert "1 scenario (1 traced), 1200 faults" in changed[0].detail
    assert without.notes == [
        it for it in with_it.notes if not it.startswith("fault latency of post-fast:")
    ]
    assert (with_it.period, with_it.qemu_versions) == (
        without.period,
        without.qemu_versions,
    )
    marked = [line for line in report_lines(with_it) if "(traced)" in line]
    assert [line.split()[0] for line in marked] == ["post-fast"]
    assert "45 / " in marked[0]
    write_report(with_it, full)
    write_report(without, bare)
    assert "Traced: where QEMU reports none" in (full / "report.md").read_text()
    assert "raced" not in (bare / "report.md").read_text()


def test_few_faults_are_marked(
    store: Store, validated: Callable[[Path], Validation], tmp_path: Path
) -> None:
    store(tmp_path, faults=700)
    text = "\n".join(report_lines(validated(tmp_path)))
    assert "(traced, 700 faults)" in text
    assert "fault latency, factor" not in text


def test_runs_of_another_host_are_refused(
    store: Store, validated: Callable[[Path], Validation], tmp_path: Path
) -> None:
    store(tmp_path, cpu_model="another")
    with pytest.raises(InputError, match="differ in cpu_model"):
        validated(tmp_path)


class Bench:
    """Stands in for the driver: notes what it is asked to run, and how."""

    def __init__(self, make: MakeMeasurement, refused: str = "") -> None:
        self.calls: list[tuple[str, int, bool]] = []
        self._make = make
        self._refused = refused

    def measure(
        self, scenario: Scenario, options: Any, *, repeat: int, **_: Any
    ) -> Measurement:
        self.calls.append((scenario.name, repeat, options.trace_faults))
        measured = self._make(scenario, repeat)
        if options.trace_faults:
            return with_faults(measured, spread_s(6, 1200))
        return as_reported(measured)

    def check(self, _: Scenario, options: Any) -> None:
        if options.trace_faults and self._refused:
            raise InputError(self._refused)

    @staticmethod
    def find_qemu(_: str | None, wanted: tuple[int, int]) -> Any:
        return SimpleNamespace(version=wanted)


@pytest.fixture
def validate(
    monkeypatch: pytest.MonkeyPatch, host_profile: HostProfile, tmp_path: Path
) -> Callable[..., int]:
    """`migmodel validate --suite full` of the pair, on a bench."""
    profile = tmp_path / "profile.json"
    write_record(profile, host_profile)
    image = GuestImage("bare", Path("guest"))
    monkeypatch.setattr(images, "build_image", lambda *_, **__: image)

    def call(bench: Bench, *more: str) -> int:
        monkeypatch.setattr(driver, "measure", bench.measure)
        monkeypatch.setattr(driver, "check", bench.check)
        monkeypatch.setattr(binary, "find_qemu", bench.find_qemu)
        return run(
            [
                *("validate", "--suite", "full", "--profile", str(profile)),
                *("--out", str(tmp_path / "out"), *more),
            ]
        )

    return call


BOTH = ("--only", "post-fast,post-fast-on11")


def test_the_full_suite_traces_once_after_all_repeats(
    validate: Callable[..., int],
    make_measurement: MakeMeasurement,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = Bench(make_measurement)
    assert validate(bench, *BOTH, "--repeat", "2") in (0, 1)
    names = [("post-fast", False), ("post-fast-on11", False)]
    assert bench.calls == [
        *((name, repeat, traced) for repeat in (0, 1) for name, traced in names),
        *((name, 0, True) for name, _ in names),
    ]
    printed = capsys.readouterr()
    assert "4 runs and 2 with faults traced, about " in printed.err
    assert "(traced)" in printed.out
    out = tmp_path / "out"
    assert len((out / "runs.csv").read_text().splitlines()) == 1 + 4
    assert len(list((out / RUNS_FOLDER).iterdir())) == 4
    assert len(list((out / TRACED / RUNS_FOLDER).iterdir())) == 2
    again = Bench(make_measurement)
    next((out / TRACED / RUNS_FOLDER).glob("post-fast-on11-*")).unlink()
    validate(again, *BOTH, "--repeat", "2")
    assert again.calls == [("post-fast-on11", 0, True)]


def test_where_nothing_can_be_traced_the_suite_runs_all_the_same(
    validate: Callable[..., int],
    make_measurement: MakeMeasurement,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench = Bench(make_measurement, refused="the destination is elsewhere")
    assert validate(bench, *BOTH, "--repeat", "1") in (0, 1)
    assert [traced for _, _, traced in bench.calls] == [False, False]
    said = capsys.readouterr().err
    assert said.count("fault latency is not traced: the destination is elsewhere") == 1
    assert "2 runs, about " in said
