"""Published tables and their predictions: lines, Markdown, CSV, figures."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from migmodel.records.files import write_bytes
from migmodel.show.canvas import COLOURS, drawing
from migmodel.show.tables import aligned

from .plain_tables import PlainTable
from .reproduction import TOTAL, Predicted, Reproduction

_HEADER = ("", "measured [s]", "predicted [s]", "error", "throttle", "")


def report_lines(
    found: Sequence[Reproduction], plain: Sequence[PlainTable]
) -> Iterator[str]:
    """Every table for the terminal."""
    for it in found:
        yield from _lines(it)
        yield ""
    for table in plain:
        yield from table.lines()
        yield ""


def write_all(
    found: Sequence[Reproduction], plain: Sequence[PlainTable], out: Path
) -> None:
    """Write ``published.md``, and ``<name>.csv`` and ``<name>.png`` of each table.

    Plain tables are in ``published.md`` alone.
    """
    text = "\n".join(_markdown(found, plain)) + "\n"
    write_bytes(out / "published.md", text.encode())
    for it in found:
        write_bytes(out / f"{it.table.name}.csv", _csv(it).encode())
        if it.counting:
            _draw(it, out / f"{it.table.name}.png")


def _lines(it: Reproduction) -> Iterator[str]:
    about = it.table.about
    yield f"{about.title} ({it.table.name})"
    for name, value in it.fitted.items():
        yield f"  fitted: {name} = {value:.4g}{_at_bound(it, name, value)}"
    predicted = [row for row in it.rows if row.prediction]
    if predicted:
        for line in aligned([_HEADER, *(_cells(row) for row in predicted)]):
            yield f"  {line}"
    yield from (f"  {line}" for line in _summary(it))
    for reason, names in _refused(it).items():
        shown = names[0] if len(names) == 1 else f"{len(names)} rows ({names[0]}, ...)"
        yield f"  not modelled: {shown}: {reason}"


def _at_bound(it: Reproduction, name: str, value: float) -> str:
    fit = it.table.about.fit
    assert fit is not None
    low, high = fit.constants[name]
    near = value < low * 1.05 or value > high / 1.05
    return " (at its bound: the rows do not determine it)" if near else ""


def _cells(row: Predicted) -> tuple[str, ...]:
    error = row.error()
    throttle = "peak_throttle_percent"
    measured = row.case.measured.get(throttle, ())
    peaks = "/".join(f"{value:.0f}" for value in measured)
    best = row.best(throttle)
    shown = "" if best is None else f"{best:.0f} %"
    if len(set(measured)) > 1 and row.peaks:
        shares = [f"{peak:.0f} %: {share:.0%}" for peak, share in row.peaks.items()]
        shown = ", ".join(shares)
    remark = "fitted on" if row.case.fitted else ""
    return (
        row.case.name,
        _seconds(row.case.measured.get(TOTAL, ())),
        _interval(row),
        "-" if error is None else f"{error:+.1%}",
        f"{peaks} / {shown}" if measured else shown,
        remark,
    )


def _seconds(values: Sequence[float]) -> str:
    if not values:
        return "-"
    return "/".join(f"{value:.4g}" for value in values)


def _interval(row: Predicted) -> str:
    best = row.best(TOTAL)
    assert row.prediction is not None
    if best is None:
        return row.prediction.trace.outcome.verdict
    it = row.prediction.quantities[TOTAL]
    around = "" if it.low is None else f" [{it.low:.4g}, {it.high:.4g}]"
    return f"{best:.4g}{around}"


def _summary(it: Reproduction) -> Iterator[str]:
    for quantity, target in it.table.about.target.items():
        error = it.median_error(quantity)
        percent = quantity.endswith("_percent")
        limit = f"{target:g} points" if percent else f"{target:.0%}"
        if error is None:
            yield f"{quantity}: no row could be predicted (to reach: {limit})"
            continue
        size = f"{error:.0f} points" if percent else f"{error:.1%}"
        count = sum(row.case.value(quantity) is not None for row in it.counting)
        word = "reached" if error <= target else "MISSED"
        yield (
            f"{quantity}: median |error| {size} over {count} rows, to reach {limit}: "
            + word
        )


def _refused(it: Reproduction) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = defaultdict(list)
    for row in it.rows:
        if row.prediction is None:
            reasons[row.refused].append(row.case.name)
    return reasons


def _csv(it: Reproduction) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        ("row", "quantity", "measured", "predicted", "low", "high", "use", "reason")
    )
    for row in it.rows:
        if row.prediction is None:
            writer.writerow((row.case.name, "", "", "", "", "", "none", row.refused))
            continue
        use = "fitted" if row.case.fitted else "predicted"
        for quantity in it.table.about.measured:
            interval = row.prediction.quantities[quantity]
            numbers = (
                row.case.value(quantity),
                row.best(quantity),
                interval.low,
                interval.high,
            )
            shown = ["" if it is None else f"{it:.6g}" for it in numbers]
            writer.writerow((row.case.name, quantity, *shown, use, ""))
    return text.getvalue()


def _markdown(
    found: Sequence[Reproduction], plain: Sequence[PlainTable]
) -> Iterator[str]:
    yield "# Published measurements, predicted"
    yield ""
    yield (
        "Made by `migmodel reproduce published --out DIR`. None of these hosts was "
        "ours: profiles are put together from documents and, for each table, at most "
        "two constants are fitted on at most a third of its modelled rows; the others "
        "are predicted. Several numbers in a cell are repeats. "
        "[How to add a table](howto-published.md)."
    )
    for it in found:
        about = it.table.about
        yield ""
        yield f"## {about.title}"
        yield ""
        yield f"Source: {about.source}."
        if about.note:
            yield ""
            yield about.note
        if it.fitted:
            shown = ", ".join(
                f"`{name}` = {value:.4g}{_at_bound(it, name, value)}"
                for name, value in it.fitted.items()
            )
            yield ""
            yield f"Fitted: {shown}."
        for name, assumed in about.host.parameters.items():
            yield ""
            yield f"`{name}` = {assumed.value:g}: {assumed.source}."
        predicted = [row for row in it.rows if row.prediction]
        if predicted:
            yield ""
            yield "| " + " | ".join(name or " " for name in _HEADER) + " |"
            yield "|" + "---|" * len(_HEADER)
            for row in predicted:
                yield "| " + " | ".join(_cells(row)) + " |"
        for line in _summary(it):
            yield ""
            yield line + "."
        for reason, names in _refused(it).items():
            yield ""
            yield f"Not modelled: {'; '.join(names)}: {reason}."
    for table in plain:
        yield from table.markdown()


def _draw(it: Reproduction, path: Path) -> None:
    """Measured against predicted total times, with the intervals."""
    rows = [row for row in it.rows if row.best(TOTAL) and row.case.value(TOTAL)]
    if not rows:
        return
    with drawing(5.5, 5.0, path, it.table.about.title) as figure:
        axis = figure.subplots()
        for row in rows:
            assert row.prediction is not None
            best, interval = row.best(TOTAL), row.prediction.quantities[TOTAL]
            assert best is not None
            low = best if interval.low is None else interval.low
            high = best if interval.high is None else interval.high
            colour = COLOURS[1] if row.case.fitted else COLOURS[0]
            for measured in row.case.measured[TOTAL]:
                axis.errorbar(
                    measured,
                    best,
                    yerr=[[max(best - low, 0)], [max(high - best, 0)]],
                    fmt="o",
                    markersize=4,
                    color=colour,
                )
        values = [value for row in rows for value in row.case.measured[TOTAL]]
        values += [best for row in rows if (best := row.best(TOTAL)) is not None]
        low, high = min(values) / 1.3, max(values) * 1.3
        axis.plot([low, high], [low, high], color="0.5", linewidth=0.8)
        if high > 10 * low:
            axis.set_xscale("log")
            axis.set_yscale("log")
        axis.set_xlim(low, high)
        axis.set_ylim(low, high)
        axis.set_xlabel("measured total time [s]")
        axis.set_ylabel("predicted total time [s]; orange: fitted on")
