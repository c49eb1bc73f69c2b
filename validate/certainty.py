"""What a suite says of its own certainty: intervals, and the noise of repeats."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from .compare import TOTAL_TIME, Comparison
from .headline import ALL, Headline, predicted, scenarios, share
from .quantity import Quantity, relative
from .tolerances import Tolerances

NOISE_FLOOR = 0.01
NOISE_SCENARIOS, NOISE_REPEATS = 8, 5  # fewer say little


def intervals(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    """How many runs lie within the 80 % interval, and how wide that is."""
    found = [
        (quantity, covered)
        for it, quantity in predicted(comparisons, TOTAL_TIME)
        if it.ends and (covered := quantity.covered) is not None
    ]
    if not found:
        return
    runs = sum(len(quantity.runs) for quantity, _ in found)
    inside = sum(covered for _, covered in found) / runs
    least_most = tolerances.coverage
    yield Headline(
        ALL,
        "total time, runs within the 80 % interval",
        inside,
        "%",
        "" if least_most is None else "{:.0%} to {:.0%}".format(*least_most),
        None if least_most is None else least_most[0] <= inside <= least_most[1],
        f"{runs} runs",
    )
    widths = [
        relative(high - low, best)
        for quantity, _ in found
        if (low := quantity.predicted.low) is not None
        and (high := quantity.predicted.high) is not None
        and (best := quantity.best) is not None
    ]
    label = "total time, median width of the 80 % interval"
    yield share(ALL, label, median(widths), tolerances.width, len(widths))


def noise(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    """Error of the predictions over that of running it again, for each guest."""
    limit = tolerances.noise_ratio
    for kind in ("bare", "linux"):
        found = [
            (it, quantity)
            for it, quantity in predicted(comparisons, TOTAL_TIME)
            if it.ends and it.scenario.guest.kind == kind and len(quantity.runs) > 1
        ]
        if not found:
            continue
        steps = [step for _, quantity in found for step in _run_noise(quantity)]
        spread = max(median(steps), NOISE_FLOOR)
        # Where these are too few the ratio is said, not judged.
        enough = sum(len(quantity.runs) >= NOISE_REPEATS for _, quantity in found)
        detail = f"noise {spread:.1%}, {scenarios(len(found))}"
        if enough < NOISE_SCENARIOS:
            detail += (
                f"; indicative: {enough} have {NOISE_REPEATS} repeats, "
                f"{NOISE_SCENARIOS} should"
            )
        value = median(it.total_time_error for it, _ in found) / spread
        yield Headline(
            f"{kind} guest",
            "noise ratio",
            value,
            "",
            "" if limit is None else f"<= {limit:g}",
            value <= limit if limit and enough >= NOISE_SCENARIOS else None,
            detail,
        )


def _run_noise(quantity: Quantity) -> Iterator[float]:
    """How far each run is from the median of the others, relative to the median."""
    for index, run in enumerate(quantity.runs):
        others = quantity.runs[:index] + quantity.runs[index + 1 :]
        yield relative(run - median(others), quantity.measured)
