"""The turns of a throttled guest, and what they cost it."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from migmodel.sim.throttle_clock import ThrottleClock

SLEEP_EXTRA_S, LINE_S = 0.3e-3, 1.5e-3


def run_a_turn_s(clock: ThrottleClock, percent: float) -> float:
    clock.set_percent(0.0, 0.0)
    clock.set_percent(percent, 0.0)
    turn_s = clock.turn_s
    return clock.run_time(0.0, turn_s)


@pytest.mark.parametrize(
    ("percent", "lines"),
    [(50, 20 / 75), (80, 50 / 75), (90, 1.0), (99, 1.0)],
)
def test_short_turns_have_a_console_line_each(percent, lines):
    """One a 75 ms; those of 10 ms of work without a throttle are in its pages' time."""
    run_s = run_a_turn_s(ThrottleClock(SLEEP_EXTRA_S, LINE_S), percent)
    lost_s = SLEEP_EXTRA_S + (lines - 10 / 75) * LINE_S
    assert run_s == pytest.approx(0.01 - lost_s, rel=1e-6)


def test_luck_is_asked_at_each_level_and_never_makes_a_sleep_negative():
    asked = []

    def luck() -> float:
        asked.append(1)
        return 1.5

    clock = ThrottleClock(0.0, 0.0, luck)
    assert run_a_turn_s(clock, 50) == pytest.approx(0.015, rel=1e-6)
    clock.set_percent(1, 0.0)
    assert clock.run_share == 1.0
    assert len(asked) == 2


MORE_S = (2e-3, -1e-3, 0.0, -3e-3)


@pytest.fixture
def uneven() -> ThrottleClock:
    clock = ThrottleClock(0.0, turns_luck=lambda: MORE_S)
    clock.set_percent(50, 0.0)
    return clock


def test_turns_differ_and_come_again(uneven):
    turn_s = uneven.turn_s
    runs = [uneven.run_time(k * turn_s, (k + 1) * turn_s) for k in range(8)]
    assert runs == pytest.approx([0.01 + more for more in MORE_S * 2])


@pytest.mark.parametrize("percent", [50, 90])
def test_running_time_adds_up_and_is_all_awake(percent):
    clock = ThrottleClock(0.0, turns_luck=lambda: MORE_S)
    clock.set_percent(percent, 0.0)
    times = np.linspace(0.0, 9.7 * clock.turn_s, 2003)
    steps = [clock.run_time(a, b) for a, b in pairwise(times)]
    assert sum(steps) == pytest.approx(clock.run_time(0.0, times[-1]))
    for begin, step, end in zip(times, steps, times[1:], strict=False):
        if clock.awake_from(begin) >= end:
            assert step == pytest.approx(0.0, abs=1e-12)
        elif clock.asleep_for(begin) == clock.asleep_for(end) == 0:
            assert step <= (end - begin) * (1 + 1e-9)
