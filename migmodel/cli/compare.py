"""`migmodel compare`: runs against the prediction of the same migration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from migmodel.cli.output_files import check_figure, check_writable
from migmodel.errors import JobError
from migmodel.units import MS_PER_S, format_bytes, format_duration

if TYPE_CHECKING:
    from migmodel.analysis.compare import Comparison
    from migmodel.records import HostProfile

DRAWS = 64
_COLUMNS = ("", "measured", "predicted", "80 %", "error")


@click.command()
@click.argument(
    "runs",
    metavar="RUN.json...",
    nargs=-1,
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    help="The host that they were made on. [kvm-generic]",
)
@click.option(
    "--qemu-version",
    metavar="VERSION",
    help="QEMU of a guestperf report, which does not say. [newest]",
)
@click.option(
    "--guest-speed",
    type=click.Choice(["own", "profile"]),
    help="Of the predicted guest: read from the run's own lines before its migration, "
    "or the profile's. [own for guestperf reports, else profile]",
)
@click.option(
    "--draws",
    type=click.IntRange(min=0),
    default=DRAWS,
    show_default=True,
    help="Replications behind the intervals; 0: the nominal run alone.",
)
@click.option("--plot", "figure", metavar="FILE.png", help="Draw both over time.")
def compare(
    runs: tuple[Path, ...],
    profile_name: str | None,
    qemu_version: str | None,
    guest_speed: str | None,
    draws: int,
    figure: str | None,
) -> None:
    """Compare runs with the prediction of the same migrations.

    RUN.json is a Measurement of `migmodel measure`, or a report of QEMU's guestperf.
    The exit status is 1 when a verdict is wrong.
    """
    out = None if figure is None else Path(figure)
    if out is not None:
        check_figure(out)
        check_writable(out)

    from migmodel.analysis import compare as model
    from migmodel.analysis.profiles import load_profile
    from migmodel.analysis.runs import NOT_NOTED, read_run

    profile = load_profile(profile_name)
    compared: list[Comparison] = []
    for path in runs:
        run = read_run(path, profile, qemu_version)
        host: HostProfile = profile
        reported = run.host.kernel == NOT_NOTED
        if (guest_speed or ("own" if reported else "profile")) == "own":
            host = model.with_guest_speed(profile, run)
        comparison = model.compare(run, host, draws=draws)
        compared.append(comparison)
        _print(path, comparison)
    if out is not None:
        _draw(runs, compared, out)
    wrong = [str(p) for p, it in zip(runs, compared, strict=True) if not _right(it)]
    if wrong:
        raise JobError(f"wrong verdict of {', '.join(wrong)}")


def _right(comparison: Comparison) -> bool:
    return comparison.verdict_right or not comparison.measurement.valid


def _print(path: Path, comparison: Comparison) -> None:
    from migmodel.show.tables import aligned

    run, prediction = comparison.measurement, comparison.prediction
    said, seen = prediction.trace.outcome, run.trace.outcome
    click.echo(f"{path}: {run.scenario.name or run.scenario.policy.technique}")
    for problem in run.problems:
        click.echo(f"  not fit for comparing: {problem}")
    rows = [_COLUMNS]
    rows.append(
        (
            "verdict",
            seen.verdict + (f" ({seen.reason})" if seen.reason else ""),
            _verdict(prediction.completes_probability, said.verdict),
            "",
            "" if comparison.verdict_right else "WRONG",
        )
    )
    for row in comparison.rows:
        error = row.relative_error
        low, high = row.predicted.low, row.predicted.high
        rows.append(
            (
                row.name,
                _text(row.name, row.measured),
                _text(row.name, row.best),
                (
                    ""
                    if low is None or high is None
                    else f"{_text(row.name, low)} to {_text(row.name, high)}"
                ),
                "" if error is None else f"{error:+.1%}",
            )
        )
    for line in aligned(rows):
        click.echo(f"  {line}")


def _verdict(probability: float, nominal: str) -> str:
    return f"{probability:.0%} complete (nominal: {nominal})"


def _text(name: str, value: float | None) -> str:
    if value is None:
        return "-"
    if name.endswith("_bytes") or name == "bytes_sent":
        return format_bytes(value)
    if name.endswith("_ms_per_gib"):
        return format_duration(value / MS_PER_S)
    if name.endswith("_s"):
        return format_duration(value)
    return f"{value:.4g}"


def _draw(runs: tuple[Path, ...], compared: list[Comparison], out: Path) -> None:
    from migmodel.show.figures import plot_trace

    traces = []
    for path, it in zip(runs, compared, strict=True):
        word = "" if len(runs) == 1 else f" {path.name}"
        traces.append((f"measured{word}", it.measurement.trace))
        traces.append((f"predicted{word}", it.prediction.trace))
    plot_trace(traces, out)
