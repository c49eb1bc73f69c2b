"""Sums up what a guest printed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .command import PAGE_BYTES
from .console import Line

PAGES_PER_GIB = (1 << 30) // PAGE_BYTES
NS_PER_S = 1e9
NS_PER_MS = 1e6


class ThreadSummary(NamedTuple):
    """What one thread did, in guest time."""

    cpu: int
    pages: int
    seconds: float
    longest_gap_ms: float
    bad_pages: int
    sweeps: int

    @property
    def pages_per_s(self) -> float:
        """Pages touched per second."""
        return self.pages / self.seconds

    @property
    def ms_per_gib(self) -> float | None:
        """Time to touch 2**30 bytes [ms], the 2016 study's figure."""
        if not self.pages:
            return None
        return self.seconds * 1000.0 * PAGES_PER_GIB / self.pages


def summarize(lines: Iterable[Line]) -> list[ThreadSummary]:
    """Sum up the unit lines, thread by thread."""
    units: dict[int, list[dict[str, int]]] = {}
    for line in lines:
        if line.kind == "unit":
            unit = {name: int(value) for name, value in line.fields.items()}
            units.setdefault(unit["cpu"], []).append(unit)
    return [
        ThreadSummary(
            cpu=cpu,
            pages=sum(unit["pages"] for unit in of_cpu),
            seconds=sum(unit["dt_ns"] for unit in of_cpu) / NS_PER_S,
            longest_gap_ms=max(unit["gap_ns"] for unit in of_cpu) / NS_PER_MS,
            bad_pages=of_cpu[-1]["bad"],
            sweeps=of_cpu[-1]["sweeps"],
        )
        for cpu, of_cpu in sorted(units.items())
    ]
