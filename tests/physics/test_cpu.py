"""Who gets which CPU."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migmodel.physics.cpu import Channels, Pipeline, share_cpus

INF = float("inf")


def test_with_cpus_to_spare_nobody_waits():
    share, rate = share_cpus(4, 1.0, 1, Pipeline(2e-6, 3e-6, INF), same_host=True)
    assert share == 1.0
    assert rate == pytest.approx(1 / 3e-6)  # the slower side


def test_the_destination_is_one_of_two_groups_however_many_vcpus_there_are():
    """Three vCPUs on two CPUs: the loader still gets a CPU, they share the other."""
    share, rate = share_cpus(2, 1.0, 3, Pipeline(1e-9, 2e-6, INF), same_host=True)
    assert rate == pytest.approx(1 / 2e-6, rel=1e-2)
    assert share == pytest.approx(1 / 3, rel=1e-2)


def test_the_migration_thread_shares_its_sides_cpus_with_the_vcpus():
    share, rate = share_cpus(2, 1.0, 3, Pipeline(2e-6, 1e-9, INF), same_host=False)
    assert share == pytest.approx(0.5, rel=1e-6)
    assert rate == pytest.approx(0.5 / 2e-6, rel=1e-6)


def test_in_turns_a_page_takes_both_its_times():
    in_turns = Pipeline(2e-6, 3e-6, INF, overlap=0.0)
    at_once = Pipeline(2e-6, 3e-6, INF, overlap=1.0)
    assert in_turns.free_rate_pps == pytest.approx(1 / 5e-6)
    assert at_once.free_rate_pps == pytest.approx(1 / 3e-6)
    # In turns they need one CPU between them, so a vCPU beside them is not disturbed.
    share, rate = share_cpus(2, 1.0, 1, in_turns, same_host=True)
    assert (share, rate) == (1.0, pytest.approx(1 / 5e-6))


def test_ends_that_wake_each_other_leave_a_busy_vcpu_alone():
    """Three threads on two CPUs: fairly shared the vCPU would have three quarters."""
    share, rate = share_cpus(2, 1.0, 1, Pipeline(2e-6, 2e-6, INF), same_host=True)
    assert share == pytest.approx(1.0, rel=1e-6)
    assert rate == pytest.approx(1 / 4e-6, rel=1e-6)


def test_while_the_woken_end_waits_for_its_turn_a_vcpu_runs():
    """Two vCPUs and two ends on two CPUs: a tenth of a page's time is waiting."""
    stream = Pipeline(4e-6, 5e-6, INF, turn_wait_s=1e-6)
    share, rate = share_cpus(2, 1.0, 2, stream, same_host=True)
    assert rate == pytest.approx(1 / 10e-6, rel=1e-6)
    assert share == pytest.approx((2 - 0.9) / 2, rel=1e-6)
    # With CPUs to spare nobody waits for one.
    _, rate = share_cpus(8, 1.0, 2, stream, same_host=True)
    assert rate == pytest.approx(stream.free_rate_pps)


def test_workers_keep_to_whole_cpus_once_all_are_busy():
    def stream(workers):
        beside = Channels(workers, workers, source_s=4e-5, destination_s=1e-9)
        return Pipeline(1e-9, 1e-9, INF, channels=beside)

    # Two of three threads on two CPUs: the vCPU has one, they have the other.
    share, rate = share_cpus(2, 1.0, 1, stream(2), same_host=True)
    assert share == pytest.approx(1.0, rel=1e-3)
    assert rate == pytest.approx(1 / 4e-5, rel=1e-3)
    # Four of twelve on eight: nearly three CPUs, and threads enough to share alike.
    share, rate = share_cpus(8, 1.0, 8, stream(4), same_host=True)
    assert share == pytest.approx(2 / 3, rel=1e-3)
    assert rate == pytest.approx(8 / 3 / 4e-5, rel=1e-3)
    # With CPUs to spare they have one each.
    share, rate = share_cpus(8, 1.0, 1, stream(4), same_host=True)
    assert share == 1.0
    assert rate == pytest.approx(4 / 4e-5, rel=1e-3)


@pytest.mark.parametrize("decode_s", [1e-9, 5e-6, 2e-5])
def test_a_channels_reader_takes_its_time_from_the_channel(decode_s):
    """Three shares of two CPUs, whatever decoding takes: the vCPU loses nothing to it.

    Measured: the vCPU had 0.61 to 0.72 of a CPU, with readers of 0.07 to 0.32.
    """
    channels = Channels(2, 2, 4e-5, decode_s, overlap=0.5, burst_pages=128)
    stream = Pipeline(1e-9, 1e-9, INF, channels=channels)
    share, rate = share_cpus(2, 1.0, 1, stream, same_host=True)
    assert share == pytest.approx(2 / 3, rel=1e-2)
    assert rate == pytest.approx(4 / 3 / (4e-5 + decode_s), rel=1e-2)
    # On another host it is nobody's.
    _, apart = share_cpus(2, 1.0, 1, stream, same_host=False)
    assert apart == pytest.approx(4 / 3 / 4e-5, rel=1e-2)


@pytest.mark.parametrize(("count", "vcpu_share"), [(2, 0.33), (4, 0.19)])
def test_channels_that_copy_share_with_everybody(count, vcpu_share):
    """Of 1.55 us a page, with readers of 2 us; the destination has its half at most.

    Measured: the vCPU had 0.30 to 0.52 of a CPU with two channels, 0.2 with four.
    """
    channels = Channels(count, count, 1.55e-6, 2e-6, overlap=0.5, burst_pages=128)
    stream = Pipeline(1e-9, 1e-9, INF, channels=channels)
    share, rate = share_cpus(2, 1.0, 1, stream, same_host=True)
    assert share == pytest.approx(vcpu_share, abs=0.05)
    assert rate * 2e-6 <= 1.0 + 1e-6


def test_a_light_stream_takes_only_what_it_needs():
    share, rate = share_cpus(2, 1.0, 2, Pipeline(2e-6, 2e-6, 30_000), same_host=True)
    assert rate == pytest.approx(30_000, rel=1e-6)
    assert share == pytest.approx((2 - 2 * 0.06) / 2, rel=1e-6)


def test_another_host_does_not_compete():
    share, rate = share_cpus(2, 1.0, 1, Pipeline(2e-6, 4e-6, INF), same_host=False)
    assert (share, rate) == (1.0, pytest.approx(1 / 4e-6))


@given(
    cpus=st.floats(1, 8),
    demand=st.floats(0, 1),
    vcpus=st.integers(1, 16),
    source=st.floats(1e-7, 1e-4),
    destination=st.floats(1e-7, 1e-4),
    limit=st.floats(1, 1e7),
)
def test_never_more_cpus_than_there_are(
    cpus, demand, vcpus, source, destination, limit
):
    pipeline = Pipeline(source, destination, limit)
    share, rate = share_cpus(cpus, demand, vcpus, pipeline, same_host=True)
    used = share * vcpus + rate * (source + destination)
    assert used <= cpus * (1 + 1e-6)
    assert 0 <= share <= demand
    assert rate <= limit
