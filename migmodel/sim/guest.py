"""The guest in the simulation: threads that write, and how fast they can."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np

from migmodel.physics.dirtying import (
    random_fraction,
    random_writes_in,
    swept_fraction,
)
from migmodel.records.scenario import Pattern
from migmodel.sim.memory import Array, Memory, Renewal


@dataclass(slots=True)
class Sweeper:
    """One thread, sweeping its share of the working set for ever.

    Attributes
    ----------
    share_pages : float
        Size of its share.
    pace_pps : float or None
        Pages/s that it keeps to; None is full speed.
    written : float
        Pages written since the start: its unwrapped position.
    owed : float
        Where a paced thread should be by its clock; it catches up when it can.
    armed : float
        Position at the last re-protection: one sweep on from there, every page costs
        a first-write fault.
    """

    share_pages: float
    pace_pps: float | None
    written: float
    owed: float = 0.0
    armed: float = 0.0
    starts: Array = field(default_factory=lambda: np.empty(0))
    lengths: Array = field(default_factory=lambda: np.empty(0))

    def first_sweep(
        self, run_s: float, page_s: float, first_write_s: float
    ) -> tuple[float, float]:
        """Pages that cost a first write in a run of `run_s`, and their share of it.

        Of a paced thread (0, 0): its pace hides where in the run they are.
        """
        left = max(self.armed + self.share_pages - self.written, 0.0)
        if self.pace_pps is not None or left <= 0 or run_s <= 0:
            return 0.0, 0.0
        pages = min(left, run_s / (page_s + first_write_s))
        return pages, min(pages * (page_s + first_write_s) / run_s, 1.0)

    def advance(
        self,
        seconds: float,
        run_s: float,
        page_s: float,
        first_write_s: float,
        asleep_s: float = 0.0,
    ) -> float:
        """Run for a while; pages written.

        Parameters
        ----------
        seconds : float
            Time that passes on the thread's clock [s].
        run_s : float
            How long of it the thread is let run [s].
        page_s : float
            Time for a page while it runs [s].
        first_write_s : float
            Extra time for the first write to a protected page [s].
        asleep_s : float
            How long it has been asleep at the end; it cannot keep its pace there [s].
        """
        begin = self.written
        reach = begin + self._pages_in(run_s, page_s, first_write_s)
        if self.pace_pps is None:
            self.written = reach
        else:
            # Its pace sets a goal; what it was kept from it catches up.
            self.owed += self.pace_pps * seconds
            due = max(self.owed - self.pace_pps * asleep_s, begin)
            self.written = min(due, reach)
        return self.written - begin

    def _pages_in(self, run_s: float, page_s: float, first_write_s: float) -> float:
        """Pages that it writes at full speed in a run of `run_s`."""
        slow_s = page_s + first_write_s
        slow_left = max(self.armed + self.share_pages - self.written, 0.0)
        slow = min(slow_left, run_s / slow_s)
        return slow + max(run_s - slow * slow_s, 0.0) / page_s

    def fraction(self, since: Array | float, until: Array | float) -> Array:
        """Of each segment of its share, what it wrote between two positions."""
        return swept_fraction(self.starts, self.lengths, self.share_pages, since, until)

    def dirtied(self, lazy: Renewal) -> Array:
        """Of each segment's unset pages, those written since a lazy renewal."""
        since = np.where(lazy.was_set > 0.5, lazy.at, 0.0)
        return self.fraction(
            self.armed + (self.written - self.armed) * since, self.written
        )


class RandomWriter(Sweeper):
    """One thread that writes any page of its share next, all equally likely."""

    __slots__ = ()

    def first_sweep(
        self, run_s: float, page_s: float, first_write_s: float
    ) -> tuple[float, float]:
        """As many writes as a sweep has, in which most first writes are."""
        left = max(self.armed + self.share_pages - self.written, 0.0)
        if self.pace_pps is not None or left <= 0 or run_s <= 0:
            return 0.0, 0.0
        pages = min(left, self._pages_in(run_s, page_s, first_write_s))
        before = self.written - self.armed
        first = self.share_pages * float(
            random_fraction(before + pages, self.share_pages)
            - random_fraction(before, self.share_pages)
        )
        return pages, min((pages * page_s + first * first_write_s) / run_s, 1.0)

    def _pages_in(self, run_s: float, page_s: float, first_write_s: float) -> float:
        before = max(self.written - self.armed, 0.0)
        return random_writes_in(run_s, page_s, first_write_s, self.share_pages, before)

    def fraction(self, since: Array | float, until: Array | float) -> Array:
        """All its segments are alike."""
        one = random_fraction(np.asarray(until) - since, self.share_pages)
        return np.broadcast_to(one, self.lengths.shape)

    def dirtied(self, lazy: Renewal) -> Array:
        """Pages that were sent and others lie mixed in a segment."""
        walked = self.written - self.armed
        sent = np.maximum(lazy.was_set - lazy.still_set, 0.0)
        again = sent * self.fraction(self.armed + walked * lazy.at, self.written)
        newly = (1 - lazy.was_set) * self.fraction(self.armed, self.written)
        dirtied: Array = (again + newly) / np.maximum(1 - lazy.still_set, 1e-9)
        return np.minimum(dirtied, 1.0)


_WRITERS = {"sweep": Sweeper, "random": RandomWriter}


def make_sweepers(
    memory: Memory,
    pace_pps: float | None,
    phases: list[float],
    pattern: Pattern = "sweep",
) -> list[Sweeper]:
    """Threads for the shares of a memory.

    Parameters
    ----------
    memory : Memory
        Knows which segments are whose.
    pace_pps : float or None
        Pace of all threads together [pages/s].
    phases : list of float
        Where in its share each thread is at first, 0 to 1.
    pattern : {'sweep', 'random'}
        Which page comes next.
    """
    sweepers = []
    for vcpu, share in sorted(memory.shares.items()):
        lengths = memory.length[share]
        pages = float(lengths.sum())
        pace = None if pace_pps is None else pace_pps / len(memory.shares)
        position = phases[vcpu % len(phases)] * pages
        sweepers.append(
            _WRITERS[pattern](
                share_pages=pages,
                pace_pps=pace,
                written=position,
                owed=position,
                armed=position - pages,
                starts=lengths.cumsum() - lengths,
                lengths=lengths,
            )
        )
    return sweepers


def collect_dirty(memory: Memory, sweepers: list[Sweeper]) -> float:
    """Merge what was written since the last sync and protect again; new pages."""
    new_pages = _merge(memory, sweepers)
    for sweeper in sweepers:
        sweeper.armed = sweeper.written
    return new_pages


def count_dirty(memory: Memory, sweepers: list[Sweeper]) -> float:
    """Pages that a sync would find now, with nothing merged or protected."""
    trial = copy.deepcopy(memory)
    trial.settle()
    return _merge(trial, sweepers)


def _merge(memory: Memory, sweepers: list[Sweeper]) -> float:
    new_pages = 0.0
    for vcpu, sweeper in enumerate(sweepers):
        lazy = memory.renewal(vcpu)
        if lazy is None:
            written = sweeper.fraction(sweeper.armed, sweeper.written)
        else:
            written = sweeper.dirtied(lazy)
        new_pages += memory.merge(vcpu, written)
    return new_pages
