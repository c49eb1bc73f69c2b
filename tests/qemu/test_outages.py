"""Connections of real migrations that break in post-copy."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from migmodel.qemu.driver import measure
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.options import DriverOptions
from migmodel.records import (
    Guest,
    Limits,
    Link,
    Measurement,
    Outage,
    Policy,
    Scenario,
    Trace,
    Workload,
)
from migmodel.records.scenario import UNRECOVERED
from migmodel.stress.builder import build_bare
from migmodel.stress.errors import StressError
from migmodel.units import MIB

pytestmark = pytest.mark.qemu
AT_S, RECOVERED_AFTER_S = 0.3, 0.5


@pytest.fixture
def run(
    qemu_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Measurement]:
    """Migrates 80 MiB at 32 MiB/s, nearly all of it in post-copy."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        image = GuestImage("bare", build_bare())
    except StressError as error:
        pytest.skip(str(error))

    def run(transport: Any, recovered_after_s: float | None) -> Measurement:
        outage = Outage(at_s=AT_S, recovered_after_s=recovered_after_s)
        scenario = Scenario(
            guest=Guest(ram_bytes=256 * MIB),
            workload=Workload(working_set_bytes=80 * MIB, rate_pps=12_000),
            link=Link(transport=transport, outage=outage),
            policy=Policy(
                technique="postcopy",
                after_passes=0,
                parameters={
                    "max-bandwidth": 32 * MIB,
                    "max-postcopy-bandwidth": 32 * MIB,
                },
            ),
            limits=Limits(max_time_s=40.0),
        )
        options = DriverOptions(
            image=image,
            qemu=str(qemu_binary),
            baseline_s=0.3,
            after_s=0.5,
            reply_timeout_s=10.0,
            timeout_s=30.0,
        )
        measurement = measure(scenario, options)
        if "Postcopy is not supported" in measurement.trace.outcome.reason:
            pytest.skip(measurement.trace.outcome.reason)
        return measurement

    return run


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_a_broken_connection_is_recovered_and_nothing_is_lost(
    run: Callable[..., Measurement],
    check_trace: Callable[[Trace, Scenario], None],
    tmp_path: Path,
    transport: str,
) -> None:
    measurement = run(transport, RECOVERED_AFTER_S)
    trace = measurement.trace
    # The guest would have found pages that do not hold what it wrote last.
    assert measurement.problems == []
    assert trace.outcome.verdict == "completed"
    paused_s, recovering_s, active_s = (
        _first(trace, status, after=1 if status == "postcopy-active" else 0)
        for status in ("postcopy-paused", "postcopy-recover", "postcopy-active")
    )
    assert trace.phases.resume_s is not None
    assert paused_s - trace.phases.resume_s == pytest.approx(AT_S, abs=0.2)
    assert recovering_s - paused_s == pytest.approx(RECOVERED_AFTER_S, abs=0.3)
    assert paused_s < recovering_s <= active_s < trace.phases.end_s
    # It ran on the destination, and stood still at a page that did not come.
    speed = trace.guest
    gaps = [
        gap
        for end_s, gap in zip(speed.end_s, speed.gap_s, strict=True)
        if end_s > recovering_s
    ]
    assert max(gaps) > 0.8 * RECOVERED_AFTER_S
    assert _longest_stall(trace) > 0.8 * RECOVERED_AFTER_S
    check_trace(trace, measurement.scenario)
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_recovers_ends_paused(
    run: Callable[..., Measurement], tmp_path: Path
) -> None:
    measurement = run("unix", None)
    outcome, phases = measurement.trace.outcome, measurement.trace.phases
    assert outcome.verdict == "failed"
    assert outcome.reason == UNRECOVERED
    assert measurement.valid, measurement.problems
    assert phases.resume_s is not None
    assert phases.end_s - phases.resume_s == pytest.approx(AT_S, abs=0.2)
    assert outcome.total_time_s == phases.end_s
    assert list(tmp_path.iterdir()) == []


def _first(trace: Trace, status: str, after: int = 0) -> float:
    """When the source told that status for the first time, or one after it [s]."""
    times = [it.time_s for it in trace.events if it.detail == status]
    return times[after]


def _longest_stall(trace: Trace) -> float:
    """Longest time without progress that query-migrate shows [s]."""
    return max(b - a for a, b in pairwise(trace.progress.time_s))
