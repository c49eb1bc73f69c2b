"""One figure a scenario: the runs and the nominal prediction over time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from migmodel.show.figures import plot_trace

from .compare import Comparison

FIGURES = "figures"


def draw_figures(comparisons: Iterable[Comparison], out: Path) -> None:
    """Draw ``figures/<scenario>.png``."""
    folder = out / FIGURES
    folder.mkdir(parents=True, exist_ok=True)
    for it in comparisons:
        measured = [("measured", trace) for trace in it.traces]
        traces = [*measured, ("predicted", it.prediction.trace)]
        name = it.scenario.name
        plot_trace(traces, folder / f"{name}.png", title=name)
