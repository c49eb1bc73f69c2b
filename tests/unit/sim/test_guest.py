"""A sweeping thread: what it has written when somebody looks."""

from __future__ import annotations

import pytest

from migmodel.errors import InputError
from migmodel.records import Guest, Outcome, Phases, Policy, Scenario, Workload
from migmodel.sim.guest import Sweeper
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


def test_what_is_not_modelled_is_refused(tcg_host) -> None:
    scenario = Scenario(
        guest=Guest(ram_bytes=256 << 20),
        workload=Workload(working_set_bytes=8 << 20),
        policy=Policy(technique="compress", parameters={"compress-wait-thread": False}),
        qemu_version="9.0",
    )
    with pytest.raises(InputError, match="compress-wait-thread"):
        simulate(scenario, tcg_host)
