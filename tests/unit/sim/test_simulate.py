"""The simulated migration: closed forms, limits, invariants."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from migmodel.analysis.predict import predict
from migmodel.calibrate.fit import with_values
from migmodel.errors import InputError
from migmodel.physics import wire
from migmodel.physics.versions import behaviour
from migmodel.records import Guest, Limits, Link, Policy, Scenario, Workload
from migmodel.sim.simulate import draw_host, simulate
from migmodel.sim.stream import Stream
from migmodel.units import GIB, MIB, PAGE_BYTES

GBIT = 125_000_000


def scenario(
    technique="precopy",
    *,
    ram=512 * MIB,
    ws=128 * MIB,
    bw=GBIT,
    limit_ms=300,
    rate=None,
    vcpus=1,
    after=None,
    max_time=None,
    max_iters=None,
    version="10.0",
    **parameters,
):
    return Scenario(
        guest=Guest(ram_bytes=ram, vcpus=vcpus),
        workload=Workload(working_set_bytes=ws, rate_pps=rate),
        policy=Policy(
            technique=technique,
            after_passes=after,
            parameters={
                "max-bandwidth": bw,
                "downtime-limit": limit_ms,
                **{name.replace("_", "-"): v for name, v in parameters.items()},
            },
        ),
        limits=Limits(max_time_s=max_time, max_iters=max_iters),
        qemu_version=version,
    )


EVERY_TECHNIQUE = [
    scenario(rate=10_000.0),
    scenario(bw=0, rate=20_000.0),
    scenario("pause", after=2),
    scenario("autoconverge"),
    scenario("postcopy", after=1),
    scenario("postcopy", after=0, vcpus=2),
    scenario(max_time=6.0),
    scenario("autoconverge", ram=8 * GIB, ws=8 * GIB, max_time=60.0),
]


@pytest.mark.parametrize("described", EVERY_TECHNIQUE, ids=lambda s: s.policy.technique)
def test_every_trace_is_possible(described, tcg_host, check_trace):
    check_trace(simulate(described, tcg_host), described)


def test_an_idle_guest_takes_one_pass(tcg_host):
    """RAM over bandwidth, in whole windows of the limiter's quantum."""
    idle = scenario(ram=1 * GIB, ws=0, limit_ms=1)
    trace = simulate(idle, tcg_host)
    assert trace.outcome.verdict == "completed"
    pages = 1 * GIB / PAGE_BYTES
    assert trace.outcome.bytes_sent < pages * wire.ZERO_PAGE_BYTES * 1.5
    assert trace.outcome.passes <= 3


def test_a_cold_guest_takes_its_size_over_the_bandwidth(tcg_host):
    cold = scenario(ram=512 * MIB, ws=500 * MIB, rate=1.0, limit_ms=1)
    trace = simulate(cold, tcg_host)
    window = wire.window_pages(GBIT, wire.NORMAL_PAGE_BYTES, wire.FLUSH_PAGES)
    expected = 500 * MIB / PAGE_BYTES / window * (0.1 + tcg_host["wakeup_s"])
    assert trace.outcome.total_time_s == pytest.approx(expected, rel=0.05)


def test_dirtying_faster_than_the_link_never_ends(tcg_host):
    trace = simulate(scenario(), tcg_host)
    assert trace.outcome.verdict == "never"
    assert trace.outcome.total_time_s is None


def test_a_working_set_below_the_threshold_ends_whatever_its_rate(tcg_host):
    # 32 MiB are less than 1 Gbit/s x 300 ms = 37.5 MB, sent over and over or not.
    trace = simulate(scenario(ws=32 * MIB), tcg_host)
    assert trace.outcome.verdict == "completed"


def test_geometric_series_in_the_limit_of_small_windows(tcg_host):
    """Slow link, paced guest: passes shrink by rate/bandwidth each."""
    ram, ws, rate = 512 * MIB, 500 * MIB, 2500.0
    described = scenario(ram=ram, ws=ws, rate=rate, bw=40_000_000, limit_ms=100)
    trace = simulate(described, tcg_host)
    ratios = [
        later.pending_bytes / earlier.pending_bytes
        for earlier, later in zip(trace.rounds[1:], trace.rounds[2:], strict=False)
        if later.pending_bytes > 20e6
    ]
    window = wire.window_pages(40_000_000, wire.NORMAL_PAGE_BYTES, wire.FLUSH_PAGES)
    sent_pps = window / 0.1
    assert ratios
    assert np.mean(ratios) == pytest.approx(rate / sent_pps, rel=0.15)


def test_auto_converge_throttles_until_it_ends(tcg_host):
    outcome = simulate(scenario("autoconverge"), tcg_host).outcome
    assert outcome.verdict == "completed"
    assert outcome.peak_throttle_percent in (70, 80, 90, 99)


def test_throttle_starts_no_earlier_than_two_evaluations(tcg_host):
    trace = simulate(scenario("autoconverge"), tcg_host)
    begun = [
        time
        for time, percent in zip(
            trace.progress.time_s, trace.progress.throttle_percent, strict=True
        )
        if percent > 0
    ]
    assert begun[0] > 2.0  # two periods of more than a second


def test_periodic_sync_makes_the_throttle_come_sooner(tcg_host):
    """Before 9.2 a long pass has no evaluation inside it."""
    slow = {"ram": 2 * GIB, "ws": 2 * GIB, "max_time": 120.0}
    old = simulate(scenario("autoconverge", version="9.1", **slow), tcg_host).outcome
    new = simulate(scenario("autoconverge", version="9.2", **slow), tcg_host).outcome
    assert new.peak_throttle_percent > old.peak_throttle_percent


def _syncs(trace):
    return [
        (time, count)
        for time, count, before in zip(
            trace.progress.time_s,
            trace.progress.dirty_sync_count,
            [1, *trace.progress.dirty_sync_count],
            strict=False,
        )
        if count > before
    ]


@pytest.mark.parametrize("sync", ["watched", "aside"])
def test_unmerged_background_syncs_come_every_six_seconds(tcg_host, sync):
    """A look every second, and more than 5 s since the last."""
    long = scenario("autoconverge", ram=2 * GIB, ws=2 * GIB, max_time=120.0)
    rules = replace(behaviour((9, 1)), background_sync=sync)
    trace = simulate(long, tcg_host, rules=rules)
    times = [time for time, _ in _syncs(trace)]
    gaps = [b - a for a, b in pairwise(times)]
    assert sum(5.9 < gap < 6.2 for gap in gaps) >= 3
    assert max(gaps[:4]) < 6.2


def test_a_sync_aside_makes_no_pass_longer(tcg_host):
    """What it finds waits for the end of the pass: nothing is sent twice in one."""
    long = scenario("autoconverge", ram=2 * GIB, ws=2 * GIB, max_time=120.0)

    def first_passes(sync):
        rules = replace(behaviour((9, 1)), background_sync=sync)
        trace = simulate(long, tcg_host, rules=rules)
        return [it.end_s - it.start_s for it in trace.rounds[:2]]

    assert first_passes("aside") == pytest.approx(first_passes("none"), rel=0.1)
    assert len(first_passes("watched")) == 1  # pages are set again behind the cursor


def test_a_ratio_that_does_not_fall_steps_sooner(tcg_host):
    long = scenario("autoconverge", ram=2 * GIB, ws=2 * GIB, max_time=90.0)
    plain = replace(behaviour((9, 1)), background_sync="watched")
    eager = replace(plain, steps_on_ratio=True)
    old, new = (simulate(long, tcg_host, rules=it).outcome for it in (plain, eager))
    assert new.peak_throttle_percent > old.peak_throttle_percent


def test_pause_after_no_pass_stops_at_once(tcg_host):
    trace = simulate(scenario("pause", after=0), tcg_host)
    assert trace.phases.stop_s < 0.2
    blackout = trace.outcome.downtime_stop_resume_s
    assert blackout == pytest.approx(trace.outcome.total_time_s, rel=0.2)


def test_postcopy_completes_what_precopy_cannot(tcg_host):
    trace = simulate(scenario("postcopy", after=1), tcg_host)
    assert trace.outcome.verdict == "completed"
    assert trace.outcome.downtime_stop_resume_s < 0.1
    assert trace.outcome.postcopy_requests > 0


def test_a_longer_downtime_limit_never_takes_longer(tcg_host):
    """A monotonic limit: more room at the end cannot cost passes.

    Below 99 %, where a pass lasts as long as a turn of the throttle, and which of its
    windows the bandwidth is told from decides.
    """
    totals = []
    for limit_ms in (100, 300, 1000, 3000):
        described = scenario(
            "autoconverge", ws=256 * MIB, limit_ms=limit_ms, max_cpu_throttle=95
        )
        outcome = simulate(described, tcg_host).outcome
        totals.append(outcome.total_time_s or float("inf"))  # or it never completes
    assert totals == sorted(totals, reverse=True)
    assert totals[-1] < float("inf")


@pytest.mark.parametrize("max_iters", [5, 60])
def test_a_pass_limit_cancels(max_iters, tcg_host):
    outcome = simulate(scenario(max_iters=max_iters), tcg_host).outcome
    assert outcome.verdict == "cancelled"
    assert max_iters < outcome.passes <= max_iters + 2


@pytest.mark.parametrize("max_time", [3.0, 30.0, 3000.0])
def test_a_time_limit_cancels(max_time, tcg_host):
    trace = simulate(scenario(max_time=max_time), tcg_host)
    assert trace.outcome.verdict == "cancelled"
    assert trace.phases.end_s == pytest.approx(max_time, abs=0.06)


def test_passes_that_repeat_themselves_cost_what_each_costs(tcg_host):
    """However long it goes on, and though the repeats are not simulated one by one."""

    def run(seconds):
        return simulate(scenario(max_time=seconds), tcg_host).outcome

    first, second, long = run(30.0), run(60.0), run(630.0)
    for name in ("bytes_sent", "source_cpu_s", "destination_cpu_s", "passes"):
        start, later, end = (getattr(each, name) for each in (first, second, long))
        assert end - later == pytest.approx(19 * (later - start), rel=0.05), name


def test_cost_does_not_grow_with_ram(tcg_host, count_events):
    """The same passes: as many events for 16 TiB as for 1 GiB."""

    def scaled(factor):
        return scenario(
            ram=factor * GIB, ws=factor * GIB, bw=factor * GBIT, max_time=60.0
        )

    fast = dict(tcg_host.values)
    fast["page_source_s"] = fast["page_destination_s"] = fast["fresh_page_s"] = 1e-11
    fast["sync_page_s"] = fast["sync_dirty_page_s"] = 0.0
    fast["link_bytes_per_s"] = 1e15
    tcg_host.values = fast
    small = count_events(scaled(1), tcg_host)
    large = count_events(scaled(16_384), tcg_host)
    assert large <= 2 * small


def test_idle_background_syncs_cost_no_events(tcg_host, count_events):
    idle = scenario("autoconverge", ram=64 * GIB, ws=0, bw=1000)
    long = scenario("autoconverge", ram=1024 * GIB, ws=0, bw=1000)
    assert count_events(long, tcg_host) <= count_events(idle, tcg_host) + 5


def test_draws_are_reproducible_and_nominal_draws_nothing(tcg_profile):
    described = scenario("autoconverge")
    first = predict(described, tcg_profile, draws=8, seed=3)
    again = predict(described, tcg_profile, draws=8, seed=3)
    other = predict(described, tcg_profile, draws=8, seed=4)
    assert first == again
    assert first.quantities != other.quantities
    nominal = simulate(described, draw_host(tcg_profile)).outcome
    assert first.trace.outcome == nominal


def test_more_vcpus_than_cpus_slow_each_other(tcg_profile):
    tcg_profile = with_values(tcg_profile, {"memory_pages_per_s": 1e9})
    one = predict(scenario("pause", after=1), tcg_profile, draws=0)
    four = predict(scenario("pause", after=1, vcpus=4), tcg_profile, draws=0)
    name = "guest_before_ms_per_gib"
    ratio = four.quantities[name].nominal / one.quantities[name].nominal
    assert ratio == pytest.approx(2.0, rel=0.05)  # four threads on two CPUs


def test_a_broken_profile_is_named(tcg_profile):
    parameters = dict(tcg_profile.parameters)
    del parameters["stop_s"]
    broken = msgspec.structs.replace(tcg_profile, parameters=parameters)
    with pytest.raises(InputError, match="stop_s"):
        predict(scenario(), broken)


def test_with_11_1_the_last_sync_begins_no_pass(tcg_host):
    old, new = (
        simulate(scenario(rate=10_000.0, version=version), tcg_host)
        for version in ("10.0", "11.1")
    )
    assert new.outcome.passes == old.outcome.passes - 1
    assert new.outcome.bytes_sent == pytest.approx(old.outcome.bytes_sent)
    assert len(new.rounds) == len(old.rounds) - 1


def test_a_sweep_that_follows_the_stream_does_not_wait_for_round_trips(tcg_profile):
    """What it asks for is on its way already: it goes at the link's pace."""
    link = Link(
        transport="tcp", bandwidth_bytes_per_s=6.25e7, rtt_s=0.02, scope="two-hosts"
    )
    profile = with_values(tcg_profile, {"fault_s": 1e-6})
    far = msgspec.structs.replace(scenario("postcopy", bw=0, after=1), link=link)
    quantities = predict(far, profile, draws=0).quantities
    ms_per_gib = quantities["guest_postcopy_ms_per_gib"].nominal
    assert ms_per_gib == pytest.approx(GIB / 6.25e7 * 1e3, rel=0.1)


def test_no_window_has_more_than_the_limit_whatever_kinds_of_pages_it_sends(
    monkeypatch, tcg_host
):
    """Zero pages behind others stop at the limit, too, though alone they never would.

    They come as slowly here as a window of them allows.
    """
    windows = []
    judge = Stream._judge_window

    def watch(self, sent_bytes, seconds, plan):
        windows.append(sent_bytes)
        judge(self, sent_bytes, seconds, plan)

    monkeypatch.setattr(Stream, "_judge_window", watch)
    slow = replace(tcg_host, values={**tcg_host.values, "zero_page_source_s": 7e-7})
    scenario = Scenario(
        guest=Guest(ram_bytes=256 * MIB),
        workload=Workload(working_set_bytes=200 * PAGE_BYTES),
        policy=Policy(parameters={"max-bandwidth": 12_500_000, "downtime-limit": 10}),
        limits=Limits(max_time_s=2.0),
    )
    simulate(scenario, slow)
    flush = wire.FLUSH_PAGES * wire.NORMAL_PAGE_BYTES
    assert windows
    assert max(windows) <= 1_250_000 + flush
