"""What happened when, read from the raw recording, on the Trace's clock."""

from __future__ import annotations

from typing import Any

import msgspec

from migmodel.managers.passes import PassCounter
from migmodel.records.measurement import Raw
from migmodel.records.trace import Event, Phases
from migmodel.units import PAGE_BYTES, US_PER_S

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
    counts_iterates : bool
        QEMU's dirty-sync-count is no count of passes: they are counted by what was
        sent.
    """

    def __init__(self, raw: Raw, counts_iterates: bool = False) -> None:
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
        self._before_s: float | None = None
        if raw.prepared_s is not None:
            self._before_s = raw.prepared_s - raw.started_s
        self._counted: list[int] | None = None
        if counts_iterates:
            self._counted = _counted_passes([reply for _, reply in self.samples])

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
    def pass_numbers(self) -> list[int]:
        """Which pass each sample lies in: dirty-sync-count, or the own count."""
        if self._counted is not None:
            return self._counted
        return [reply["ram"].get("dirty-sync-count", 0) for _, reply in self.samples]

    @property
    def passes(self) -> list[tuple[int, float]]:
        """Number and start [s] of every pass: the syncs since the start.

        With the own count, which comes from samples, the first sample in the pass.
        """
        if self._counted is not None:
            starts: dict[int, float] = {}
            for number, (at_s, _) in zip(self._counted, self.samples, strict=True):
                starts.setdefault(number, at_s if starts else 0.0)
            return list(starts.items())
        return [
            (int(it.data["pass"]), it.time_s)
            for it in self.happenings
            if it.side == "source" and it.name == "MIGRATION_PASS"
        ]

    @property
    def switched(self) -> bool:
        """Whether the guest went over: also if post-copy was not recovered."""
        return self.status in ("completed", "postcopy-paused")

    def phases(self) -> Phases:
        """When the guest stopped, ran again, and all was over."""
        before_s, end_s = self._before_s, self._end_s()
        if not self.switched:
            return Phases(before_s=before_s, end_s=end_s)
        stop_s = self.first("source", "STOP")
        resume_s = self.first("destination", "RESUME", after_s=stop_s or 0.0)
        return Phases(before_s=before_s, stop_s=stop_s, resume_s=resume_s, end_s=end_s)

    def _end_s(self) -> float:
        if self.cancel is not None:
            return self.cancel.time_s
        if self.status is not None:
            ended_s = self.first("source", "MIGRATION", status=self.status)
            final = ("completed", "failed", "postcopy-paused")
            if self.status in final and ended_s is not None:
                return ended_s
        return max(self._last_s, 0.0)

    def events(self) -> list[Event]:
        """Events of the Trace: of the migration, and what managers did."""
        return [event for event in map(_event, self.happenings) if event is not None]


def see_passes(passes: PassCounter, ram: dict[str, Any]) -> int:
    """Show a counter the ram section of query-migrate; the pass that is running."""
    return passes.see(
        ram["normal"] + ram["duplicate"],
        ram["remaining"] / PAGE_BYTES,
        ram["total"] / PAGE_BYTES,
    )


def _counted_passes(replies: list[dict[str, Any]]) -> list[int]:
    """The sync when the guest stops counts, as it does in QEMU's own count."""
    passes, last = PassCounter(), None
    numbers = []
    for reply in replies:
        if reply["status"] == "active":
            last = see_passes(passes, reply["ram"])
            numbers.append(last)
        else:
            numbers.append((last or 0) + 1)
    return numbers


def _happening(raw: Raw, arrived_s: float, side: str, event: Any) -> Happening:
    time_s = arrived_s
    stamp = event.get("timestamp")
    if stamp and stamp["seconds"] >= 0:  # QEMU writes -1 when its clock fails
        real_s = stamp["seconds"] + stamp["microseconds"] / US_PER_S
        clock = raw.destination_clock if side == "destination" else None
        time_s = real_s - (clock.offset_s if clock else raw.realtime_offset_s)
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
