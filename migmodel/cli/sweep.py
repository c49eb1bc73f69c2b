"""`migmodel sweep`: a grid of migrations into a table."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from migmodel.cli.grid import Combination, Grid, flag, grid_from, plotted_axes
from migmodel.cli.option_values import FULL_SPEED
from migmodel.cli.output_files import check_figure, check_suffix, check_writable
from migmodel.cli.scenario_options import scenario_options
from migmodel.records.scenario import Scenario
from migmodel.units import format_bandwidth, format_bytes, format_duration

if TYPE_CHECKING:
    from migmodel.analysis.row_files import RowFile
    from migmodel.analysis.sweep import Row

# Swept options whose values are written with their units; others stay as typed.
AXES: dict[str, tuple[str, Callable[[Scenario], str]]] = {
    "cpus": ("vCPUs", lambda s: str(s.guest.vcpus)),
    "rate": (
        "write rate [pages/s]",
        lambda s: f"{s.workload.rate_pps:g}" if s.workload.rate_pps else FULL_SPEED,
    ),
    "mem": ("guest RAM", lambda s: format_bytes(s.guest.ram_bytes)),
    "ws": ("working set", lambda s: format_bytes(s.workload.working_set_bytes)),
    "still": ("memory left still", lambda s: format_bytes(s.workload.still_bytes)),
    "bw": (
        "max-bandwidth",
        lambda s: format_bandwidth(s.policy.max_bandwidth_bytes_per_s),
    ),
    "downtime": (
        "downtime-limit",
        lambda s: format_duration(s.policy.downtime_limit_s),
    ),
}


@click.command()
@scenario_options
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    help="The host: a bundled profile or a calibrated file. [kvm-generic]",
)
@click.option(
    "--out", required=True, metavar="FILE.csv|.parquet", help="The table; overwritten."
)
@click.option("--plot", metavar="FILE.png", help="Heat map of one to three options.")
@click.option(
    "--draws",
    type=click.IntRange(min=0),
    default=0,
    help="Replications of each, for intervals and probabilities. [0: nominal only]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the draws. [0]")
@click.option("--jobs", type=click.IntRange(min=1), help="Most processes. [one a CPU]")
def sweep(
    profile_name: str | None,
    out: str,
    plot: str | None,
    draws: int,
    seed: int,
    jobs: int | None,
    **options: Any,
) -> None:
    """Predict a grid of migrations into a table.

    Every describing option takes a comma list, e.g. --mem 4,8,16 --bw 1g,10g; all
    combinations are predicted. Rows are written as they come.
    """
    table, figure = Path(out), None if plot is None else Path(plot)
    _check_files(table, figure)
    grid = grid_from(**options)
    if figure is not None:
        plotted_axes(list(grid.axes))

    from migmodel.analysis import sweep as analysis
    from migmodel.analysis.profiles import load_profile
    from migmodel.analysis.row_files import open_rows

    profile = load_profile(profile_name)
    scenarios = grid.scenarios
    rows = analysis.sweep(
        scenarios,
        profile,
        draws=draws,
        seed=seed,
        jobs=jobs or len(os.sched_getaffinity(0)),
    )
    with closing(rows), open_rows(table, analysis.columns(scenarios)) as file:
        done = _collect(rows, file, len(scenarios))
    if figure is not None:
        _draw(grid, done, figure)
    _summarise(grid, done, profile.name, table)


def _check_files(table: Path, figure: Path | None) -> None:
    from migmodel.analysis.row_files import SUFFIXES

    check_suffix(table, SUFFIXES)
    check_writable(table)
    if figure is not None:
        check_figure(figure)
        check_writable(figure)


def _collect(rows: Iterable[Row], file: RowFile, total: int) -> list[Row]:
    done: list[Row] = []
    try:
        for row in _with_progress(rows, total):
            file.append(row)
            done.append(row)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"interrupted: {len(done)} of {total} rows are kept in {file.rows_path}"
        ) from None
    return done


def _with_progress(rows: Iterable[Row], total: int) -> Iterator[Row]:
    if not sys.stderr.isatty():
        yield from rows
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress
    from rich.progress import TimeRemainingColumn as Remaining

    bar = (BarColumn(), MofNCompleteColumn(), "migrations", Remaining())
    with Progress(*bar, console=Console(stderr=True), transient=True) as progress:
        yield from progress.track(rows, total=total)


def _draw(grid: Grid, done: list[Row], figure: Path) -> None:
    from migmodel.show.heatmap import Cell, heatmap

    across, up, of_panels = plotted_axes(list(grid.axes))
    cells = []
    for combination, index in zip(grid.combinations, grid.point_of, strict=True):
        row, scenario = done[index], grid.points[index].scenario
        x, y, panel = (
            _axis_value(axis, combination, scenario) for axis in (across, up, of_panels)
        )
        if of_panels not in (None, "policy"):
            panel = f"{_axis_name(of_panels)}: {panel}"
        probability = row["completes_probability"]
        cells.append(Cell(x, y, panel, probability, row["total_time_s"]))
    heatmap(
        cells,
        figure,
        x_name=_axis_name(across),
        y_name=_axis_name(up),
    )


def _axis_value(axis: str | None, combination: Combination, scenario: Scenario) -> str:
    if axis is None:
        return ""
    return AXES[axis][1](scenario) if axis in AXES else combination[axis]


def _axis_name(axis: str | None) -> str:
    if axis is None:
        return ""
    return AXES[axis][0] if axis in AXES else flag(axis)


def _summarise(grid: Grid, done: list[Row], profile: str, table: Path) -> None:
    from migmodel.show.tables import wrapped

    completing = sum(row["completes_probability"] >= 0.5 for row in done)
    many = "migration" if len(done) == 1 else "migrations"
    click.echo(
        f"{len(done)} {many} with profile {profile}: {completing} complete, "
        f"{len(done) - completing} do not; {table}"
    )
    assumed = "; ".join(grid.assumptions)
    if assumed:
        lines = wrapped(assumed, first="assumed  ", others=" " * 9)
        click.echo("\n".join(lines))
