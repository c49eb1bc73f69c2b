"""Managers, dirty-limit, links, old rules: what a setting does to a migration."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate.fit import with_values
from migmodel.errors import InputError
from migmodel.physics.versions import behaviour
from migmodel.records import (
    Guest,
    Limits,
    Link,
    Tuning,
)
from migmodel.sim.period import Period
from migmodel.sim.settings import Settings
from migmodel.sim.simulate import draw_host, simulate
from migmodel.sim.throttle_clock import ThrottleClock
from migmodel.units import GIB, MIB

from .scenarios import KVM, MBIT_100, TCG, WS_PAGES, described, outcome


def test_a_raised_downtime_limit_lets_it_complete():
    never = described(rate=20_000.0)
    tuned = described(
        "downtime-tuning",
        rate=20_000.0,
        tuning=Tuning(maximum=9000, steps=3, interval_s=4.0),
    )
    assert outcome(never).verdict == "cancelled"
    it = outcome(tuned)
    assert it.verdict == "completed"
    assert it.total_time_s > 4.0


def test_a_raised_bandwidth_lets_it_complete():
    tuned = described(
        "bandwidth-tuning",
        rate=20_000.0,
        tuning=Tuning(maximum=2 * GIB, steps=3, interval_s=4.0),
    )
    it = outcome(tuned)
    assert it.verdict == "completed"
    assert 4.0 < it.total_time_s < 13.0


@pytest.mark.parametrize(
    ("technique", "after"), [("precopy", None), ("pause", 0), ("postcopy", 0)]
)
def test_a_wait_before_the_switch_is_as_long_as_a_managers_cont(technique, after):
    slow = replace(TCG, values={**TCG.values, "cont_s": 0.25})
    without, with_it = (
        simulate(
            described(technique, after=after, rate=500, capabilities=capabilities), slow
        )
        for capabilities in ([], ["pause-before-switchover"])
    )
    # One that a manager has paused stands still for its `cont` besides, in both.
    assert with_it.outcome.downtime_reported_s == pytest.approx(
        without.outcome.downtime_reported_s + 0.25, abs=1e-6
    )
    assert with_it.outcome.downtime_stop_resume_s == pytest.approx(
        without.outcome.downtime_stop_resume_s + 0.25, abs=1e-6
    )
    states = [it.detail for it in with_it.events if it.name == "MIGRATION"]
    assert "pre-switchover" in states


def test_dirty_limit_slows_a_guest_that_dirties_too_fast():
    guest = Guest(ram_bytes=8 * GIB, vcpus=4, dirty_ring_size=4096)
    busy = {"bw": 125_000_000, "working_set_bytes": 2 * GIB, "guest": guest}
    free = outcome(described(limits=Limits(max_time_s=200.0), **busy), KVM)
    limited = described("dirtylimit", limits=Limits(max_time_s=200.0), **busy)
    assert free.verdict == "cancelled"
    assert outcome(limited, KVM).verdict == "completed"


def test_a_dirty_ring_needs_kvm():
    guest = Guest(ram_bytes=GIB, dirty_ring_size=4096)
    with pytest.raises(InputError, match="needs KVM"):
        simulate(described(guest=guest), TCG)


def test_an_old_rdma_ignores_the_limit():
    rdma = {"link": Link(transport="rdma"), "rate": 100.0}
    old = outcome(described(version="7.2", **rdma), KVM)
    new = outcome(described(version="10.0", **rdma), KVM)
    assert old.total_time_s < 0.2 * new.total_time_s


def test_a_tcp_connection_has_its_buffers_in_flight_a_round_trip():
    """1 MiB every 100 ms."""
    link = Link(
        transport="tcp",
        bandwidth_bytes_per_s=1e9,
        rtt_s=0.1,
        socket_buffer_bytes=MIB,
        scope="two-hosts",
    )
    it = outcome(described(bw=0, rate=10.0, link=link), KVM)
    assert it.total_time_s == pytest.approx(it.bytes_sent / (10 * MIB), rel=0.1)


def test_both_ends_of_tcp_work_at_the_same_time_at_costs_of_their_own():
    link = Link(transport="tcp")
    costs = {"tcp_page_source_s": 4e-5, "tcp_page_destination_s": 5e-5}
    slow = draw_host(with_values(load_profile("kvm-generic"), costs))
    cold = {"bw": 0, "rate": 50.0}
    tcp = outcome(described(link=link, **cold), slow)
    each_s = 5e-5 + slow["fresh_page_s"]
    assert tcp.total_time_s == pytest.approx(WS_PAGES * each_s, rel=0.15)
    assert tcp.source_cpu_s == pytest.approx(WS_PAGES * 4e-5, rel=0.2)
    unix = outcome(described(**cold), slow)
    assert unix == outcome(described(**cold), KVM)


def test_the_2_6_throttle_takes_three_hits():
    busy = {"limits": Limits(max_time_s=30.0), "bw": MBIT_100}
    old = outcome(described("autoconverge", version="2.6", **busy))
    new = outcome(described("autoconverge", version="7.2", **busy))
    assert old.peak_throttle_percent < new.peak_throttle_percent


def test_in_2_6_the_first_period_never_counts_for_the_throttle():
    """Dirty pages a second are not known before: 20 % come at the fourth judgement."""

    def stepped_after(version):
        scenario = described("autoconverge", version=version)
        clock = ThrottleClock(0.0)
        period = Period(Settings(scenario), clock)
        period.begin(0.0)
        for second in range(1, 9):
            period.add(1000.0, 4096.0 * second, 1.1 * second)
            if clock.percent:
                return second
        return None

    assert stepped_after("2.6") == 1 + 3
    assert stepped_after("7.2") == 2


@pytest.mark.parametrize(
    ("version", "transport", "verdict"),
    [
        ("2.6", "rdma", "failed"),
        ("7.2", "rdma", "completed"),
        ("2.6", "tcp", "completed"),
    ],
)
def test_postcopy_over_an_old_rdma_fails_before_anything_is_sent(
    version, transport, verdict
):
    link = Link(transport=transport)
    it = outcome(described("postcopy", version=version, link=link, after=1), KVM)
    assert it.verdict == verdict
    assert (it.bytes_sent == 0) == (verdict == "failed")
    assert ("return path" in it.reason) == (verdict == "failed")


def test_rdma_has_a_return_path_since_3_1():
    assert [behaviour(it).rdma_returns for it in ((3, 0), (3, 1))] == [False, True]


def test_precopy_over_an_old_rdma_needs_no_return_path():
    link = Link(transport="rdma")
    it = outcome(described(version="2.6", rate=100.0, link=link), KVM)
    assert it.verdict == "completed"


def test_pages_that_are_zero_cost_nothing_to_rewrite():
    it = outcome(described(content="zero"))
    assert it.verdict == "completed"
    assert it.bytes_sent < 10 * MIB
