"""The stress guest's console lines; the contract is stress/README.md."""

from __future__ import annotations

from typing import Literal

import msgspec

PREFIX = "migstress"
REPORT_S = 0.075  # a unit of work is at least that long, and then a line is printed


class StartLine(msgspec.Struct, frozen=True, kw_only=True):
    """The guest's real settings, printed once."""

    kind: str
    cpus: int
    ws_bytes: int
    rate_pps: int
    touch: str
    content: str
    report_ms: int
    base: int
    seed: int
    version: int = 1
    page_bytes: int = 4096


class ReadyLine(msgspec.Struct, frozen=True, kw_only=True):
    """The working set is filled; sweeping begins."""

    t_ns: int


class UnitLine(msgspec.Struct, frozen=True, kw_only=True):
    """One unit of work of one thread; times are the guest's own [ns]."""

    cpu: int
    t_ns: int
    dt_ns: int
    pages: int
    gap_ns: int
    bad: int
    sweeps: int


class ErrorLine(msgspec.Struct, frozen=True, kw_only=True):
    """The guest cannot run what it was asked to."""

    text: str


ConsoleLine = StartLine | ReadyLine | UnitLine | ErrorLine
_KINDS: dict[str, type[StartLine] | type[ReadyLine] | type[UnitLine]] = {
    "start": StartLine,
    "ready": ReadyLine,
    "unit": UnitLine,
}
_Word = Literal["start", "ready", "unit"]


def parse_line(line: str) -> ConsoleLine | None:
    """Read one console line.

    Returns
    -------
    ConsoleLine or None
        None for anything that is not a whole line of the stress guest: firmware and
        kernel messages, and lines torn by a migration.
    """
    words = line.strip().split()
    if len(words) < 2 or words[0] != PREFIX:
        return None
    if words[1] == "error":
        return ErrorLine(text=" ".join(words[2:]))
    kind = _KINDS.get(words[1])
    if kind is None:
        return None
    fields = dict(word.split("=", 1) for word in words[2:] if "=" in word)
    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError:
        return None
