"""Reads the lines that a guest prints."""

from __future__ import annotations

from typing import NamedTuple

PREFIX = "migstress"


class Line(NamedTuple):
    """One line of a guest: ``start``, ``ready``, ``unit`` or ``error``."""

    kind: str
    fields: dict[str, str]
    text: str


def read_line(text: str) -> Line | None:
    """Take a console line apart; None when the workload did not print it."""
    words = text.split()
    if len(words) < 2 or words[0] != PREFIX:
        return None
    fields = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    return Line(words[1], fields, " ".join(words[2:]))
