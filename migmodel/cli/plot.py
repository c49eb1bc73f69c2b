"""`migmodel plot`: runs, predictions and guestperf reports over one time axis."""

from __future__ import annotations

from pathlib import Path

import click

from migmodel.cli.output_files import check_figure, check_suffix, check_writable
from migmodel.errors import InputError


@click.command()
@click.argument(
    "files",
    metavar="FILE.json...",
    nargs=-1,
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
)
@click.option("--html", "page", metavar="FILE.html", help="An interactive page.")
@click.option("-o", "--out", "figure", metavar="FILE.png", help="A picture.")
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    help="The host of guestperf reports. [kvm-generic]",
)
def plot(
    files: tuple[Path, ...],
    page: str | None,
    figure: str | None,
    profile_name: str | None,
) -> None:
    """Draw runs and predictions over one time axis.

    FILE.json is a Measurement of `migmodel measure`, a Prediction of `migmodel predict
    --json` or a report of QEMU's guestperf. Shown are remaining memory, throttle, the
    time that each vCPU needs for a GiB, and the busy CPUs of the host. The page stands
    alone: it loads nothing from elsewhere.
    """
    if page is None and figure is None:
        raise InputError("say where to: --html FILE.html or -o FILE.png, or both")
    outputs = []
    if page is not None:
        check_suffix(Path(page), (".html",))
        outputs.append(Path(page))
    if figure is not None:
        check_figure(Path(figure))
        outputs.append(Path(figure))
    for path in outputs:
        check_writable(path)
    if page is not None:
        from migmodel.show.interactive import check_plotly

        check_plotly()

    from migmodel.analysis.profiles import load_profile
    from migmodel.analysis.runs import read_any

    profile = load_profile(profile_name)
    records = [read_any(path, profile) for path in files]
    labels = _labels(files)
    traces = [(label, it.trace) for label, it in zip(labels, records, strict=True)]
    if figure is not None:
        from migmodel.show.figures import plot_trace

        plot_trace(traces, Path(figure), host_load=True)
    if page is not None:
        from migmodel.show.interactive import interactive, write_page

        title = "Migrations over time"
        write_page([("", interactive(traces))], Path(page), title)
    many = "migration" if len(traces) == 1 else "migrations"
    click.echo(f"{len(traces)} {many} drawn in " + " and ".join(map(str, outputs)))


def _labels(files: tuple[Path, ...]) -> list[str]:
    """Names of the files, with their folders where names alone are not enough."""
    names = [path.name.removesuffix(".gz").removesuffix(".json") for path in files]
    if len(set(names)) == len(names):
        return names
    return [str(path).removesuffix(".gz").removesuffix(".json") for path in files]
