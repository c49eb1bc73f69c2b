"""One migration, or several, over time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from migmodel.records.trace import Trace
from migmodel.show.canvas import COLOURS, drawing
from migmodel.show.panels import Labelled, Panel, panels
from migmodel.units import format_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH_IN, PANEL_IN, FRAME_IN = 8.0, 2.0, 1.1
MARGIN = 0.06  # of the migration's length, shown before and after it
LOAD_STYLES = {"vCPUs": "-", "source": "--", "destination": ":"}
STOPPED, POSTCOPY = 0.3, 0.1  # opacity of the phases


def plot_trace(
    traces: Labelled, path: Path, *, title: str = "", host_load: bool = False
) -> None:
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
    host_load : bool
        Also the busy CPUs of the host.
    """
    labels = dict.fromkeys(label for label, _ in traces)
    colours = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)}
    shown = panels(traces, host_load=host_load)
    height = FRAME_IN + PANEL_IN * len(shown)
    with drawing(WIDTH_IN, height, path, title) as figure:
        grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False)
        axes: list[Axes] = list(grid[:, 0])
        start, end = time_range([trace for _, trace in traces])
        axes[-1].set_xlim(start, end)
        axes[-1].set_xlabel("time since the migration began [s]")
        for axis, panel in zip(axes, shown, strict=True):
            _draw(axis, panel, colours, (start, end))
        for label, trace in traces:
            _shade(axes, trace, colours[label])
        _legend(figure, traces, colours)


def time_range(traces: Sequence[Trace]) -> tuple[float, float]:
    """Time to be shown: all migrations, and a little before and after them [s]."""
    end = max((trace.phases.end_s for trace in traces), default=1.0)
    margin = MARGIN * end
    known_before = any(a < 0 for trace in traces for a in trace.guest.start_s)
    return (-margin if known_before else 0.0), end + margin


def _draw(
    axis: Axes, panel: Panel, colours: dict[str, str], shown: tuple[float, float]
) -> None:
    for line in panel.lines:
        axis.plot(
            line.x,
            line.y,
            color=colours[line.label],
            drawstyle="steps-post" if line.steps else "default",
            linestyle=LOAD_STYLES.get(line.detail, "-"),
            **_stroke(line.label, colours),
        )
    axis.set_ylabel(panel.name)
    if panel.top is not None:
        axis.set_ylim(0, panel.top)
    elif panel.is_logarithmic(shown):
        axis.set_yscale("log")
        axis.yaxis.set_major_formatter("{x:g}")
    else:
        axis.set_ylim(bottom=0)


def _stroke(label: str, colours: dict[str, str]) -> dict[str, Any]:
    """What lies below the last label's lines is wider, so that it is seen."""
    if label == list(colours)[-1]:
        return {"linewidth": 1.0, "alpha": 0.9}
    return {"linewidth": 2.2, "alpha": 0.45}


def _shade(axes: Sequence[Axes], trace: Trace, colour: str) -> None:
    phases = trace.phases
    for axis in axes:
        axis.axvline(phases.end_s, color=colour, linewidth=0.8, linestyle=":")
        if phases.stop_s is not None:
            resume_s = phases.end_s if phases.resume_s is None else phases.resume_s
            axis.axvspan(phases.stop_s, resume_s, color=colour, alpha=STOPPED)
        span = postcopy_span(trace)
        if span is not None:
            axis.axvspan(*span, color=colour, alpha=POSTCOPY, linewidth=0)


def postcopy_span(trace: Trace) -> tuple[float, float] | None:
    """Begin and end of post-copy, if it came to that [s]."""
    resume_s = trace.phases.resume_s
    if not trace.went_postcopy or resume_s is None:
        return None
    return resume_s, trace.phases.end_s


def _legend(figure: Figure, traces: Labelled, colours: dict[str, str]) -> None:
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = [
        Line2D([], [], color=colour, label=label, **_stroke(label, colours))
        for label, colour in colours.items()
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
        if any(postcopy_span(trace) is not None for trace in same):
            text = f"post-copy ({label})"
            handles.append(Patch(color=colour, alpha=POSTCOPY, label=text))
    handles.append(
        Line2D([], [], color="0.4", linewidth=0.8, linestyle=":", label="end")
    )
    figure.legend(
        handles=handles, loc="outside lower left", ncols=3, frameon=False, fontsize=8
    )
