"""Scenarios that this host cannot run, each with the reason, kept beside the runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from migmodel.errors import InputError
from migmodel.records import Scenario
from migmodel.records.files import write_bytes

SKIPS = "skipped.csv"
COLUMNS = ("scenario", "reason")
Skips = dict[str, str]  # scenario's name to the reason


def sort_out(
    scenarios: Iterable[Scenario], check: Callable[[Scenario], object]
) -> tuple[list[Scenario], Skips]:
    """Those that can be run, and why the others cannot.

    Parameters
    ----------
    check : callable
        Raises InputError for a scenario that cannot be run here.
    """
    able, skips = [], {}
    for scenario in scenarios:
        try:
            check(scenario)
        except InputError as error:
            skips[scenario.name] = str(error)
        else:
            able.append(scenario)
    return able, skips


def write_skips(skips: Skips, out: Path) -> None:
    """Keep what was skipped the last time that runs were to be made."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(skips.items())
    write_bytes(out / SKIPS, text.getvalue().encode())


def read_skips(out: Path) -> Skips:
    """What was skipped; nothing where nobody kept it."""
    try:
        text = (out / SKIPS).read_text(encoding="utf-8")
    except OSError:
        return {}
    rows = csv.DictReader(io.StringIO(text))
    return {row["scenario"]: row["reason"] for row in rows}


def skip_notes(skips: Skips, names: Sequence[str]) -> list[str]:
    """A line for each reason, with the scenarios that it keeps from being run."""
    reasons: dict[str, list[str]] = {}
    for name in names:
        if name in skips:
            reasons.setdefault(skips[name], []).append(name)
    return [
        f"skipped: {', '.join(skipped)}: {reason}"
        for reason, skipped in reasons.items()
    ]
