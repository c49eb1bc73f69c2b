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
from migmodel.physics.faults import (
    FaultLatencies,
    answered_s,
    faults_at_front,
    pages_a_request,
)


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


def test_a_thread_catches_up_over_what_came_while_it_stood_still():
    stream_pps, touch_pps, stall_s = 200_000.0, 600_000.0, 2e-5
    pages = pages_a_request(stream_pps, touch_pps, stall_s, most=1000.0)
    # So long it stood and ran; so many came meanwhile.
    assert stream_pps * (stall_s + pages / touch_pps) == pytest.approx(pages)
    # Much faster, it has but what came during the stall; hardly faster, all it may.
    assert pages_a_request(stream_pps, 1e12, stall_s, 1000.0) == pytest.approx(4.0)
    assert pages_a_request(stream_pps, 1.001 * stream_pps, stall_s, 1000.0) == 1000.0
    assert pages_a_request(stream_pps, 0.5 * stream_pps, stall_s, 1000.0) == 1000.0
    assert pages_a_request(stream_pps, 1e12, 0.0, 1000.0) == 1.0


def test_faults_at_the_front_in_the_limits():
    batch, place_s, stands_s = 32.0, 3e-6, 2e-5
    # A slow stream: each batch is awaited, and nothing within it by a slow thread.
    slow_pps = 1000.0
    (a_page, wait_s), (within, _) = faults_at_front(
        slow_pps, place_s, 4e-6, stands_s, batch, 500.0
    )
    assert a_page == 1 / batch
    assert wait_s == pytest.approx(batch / slow_pps, rel=0.01)
    assert within == 0
    # A thread that touches at once asks within a batch, too, for all that it stands.
    (a_page, _), (within, wait_s) = faults_at_front(
        slow_pps, place_s, 1e-12, stands_s, batch, 500.0
    )
    assert a_page + within == pytest.approx(place_s / stands_s)
    assert wait_s == 0
    # When it runs again all of a batch is there.
    _, (within, _) = faults_at_front(slow_pps, place_s, 1e-12, 1.0, batch, 500.0)
    assert within == 0
    # One that is slower than the stream runs into it by chance.
    (a_page, _), (within, _) = faults_at_front(
        200_000.0, place_s, 6e-6, stands_s, batch, 500.0
    )
    assert (a_page, within) == (1 / 500.0, 0)
    # Of two each has half of the stream, and is faster: it awaits every batch.
    (a_page, wait_s), _ = faults_at_front(
        200_000.0, place_s, 6e-6, stands_s, batch, 500.0, threads=2
    )
    assert a_page == 1 / batch
    assert wait_s == pytest.approx(batch * (1 / 200_000.0 - place_s))


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


@given(st.floats(1e-6, 1e-2), st.floats(1e-7, 1e-1), st.integers(1, 64))
def test_answers_one_at_a_time_wait_between_none_and_all_before_them(
    alone_s, between_s, threads
):
    assert answered_s(alone_s, between_s, 1, cpus=1) == pytest.approx(alone_s)
    waits_s = answered_s(alone_s, between_s, threads, cpus=1)
    # No thread waits for more than all others; and the server does no more than it can.
    assert alone_s * (1 - 1e-9) <= waits_s <= threads * alone_s * (1 + 1e-9)
    assert threads * alone_s <= (waits_s + between_s) * (1 + 1e-9)


def test_many_threads_keep_the_one_that_answers_busy():
    alone_s, between_s, threads = 20e-6, 30e-6, 200
    waits_s = answered_s(alone_s, between_s, threads, cpus=1)
    assert waits_s == pytest.approx(threads * alone_s - between_s, rel=1e-3)


def test_as_many_threads_as_cpus_do_not_wait_for_each_other():
    assert answered_s(20e-6, 30e-6, threads=2, cpus=2) == pytest.approx(20e-6)
    # Beyond that they share what CPUs there are.
    assert answered_s(20e-6, 0.0, threads=3, cpus=2) == pytest.approx(30e-6)
    waits_s = answered_s(20e-6, 30e-6, threads=200, cpus=2)
    assert waits_s == pytest.approx(100 * 20e-6, rel=0.02)
