"""Fault latencies and dirty-limit's sleeps: closed forms and bounds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migmodel.physics.dirtylimit import (
    MAX_PERCENT,
    TOLERANCE_MIB_PER_S,
    next_sleep_s,
    ring_full_time_s,
)
from migmodel.physics.faults import FaultLatencies, pages_a_request


def test_without_spread_all_are_in_the_bucket_of_their_mean():
    latencies = FaultLatencies(0.0)
    latencies.add(100, 40e-6)  # 32 to 64 us: bucket 5
    assert latencies.histogram()[5] == 100
    assert latencies.mean_s == pytest.approx(40e-6)


@given(
    st.lists(st.tuples(st.floats(1, 1e6), st.floats(1e-6, 10)), min_size=1, max_size=5),
    st.floats(0, 2),
)
def test_the_histogram_holds_every_request(kinds, sd):
    latencies = FaultLatencies(sd)
    for count, mean_s in kinds:
        latencies.add(count, mean_s)
    histogram = latencies.histogram()
    assert all(value >= -1e-6 for value in histogram)
    assert sum(histogram) == pytest.approx(latencies.count, rel=1e-6)
    assert latencies.percentile_s(0.5) <= latencies.percentile_s(0.99)


def test_half_are_faster_than_the_median():
    latencies = FaultLatencies(0.6)
    latencies.add(50, 20e-6)
    latencies.add(50, 2e-3)
    median_s = latencies.percentile_s(0.9)
    assert latencies.below(median_s) == pytest.approx(90, abs=3)


def test_nobody_asked_means_no_figures():
    latencies = FaultLatencies(0.6)
    assert latencies.mean_s is None
    assert latencies.histogram() is None
    assert latencies.percentile_s(0.5) is None


def test_a_shorter_stall_brings_fewer_pages_beside_the_one_asked_for():
    assert pages_a_request(5.0, 1e-4, 1e-4) == 5.0
    assert pages_a_request(5.0, 1e-4, 5e-5) == pytest.approx(3.0)
    assert pages_a_request(5.0, 0.0, 5e-5) == 5.0


def test_near_its_quota_a_vcpu_is_left_alone():
    near = 100 + TOLERANCE_MIB_PER_S
    assert next_sleep_s(0.01, 100, near, 0.1) == 0.01


def test_far_above_its_quota_it_is_set_at_once():
    """400 instead of 100 MiB/s: 75 % too much, three times the ring's time."""
    full_s = ring_full_time_s(4096, 400)
    assert full_s == pytest.approx(0.04)
    sleep_s = next_sleep_s(0.0, 100, 400, full_s)
    assert sleep_s == pytest.approx(3 * full_s)
    assert 4096 * 4096 / 2**20 / (full_s + sleep_s) == pytest.approx(100)


@given(st.floats(0, 100), st.floats(1, 1e4), st.floats(0, 1e4), st.floats(1e-4, 1))
def test_a_sleep_stays_within_its_bounds(sleep_s, quota, now, full_s):
    assert 0 <= next_sleep_s(sleep_s, quota, now, full_s) <= MAX_PERCENT * full_s + 100
