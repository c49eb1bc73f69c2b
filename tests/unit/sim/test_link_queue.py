"""What a link's sockets hold: filled, drained, waited for."""

from __future__ import annotations

import numpy as np
import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.records import Guest, Limits, Link, Policy, Scenario, Workload
from migmodel.sim.link_queue import LinkQueue
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import MIB

RATE = 1e7


def test_it_fills_with_what_the_link_does_not_carry():
    queue = LinkQueue(4e6, fill=1.0)
    assert queue.fills_in_s(3 * RATE, RATE) == pytest.approx(0.2)
    queue.advance(0.1, 0.1 * 3 * RATE, RATE)
    assert queue.held_bytes == pytest.approx(2e6)
    assert queue.fills_in_s(3 * RATE, RATE) == pytest.approx(0.1)


def test_a_stream_no_faster_than_the_link_never_fills_it():
    assert LinkQueue(4e6, fill=1.0).fills_in_s(RATE, RATE) == float("inf")


def test_it_runs_empty_and_no_further():
    queue = LinkQueue(4e6, fill=1.0)
    queue.advance(0.1, 1.5e6, RATE)
    queue.advance(1.0, 0.0, RATE)
    assert queue.held_bytes == 0.0


def test_a_waiting_writer_finds_it_between_two_thirds_and_full():
    assert LinkQueue(3e6, fill=0.0).capacity_bytes == pytest.approx(2e6)
    assert LinkQueue(3e6, fill=1.0).capacity_bytes == pytest.approx(3e6)


def test_a_waiting_writer_is_woken_each_time_a_third_has_drained():
    queue = LinkQueue(3e6, fill=0.5)
    assert queue.woken_in_s(0.05, RATE) == pytest.approx(0.1)
    assert queue.woken_in_s(0.25, RATE) == pytest.approx(0.3)
    # Of two connections each drains half as fast, but either ends the wait.
    two = LinkQueue(6e6, fill=0.5, refill_bytes=1e6)
    assert two.woken_in_s(0.25, RATE) == pytest.approx(0.3)


def outcome(buffer_bytes=None, technique="precopy", rate_pps=100.0, **link):
    """Of 100 MiB over 100 Mbit/s."""
    scenario = Scenario(
        guest=Guest(ram_bytes=128 * MIB),
        workload=Workload(working_set_bytes=100 * MIB, rate_pps=rate_pps),
        link=Link(
            transport="tcp",
            bandwidth_bytes_per_s=12.5e6,
            socket_buffer_bytes=buffer_bytes,
            **link,
        ),
        policy=Policy(
            technique=technique,
            after_passes=1 if technique == "postcopy" else None,
            parameters={"max-bandwidth": 0, "downtime-limit": 100},
        ),
        limits=Limits(max_time_s=100.0),
    )
    return simulate(scenario, draw_host(load_profile("tcg-2core"))).outcome


# What is dirty when post-copy is asked for is more than one iterate call sends.
@pytest.mark.parametrize(
    ("technique", "rate_pps"), [("precopy", 100.0), ("postcopy", 400.0)]
)
def test_the_guest_stands_still_until_the_queue_is_empty(technique, rate_pps):
    small, large = (outcome(size, technique, rate_pps) for size in (MIB, 8 * MIB))
    longer = large.downtime_stop_resume_s - small.downtime_stop_resume_s
    carried = 12.5e6 * 1448 / 1514
    assert longer == pytest.approx(7 * MIB * 5 / 6 / carried, rel=0.1)
    assert large.downtime_reported_s < 0.3 * large.downtime_stop_resume_s


def test_the_source_is_done_before_its_last_byte_has_arrived():
    """Together they take the time that the bytes take on the link."""
    small, large = outcome(MIB), outcome(8 * MIB)
    assert large.total_time_s < small.total_time_s
    assert large.bytes_sent == pytest.approx(small.bytes_sent, rel=0.02)


def test_channels_have_a_buffer_each():
    """A long link carries buffer / RTT of each connection."""
    link = {"rtt_s": 0.5}
    one = outcome(MIB, **link)
    two = outcome(MIB, "multifd", **link)
    assert two.total_time_s < 0.6 * one.total_time_s


def unlimited(ws_mib: int, bytes_per_s: float, limit_ms: int) -> Scenario:
    """A guest at full speed that the link alone holds back, for some seconds."""
    return Scenario(
        guest=Guest(ram_bytes=128 * MIB),
        workload=Workload(working_set_bytes=ws_mib * MIB),
        link=Link(transport="tcp", bandwidth_bytes_per_s=bytes_per_s),
        policy=Policy(parameters={"max-bandwidth": 0, "downtime-limit": limit_ms}),
        limits=Limits(max_time_s=6.0),
    )


def test_cpu_noise_does_not_make_a_full_link_faster():
    """A threshold an eighth above what the link carries is not met by luck."""
    profile = load_profile("tcg-2core")
    for seed in range(5):
        host = draw_host(profile, np.random.default_rng(seed))
        host.noise.window_sd = 0.14
        trace = simulate(unlimited(64, 125e6, 500), host)
        assert trace.outcome.verdict == "cancelled"


def test_an_iterate_call_ends_when_the_link_lets_it():
    """Passes that one call ends last whole thirds of the buffer, not 51 ms."""
    host = draw_host(load_profile("tcg-2core"))
    rounds = simulate(unlimited(48, 25e6, 2090), host).rounds
    third_s = 4 * MIB / 3 / (25e6 * 1448 / 1514)
    lasted = [each.end_s - each.start_s for each in rounds[2:]]
    assert len(lasted) > 10
    for seconds in lasted:
        assert seconds % third_s == pytest.approx(0.002, abs=0.002)
