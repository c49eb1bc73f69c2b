"""What all figures share: colours, style, and a canvas that becomes a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Told apart by the colour-blind too (Okabe and Ito).
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#000000")
STYLE: dict[Any, Any] = {  # matplotlib's own names
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "font.size": 9.0,
    "grid.alpha": 0.3,
    "grid.linewidth": 0.5,
    "svg.hashsalt": "migmodel",  # the same figure gives the same file
}
DPI = 130


@contextmanager
def drawing(width: float, height: float, path: Path, title: str) -> Iterator[Figure]:
    """Give an empty figure and save it when the block ends without an error.

    Parameters
    ----------
    width, height : float
        In inches.
    path : Path
        Where to; the suffix says in which format.
    title : str
        Above everything, at the left.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        if title:
            figure.suptitle(title, x=0.01, ha="left", fontsize=9.5)
        yield figure
        figure.savefig(path, dpi=DPI)
