"""Migrations over one time axis as a page that stands alone: plotly's code is in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from migmodel.errors import JobError
from migmodel.show.canvas import COLOURS
from migmodel.show.figures import (
    LOAD_STYLES,
    POSTCOPY,
    STOPPED,
    postcopy_span,
    time_range,
)
from migmodel.show.panels import Labelled, panels

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

PANEL_PX, FRAME_PX = 240, 130
_DASHES = ("solid", "dot", "dash", "dashdot")
_OF_MATPLOTLIB = {"-": "solid", "--": "dash", ":": "dot"}


def interactive(
    traces: Labelled, *, title: str = "", host_load: bool = True, passes: bool = False
) -> Figure:
    """Draw Traces as an interactive figure.

    Parameters
    ----------
    traces : sequence of (str, Trace)
        Label and Trace.
    title : str
        Above the panels.
    host_load : bool
        Also the busy CPUs of the host.
    passes : bool
        Mark the begin of each pass on every panel.

    Raises
    ------
    JobError
        When plotly is not installed.
    """
    go, make_subplots = _plotly()
    shown = panels(traces, host_load=host_load)
    labels = list(dict.fromkeys(label for label, _ in traces))
    colours = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(labels)}
    figure = make_subplots(
        rows=len(shown), cols=1, shared_xaxes=True, vertical_spacing=0.04
    )
    time = time_range([trace for _, trace in traces])
    named: set[str] = set()
    for row, panel in enumerate(shown, start=1):
        details = list(dict.fromkeys(line.detail for line in panel.lines))
        for line in panel.lines:
            dash = _dash(line.detail, details)
            figure.add_trace(
                go.Scatter(
                    x=list(line.x),
                    y=list(line.y),
                    mode="lines",
                    name=line.label,
                    legendgroup=line.label,
                    showlegend=line.label not in named,
                    line={
                        "color": colours[line.label],
                        "width": 1.4,
                        "dash": dash,
                        "shape": "hv" if line.steps else "linear",
                    },
                    hovertemplate=f"{line.label} {line.detail}: %{{y:.4g}}"
                    "<extra></extra>",
                ),
                row=row,
                col=1,
            )
            named.add(line.label)
        figure.update_yaxes(
            title_text=panel.name.replace("\n", "<br>"),
            rangemode="tozero",
            type="log" if panel.is_logarithmic(time) else "linear",
            row=row,
            col=1,
        )
    _mark(figure, traces, colours)
    if passes:
        _mark_passes(figure, traces, colours)
    figure.update_xaxes(range=time)
    figure.update_xaxes(
        title_text="time since the migration began [s]", row=len(shown), col=1
    )
    figure.update_layout(
        title=title,
        height=FRAME_PX + PANEL_PX * len(shown),
        hovermode="x unified",
        template="plotly_white",
        legend={"orientation": "h", "y": -0.12 / len(shown) - 0.05},
    )
    return figure


def check_plotly() -> None:
    """Find out, before anything is computed for a page, whether it can be written.

    Raises
    ------
    JobError
        When plotly is not installed.
    """
    _plotly()


def _dash(detail: str, details: Sequence[str]) -> str:
    """Dashes as the panel's own name says, else one after the other."""
    if detail in LOAD_STYLES:
        return _OF_MATPLOTLIB[LOAD_STYLES[detail]]
    return _DASHES[details.index(detail) % len(_DASHES)]


def write_page(figures: Sequence[tuple[str, Figure]], path: Path, title: str) -> None:
    """Write figures below each other, each under its heading, as one HTML file.

    plotly's code is written into it once; nothing is loaded from elsewhere.
    """
    from html import escape

    from migmodel.records.files import write_bytes

    parts = [
        "<!doctype html><html><head><meta charset='utf-8'>",
        f"<title>{escape(title)}</title>",
        "<style>body{font-family:sans-serif;margin:1.5em}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    for number, (heading, figure) in enumerate(figures):
        if heading:
            parts.append(f"<h2>{escape(heading)}</h2>")
        parts.append(figure.to_html(full_html=False, include_plotlyjs=number == 0))
    parts.append("</body></html>")
    write_bytes(path, "\n".join(parts).encode())


def _mark(figure: Figure, traces: Labelled, colours: dict[str, str]) -> None:
    """Shade where the guest stood still and where it was in post-copy; end lines."""
    _explain(figure, traces, colours)
    for label, trace in traces:
        phases, colour = trace.phases, colours[label]
        if phases.stop_s is not None:
            resume_s = phases.end_s if phases.resume_s is None else phases.resume_s
            figure.add_vrect(
                x0=phases.stop_s,
                x1=resume_s,
                fillcolor=colour,
                opacity=STOPPED,
                line_width=0,
            )
        span = postcopy_span(trace)
        if span is not None:
            figure.add_vrect(
                x0=span[0], x1=span[1], fillcolor=colour, opacity=POSTCOPY, line_width=0
            )
        figure.add_vline(x=phases.end_s, line_color=colour, line_dash="dot")


def _explain(figure: Figure, traces: Labelled, colours: dict[str, str]) -> None:
    """Put the shades into the legend, each once: shapes have none of their own."""
    go, _ = _plotly()
    shades = {}
    for label, trace in traces:
        if trace.phases.stop_s is not None:
            shades[f"guest stopped ({label})"] = (colours[label], STOPPED)
        if postcopy_span(trace) is not None:
            shades[f"post-copy ({label})"] = (colours[label], POSTCOPY)
    for name, (colour, opacity) in shades.items():
        marker = {"symbol": "square", "size": 12, "color": colour, "opacity": opacity}
        figure.add_trace(
            go.Scatter(
                x=[None],
                y=[None],
                mode="markers",
                marker=marker,
                name=name,
                hoverinfo="skip",
            ),
            row=1,
            col=1,
        )


def _mark_passes(figure: Figure, traces: Labelled, colours: dict[str, str]) -> None:
    # One call: to add lines one by one takes plotly longer than all the rest.
    lines = [
        {
            "type": "line",
            "xref": "x",
            "yref": "paper",
            "x0": it.start_s,
            "x1": it.start_s,
            "y0": 0,
            "y1": 1,
            "line": {"color": colours[label], "width": 0.5, "dash": "dot"},
        }
        for label, trace in traces
        for it in trace.rounds
    ]
    figure.update_layout(shapes=[*figure.layout.shapes, *lines])


def _plotly() -> tuple[Any, Any]:
    try:
        import plotly.graph_objects as go
        from plotly.subplots import make_subplots
    except ImportError:
        raise JobError(
            "an interactive page needs plotly, which is not installed: "
            "pip install 'migmodel[html]', or ask for a .png"
        ) from None
    return go, make_subplots
