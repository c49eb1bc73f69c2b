"""A validation as CSV: a row for every scenario and quantity, and the headlines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import Path

from migmodel.records.files import write_bytes

from .baselines import BASELINES, BaselineResult
from .compare import TOTAL_TIME, Comparison
from .fault_latency import fault_latency
from .headline import Headline
from .quantity import relative

SUMMARY, HEADLINES = "summary.csv", "headlines.csv"
# What a baseline's downtime stands beside: the time that the guest is stopped.
DOWNTIME = "downtime_stop_resume_s"
COLUMNS = (
    *("scenario", "technique", "qemu", "guest", "vcpus", "quantity"),
    *("runs", "measured_median", "measured_low", "measured_high", "spread"),
    *("predicted_nominal", "predicted_low", "predicted_median", "predicted_high"),
    *("error", "relative_error", "runs_in_interval", "verdict_right"),
    *(name for it in BASELINES for name in (it.name, f"{it.name}_relative_error")),
)
Row = dict[str, object]


def write_summary(
    comparisons: Sequence[Comparison], headlines: Sequence[Headline], out: Path
) -> None:
    """Write ``summary.csv`` and ``headlines.csv``."""
    rows = [row for it in comparisons for row in summary_rows(it)]
    _write(out / SUMMARY, COLUMNS, rows)
    found: list[Row] = [
        {
            "group": it.group,
            "figure": it.name,
            "value": it.value,
            "tolerance": it.limit,
            "passed": it.passed,
            "detail": it.detail,
        }
        for it in headlines
    ]
    names = ("group", "figure", "value", "tolerance", "passed", "detail")
    _write(out / HEADLINES, names, found)


def summary_rows(comparison: Comparison) -> Iterator[Row]:
    """One row a quantity; the first is whether it completes, as shares."""
    scenario = comparison.scenario
    common: Row = {
        "scenario": scenario.name,
        "technique": scenario.policy.technique,
        "qemu": scenario.qemu_version,
        "guest": scenario.guest.kind,
        "vcpus": scenario.guest.vcpus,
    }
    share = comparison.completed_share
    probability = comparison.prediction.completes_probability
    yield {
        **common,
        "quantity": "completes",
        "runs": len(comparison.traces),
        "measured_median": share,
        "predicted_median": probability,
        "error": probability - share,
        "verdict_right": comparison.verdict_right,
        **{
            name: float(result.verdict == "completed")
            for name, result in comparison.baselines.items()
        },
    }
    for name, it in comparison.quantities.items():
        yield {
            **common,
            "quantity": name,
            "runs": len(it.runs),
            "measured_median": it.measured,
            "measured_low": min(it.runs),
            "measured_high": max(it.runs),
            "spread": it.spread,
            "predicted_nominal": it.predicted.nominal,
            "predicted_low": it.predicted.low,
            "predicted_median": it.predicted.median,
            "predicted_high": it.predicted.high,
            "error": it.error,
            "relative_error": it.relative_error,
            "runs_in_interval": it.covered,
            **_baseline_columns(comparison, name, it.measured),
        }
    yield from _fault_rows(comparison, common)


def _fault_rows(comparison: Comparison, common: Row) -> Iterator[Row]:
    """Median and distance of all runs' fault latencies together, or of the traced."""
    latency = fault_latency(comparison)
    if latency is None or not latency.counts:
        return
    measured, predicted = latency.medians_s
    prefix = "traced_" if latency.traced else ""
    runs = 1 if latency.traced else len(comparison.traces)
    yield {
        **common,
        "quantity": f"{prefix}fault_latency_median_s",
        "runs": runs,
        "measured_median": measured,
        "predicted_nominal": predicted,
        "error": predicted - measured,
        "relative_error": relative(predicted - measured, measured),
    }
    yield {
        **common,
        "quantity": f"{prefix}fault_latency_distance_buckets",
        "runs": runs,
        "error": latency.distance_buckets,
    }


def _baseline_columns(comparison: Comparison, name: str, measured: float) -> Row:
    columns: Row = {}
    for baseline, result in comparison.baselines.items():
        value = _said(result, name)
        if value is not None:
            columns[baseline] = value
            columns[f"{baseline}_relative_error"] = relative(value - measured, measured)
    return columns


def _said(result: BaselineResult, quantity: str) -> float | None:
    if quantity == TOTAL_TIME:
        return result.total_time_s
    return result.downtime_s if quantity == DOWNTIME else None


def _write(path: Path, names: Sequence[str], rows: Sequence[Row]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(row.get(name)) for name in names} for row in rows)
    write_bytes(path, text.getvalue().encode())


def _cell(value: object) -> object:
    """Six digits say all that there is to say."""
    return f"{value:.6g}" if isinstance(value, float) else value
