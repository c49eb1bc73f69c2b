"""`migmodel reproduce`: what others measured and published, predicted."""

from __future__ import annotations

from pathlib import Path

import click

from migmodel.cli.output_files import writable_folder
from migmodel.errors import InputError

DRAWS = 40


@click.group()
def reproduce() -> None:
    """Predict what others measured and published."""


@reproduce.command()
@click.option("--only", metavar="NAME,...", help="These tables alone.")
@click.option(
    "--tables",
    "folder",
    metavar="DIR",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Tables of your own: a CSV and a description each. [the bundled ones]",
)
@click.option(
    "--draws",
    type=click.IntRange(min=0),
    default=DRAWS,
    show_default=True,
    help="Replications behind each row; 0: nominal runs, quicker.",
)
@click.option(
    "--out", metavar="DIR", help="Write tables of errors, figures and published.md."
)
def published(
    only: str | None, folder: Path | None, draws: int, out: str | None
) -> None:
    """Predict published tables, with at most two constants a host fitted.

    A table that is missed is a result: the exit status is 0.
    """
    target = None if out is None else writable_folder("--out", Path(out))

    from .plain_tables import PLAIN, plain_table
    from .published_report import report_lines, write_all
    from .reproduction import reproduce_table
    from .tables import load_tables

    described = {table.name: table for table in load_tables(folder)}
    names = _chosen([*described, *(PLAIN if folder is None else ())], only)
    tables = [described[name] for name in names if name in described]
    found = [reproduce_table(table, draws=draws) for table in tables]
    plain = [plain_table(name) for name in names if name not in described]
    for line in report_lines(found, plain):
        click.echo(line)
    if target is not None:
        write_all(found, plain, target)
        click.echo(f"tables and figures are in {target}")


@reproduce.command("study-2016")
@click.option("--html", "folder", metavar="DIR", help="Write a page for each table.")
def study(folder: str | None) -> None:
    """Predict the 264 cells of the 2016 study and check its findings.

    D. Berrangé's "Analysis of techniques for ensuring migration completion with KVM",
    under QEMU 2.6's rules, on one documented profile of its hosts. A finding that is
    not reproduced is a result: the exit status is 0.
    """
    target = None if folder is None else writable_folder("--html", Path(folder))
    if target is not None:
        from migmodel.show.interactive import check_plotly

        check_plotly()

    from .study.cells import run_cells, study_profile
    from .study.findings import findings

    cells = list(run_cells())
    found = list(findings(cells))
    for it in found:
        click.echo(it.line)
    refused = [it for it in cells if it.trace is None]
    click.echo(f"{len(cells) - len(refused)} of {len(cells)} cells predicted")
    for reason in dict.fromkeys(it.refused for it in refused):
        count = sum(it.refused == reason for it in refused)
        click.echo(f"not predicted: {count} cells: {reason}")
    if target is not None:
        from .study.pages import INDEX, write_pages

        write_pages(cells, found, study_profile(), target)
        click.echo(f"pages are in {target}, begin with {INDEX}")


def _chosen(known: list[str], only: str | None) -> list[str]:
    if only is None:
        return known
    wanted = [name.strip() for name in only.split(",")]
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise InputError(
            f"--only: no table {', '.join(unknown)}; there are {', '.join(known)}"
        )
    return wanted
