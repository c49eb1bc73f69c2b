"""A sweeping thread: what it has written when somebody looks."""

from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest

from migmodel.errors import InputError
from migmodel.records import Guest, Outcome, Phases, Policy, Scenario, Workload
from migmodel.records.scenario import Pattern
from migmodel.sim.guest import RandomWriter, Sweeper
from migmodel.sim.machine import lay_out
from migmodel.sim.recorder import Recorder
from migmodel.sim.simulate import simulate
from migmodel.sim.throttle_clock import ThrottleClock

PACE_PPS = 40_000.0
PAGE_S = 1e-6


def paced() -> Sweeper:
    return Sweeper(share_pages=1e6, pace_pps=PACE_PPS, written=0.0)


def test_an_undisturbed_thread_keeps_its_pace() -> None:
    assert paced().advance(0.5, 0.5, PAGE_S, 0.0) == pytest.approx(20_000)


def test_a_sleeper_has_written_what_was_due_when_it_fell_asleep() -> None:
    thread = paced()
    # 0.1 s awake, then 0.4 s asleep; it catches up with the first run time after.
    assert thread.advance(0.5, 0.1, PAGE_S, 0.0, 0.4) == pytest.approx(4_000)
    assert thread.advance(0.02, 0.02, PAGE_S, 0.0) == pytest.approx(16_800)


def test_looking_often_or_seldom_is_the_same() -> None:
    """A throttled, paced thread's position does not hang on who looked meanwhile."""
    ends = []
    for looks in (1, 7, 1000):
        clock = ThrottleClock(0.0)
        clock.set_percent(90, 0.0)
        thread, now = paced(), 0.0
        for look in range(1, looks + 1):
            then = 1.234 * look / looks
            run_s = clock.run_time(now, then)
            asleep_s = clock.asleep_for(then)
            thread.advance(then - now, run_s, PAGE_S, 0.0, asleep_s)
            now = then
        ends.append(thread.written)
    assert ends == pytest.approx([ends[0]] * 3)


def test_asleep_is_counted_from_where_the_sleep_began() -> None:
    clock = ThrottleClock(0.0)
    assert clock.asleep_for(5.0) == 0.0
    clock.set_percent(80, 1.0)  # sleeps 40 ms of each 50 ms
    assert clock.asleep_for(1.01) == pytest.approx(0.01)
    assert clock.asleep_for(1.045) == 0.0
    assert clock.asleep_for(1.06) == pytest.approx(0.01)
    clock.set_percent(99, 1.06)  # from the next tick on
    assert clock.asleep_for(1.08) == pytest.approx(0.03)
    assert clock.asleep_for(1.30) == pytest.approx(0.2)


def test_a_throttled_thread_reports_no_less_than_a_turn() -> None:
    """As the stress guest does: its line comes after the sleep, not in it."""
    recorder = Recorder(1, detailed=True)
    for turn in range(4):
        recorder.work(0, turn + 0.0, turn + 0.1, 5000.0, turn_s=1.0)
        recorder.work(0, turn + 0.1, turn + 1.0, 3.0, turn_s=1.0)
    guest = recorder.trace(Outcome(verdict="completed"), Phases(end_s=4.0)).guest
    lasting = [
        end - start for start, end in zip(guest.start_s, guest.end_s, strict=True)
    ]
    assert min(lasting) >= 0.99
    assert sum(guest.pages) == pytest.approx(4 * 5003)
    assert min(guest.pages) >= 5000


def test_a_sleeps_rest_before_the_switch_is_no_unit_of_its_own() -> None:
    recorder = Recorder(1, detailed=True)
    recorder.work(0, 0.0, 0.2, 5000.0, turn_s=0.2)
    recorder.work(0, 0.2, 0.4, 6000.0, turn_s=0.2)
    recorder.work(0, 0.4, 0.5, 1.0, turn_s=0.2)
    recorder.work(0, 0.5, 0.6, 0.0, gap_s=0.1)
    guest = recorder.trace(Outcome(verdict="completed"), Phases(end_s=0.6)).guest
    assert guest.end_s[-2:] == [0.5, 0.6]
    assert guest.pages[-2:] == [6001.0, 0.0]


def test_zeros_held_still_are_zero_memory() -> None:
    def pages(content: str) -> float:
        scenario = Scenario(
            guest=Guest(ram_bytes=256 << 20),
            workload=Workload(
                working_set_bytes=8 << 20,
                still_bytes=64 << 20,
                content=content,  # type: ignore[arg-type]
            ),
        )
        return sum(part.pages for part in lay_out(scenario) if part.zero)

    assert pages("zero") - pages("random") == pytest.approx((64 + 8) * 256)


def random_scenario(pattern: Pattern = "random") -> Scenario:
    return Scenario(
        guest=Guest(ram_bytes=2 << 30),
        workload=Workload(working_set_bytes=1 << 30, rate_pps=5000.0, pattern=pattern),
        policy=Policy(parameters={"max-bandwidth": 100 << 20, "downtime-limit": 50}),
    )


@pytest.mark.parametrize("lazily", [False, True])
def test_random_writes_leave_what_chance_leaves(tcg_host, lazily: bool) -> None:
    """The second pass has 1 - exp(-writes / pages) of the share, whoever protects."""
    host = replace(tcg_host, lazy_protection=lazily)
    rounds = simulate(random_scenario(), host).rounds
    first, second = rounds[0], rounds[1]
    pages = (1 << 30) / 4096
    # With lazy renewal the share's chunk is walked from the pass's begin on.
    seconds = first.end_s - first.start_s
    expected = -math.expm1(-5000.0 * seconds / pages) * pages * 4096
    assert second.pending_bytes == pytest.approx(expected, rel=0.06)


def test_random_writes_dirty_less_than_a_sweep_of_the_same_rate(tcg_host) -> None:
    def second(pattern: Pattern) -> float:
        trace = simulate(random_scenario(pattern), tcg_host)
        return trace.rounds[1].pending_bytes

    assert second("random") < second("sweep")


def test_a_random_writer_meets_fewer_first_writes_the_more_it_has_written() -> None:
    thread = RandomWriter(share_pages=1000.0, pace_pps=None, written=0.0)
    early = thread.advance(0.001, 0.001, 1e-6, 9e-6)
    thread.written = 10_000.0
    late = thread.advance(0.001, 0.001, 1e-6, 9e-6)
    assert early < 150
    assert late == pytest.approx(1000, rel=0.01)


def test_random_writes_with_a_small_xbzrle_cache_are_refused(tcg_host) -> None:
    scenario = random_scenario()
    policy = Policy(technique="xbzrle", parameters={"xbzrle-cache-size": 64 << 20})
    scenario = msgspec.structs.replace(scenario, policy=policy)
    with pytest.raises(InputError, match="room for the working set"):
        simulate(scenario, tcg_host)


def test_a_cache_with_room_finds_what_random_writers_change_a_little(tcg_host) -> None:
    plain = random_scenario()
    workload = msgspec.structs.replace(
        plain.workload, content="delta", delta_bytes=64, rate_pps=20_000.0
    )
    plain = msgspec.structs.replace(plain, workload=workload)
    parameters = {**plain.policy.parameters, "xbzrle-cache-size": 1 << 30}
    policy = Policy(technique="xbzrle", parameters=parameters)
    cached = simulate(msgspec.structs.replace(plain, policy=policy), tcg_host).outcome
    without = simulate(plain, tcg_host).outcome
    assert cached.xbzrle_pages is not None
    assert cached.xbzrle_pages > 10_000
    assert cached.verdict == "completed"
    assert without.verdict == "never" or without.bytes_sent > cached.bytes_sent
