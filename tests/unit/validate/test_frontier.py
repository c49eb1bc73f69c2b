"""The distance to the frontier of convergence."""

from __future__ import annotations

import msgspec
import pytest

from migmodel.records import (
    GuestSpeed,
    Outcome,
    Phases,
    Policy,
    Round,
    Scenario,
    Trace,
)
from migmodel.units import MIB, PAGE_BYTES
from migmodel.validate.frontier import achieved_bandwidth, frontier_ratio

BANDWIDTH = 100 * MIB


def trace(rate_pps: float) -> Trace:
    """A first pass at another speed, two at 100 MiB/s, and the stop."""
    spans = [(1, 0.0, 1.0, 10), (2, 1.0, 2.0, 100), (3, 2.0, 2.5, 50), (4, 2.5, 9.0, 1)]
    return Trace(
        outcome=Outcome(verdict="completed"),
        phases=Phases(end_s=9.0),
        rounds=[
            Round(
                index=index,
                start_s=start_s,
                end_s=end_s,
                pending_bytes=0.0,
                sent_bytes=float(sent * MIB),
            )
            for index, start_s, end_s, sent in spans
        ],
        guest=GuestSpeed(
            vcpu=[0],
            start_s=[0.0],
            end_s=[9.0],
            pages=[9.0 * rate_pps],
            gap_s=[0.0],
        ),
    )


def test_bandwidth_is_that_between_the_first_pass_and_the_last() -> None:
    assert achieved_bandwidth(trace(1.0)) == pytest.approx(BANDWIDTH)


@pytest.mark.parametrize(
    ("downtime_ms", "dirtied_share", "expected"),
    [
        (960, 5.0, 1.0),  # 96 MiB of working set against 96 MiB of threshold
        (480, 5.0, 2.0),
        (480, 0.8, 0.8),  # too large to fit, but written more slowly than sent
        (0, 0.8, 0.8),
    ],
)
def test_one_of_two_ways_to_converge_is_enough(
    paced: Scenario, downtime_ms: int, dirtied_share: float, expected: float
) -> None:
    policy = Policy(parameters={"downtime-limit": downtime_ms})
    scenario = msgspec.structs.replace(paced, policy=policy)
    run = trace(dirtied_share * BANDWIDTH / PAGE_BYTES)
    assert frontier_ratio(scenario, run) == pytest.approx(expected)


def test_where_something_else_ends_it_there_is_no_frontier(paced: Scenario) -> None:
    policy = Policy(technique="autoconverge")
    scenario = msgspec.structs.replace(paced, policy=policy)
    assert frontier_ratio(scenario, trace(1000.0)) is None
