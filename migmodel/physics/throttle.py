"""Auto-converge: when it steps, how far, and what a vCPU gets.

Source: QEMU 10.0 migration/ram.c (migration_trigger_throttle,
mig_throttle_guest_down), migration/cpu-throttle.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from migmodel.units import PAGE_BYTES

TIMESLICE_S = 0.01  # run time between two sleeps
# A rate point needs more than 1000 ms since the last one, on a clock of whole ms.
PERIOD_S = 1.0005
PERIODIC_SYNC_S = 5.0
MIN_PERCENT, MAX_PERCENT = 1, 99


@dataclass(frozen=True, slots=True)
class ThrottleRule:
    """The parameters of auto-converge, in percent as QEMU has them."""

    trigger_threshold: int
    initial: int
    increment: int
    maximum: int
    tailslow: bool
    hits: int


def exceeds(rule: ThrottleRule, dirty_pages: float, sent_bytes: float) -> bool:
    """Whether a period counts as a hit: dirtied more than the threshold of sent."""
    return dirty_pages * PAGE_BYTES > sent_bytes * rule.trigger_threshold / 100


def next_percent(
    rule: ThrottleRule, percent: float, dirty_pages: float, sent_bytes: float
) -> float:
    """Throttle after one more step; 0 means that it has not begun yet."""
    if percent == 0:
        stepped: float = rule.initial
    elif not rule.tailslow:
        stepped = min(percent + rule.increment, rule.maximum)
    else:
        limit = sent_bytes * rule.trigger_threshold / 100
        now = 100 - percent
        ideal = now * limit // (dirty_pages * PAGE_BYTES)
        stepped = min(percent + min(now - ideal, rule.increment), rule.maximum)
    return min(max(stepped, MIN_PERCENT), MAX_PERCENT)


def sleep_s(percent: float) -> float:
    """Length of one sleep: slice x p/(1-p) [s]."""
    fraction = percent / 100
    return TIMESLICE_S * fraction / (1 - fraction)


def period_s(percent: float) -> float:
    """From one tick of the throttle's timer to the next: slice / (1-p) [s]."""
    return TIMESLICE_S / (1 - percent / 100)


def run_share(percent: float, sleep_extra_s: float = 0.0) -> float:
    """Share of time that a throttled vCPU runs.

    Parameters
    ----------
    percent : float
        cpu-throttle-percentage, 0 for none.
    sleep_extra_s : float
        What each sleep costs beside its length on this host: waking late, running
        cold after it [s]. A sleep that outlasts its turn does not delay the next tick.
    """
    if percent <= 0:
        return 1.0
    period = period_s(percent)
    return max(period - sleep_s(percent) - sleep_extra_s, 0.0) / period
