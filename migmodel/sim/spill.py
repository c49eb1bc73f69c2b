"""Pages that the migration thread sends itself while all that compress are busy.

That is what compress-wait-thread=off asks for (migration/ram.c, save_compress_page and
ram_save_target_page, read of QEMU 6.0 and 9.0). Equation W10 of docs/model.md.
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from migmodel.physics import wire
from migmodel.physics.cpu import Pipeline
from migmodel.physics.spill import Stage, burst_share, encoded_share
from migmodel.records import Link
from migmodel.sim.costs import Costs, PageCost, mixed_cost
from migmodel.sim.host import Host
from migmodel.sim.link_queue import LinkQueue
from migmodel.sim.machine import Machine
from migmodel.sim.memory import PageKind
from migmodel.sim.settings import Settings
from migmodel.sim.work import work_of

_STEPS = 16  # bisection: a share is right to 2**-16
_SAME = 1 - 1e-6  # of a rate


class Bound(NamedTuple):
    """What stops the stream: bytes/s, and what goes out at a time (0: a trickle)."""

    bytes_per_s: float
    burst_bytes: float


class Spill:
    """Keeps pages at what they cost when so many of them find a thread idle.

    Parameters
    ----------
    costs : Costs
        Of pages that are all compressed, when this is made.
    host, machine : Host, Machine
        Who gets which CPU.
    threads : int
        compress-threads.
    transport : str
        Of the link.
    """

    def __init__(
        self, costs: Costs, host: Host, machine: Machine, threads: int, transport: str
    ) -> None:
        self._costs = costs
        self._host = host
        self._machine = machine
        self._threads = threads
        self._transport = transport
        self._encoded: dict[int, PageCost] = {}
        self._known: dict[tuple[int, float, Bound], PageCost] = {}

    def settle(
        self,
        kind: int,
        now_s: float,
        limit_bytes_per_s: int,
        link_bytes_per_s: float,
        queue: LinkQueue | None,
    ) -> None:
        """Have pages of a kind cost what they cost as things are now.

        All that was sent before has been charged.

        Parameters
        ----------
        kind : int
            Of page.
        now_s : float
            Now [s].
        limit_bytes_per_s : int
            max-bandwidth; 0 is none.
        link_bytes_per_s : float
            What the link carries.
        queue : LinkQueue or None
            What its sockets hold.
        """
        if kind > PageKind.ZERO:
            return  # XBZRLE's own, which nobody compresses
        self._encoded.setdefault(kind, self._costs[kind])
        bound = Bound(link_bytes_per_s, 0.0)
        if queue is not None:
            queue.advance(now_s, 0.0, link_bytes_per_s)
            # Until it is full the stream goes as fast as the CPUs do.
            rate = link_bytes_per_s if queue.full else float("inf")
            bound = Bound(rate, queue.refill_bytes)
        if limit_bytes_per_s >= wire.WINDOWS_PER_S:
            budget = limit_bytes_per_s // wire.WINDOWS_PER_S
            bound = min(bound, Bound(limit_bytes_per_s, budget))
        key = kind, self._machine.busy_cores, bound
        if key not in self._known:
            self._known[key] = self._mixed(kind, self._share(kind, bound))
        self._costs.change(kind, self._known[key])

    def _share(self, kind: int, bound: Bound) -> float:
        """Share of these pages that is compressed."""
        share = self._free_share(kind, alone=False)
        mixed = self._mixed(kind, share)
        rate = self._machine.stream_rate_pps(self._work(kind, share))
        if share >= 1 or rate * mixed.wire_bytes <= bound.bytes_per_s:
            return share
        sizes = self._encoded[kind].wire_bytes, self._costs.plain(kind).wire_bytes
        most = encoded_share(share * rate, [Stage(bound.bytes_per_s, *sizes)])
        if bound.burst_bytes:
            # A stream kept below its share of the CPUs gets them when it goes on.
            unstopped = self._free_share(kind, alone=True)
            sent = bound.burst_bytes
            most = min(most, burst_share(unstopped, self._threads, sent, *sizes))
        return max(share, most)

    def _free_share(self, kind: int, *, alone: bool) -> float:
        """Share that is compressed where nothing but the CPUs stops the stream."""
        # Whatever CPUs there are, each thread that compresses gets as much of them as
        # the migration thread: less than this share it never is.
        low, high = self._share_of_equals(kind), 1.0
        if not self._hinders(kind, high, alone):
            return high
        if self._hinders(kind, low, alone):
            return low
        for _ in range(_STEPS):
            middle = (low + high) / 2
            if self._hinders(kind, middle, alone):
                high = middle
            else:
                low = middle
        return low

    def _share_of_equals(self, kind: int) -> float:
        """Share where all threads work all the time, with equal shares of the CPUs."""
        whole, none = self._work(kind, 1.0), self._work(kind, 0.0)
        beside = whole.channels
        if beside is None or not beside.source_s:
            return 1.0
        stage = Stage(1.0, whole.source_s, none.source_s)
        return encoded_share(beside.source / beside.source_s, [stage])

    def _hinders(self, kind: int, share: float, alone: bool) -> bool:
        """Whether the stream would be faster if compressing this share took no time."""
        work = self._work(kind, share)
        if work.channels is None:
            return False
        free = replace(work, channels=replace(work.channels, source_s=0.0))
        best = self._machine.stream_rate_pps(free, alone=alone)
        return self._machine.stream_rate_pps(work, alone=alone) < best * _SAME

    def _mixed(self, kind: int, share: float) -> PageCost:
        return mixed_cost(self._encoded[kind], self._costs.plain(kind), share)

    def _work(self, kind: int, share: float) -> Pipeline:
        mixed = self._mixed(kind, share)
        return work_of(mixed, self._host, self._machine, self._transport)


def make_spill(
    costs: Costs, host: Host, machine: Machine, settings: Settings, link: Link
) -> Spill | None:
    """Make it; None where no page is sent by the migration thread itself."""
    if not costs.spills:
        return None
    threads = settings.number("compress-threads")
    return Spill(costs, host, machine, threads, link.transport)
