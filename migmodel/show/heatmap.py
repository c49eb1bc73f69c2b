"""A swept grid as a heat map, with the frontier between completing and not."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from migmodel.show.canvas import drawing
from migmodel.units import format_duration

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CELL_IN, LEAST_IN, LEGEND_IN = 0.72, 2.2, 3.0
FRAME_IN = 1.5
ROW_OF_PANELS = 3  # more are laid out in a square
MOST_LABELLED = 20  # cells along a side, above which their numbers are left out
LIKELY = 0.5
NOT_COMPLETING, HATCH, FRONTIER = "0.88", "0.75", "#d55e00"

Texts = Sequence[str]


class Cell(NamedTuple):
    """One migration of the grid; the texts are those of its axes."""

    x: str
    y: str
    panel: str
    completes_probability: float
    total_time_s: float | None


Map = dict[tuple[str, str], Cell]  # one panel's, by the texts of its axes


def heatmap(
    cells: Sequence[Cell], path: Path, *, x_name: str, y_name: str, title: str = ""
) -> None:
    """Draw total time over two swept options, one panel for each value of a third.

    Cells that do not complete (probability below one half) are grey and hatched; a
    line, the frontier of completion, parts them from the others.

    Parameters
    ----------
    cells : sequence of Cell
        Axes have their values in the order in which they first come.
    path : Path
        The figure; its suffix says in which format.
    x_name, y_name : str
        What the axes are, with the unit.
    """
    xs = list(dict.fromkeys(cell.x for cell in cells))
    ys = list(dict.fromkeys(cell.y for cell in cells))
    panels = list(dict.fromkeys(cell.panel for cell in cells))
    columns = _panel_columns(len(panels))
    lines = math.ceil(len(panels) / columns)
    width = FRAME_IN + max(columns * max(CELL_IN * len(xs), LEAST_IN), LEGEND_IN)
    height = FRAME_IN / 1.5 + lines * (0.5 + max(CELL_IN * len(ys) * 0.8, 1.0))
    with drawing(width, height, path, title) as figure:
        grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
        axes: list[Axes] = list(grid.flat)
        norm = _norm(cells)
        maps = [{(c.x, c.y): c for c in cells if c.panel == panel} for panel in panels]
        for axis, panel, chosen in zip(axes, panels, maps, strict=False):
            image = _panel(axis, chosen, xs, ys, norm)
            axis.set_title(panel, fontsize=9, loc="left")
        for axis in axes[len(panels) - columns : len(panels)]:
            axis.tick_params(labelbottom=True)  # also where no panel is below
        for axis in axes[len(panels) :]:
            axis.set_visible(False)
        if y_name == "":
            for axis in axes:
                axis.set_yticks([])
        _legend(figure, maps, xs, ys)
        figure.supxlabel(x_name, fontsize=9)
        figure.supylabel(y_name, fontsize=9)
        if norm is not None:
            figure.colorbar(image, ax=axes, label="total time [s]", pad=0.02)


def _panel_columns(panels: int) -> int:
    return panels if panels <= ROW_OF_PANELS else math.ceil(math.sqrt(panels))


def _legend(figure: Figure, maps: Sequence[Map], xs: Texts, ys: Texts) -> None:
    """Explain what is drawn, and nothing else."""
    from matplotlib.artist import Artist
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Artist] = []
    if not all(_completes(cell) for cells in maps for cell in cells.values()):
        handles.append(
            Patch(
                facecolor=NOT_COMPLETING,
                edgecolor=HATCH,
                hatch="////",
                label="not completing",
            )
        )
    if any(True for cells in maps for _ in _frontier(cells, xs, ys)):
        handles.append(
            Line2D(
                [], [], color=FRONTIER, linewidth=2.5, label="frontier of completion"
            )
        )
    if not handles:
        return
    figure.legend(
        handles=handles,
        loc="outside upper right",
        ncols=2,
        frameon=False,
        fontsize=8,
    )


def _completes(cell: Cell | None) -> bool:
    return cell is not None and cell.completes_probability >= LIKELY


def _norm(cells: Sequence[Cell]) -> Any:
    from matplotlib.colors import LogNorm, Normalize

    times = [c.total_time_s for c in cells if _completes(c) and c.total_time_s]
    if not times:
        return None
    kind = LogNorm if max(times) > 10 * min(times) else Normalize
    return kind(min(times), max(times))


def _panel(
    axis: Axes,
    cells: Map,
    xs: Texts,
    ys: Texts,
    norm: Any,
) -> Any:
    times = [[_time(cells.get((x, y))) for x in xs] for y in ys]
    axis.set_facecolor(NOT_COMPLETING)
    axis.patch.set_hatch("////")
    axis.patch.set_edgecolor(HATCH)
    axis.grid(visible=False)
    axis.tick_params(labelsize=8)
    image = axis.pcolormesh(times, cmap="viridis_r", norm=norm)
    axis.set_xticks([i + 0.5 for i in range(len(xs))], xs)
    axis.set_yticks([i + 0.5 for i in range(len(ys))], ys)
    if max(len(xs), len(ys)) <= MOST_LABELLED:
        _numbers(axis, cells, xs, ys, norm)
    for edge in _frontier(cells, xs, ys):
        axis.plot(*edge, color=FRONTIER, linewidth=2.5, solid_capstyle="round")
    return image


def _time(cell: Cell | None) -> float:
    if cell is None or not _completes(cell) or cell.total_time_s is None:
        return math.nan
    return cell.total_time_s


def _numbers(
    axis: Axes,
    cells: Map,
    xs: Texts,
    ys: Texts,
    norm: Any,
) -> None:
    for (x, y), cell in cells.items():
        time_s = _time(cell)
        text = "no" if math.isnan(time_s) else format_duration(time_s)
        if 0 < cell.completes_probability < 1:
            text += f"\n{100 * cell.completes_probability:.0f} %"
        dark = not math.isnan(time_s) and norm(time_s) > 0.55
        axis.text(
            xs.index(x) + 0.5,
            ys.index(y) + 0.5,
            text,
            ha="center",
            va="center",
            fontsize=7,
            color="white" if dark else "black",
        )


def _frontier(
    cells: Map, xs: Texts, ys: Texts
) -> Iterator[tuple[list[int], list[int]]]:
    """Edges between a cell that completes and a neighbour that does not."""

    def done(i: int, j: int) -> bool:
        return _completes(cells.get((xs[i], ys[j])))

    for i in range(len(xs)):
        for j in range(len(ys)):
            if i and done(i - 1, j) != done(i, j):
                yield [i, i], [j, j + 1]
            if j and done(i, j - 1) != done(i, j):
                yield [i, i + 1], [j, j]
