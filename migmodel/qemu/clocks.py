"""The other host's clock, read through a channel that takes its time."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from migmodel.records.clock import ClockOffset

ROUNDS = 20


class Reading(NamedTuple):
    """One question for the time [s]."""

    sent_s: float
    there_s: float
    answered_s: float

    @property
    def round_trip_s(self) -> float:
        """From question to answer."""
        return self.answered_s - self.sent_s

    @property
    def offset_s(self) -> float:
        """The other clock minus ours, if it was read half-way."""
        return self.there_s - (self.sent_s + self.answered_s) / 2


def read_clock(ask: Callable[[], Reading], rounds: int = ROUNDS) -> Reading:
    """Ask several times; the quickest answer tells most."""
    return min((ask() for _ in range(rounds)), key=lambda it: it.round_trip_s)


def clock_offset(before: Reading, after: Reading, rounds: int) -> ClockOffset:
    """Offset over a run, of the best readings before and after it."""
    drift_s = after.offset_s - before.offset_s
    longest_s = max(before.round_trip_s, after.round_trip_s)
    return ClockOffset(
        offset_s=(before.offset_s + after.offset_s) / 2,
        uncertainty_s=longest_s / 2 + abs(drift_s) / 2,
        round_trip_s=min(before.round_trip_s, after.round_trip_s),
        drift_s=drift_s,
        rounds=rounds,
    )
