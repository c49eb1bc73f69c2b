"""Auto-converge's rules."""

from __future__ import annotations

import itertools

import pytest

from migmodel.physics.throttle import ThrottleRule, exceeds, next_percent, run_share

RULE = ThrottleRule(50, 20, 10, 99, tailslow=False, hits=2)


def test_steps_of_qemus_defaults():
    percents = list(
        itertools.accumulate(range(10), lambda p, _: next_percent(RULE, p, 1, 0))
    )
    assert percents == [0, 20, 30, 40, 50, 60, 70, 80, 90, 99]


def test_more_than_half_of_what_was_sent_is_a_hit():
    assert not exceeds(RULE, dirty_pages=100, sent_bytes=2 * 100 * 4096)
    assert exceeds(RULE, dirty_pages=101, sent_bytes=2 * 100 * 4096)


def test_tailslow_steps_less_the_nearer_it_is():
    slow = ThrottleRule(50, 20, 10, 99, tailslow=True, hits=2)
    # Dirties 1.1 times the limit: 80 % of CPU left, 72 would do: a step of 8, not 10.
    sent = 2 * 4096 * 1000
    assert next_percent(slow, 20, dirty_pages=1100, sent_bytes=sent) == 28
    assert next_percent(slow, 20, dirty_pages=5000, sent_bytes=sent) == 30


@pytest.mark.parametrize("percent", [1, 20, 50, 80, 99])
def test_share_is_what_is_left(percent):
    assert run_share(percent) == pytest.approx(1 - percent / 100)
    assert run_share(percent, 1e-4) < run_share(percent)


def test_no_throttle_no_loss():
    assert run_share(0, 1e-3) == 1.0
