"""The study as pages: one a table with a chart a cell, and one with the findings."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from migmodel.records import HostProfile, Trace
from migmodel.records.files import write_bytes
from migmodel.show.interactive import interactive, write_page
from migmodel.units import format_duration

from .cells import GUESTS, LINKS, Cell
from .findings import Finding

INDEX = "index.html"
_STYLE = (
    "<style>body{font-family:sans-serif;margin:1.5em}td,th{padding:.2em .6em;"
    "text-align:left;border-bottom:1px solid #ddd}.no{color:#b00}</style>"
)


def write_pages(
    cells: Sequence[Cell],
    findings: Sequence[Finding],
    profile: HostProfile,
    folder: Path,
) -> None:
    """Write ``index.html`` and a page a table.

    Parameters
    ----------
    cells : sequence of Cell
        All of them.
    findings : sequence of Finding
        For the first page.
    profile : HostProfile
        For the first page: each value with its source.
    folder : Path
        Where to.
    """
    for guest in GUESTS:
        for link in LINKS:
            table = [it for it in cells if (it.guest, it.link) == (guest, link)]
            figures = [
                (
                    _heading(it),
                    interactive([(it.name, it.trace)], host_load=False, passes=True),
                )
                for it in table
                if it.trace is not None
            ]
            title = f"{guest}, {link}: predicted under QEMU 2.6's rules"
            if figures:
                write_page(figures, folder / f"{guest}-{link}.html", title)
    text = "\n".join(_index(cells, findings, profile))
    write_bytes(folder / INDEX, text.encode())


def _heading(cell: Cell) -> str:
    assert cell.trace is not None
    return f"{cell.name}: {_end(cell.trace)}"


def _end(trace: Trace) -> str:
    outcome = trace.outcome
    text: str = outcome.verdict
    if outcome.total_time_s is not None:
        text += f" after {format_duration(outcome.total_time_s)}"
    if outcome.passes:
        text += f", {outcome.passes} passes"
    if outcome.peak_throttle_percent:
        text += f", throttle {outcome.peak_throttle_percent:.0f} %"
    if outcome.downtime_stop_resume_s is not None:
        text += f", stopped {format_duration(outcome.downtime_stop_resume_s)}"
    return text


def _index(
    cells: Sequence[Cell], findings: Sequence[Finding], profile: HostProfile
) -> list[str]:
    parts = [
        "<!doctype html><html><head><meta charset='utf-8'>",
        f"<title>The 2016 study, predicted</title>{_STYLE}</head><body>",
        "<h1>The 2016 study, predicted</h1><h2>Findings</h2><table>",
    ]
    words = {True: "reproduced", False: "not reproduced", None: "not checked"}
    for it in findings:
        mark = "" if it.reproduced else " class='no'"
        parts.append(
            f"<tr{mark}><th>{it.name}</th><td>{words[it.reproduced]}</td>"
            f"<td>{escape(it.says)}</td><td>{escape(it.numbers)}</td></tr>"
        )
    parts.append("</table><h2>Cells</h2><table><tr><th></th>")
    tables = [(guest, link) for guest in GUESTS for link in LINKS]
    known = {(it.guest, it.link, it.name): it for it in cells}
    parts += [
        f"<th><a href='{guest}-{link}.html'>{guest}<br>{link}</a></th>"
        for guest, link in tables
    ]
    parts.append("</tr>")
    for name in dict.fromkeys(it.name for it in cells):
        row = [known[guest, link, name] for guest, link in tables]
        shown = "".join(f"<td>{escape(_short(it))}</td>" for it in row)
        parts.append(f"<tr><th>{name}</th>{shown}</tr>")
    parts.append("</table><h2>Hosts</h2><table>")
    parts.append(
        f"<tr><th>host_cpus</th><td>{profile.host_cpus}</td><td>stated</td></tr>"
    )
    parts += [
        f"<tr><th>{name}</th><td>{it.value:.4g}</td><td>{escape(it.source)}</td></tr>"
        for name, it in profile.parameters.items()
    ]
    parts.append("</table></body></html>")
    return parts


def _short(cell: Cell) -> str:
    return f"refused: {cell.refused}" if cell.trace is None else _end(cell.trace)
