"""Plain text in columns and paragraphs."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

WIDTH = 88
_UNIT = re.compile(r"(?<=\d) (?=[A-Za-z%])")
_TIED = "\u00a0"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out rows of equally many cells in columns, two blanks apart."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) for cell, width in zip(row, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def wrapped(text: str, *, first: str = "", others: str = "") -> list[str]:
    """Break a text into lines of at most 88 columns, never before a unit.

    Parameters
    ----------
    text : str
        One paragraph.
    first, others : str
        What the first and the other lines begin with.
    """
    lines = textwrap.wrap(
        _UNIT.sub(_TIED, text),
        WIDTH,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
    )
    return [line.replace(_TIED, " ") for line in lines]
