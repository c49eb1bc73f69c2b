"""What happened when, read from the raw recording, on the Trace's clock."""

from __future__ import annotations

from typing import Any

import msgspec

from migmodel.records.measurement import Raw
from migmodel.records.trace import Event, Phases
from migmodel.units import US_PER_S

_MANAGER = "MANAGER"


class Happening(msgspec.Struct, frozen=True):
    """One event of one side, in seconds since the migrate command."""

    time_s: float
    side: str
    name: str
    data: dict[str, Any] = {}


class Story:
    """The course of one migration.

    Parameters
    ----------
    raw : Raw
        What was recorded.
    """

    def __init__(self, raw: Raw) -> None:
        happenings = [_happening(raw, *event) for event in raw.events]
        self.happenings = sorted(happenings, key=lambda it: it.time_s)
        replies = [
            (answered_s - raw.started_s, reply)
            for _, answered_s, reply in raw.queries
            if reply.get("status") != "none"
        ]
        self.samples = [(at, it) for at, it in replies if "ram" in it]
        self.status: str | None = replies[-1][1]["status"] if replies else None
        self.last_reply: dict[str, Any] = replies[-1][1] if replies else {}
        self._last_s = replies[-1][0] if replies else 0.0

    def first(
        self, side: str, name: str, *, after_s: float = 0.0, status: str | None = None
    ) -> float | None:
        """Time of the first such event [s]; None when there is none."""
        for it in self.happenings:
            if (it.side, it.name) != (side, name) or it.time_s < after_s:
                continue
            if status is None or it.data.get("status") == status:
                return it.time_s
        return None

    @property
    def cancel(self) -> Happening | None:
        """The manager's cancel, if it came to that."""
        if self.status != "cancelled":
            return None
        cancels = [it for it in self.happenings if it.name == "Cancel"]
        return cancels[-1] if cancels else None

    @property
    def passes(self) -> list[tuple[int, float]]:
        """dirty-sync-count and time [s] of every bitmap sync since the start."""
        return [
            (int(it.data["pass"]), it.time_s)
            for it in self.happenings
            if it.side == "source" and it.name == "MIGRATION_PASS"
        ]

    def phases(self) -> Phases:
        """When the guest stopped, ran again, and all was over."""
        end_s = self._end_s()
        if self.status != "completed":
            return Phases(end_s=end_s)
        stop_s = self.first("source", "STOP")
        resume_s = self.first("destination", "RESUME", after_s=stop_s or 0.0)
        return Phases(stop_s=stop_s, resume_s=resume_s, end_s=end_s)

    def _end_s(self) -> float:
        if self.cancel is not None:
            return self.cancel.time_s
        if self.status is not None:
            ended_s = self.first("source", "MIGRATION", status=self.status)
            if self.status in ("completed", "failed") and ended_s is not None:
                return ended_s
        return max(self._last_s, 0.0)

    def events(self) -> list[Event]:
        """Events of the Trace: of the migration, and what managers did."""
        return [event for event in map(_event, self.happenings) if event is not None]


def _happening(raw: Raw, arrived_s: float, side: str, event: Any) -> Happening:
    time_s = arrived_s
    stamp = event.get("timestamp")
    if stamp and stamp["seconds"] >= 0:  # QEMU writes -1 when its clock fails
        real_s = stamp["seconds"] + stamp["microseconds"] / US_PER_S
        time_s = real_s - raw.realtime_offset_s
    return Happening(
        time_s - raw.started_s, side, event.get("event", ""), event.get("data", {})
    )


def _event(it: Happening) -> Event | None:
    if it.time_s < 0:
        return None
    if it.side == "driver":
        detail = " ".join([it.name, *map(str, it.data.values())])
        return Event(time_s=it.time_s, name=_MANAGER, detail=detail)
    if it.name in ("STOP", "RESUME"):
        return Event(time_s=it.time_s, name=it.name, detail=it.side)
    if it.side != "source":
        return None
    if it.name == "MIGRATION":
        return Event(time_s=it.time_s, name=it.name, detail=it.data["status"])
    if it.name == "MIGRATION_PASS":
        return Event(time_s=it.time_s, name=it.name, detail=str(it.data["pass"]))
    return None
