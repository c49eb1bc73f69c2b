"""How far two hosts' clocks are apart."""

from __future__ import annotations

from migmodel.records.base import Record


class ClockOffset(Record, frozen=True, kw_only=True):
    """The destination host's clock, asked through a channel before and after a run.

    Of several rounds the one with the shortest round trip counts: the other clock was
    read somewhere in it, at most half of it away from its middle, as in NTP (RFC 5905,
    section 8).

    Parameters
    ----------
    offset_s : float
        Real time there minus monotonic time here [s], mean of before and after.
    uncertainty_s : float
        It is at most that far off [s]: half a round trip, and half the drift.
    round_trip_s : float
        Shortest round trip [s].
    drift_s : float
        What the offset changed by over the run [s].
    rounds : int
        Rounds before and after together.
    """

    offset_s: float
    uncertainty_s: float
    round_trip_s: float
    drift_s: float
    rounds: int
