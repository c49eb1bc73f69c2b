"""`migmodel predict`: what one migration will do."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec

from migmodel.cli.batch import batch_option, batched
from migmodel.cli.output_files import (
    check_figure,
    check_writable,
    writable_folder,
)
from migmodel.cli.scenario_options import scenario_from, scenario_options
from migmodel.errors import InputError
from migmodel.records.prediction import Prediction
from migmodel.records.profile import HostProfile
from migmodel.units import format_bandwidth, parse_bandwidth

DRAWS = 64


@click.command()
@scenario_options
@batch_option
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
@click.option(
    "--shared-link",
    metavar="RATE",
    help="Predict several --scenario files together, over one link of that rate.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the Prediction record.")
@click.option("--plot", metavar="FILE.png", help="Draw the nominal run over time.")
@click.option(
    "--guestperf", metavar="DIR", help="Write it as a guestperf report there, too."
)
def predict(
    batch: str | None,
    profile_name: str | None,
    nominal: bool,
    draws: int | None,
    seed: int,
    as_json: bool,
    plot: str | None,
    guestperf: str | None,
    shared_link: str | None,
    **options: Any,
) -> None:
    """Predict what one migration will do.

    Says whether it completes and why, how long it takes and how long the guest stands
    still, what it costs, and what was assumed. A migration that never completes is a
    result: the exit status is 0.
    """
    if nominal and draws is not None:
        raise InputError("--nominal draws nothing: leave out --draws")
    folder = (
        None if guestperf is None else writable_folder("--guestperf", Path(guestperf))
    )
    draws = 0 if nominal else draws or DRAWS
    if batch is not None:
        if plot is not None:
            raise InputError("--batch predicts many: leave out --plot")
        if shared_link is not None:
            raise InputError(
                "--batch predicts one migration after the other: leave out "
                "--shared-link, which takes --scenario files"
            )
        _predict_batch(batch, options, profile_name, draws, seed, as_json, folder)
        return
    figure = None if plot is None else Path(plot)
    if figure is not None:
        check_figure(figure)
        check_writable(figure)
    several = options.get("scenario")
    if shared_link is not None or isinstance(several, tuple):
        if figure is not None or folder is not None:
            raise InputError(
                "--plot and --guestperf show one migration: leave out --shared-link"
            )
        _predict_together(options, shared_link, profile_name, draws, seed, as_json)
        return
    described = scenario_from(**options)

    from migmodel.analysis import predict as model
    from migmodel.analysis.profiles import load_profile

    profile = load_profile(profile_name)
    prediction = model.predict(
        described.scenario,
        profile,
        draws=draws,
        seed=seed,
    )
    assumptions = [*described.assumptions, *prediction.assumptions]
    prediction = msgspec.structs.replace(prediction, assumptions=assumptions)
    if figure is not None:
        _draw(prediction, figure)
    if folder is not None:
        _write_report(prediction, folder / "prediction.json")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(prediction), indent=1))
    else:
        _print(prediction, profile)


def _predict_together(
    options: dict[str, Any],
    shared_link: str | None,
    profile_name: str | None,
    draws: int,
    seed: int,
    as_json: bool,
) -> None:
    from migmodel.analysis.predict import predict_together
    from migmodel.analysis.profiles import load_profile

    files = options.get("scenario")
    if shared_link is None or not isinstance(files, tuple):
        raise InputError(
            "migrations that share a link are described in files, two or more: "
            "--scenario A.json --scenario B.json --shared-link 1g"
        )
    capacity = _capacity(shared_link)
    single = {**options, "scenario": None}
    scenarios = [scenario_from(**{**single, "scenario": f}).scenario for f in files]
    profile = load_profile(profile_name)
    predictions = predict_together(scenarios, profile, capacity, draws=draws, seed=seed)
    shared = f"shares {format_bandwidth(capacity)} with {len(files) - 1} more"
    predictions = [
        msgspec.structs.replace(
            each, assumptions=[f"{shared} (--shared-link)", *each.assumptions]
        )
        for each in predictions
    ]
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(predictions), indent=1))
        return
    from migmodel.show.verdict import verdict_text

    texts = [
        f"{file}:\n{verdict_text(prediction, profile, [])}"
        for file, prediction in zip(files, predictions, strict=True)
    ]
    click.echo("\n\n".join(texts))


def _capacity(shared_link: str) -> int:
    try:
        capacity = parse_bandwidth(shared_link)
    except InputError:
        capacity = 0
    if not capacity:  # unlimited, too, is nothing to share
        raise InputError(
            f"--shared-link: not a rate: '{shared_link}'; write it like 1g or 10gbit "
            "(bit/s) or 125MB/s (bytes/s)"
        )
    return capacity


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


def _write_report(prediction: Prediction, path: Path) -> None:
    from migmodel.guestperf.report import write_report
    from migmodel.guestperf.writing import report_of

    write_report(path, report_of(prediction))


def _predict_batch(
    pattern: str,
    options: dict[str, Any],
    profile_name: str | None,
    draws: int,
    seed: int,
    as_json: bool,
    folder: Path | None,
) -> None:
    from migmodel.analysis import predict as model
    from migmodel.analysis.profiles import load_profile
    from migmodel.show.batch import BatchRow, batch_lines

    profile = load_profile(profile_name)
    predictions: list[Prediction] = []
    rows: list[BatchRow] = []
    for it in batched(pattern, options):
        name = f"{it.comparison}/{it.name}"
        if it.scenario is None:
            rows.append(BatchRow(name, None, it.refused))
            continue
        try:
            prediction = model.predict(it.scenario, profile, draws=draws, seed=seed)
        except InputError as error:
            rows.append(BatchRow(name, None, str(error)))
            continue
        predictions.append(prediction)
        rows.append(BatchRow(name, prediction))
        if folder is not None:
            _write_report(prediction, folder / f"{name}.json")
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(predictions), indent=1))
        return
    for line in batch_lines(rows):
        click.echo(line)
