"""The quantities of a migration over time, one a panel, however they are drawn."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

from migmodel.records.trace import GuestSpeed, Trace
from migmodel.units import GIB, MIB, MS_PER_S, PAGE_BYTES

Labelled = Sequence[tuple[str, Trace]]
LOG_FROM = 20.0  # largest over smallest, from which on an axis is logarithmic
STANDSTILL = 1e-3  # pages of a unit of work: less is a guest that waits, a gap


class Line(NamedTuple):
    """One line of a panel; its label gives the colour, `detail` says which of many."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    steps: bool = False
    detail: str = ""


class Panel(NamedTuple):
    """One quantity over time.

    `slows` says that it tells how many times slower something gets: over a wide range
    its axis is logarithmic. What is left or busy rises and falls in straight lines,
    which such an axis would bend.
    """

    name: str
    lines: list[Line]
    top: float | None = None
    slows: bool = False

    def is_logarithmic(self, shown: tuple[float, float]) -> bool:
        """Whether the values in the time that is shown need a logarithmic axis."""
        values = [
            y
            for line in self.lines
            for x, y in zip(line.x, line.y, strict=True)
            if shown[0] <= x <= shown[1] and math.isfinite(y)
        ]
        return self.slows and bool(values) and 0 < LOG_FROM * min(values) < max(values)


def panels(traces: Labelled, *, host_load: bool = False) -> list[Panel]:
    """Panels that have something to show; at least that of the remaining memory.

    Parameters
    ----------
    traces : sequence of (str, Trace)
        Label and Trace.
    host_load : bool
        Also the busy CPUs of the host.
    """
    every = [_remaining(traces), _throttle(traces), _guest_speed(traces)]
    if host_load:
        every.append(_host_load(traces))
    return [panel for panel in every if panel.lines] or every[:1]


def _remaining(traces: Labelled) -> Panel:
    most = max(
        (value for _, trace in traces for value in trace.progress.remaining_bytes),
        default=0.0,
    )
    unit, name = (GIB, "GiB") if most >= GIB else (MIB, "MiB")
    lines = [
        Line(
            label,
            trace.progress.time_s,
            [value / unit for value in trace.progress.remaining_bytes],
        )
        for label, trace in traces
        if trace.progress.remaining_bytes
    ]
    return Panel(f"remaining\n[{name}]", lines)


def _throttle(traces: Labelled) -> Panel:
    lines = [
        Line(label, trace.progress.time_s, trace.progress.throttle_percent, True)
        for label, trace in traces
        if len(trace.progress.throttle_percent) == len(trace.progress.time_s)
    ]
    throttled = any(value for line in lines for value in line.y)
    return Panel("throttle\n[%]", lines if throttled else [], top=105)


def _guest_speed(traces: Labelled) -> Panel:
    lines = [
        Line(label, x, y, detail=f"vCPU {vcpu}")
        for label, trace in traces
        for vcpu, x, y in _speed_lines(trace.guest)
    ]
    return Panel("guest\n[ms per GiB]", lines, slows=True)


def _speed_lines(
    guest: GuestSpeed,
) -> Iterator[tuple[int, list[float], list[float]]]:
    """Draw each unit of work as a level from its start to its end, vCPU by vCPU."""
    rows = sorted(zip(guest.vcpu, guest.start_s, guest.end_s, guest.pages, strict=True))
    for vcpu in dict.fromkeys(row[0] for row in rows):
        units = [(a, b, p) for v, a, b, p in rows if v == vcpu and p > 0 and b > a]
        usual_s = median(b - a for a, b, _ in units) if units else 0.0
        x: list[float] = []
        y: list[float] = []
        for start_s, end_s, pages in units:
            stands = pages < STANDSTILL
            if x and (stands or start_s - x[-1] > usual_s):
                x.append(math.nan)
                y.append(math.nan)
            if stands:
                continue
            gib = pages * PAGE_BYTES / GIB
            x += [start_s, end_s]
            y += [(end_s - start_s) * MS_PER_S / gib] * 2
        yield vcpu, x, y


def _host_load(traces: Labelled) -> Panel:
    """Busy CPUs: vCPUs, and QEMU's other threads of both sides, each span a level."""
    lines = []
    for label, trace in traces:
        load = trace.load
        columns = (
            ("vCPUs", load.vcpu_cores),
            ("source", load.source_cores),
            ("destination", load.destination_cores),
        )
        for name, cores in columns:
            if cores and len(cores) == len(load.time_s):
                lines.append(Line(label, *_levels(load.time_s, cores), detail=name))
    return Panel("busy CPUs: vCPUs,\n-- source, ··· dest.", lines)


def _levels(
    ends: Sequence[float], values: Sequence[float]
) -> tuple[list[float], list[float]]:
    x: list[float] = []
    y: list[float] = []
    start = min(0.0, *ends)
    for end, value in zip(ends, values, strict=True):
        if end > start:
            x += [start, end]
            y += [value, value]
            start = end
    return x, y
