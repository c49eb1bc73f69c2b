"""Recorded migrations: what was made of them once is made of them still.

They were measured with QEMU 10.0.2 under TCG on a host of two cores; the recordings
are real, so what they hold together must hold in any of them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migmodel.qemu.trace import build_trace
from migmodel.qemu.validity import problems
from migmodel.records import Measurement, Scenario, Trace
from migmodel.records.files import read_record

FILES = sorted(Path(__file__).parent.glob("measured-*.json.gz"))


@pytest.fixture(params=FILES, ids=lambda path: path.name.split(".")[0])
def measurement(request: pytest.FixtureRequest) -> Measurement:
    return read_record(request.param, Measurement)


def test_all_techniques_are_there() -> None:
    names = {path.name.split(".")[0].removeprefix("measured-") for path in FILES}
    assert names == {"precopy", "pause", "autoconverge", "postcopy", "cancelled"}


def test_the_trace_is_made_again(measurement: Measurement) -> None:
    assert measurement.raw is not None
    trace = build_trace(measurement.raw, measurement.scenario)
    _check_same(msgspec.to_builtins(trace), msgspec.to_builtins(measurement.trace))
    assert problems(measurement.raw, trace) == measurement.problems == []


def test_the_trace_holds_together(
    measurement: Measurement, check_trace: Callable[[Trace, Scenario], None]
) -> None:
    check_trace(measurement.trace, measurement.scenario)


def test_the_three_downtimes_fit_each_other(measurement: Measurement) -> None:
    outcome = measurement.trace.outcome
    if outcome.verdict != "completed":
        assert outcome.downtime_stop_resume_s is None
        return
    assert outcome.downtime_reported_s is not None
    assert outcome.downtime_stop_resume_s is not None
    assert outcome.downtime_guest_s is not None
    # The guest cannot have missed less than it was stopped, but for the clocks' jitter.
    assert outcome.downtime_guest_s > outcome.downtime_stop_resume_s - 0.002
    if measurement.scenario.policy.technique == "pause":
        assert outcome.downtime_stop_resume_s > 10 * outcome.downtime_reported_s


def _check_same(made: Any, recorded: Any) -> None:
    if isinstance(recorded, float):
        assert made == pytest.approx(recorded, rel=1e-9, abs=1e-9)
    elif isinstance(recorded, dict):
        assert made.keys() == recorded.keys()
        for name, value in recorded.items():
            _check_same(made[name], value)
    elif isinstance(recorded, list):
        assert len(made) == len(recorded)
        for one, other in zip(made, recorded, strict=True):
            _check_same(one, other)
    else:
        assert made == recorded
