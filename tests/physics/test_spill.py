"""Pages that nobody is idle to encode: limits, and what no stage may exceed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migmodel.physics.spill import Stage, burst_share, encoded_share, mixed_rate_pps

INF = float("inf")
THREAD = Stage(1.0, encoded=6e-6, plain=5e-7)


def test_infinitely_fast_threads_encode_all_of_it():
    assert encoded_share(INF, [THREAD]) == 1.0
    assert mixed_rate_pps(INF, [THREAD]) == pytest.approx(1 / 6e-6)


def test_threads_that_get_nothing_done_leave_plain_precopy():
    assert encoded_share(0.0, [THREAD]) == 0.0
    assert mixed_rate_pps(0.0, [THREAD]) == pytest.approx(1 / 5e-7)


def test_a_narrow_link_gives_the_threads_the_time_for_all_pages():
    link = Stage(2e7, encoded=2200.0, plain=4104.0)
    assert encoded_share(1e4, [THREAD, link]) == 1.0
    assert mixed_rate_pps(1e4, [THREAD, link]) == pytest.approx(2e7 / 2200)


def test_a_wider_link_carries_what_it_can_of_both_kinds():
    link = Stage(1e8, encoded=2200.0, plain=4104.0)
    rate, share = mixed_rate_pps(1e4, [link]), encoded_share(1e4, [link])
    assert rate * share == pytest.approx(1e4)
    assert rate * (share * 2200 + (1 - share) * 4104) == pytest.approx(1e8)


def test_a_stage_that_only_encoded_pages_take_stops_no_plain_page():
    decoders = Stage(2.0, encoded=1e-5, plain=0.0)
    assert mixed_rate_pps(1e5, [decoders]) == INF
    assert mixed_rate_pps(4e5, [decoders]) == pytest.approx(2e5)


taken = st.floats(1e-3, 1e3)
# Nothing, or so much that shares of it are numbers with all their digits.
paces = st.just(0.0) | st.floats(1e-6, 1e6)


@given(
    encoders_pps=paces,
    stages=st.lists(st.builds(Stage, st.floats(1e-3, 1e6), taken, taken), min_size=1),
)
def test_one_stage_is_full_and_none_is_more_than_full(encoders_pps, stages):
    rate = mixed_rate_pps(encoders_pps, stages)
    share = encoded_share(encoders_pps, stages)
    assert 0 <= share <= 1
    assert rate * share <= encoders_pps * (1 + 1e-9)
    full = [
        rate
        * (share * stage.encoded + (1 - share) * stage.plain)
        / stage.capacity_per_s
        for stage in stages
    ]
    assert max(full) == pytest.approx(1.0)


def test_a_burst_gains_the_threads_that_were_idle():
    """Two of 100 pages more than a fifth of the rest."""
    burst_bytes = 2 * 2000 + 98 * (0.2 * 2000 + 0.8 * 4000)
    share = burst_share(0.2, 2, burst_bytes, 2000.0, 4000.0)
    assert share == pytest.approx((2 + 0.2 * 98) / 100)


def test_a_burst_that_the_idle_threads_take_is_all_encoded():
    assert burst_share(0.2, 8, 8 * 2000, 2000.0, 4000.0) == 1.0
    assert burst_share(0.2, 8, 1e12, 2000.0, 4000.0) == pytest.approx(0.2, rel=1e-3)
