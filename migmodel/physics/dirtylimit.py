"""Dirty-limit: how long a vCPU sleeps each time its dirty ring is full.

Source: QEMU 10.0 system/dirtylimit.c (dirtylimit_vcpu_set_quota,
dirtylimit_adjust_throttle, dirtylimit_set_throttle).
"""

from __future__ import annotations

from migmodel.units import MIB, PAGE_BYTES

TOLERANCE_MIB_PER_S = 25.0  # nearer to its quota a vCPU is left as it is
LINEAR_PERCENT = 50.0  # further from it the sleep is set in proportion
MAX_PERCENT = 99.0


def ring_full_time_s(ring_entries: int, fastest_mib_per_s: float) -> float:
    """Time in which a vCPU at its fastest fills its ring [s]."""
    return ring_entries * PAGE_BYTES / MIB / fastest_mib_per_s


def next_sleep_s(
    sleep_s: float, quota_mib_per_s: float, now_mib_per_s: float, full_s: float
) -> float:
    """Sleep at each full ring after one more look [s].

    Parameters
    ----------
    sleep_s : float
        The sleep until now.
    quota_mib_per_s, now_mib_per_s : float
        What the vCPU may dirty, and what it did.
    full_s : float
        `ring_full_time_s` with the fastest rate seen so far.
    """
    quota, now = quota_mib_per_s, now_mib_per_s
    if abs(quota - now) <= TOLERANCE_MIB_PER_S:
        return sleep_s
    larger = max(quota, now)
    percent = abs(quota - now) * 100 / larger
    if percent > LINEAR_PERCENT:
        change = full_s * percent / (100 - percent) if percent < 100 else full_s
    else:
        change = full_s / 10
    sleep = sleep_s + (change if now > quota else -change)
    return min(max(sleep, 0.0), full_s * MAX_PERCENT)
