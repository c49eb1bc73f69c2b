"""The guest's speed by phase: what belongs to which."""

from __future__ import annotations

import msgspec
import pytest

from migmodel.analysis.guest_speed import PAGES_PER_GIB, phase_speeds
from migmodel.records import Outcome, Phases, Trace
from migmodel.records.trace import GuestSpeed

FULL_PPS = 100_000.0
SLOW_PPS = 5_000.0


def postcopy(lines: list[tuple[float, float, float]]) -> Trace:
    """STOP at 1.0 s, RESUME at 1.01, the end at 3.0; lines of one vCPU."""
    start, end, pages = (list(column) for column in zip(*lines, strict=True))
    count = len(lines)
    return Trace(
        outcome=Outcome(verdict="completed", postcopy_requests=1),
        phases=Phases(stop_s=1.0, resume_s=1.01, end_s=3.0),
        guest=GuestSpeed(
            vcpu=[0] * count,
            start_s=start,
            end_s=end,
            pages=pages,
            gap_s=[0.0] * count,
        ),
    )


def ms_per_gib(rate_pps: float) -> float:
    return 1000 * PAGES_PER_GIB / rate_pps


def test_a_line_across_the_switch_counts_for_no_phase():
    """Its pages are of full speed: spread over its time they would hide the stall."""
    trace = postcopy(
        [
            (-1.0, 0.0, FULL_PPS),
            (0.0, 0.9, 0.9 * FULL_PPS),
            (0.9, 1.5, 0.1 * FULL_PPS + 0.49 * SLOW_PPS),
            (1.5, 2.5, SLOW_PPS),
            (2.5, 3.1, 0.5 * SLOW_PPS + 0.1 * FULL_PPS),
        ]
    )
    speeds = phase_speeds(trace)
    assert speeds["precopy"].mean_ms_per_gib == pytest.approx(ms_per_gib(FULL_PPS))
    assert speeds["postcopy"].mean_ms_per_gib == pytest.approx(ms_per_gib(SLOW_PPS))


def test_where_there_is_no_other_it_counts_by_its_time():
    trace = postcopy([(-1.0, 0.0, FULL_PPS), (0.0, 4.0, 4 * SLOW_PPS)])
    speeds = phase_speeds(trace)
    assert speeds["postcopy"].mean_ms_per_gib == pytest.approx(ms_per_gib(SLOW_PPS))


def test_what_it_did_beside_preparations_tells_nothing_of_its_speed():
    lines = [(-3.0, -2.0, SLOW_PPS), (-2.0, -1.0, FULL_PPS), (-1.0, 0.0, FULL_PPS)]
    trace = postcopy([*lines, (0.0, 0.9, 0.9 * FULL_PPS)])
    prepared = msgspec.structs.replace(trace.phases, before_s=-2.0)
    trace = msgspec.structs.replace(trace, phases=prepared)
    assert phase_speeds(trace)["before"].mean_ms_per_gib == pytest.approx(
        ms_per_gib(FULL_PPS)
    )
