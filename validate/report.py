"""A validation as tables for people: on the terminal and as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from migmodel.records.files import write_bytes
from migmodel.show.tables import aligned
from migmodel.units import MS_PER_S, US_PER_S

from .baselines import BASELINES
from .compare import CPU_TOTAL, TOTAL_TIME, Comparison
from .crossover import sides
from .fault_latency import FEWEST_FAULTS, FaultLatency, fault_latency
from .headline import Headline
from .quantity import Quantity
from .validation import Validation

REPORT = "report.md"


HEADLINE_HEADER = ("scenarios", "figure", "value", "tolerance", "", "from")


def write_report(validation: Validation, out: Path) -> None:
    """Write ``report.md``."""
    write_bytes(out / REPORT, "\n".join(_markdown(validation)).encode())


def report_lines(validation: Validation) -> Iterator[str]:
    """Scenarios, headlines and what they are worth, for a terminal.

    Baselines, a column each, are a table of their own here: lines stay near 100 long.
    """
    scenarios = list(_scenario_rows(validation.comparisons))
    first = len(SCENARIO_HEADER) - len(BASELINES)
    for title, header, rows in (
        ("Scenarios", SCENARIO_HEADER[:first], [row[:first] for row in scenarios]),
        (
            "Baselines: error of their total time, or their verdict",
            (SCENARIO_HEADER[0], *SCENARIO_HEADER[first:]),
            [(row[0], *row[first:]) for row in scenarios],
        ),
        (
            "Costs, measured / predicted",
            DETAIL_HEADER,
            list(_detail_rows(validation.comparisons)),
        ),
        ("Headlines", HEADLINE_HEADER, list(_headline_rows(validation.headlines))),
    ):
        yield title
        yield from (f"  {line}" for line in aligned([header, *rows]))
        yield ""
    yield from _closing_lines(validation)


SCENARIO_HEADER = (
    "scenario",
    "runs",
    "verdict",
    "total time [s]",
    "predicted [s]",
    "error",
    "passes",
    "downtime [ms]",
    "throttle",
    *(baseline.name for baseline in BASELINES),
)


def _scenario_rows(comparisons: Iterable[Comparison]) -> Iterator[tuple[str, ...]]:
    for it in comparisons:
        time = it.quantities.get(TOTAL_TIME)
        yield (
            it.scenario.name,
            str(len(it.traces)) + (f" (+{it.invalid} invalid)" if it.invalid else ""),
            _verdict(it),
            "-" if time is None else _measured(time),
            "-" if time is None else _predicted(time),
            "-" if time is None else _error(it.total_time_error, time.error),
            _pair(it, "passes"),
            _pair(it, "downtime_stop_resume_s", MS_PER_S),
            _pair(it, "peak_throttle_percent"),
            *(_baseline(it, baseline.name) for baseline in BASELINES),
        )


DETAIL_HEADER = (
    "scenario",
    "technique",
    "QEMU",
    "bytes [MB]",
    "host CPU [s]",
    "blocktime [ms]",
    "fault latency [us]",
    "distance",
    "bound by",
)


def _detail_rows(comparisons: Iterable[Comparison]) -> Iterator[tuple[str, ...]]:
    for it in comparisons:
        latency, bound = fault_latency(it), sides(it)
        yield (
            it.scenario.name,
            it.scenario.policy.technique,
            it.scenario.qemu_version,
            _pair(it, "bytes_sent", 1e-6),
            _pair(it, CPU_TOTAL, digits=2),
            _pair(it, "postcopy_blocktime_s", MS_PER_S),
            "-" if latency is None else _medians(latency),
            "-" if latency is None else f"{latency.distance_buckets:.2f}",
            "-" if bound is None else f"{bound[0] or 'between'} / {bound[1]}",
        )


def _medians(latency: FaultLatency) -> str:
    """Measured / predicted [us], marked where it was traced or is from few faults."""
    pair = " / ".join(f"{US_PER_S * one:.0f}" for one in latency.medians_s)
    marks = ["traced"] * latency.traced
    if not latency.counts:
        marks.append(f"{latency.faults:.0f} faults")
    return pair + (f" ({', '.join(marks)})" if marks else "")


def _verdict(comparison: Comparison) -> str:
    said = "completes" if comparison.ends else "does not"
    if comparison.undecided:
        said = f"{comparison.completed_share:.0%} complete"
    probability = comparison.prediction.completes_probability
    wrong = "" if comparison.verdict_right else f", WRONG: {probability:.0%} predicted"
    return said + wrong


def _measured(time: Quantity) -> str:
    """The median and half the range."""
    around = f" ± {time.spread / 2:.1%}" if len(time.runs) > 1 else ""
    return f"{time.measured:.2f}{around}"


def _predicted(time: Quantity) -> str:
    if time.best is None:
        return "none"
    low, high = time.predicted.low, time.predicted.high
    between = "" if low is None or high is None else f" [{low:.2f}, {high:.2f}]"
    return f"{time.best:.2f}{between}"


def _error(size: float, signed: float | None) -> str:
    if signed is None or math.isinf(size):
        return "-"
    return f"{math.copysign(size, signed):+.1%}"


def _pair(
    comparison: Comparison, name: str, factor: float = 1.0, digits: int = 0
) -> str:
    """Measured / predicted."""
    found = comparison.quantities.get(name)
    if found is None:
        return "-"
    best = "-" if found.best is None else f"{factor * found.best:.{digits}f}"
    return f"{factor * found.measured:.{digits}f} / {best}"


def _baseline(comparison: Comparison, name: str) -> str:
    result, time = comparison.baselines.get(name), comparison.quantities.get(TOTAL_TIME)
    if result is None:
        return "-"
    if time is None or result.total_time_s is None:
        return result.verdict
    return _error(comparison.baseline_error(name), result.total_time_s - time.measured)


def _headline_rows(headlines: Iterable[Headline]) -> Iterator[tuple[str, ...]]:
    words = {None: "", True: "ok", False: "MISSED"}
    for it in headlines:
        yield (it.group, it.name, it.text, it.limit, words[it.passed], it.detail)


def _closing_lines(validation: Validation) -> Iterator[str]:
    yield "Is the suite hard enough?"
    yield from (f"- {line}" for line in validation.honesty)
    if validation.notes:
        yield "Notes"
        yield from (f"- {line}" for line in validation.notes)


def _markdown(validation: Validation) -> Iterator[str]:
    host, profile = validation.host, validation.profile
    yield f"# Validation: suite {validation.suite}"
    yield ""
    yield (
        f"Host: {host.cpu_model}, {host.cpus} CPUs, Linux {host.kernel}, QEMU "
        f"{' and '.join(validation.qemu_versions)}, {host.accel}. "
        f"Runs: {validation.period}. Profile: {profile.name} ({profile.kind})."
    )
    yield ""
    yield "## Headlines"
    yield ""
    yield from _markdown_table(HEADLINE_HEADER, _headline_rows(validation.headlines))
    yield ""
    yield "## Scenarios"
    yield ""
    yield (
        "Total time: measured median and half the range of the repeats; predicted "
        "median and 80 % interval. Pairs: measured / predicted. Baselines: error of "
        "their total time, or their verdict."
    )
    yield ""
    yield from _markdown_table(SCENARIO_HEADER, _scenario_rows(validation.comparisons))
    yield ""
    yield "Measured / predicted, fault latency as medians; the distance between their"
    yield "distributions is in octaves (buckets)."
    found = [fault_latency(it) for it in validation.comparisons]
    if any(latency is not None and latency.traced for latency in found):
        yield (
            "Traced: where QEMU reports none, of one run of its own whose faults were "
            "logged, corrected by what tracing adds on a QEMU that reports them; of "
            f"fewer than {FEWEST_FAULTS:,} faults it counts in no headline."
        )
    yield ""
    yield from _markdown_table(DETAIL_HEADER, _detail_rows(validation.comparisons))
    yield ""
    yield from _closing_lines(validation)
    yield ""


def _markdown_table(
    header: Sequence[str], rows: Iterable[Sequence[str]]
) -> Iterator[str]:
    yield "| " + " | ".join(header) + " |"
    yield "|" + "---|" * len(header)
    for row in rows:
        yield "| " + " | ".join(row) + " |"
