"""Seeing that a migration will never end."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from migmodel.sim.stream import Stream

# When so many syncs find no less than as many before them, with nothing left that could
# change it and the threshold out of reach, it will be so for ever.
SYNCS = 8
TOLERANCE = 0.02
QUIET_S = 5.0
NEAR_THRESHOLD = 1.5
PATIENCE_SYNCS = 300  # near the threshold: luck has had its chances


class SyncMark(NamedTuple):
    """How things stood at a sync; `counts` are the stream's."""

    time_s: float
    pending_bytes: float
    counts: tuple[float, ...]
    sync_count: int
    throttle: float
    hits: int


class Cycle(NamedTuple):
    """What repeats itself for ever."""

    seconds: float
    counts: tuple[float, ...]
    syncs: int

    def repeat(self, stream: Stream, times: float) -> None:
        """Add to the stream's counts what so many cycles add."""
        now = counts_of(stream)
        grown = [at + times * more for at, more in zip(now, self.counts, strict=True)]
        for name, value in zip(_STREAM_COUNTS, grown, strict=False):
            setattr(stream, name, value)
        stream.tally.set_counts(grown[len(_STREAM_COUNTS) :])


_STREAM_COUNTS = ("sent_bytes", "source_cpu_s", "destination_cpu_s")


def counts_of(stream: Stream) -> tuple[float, ...]:
    """Everything about a stream that adds up."""
    own = (getattr(stream, name) for name in _STREAM_COUNTS)
    return (*own, *stream.tally.counts)


class Steady:
    """Watches the syncs of a migration (Eq M10)."""

    def __init__(self) -> None:
        self._marks: list[SyncMark] = []

    def forget(self) -> None:
        """Begin anew."""
        self._marks.clear()

    def certain(
        self, mark: SyncMark, threshold_bytes: float, *, can_step: bool
    ) -> bool:
        """Note a sync; whether it is certain now that nothing will change."""
        self._marks.append(mark)
        recent = self._marks[-2 * SYNCS :]
        if len(recent) < 2 * SYNCS:
            return False
        first = recent[0]
        older = min(each.pending_bytes for each in recent[:SYNCS])
        newer = min(each.pending_bytes for each in recent[SYNCS:])
        quiet = first.throttle == mark.throttle
        if can_step:
            # Long enough for auto-converge to have judged several periods.
            quiet = quiet and first.hits == mark.hits
            quiet = quiet and mark.time_s - first.time_s > QUIET_S
        far = newer > NEAR_THRESHOLD * threshold_bytes
        steady = newer >= older * (1 - TOLERANCE)
        return quiet and ((steady and far) or len(self._marks) >= PATIENCE_SYNCS)

    @property
    def cycle(self) -> Cycle:
        """The last syncs, as what repeats itself."""
        first, last = self._marks[-SYNCS], self._marks[-1]
        return Cycle(
            last.time_s - first.time_s,
            tuple(b - a for a, b in zip(first.counts, last.counts, strict=True)),
            last.sync_count - first.sync_count,
        )
