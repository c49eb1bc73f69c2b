"""Memory of the host that the destination is about to take, ready before it is taken.

On a virtual host, what the layer below gives at first touch costs ten to twenty times
what it costs afterwards, and free memory may be taken back within seconds (free page
reporting, ballooning). Without this, the same migration differs five times by what ran
before it. A host of bare metal has its memory, and needs none of this.
"""

from __future__ import annotations

import ctypes
import mmap
import re
from collections import deque
from collections.abc import Callable
from pathlib import Path

from migmodel.records.scenario import Scenario
from migmodel.records.status import MigrationStatus
from migmodel.units import MIB, PAGE_BYTES

_ZONES = Path("/proc/zoneinfo")
_CHUNK_BYTES = 16 * MIB
# What is free for longer may be taken back: the kernel's page reporting waits 2 s
# (PAGE_REPORTING_DELAY of Linux's mm/page_reporting.c).
_AHEAD_S = 1.0
# The kernel may give some of what it gets back to others.
_SPARE_BYTES = 16 * MIB


def listed_bytes() -> int:
    """Free memory in the lists of single CPUs, which others do not get [bytes]."""
    return sum(_of_cpus("count")) * PAGE_BYTES


def most_listed_bytes() -> int:
    """What such a list holds at most [bytes]; 0 where the kernel does not tell."""
    return max(_of_cpus("high_max"), default=0) * PAGE_BYTES


def _of_cpus(field: str) -> list[int]:
    try:
        zones = _ZONES.read_text(encoding="ascii")
    except OSError:
        return []
    return [int(pages) for pages in re.findall(rf"\b{field}:\s+(\d+)", zones)]


def taken_bytes(scenario: Scenario) -> int:
    """What the destination takes of its host [bytes]: guest RAM with anything in it.

    Pages of zeros take none there. No more is made ready than that and a little to
    spare: what nobody takes is free, and after 2 s the kernel tells the layer below so,
    during which guest and stream stand still for 0.1 to 0.2 s.
    """
    guest, workload = scenario.guest, scenario.workload
    own_bytes = round(guest.own_pages + guest.struct_pages) * PAGE_BYTES
    data_bytes = workload.working_set_bytes + workload.still_bytes + own_bytes
    return min(guest.ram_bytes, data_bytes + _SPARE_BYTES)


class Backing:
    """Anonymous memory that was touched, held until the destination needs as much.

    What is freed goes to lists of the CPU that freed it first, up to their limit, and
    the destination on another CPU does not get that: so much more is given, and held
    until then. (Of 528 MiB 105 stayed there: the last pages of the first pass took
    17 us each.)

    Parameters
    ----------
    size_bytes : int
        As much as the destination will take.
    rate_bytes_per_s : float or None
        What the stream is limited to; None: all may be needed at once.
    spare_bytes : int
        Held besides, for what stays in lists.
    listed_bytes : callable
        How much there is in them.
    """

    def __init__(
        self,
        size_bytes: int,
        rate_bytes_per_s: float | None,
        spare_bytes: int = 0,
        listed_bytes: Callable[[], int] = lambda: 0,
    ) -> None:
        self._held: deque[mmap.mmap] = deque()
        self._size_bytes = size_bytes
        self._rate = rate_bytes_per_s
        self._all_bytes = size_bytes + spare_bytes
        self._given_bytes = 0
        self._listed_bytes = listed_bytes
        self._listed_before = 0
        self._released = False

    def touch(self) -> None:
        """Take all of it; may be called in a thread, and is over soon after release."""
        for begin in range(0, self._all_bytes, _CHUNK_BYTES):
            if self._released:
                break
            self._held.append(_touched(min(_CHUNK_BYTES, self._all_bytes - begin)))
        if self._released:
            self._held.clear()

    def begin(self) -> None:
        """Give the host's kernel what the first second takes.

        It hands out first what it was given last.
        """
        self._listed_before = self._listed_bytes()
        self._give(self._size_bytes if self._rate is None else self._rate * _AHEAD_S)

    def follow(self, status: MigrationStatus) -> None:
        """Give back what the destination takes within a second from now."""
        if status.dirty_sync_count > 1 or self._rate is None:
            self._give(self._size_bytes)
        elif status.elapsed_s > 0.0 and status.total_bytes:
            taken = status.total_bytes - status.remaining_bytes
            rate = max(self._rate, taken / status.elapsed_s)
            self._give(taken + rate * _AHEAD_S)

    def release(self) -> None:
        """Give all of it back."""
        self._released = True
        self._held.clear()

    def _give(self, wanted_bytes: float) -> None:
        wanted_bytes = min(wanted_bytes, self._size_bytes)
        while self._held:
            listed = max(self._listed_bytes() - self._listed_before, 0)
            if self._given_bytes >= wanted_bytes + listed:
                break
            while self._held and self._given_bytes < wanted_bytes + listed:
                self._given_bytes += len(self._held.pop())


def _touched(size_bytes: int) -> mmap.mmap:
    chunk = mmap.mmap(-1, size_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    if hasattr(mmap, "MADV_HUGEPAGE"):  # as QEMU asks for its guest's RAM
        chunk.madvise(mmap.MADV_HUGEPAGE)
    first = ctypes.c_char.from_buffer(chunk)
    ctypes.memset(ctypes.addressof(first), 1, size_bytes)  # lets other threads run
    return chunk
