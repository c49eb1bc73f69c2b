"""One migration, or several, over time."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from migmodel.records.trace import GuestSpeed, Trace
from migmodel.show.canvas import COLOURS, drawing
from migmodel.units import GIB, MIB, MS_PER_S, PAGE_BYTES, format_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, PANEL_IN, FRAME_IN = 8.0, 2.0, 1.1
LOG_FROM = 20.0  # largest over smallest, from which on an axis is logarithmic
MARGIN = 0.06  # of the migration's length, shown before and after it
STOPPED, POSTCOPY = 0.3, 0.1  # opacity of the phases
Labelled = Sequence[tuple[str, Trace]]


class Line(NamedTuple):
    """One line of a panel; its label gives the colour."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    steps: bool = False


class Panel(NamedTuple):
    """One quantity over time."""

    name: str
    lines: list[Line]
    top: float | None = None


def plot_trace(traces: Labelled, path: Path, *, title: str = "") -> None:
    """Draw Traces over one time axis: remaining memory, throttle, guest speed.

    Parameters
    ----------
    traces : sequence of (str, Trace)
        Label and Trace. Traces with the same label (repeats) share a colour; later
        ones are drawn on top.
    path : Path
        The figure; its suffix says in which format.
    title : str
        Above the panels.
    """
    labels = dict.fromkeys(label for label, _ in traces)
    colours = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)}
    every = (_remaining(traces), _throttle(traces), _guest_speed(traces))
    panels = [panel for panel in every if panel.lines] or [every[0]]
    height = FRAME_IN + PANEL_IN * len(panels)
    with drawing(WIDTH_IN, height, path, title) as figure:
        grid = figure.subplots(len(panels), 1, sharex=True, squeeze=False)
        axes: list[Axes] = list(grid[:, 0])
        start, end = _time_range([trace for _, trace in traces])
        axes[-1].set_xlim(start, end)
        axes[-1].set_xlabel("time since the migration began [s]")
        for axis, panel in zip(axes, panels, strict=True):
            _draw(axis, panel, colours, (start, end))
        for label, trace in traces:
            _shade(axes, trace, colours[label])
        _legend(figure, traces, colours)


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
        Line(label, *columns)
        for label, trace in traces
        for columns in _speed_lines(trace.guest)
    ]
    return Panel("guest\n[ms per GiB]", lines)


def _speed_lines(guest: GuestSpeed) -> Iterator[tuple[list[float], list[float]]]:
    """Draw each unit of work as a level from its start to its end, vCPU by vCPU."""
    rows = sorted(zip(guest.vcpu, guest.start_s, guest.end_s, guest.pages, strict=True))
    for vcpu in dict.fromkeys(row[0] for row in rows):
        units = [(a, b, p) for v, a, b, p in rows if v == vcpu and p > 0 and b > a]
        usual_s = median(b - a for a, b, _ in units) if units else 0.0
        x: list[float] = []
        y: list[float] = []
        for start_s, end_s, pages in units:
            if x and start_s - x[-1] > usual_s:
                x.append(math.nan)
                y.append(math.nan)
            gib = pages * PAGE_BYTES / GIB
            x += [start_s, end_s]
            y += [(end_s - start_s) * MS_PER_S / gib] * 2
        yield x, y


def _time_range(traces: Sequence[Trace]) -> tuple[float, float]:
    end = max((trace.phases.end_s for trace in traces), default=1.0)
    margin = MARGIN * end
    known_before = any(a < 0 for trace in traces for a in trace.guest.start_s)
    return (-margin if known_before else 0.0), end + margin


def _draw(
    axis: Axes, panel: Panel, colours: dict[str, str], shown: tuple[float, float]
) -> None:
    front = list(colours)[-1]
    for line in panel.lines:
        axis.plot(
            line.x,
            line.y,
            color=colours[line.label],
            drawstyle="steps-post" if line.steps else "default",
            # what lies below the last label's lines is wider, so that it is seen
            linewidth=1.0 if line.label == front else 2.2,
            alpha=0.9 if line.label == front else 0.45,
        )
    axis.set_ylabel(panel.name)
    values = [
        y
        for line in panel.lines
        for x, y in zip(line.x, line.y, strict=True)
        if shown[0] <= x <= shown[1] and math.isfinite(y)
    ]
    if panel.top is not None:
        axis.set_ylim(0, panel.top)
    elif values and 0 < LOG_FROM * min(values) < max(values):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
    else:
        axis.set_ylim(bottom=0)


def _shade(axes: Sequence[Axes], trace: Trace, colour: str) -> None:
    phases = trace.phases
    for axis in axes:
        axis.axvline(phases.end_s, color=colour, linewidth=0.8, linestyle=":")
        if phases.stop_s is not None:
            resume_s = phases.end_s if phases.resume_s is None else phases.resume_s
            axis.axvspan(phases.stop_s, resume_s, color=colour, alpha=STOPPED)
        span = _postcopy_span(trace)
        if span is not None:
            axis.axvspan(*span, color=colour, alpha=POSTCOPY, linewidth=0)


def _postcopy_span(trace: Trace) -> tuple[float, float] | None:
    resume_s = trace.phases.resume_s
    if trace.outcome.postcopy_requests is None or resume_s is None:
        return None
    return resume_s, trace.phases.end_s


def _legend(figure: Figure, traces: Labelled, colours: dict[str, str]) -> None:
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Line2D([], [], color=colour, label=label) for label, colour in colours.items()
    ]
    for label, colour in colours.items():
        same = [trace for name, trace in traces if name == label]
        if any(trace.phases.stop_s is not None for trace in same):
            known = [
                trace.outcome.downtime_stop_resume_s
                for trace in same
                if trace.outcome.downtime_stop_resume_s is not None
            ]
            length = f", {format_duration(median(known))}" if known else ""
            text = f"guest stopped ({label}{length})"
            handles.append(Patch(color=colour, alpha=STOPPED, label=text))
        if any(_postcopy_span(trace) is not None for trace in same):
            text = f"post-copy ({label})"
            handles.append(Patch(color=colour, alpha=POSTCOPY, label=text))
    handles.append(
        Line2D([], [], color="0.4", linewidth=0.8, linestyle=":", label="end")
    )
    figure.legend(
        handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=8
    )
