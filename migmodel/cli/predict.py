"""`migmodel predict`: what one migration will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from migmodel.cli.output_files import check_figure, check_writable
from migmodel.cli.scenario_options import scenario_from, scenario_options
from migmodel.errors import InputError
from migmodel.records.prediction import Prediction
from migmodel.records.profile import HostProfile

DRAWS = 64


@click.command()
@scenario_options
@click.option(
    "--profile",
    "profile_name",
    metavar="NAME|FILE",
    help="The host: a bundled profile or a calibrated file. [kvm-generic]",
)
@click.option("--nominal", is_flag=True, help="One run without intervals: quicker.")
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    help=f"Replications behind the intervals. [{DRAWS}]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, help="Of the draws. [0]")
@click.option("--json", "as_json", is_flag=True, help="Print the Prediction record.")
@click.option("--plot", metavar="FILE.png", help="Draw the nominal run over time.")
def predict(
    profile_name: str | None,
    nominal: bool,
    draws: int | None,
    seed: int,
    as_json: bool,
    plot: str | None,
    **options: Any,
) -> None:
    """Predict what one migration will do.

    Says whether it completes and why, how long it takes and how long the guest stands
    still, what it costs, and what was assumed. A migration that never completes is a
    result: the exit status is 0.
    """
    if nominal and draws is not None:
        raise InputError("--nominal draws nothing: leave out --draws")
    figure = None if plot is None else Path(plot)
    if figure is not None:
        check_figure(figure)
        check_writable(figure)
    described = scenario_from(**options)

    from migmodel.analysis import predict as model
    from migmodel.analysis.profiles import load_profile

    profile = load_profile(profile_name)
    prediction = model.predict(
        described.scenario,
        profile,
        draws=0 if nominal else draws or DRAWS,
        seed=seed,
    )
    assumptions = [*described.assumptions, *prediction.assumptions]
    prediction = msgspec.structs.replace(prediction, assumptions=assumptions)
    if figure is not None:
        _draw(prediction, figure)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(prediction), indent=1))
    else:
        _print(prediction, profile)


def _print(prediction: Prediction, profile: HostProfile) -> None:
    from migmodel.analysis.suggestions import suggest
    from migmodel.show.verdict import verdict_text

    click.echo(verdict_text(prediction, profile, suggest(prediction, profile)))


def _draw(prediction: Prediction, figure: Path) -> None:
    from migmodel.show.figures import plot_trace
    from migmodel.show.verdict import describe

    plot_trace(
        [("predicted", prediction.trace)],
        figure,
        title=describe(prediction.scenario),
    )
