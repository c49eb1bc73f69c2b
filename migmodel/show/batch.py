"""Many predictions as a table: a line each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from migmodel.records import Prediction
from migmodel.show.tables import aligned
from migmodel.units import format_duration

_COLUMNS = (
    "scenario",
    "verdict",
    "total",
    "downtime",
    "passes",
    "throttle",
    "worst ms/GiB",
)


class BatchRow(NamedTuple):
    """A scenario's prediction, or why there is none."""

    name: str
    prediction: Prediction | None
    refused: str = ""


def batch_lines(rows: Sequence[BatchRow]) -> list[str]:
    """Lay out a table, and below it what could not be predicted, and why."""
    cells: list[tuple[str, ...]] = [_COLUMNS]
    cells += [_cells(row.name, row.prediction) for row in rows if row.prediction]
    refused = [f"{row.name}: {row.refused}" for row in rows if row.prediction is None]
    return (aligned(cells) if len(cells) > 1 else []) + refused


def _cells(name: str, prediction: Prediction) -> tuple[str, ...]:
    outcome = prediction.trace.outcome
    worst = prediction.quantities["guest_worst_ms_per_gib"]
    return (
        name,
        f"{prediction.completes_probability:.0%} complete"
        if prediction.draws
        else outcome.verdict,
        _time(_best(prediction, "total_time_s")),
        _time(_best(prediction, "downtime_stop_resume_s")),
        _number(_best(prediction, "passes")),
        _number(_best(prediction, "peak_throttle_percent"), " %"),
        "-" if worst.nominal is None else f"{worst.nominal:.0f}",
    )


def _best(prediction: Prediction, name: str) -> float | None:
    interval = prediction.quantities[name]
    return interval.nominal if interval.median is None else interval.median


def _time(seconds: float | None) -> str:
    return "-" if seconds is None else format_duration(seconds)


def _number(value: float | None, unit: str = "") -> str:
    return "-" if value is None else f"{value:.0f}{unit}"
