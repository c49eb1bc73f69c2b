"""Raise a QEMU parameter in steps: downtime tuning and bandwidth tuning."""

from __future__ import annotations

from migmodel.managers.after_passes import POLL_INTERVAL_S
from migmodel.records.policy import DEFAULT_RISE, Tuning
from migmodel.records.status import Action, MigrationStatus, SetParameters


class Tune:
    """Set the next value at the first poll after each interval, while it is active.

    Parameters
    ----------
    parameter : str
        QEMU's name of it, e.g. downtime-limit.
    first : int
        Its value at the start, in QEMU's unit.
    tuning : Tuning
        Up to where, in how many steps, how often.
    """

    def __init__(
        self,
        parameter: str,
        first: int,
        tuning: Tuning,
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        self.poll_interval_s = poll_interval_s
        self._parameter = parameter
        self._first = first
        self._last = tuning.maximum or first * DEFAULT_RISE
        self._tuning = tuning
        self._done = 0
        self.deadline_s: float | None = tuning.interval_s

    def value(self, step: int) -> int:
        """The parameter after so many steps."""
        rise = (self._last - self._first) * step / self._tuning.steps
        return round(self._first + rise)

    def decide(self, status: MigrationStatus) -> list[Action]:
        """Set what is due, once; nothing once post-copy has begun."""
        if status.status != "active":
            return []
        due = min(int(status.elapsed_s / self._tuning.interval_s), self._tuning.steps)
        if due <= self._done:
            return []
        self._done = due
        over = due >= self._tuning.steps
        self.deadline_s = None if over else (due + 1) * self._tuning.interval_s
        return [SetParameters(parameters={self._parameter: self.value(due)})]
