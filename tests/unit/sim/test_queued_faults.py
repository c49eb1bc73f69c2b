"""Post-copy under random access: what a fault waits for, in the limits."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.physics import wire
from migmodel.physics.faults import blocked_requests, run_pages
from migmodel.records import Guest, Link, Outcome, Policy, Scenario, Workload
from migmodel.records.scenario import Pattern
from migmodel.sim.host import Host
from migmodel.sim.simulate import draw_host, simulate

GIB = 1 << 30
QUEUE_BYTES = 8_000_000
STALL_S = 2e-4


@pytest.fixture
def host() -> Host:
    found = draw_host(load_profile("kvm-generic"))
    values = {
        **found.values,
        "fault_s": STALL_S,
        "preempt_fault_s": STALL_S,
    }
    return replace(found, cpus=16.0, same_host=False, values=values)


def outcome(
    host: Host,
    *,
    preempt: bool = False,
    version: str = "10.0",
    pattern: Pattern = "random",
    limit: int = 0,
    host_page: int = 4096,
) -> Outcome:
    return switched(
        host,
        Guest(ram_bytes=4 * GIB, host_page_bytes=host_page),
        Workload(working_set_bytes=3 * GIB, pattern=pattern),
        preempt=preempt,
        version=version,
        limit=limit,
    )


def switched(
    host: Host,
    guest: Guest,
    workload: Workload,
    *,
    queue_bytes: int = QUEUE_BYTES,
    limit: int = 0,
    preempt: bool = False,
    version: str = "10.0",
) -> Outcome:
    """Post-copy after a pass over 10 Gbit/s."""
    scenario = Scenario(
        guest=guest,
        workload=workload,
        link=Link(
            transport="tcp",
            bandwidth_bytes_per_s=1.25e9,
            socket_buffer_bytes=queue_bytes,
        ),
        policy=Policy(
            technique="postcopy",
            after_passes=1,
            parameters={"max-bandwidth": 0, "max-postcopy-bandwidth": limit},
            capabilities={"postcopy-preempt": preempt},
        ),
        qemu_version=version,
    )
    return simulate(scenario, host).outcome


def mean_s(found: Outcome) -> float:
    assert found.fault_latency_mean_s is not None
    return found.fault_latency_mean_s


def test_a_fault_waits_for_all_that_is_queued_before_it(host: Host) -> None:
    rate = 1 / host["postcopy_page_s"]
    # A writer that waits stands between two thirds of a full buffer and full.
    queue_s = 5 / 6 * QUEUE_BYTES / wire.NORMAL_PAGE_BYTES / rate
    found = mean_s(outcome(host))
    # Some find their page on its way already: half of the queue before them.
    assert 0.9 * queue_s < found < 1.1 * (queue_s + STALL_S)


def test_a_sweep_does_not(host: Host) -> None:
    assert mean_s(outcome(host, pattern="sweep")) < mean_s(outcome(host)) / 10


def test_a_limited_stream_leaves_nothing_queued(host: Host) -> None:
    """Requests within a window's burst are answered at once, its last by the next."""
    found = outcome(host, limit=50_000_000)
    assert found.fault_latency_p50_s == pytest.approx(STALL_S, rel=0.5)
    waits = found.fault_latency_histogram[16]  # 66 to 131 ms
    assert waits * 0.1 == pytest.approx(found.total_time_s, rel=0.2)


@pytest.mark.parametrize("pattern", ["sweep", "random"])
def test_each_vcpu_has_a_blocktime_of_its_own(host: Host, pattern: Pattern) -> None:
    workload = Workload(working_set_bytes=3 * GIB, pattern=pattern)
    alone, pair = (
        switched(host, Guest(ram_bytes=4 * GIB, vcpus=vcpus), workload)
        for vcpus in (1, 2)
    )
    assert alone.postcopy_blocktime_s is not None
    assert alone.postcopy_blocktime_s > 0
    assert alone.postcopy_vcpu_blocktime_s == [alone.postcopy_blocktime_s]
    assert pair.postcopy_vcpu_blocktime_s is not None
    assert len(pair.postcopy_vcpu_blocktime_s) == 2
    assert pair.postcopy_blocktime_s is not None
    assert pair.postcopy_blocktime_s < min(pair.postcopy_vcpu_blocktime_s)


def test_a_vcpu_that_has_all_its_pages_waits_no_more(host: Host) -> None:
    """Each sweeps from a place of its own, so that one of them has less to fetch."""
    found = switched(
        host,
        Guest(ram_bytes=4 * GIB, vcpus=2),
        Workload(working_set_bytes=GIB),
    ).postcopy_vcpu_blocktime_s
    assert found is not None
    assert found[0] != found[1]


def test_preempt_does_not_wait_for_the_bulk(host: Host) -> None:
    # Of the few whose page was on its way in the bulk some do.
    assert STALL_S < mean_s(outcome(host, preempt=True)) < 1.5 * STALL_S


def test_one_thread_for_both_channels_is_caught_at_the_bulks(host: Host) -> None:
    old, new = (outcome(host, preempt=True, version=it) for it in ("7.2", "8.0"))
    assert mean_s(old) > 1.3 * mean_s(new)


def test_a_huge_page_is_on_its_way_for_its_whole_length(host: Host) -> None:
    small, huge = (
        mean_s(outcome(host, preempt=True, host_page=size)) for size in (4096, 2 << 20)
    )
    assert huge - small == pytest.approx(512 * wire.NORMAL_PAGE_BYTES / 1.17e9, rel=1.2)
    assert huge > 512 * wire.NORMAL_PAGE_BYTES / 1.18e9


def test_nobody_is_caught_where_nothing_blocks() -> None:
    assert blocked_requests(0.0, 0.5, 1e-4) == (0.0, 0.0)
    assert blocked_requests(1e-3, 1.0, 1e-4) == (0.0, 0.0)


def test_a_busy_thread_is_caught_once_in_each_wait() -> None:
    share, wait_s = blocked_requests(2e-3, 0.5, 1e-4)
    assert share == pytest.approx(1 / 21)
    assert wait_s == pytest.approx(2e-3 - 5e-5)


def test_a_rare_request_is_caught_as_often_as_the_sender_waits() -> None:
    share, wait_s = blocked_requests(2e-3, 0.25, 1.0)
    assert share == pytest.approx(0.75)
    assert wait_s == pytest.approx(1e-3)


def test_two_threads_have_the_stream_half_of_the_time() -> None:
    # Each waits while the other's run comes.
    assert run_pages(1000.0, 0.1, 2) == pytest.approx(100.0)
    # Many share what passes in about one wait.
    assert run_pages(1000.0, 0.1, 101) == pytest.approx(1.0)


def test_many_sweeps_wait_for_the_queue_in_turn(host: Host) -> None:
    def faults(vcpus: int, queue_bytes: int, limit: int = 0) -> Outcome:
        guest = Guest(ram_bytes=4 * GIB, vcpus=vcpus)
        workload = Workload(working_set_bytes=3 * GIB, touch="page")
        return switched(host, guest, workload, queue_bytes=queue_bytes, limit=limit)

    many, one = faults(8, QUEUE_BYTES), faults(1, QUEUE_BYTES)
    assert mean_s(many) > 20 * mean_s(one)
    # A socket that holds no more than a batch makes nobody wait for another's run.
    assert mean_s(faults(8, 131_072)) < 2 * mean_s(faults(1, 131_072))
    # Nor does one that the limit keeps empty: most are answered within a burst.
    limited = faults(8, QUEUE_BYTES, 100_000_000)
    assert limited.fault_latency_p50_s < many.fault_latency_mean_s / 2
