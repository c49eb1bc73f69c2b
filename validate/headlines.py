"""A suite in figures: how good the predictions are, and whether that is good enough."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from migmodel.records import TECHNIQUES

from .baselines import BASELINES
from .compare import CPU_PARTS, CPU_TOTAL, TOTAL_TIME, Comparison, Quantity, relative
from .tolerances import Tolerances

DOWNTIMES = {
    "downtime_stop_resume_s": "downtime, STOP to RESUME",
    "downtime_reported_s": "downtime, as QEMU reports it",
    "downtime_guest_s": "downtime, as the guest feels it",
}
# The switch of plain pre-copy and auto-converge, and the two that are apart.
SWITCHES = {
    "pre-copy and auto-converge": ("precopy", "autoconverge"),
    "pause": ("pause",),
    "post-copy": ("postcopy",),
}
PHASES = ("before", "precopy", "postcopy", "after")
NOISE_FLOOR = 0.01
NOISE_SCENARIOS, NOISE_REPEATS = 8, 5  # fewer say little
ALL = "all"


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure of a suite.

    Attributes
    ----------
    group, name : str
        Over which scenarios, and of what.
    value : float or None
        None where there is nothing to take it from.
    unit : {'%', ''}
        Shares have '%'.
    limit : str
        The tolerance as text; empty where none is stated.
    passed : bool or None
        None where the figure decides nothing.
    detail : str
        From how many, and what to make of it.
    """

    group: str
    name: str
    value: float | None
    unit: str = ""
    limit: str = ""
    passed: bool | None = None
    detail: str = ""

    @property
    def text(self) -> str:
        """The value for a person."""
        if self.value is None:
            return "-"
        if math.isinf(self.value):
            return "no answer"
        return f"{self.value:.1%}" if self.unit == "%" else f"{self.value:.2g}"


def headlines(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> list[Headline]:
    """All headline figures of a suite."""
    return [
        _verdicts(comparisons),
        *_total_times(comparisons, tolerances),
        *_passes(comparisons, tolerances),
        *_throttle(comparisons, tolerances),
        *_downtimes(comparisons, tolerances),
        *_shares(comparisons, tolerances),
        *_intervals(comparisons, tolerances),
        *_noise(comparisons),
        *_beaten(comparisons, tolerances),
    ]


def spread(comparisons: Iterable[Comparison]) -> float:
    """Largest relative range of the total time among one scenario's repeats."""
    times = [it.quantities.get(TOTAL_TIME) for it in comparisons]
    return max((it.spread for it in times if it is not None), default=0.0)


def p90(values: Sequence[float]) -> float:
    """The smallest value that at least 90 % do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def _verdicts(comparisons: Sequence[Comparison]) -> Headline:
    wrong = [it for it in comparisons if not it.verdict_right]
    causes = "; ".join(f"{it.scenario.name}: {it.cause}" for it in wrong)
    detail = causes or f"{len(comparisons)} scenarios"
    return Headline(ALL, "wrong verdicts", len(wrong), "", "0", not wrong, detail)


def _total_times(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    for group in (ALL, *TECHNIQUES):
        errors = [
            it.total_time_error
            for it in comparisons
            if it.ends and group in (ALL, it.scenario.policy.technique)
        ]
        for name, take, limit in (
            ("median", median, tolerances.total_time_median),
            ("p90", p90, tolerances.total_time_p90),
        ):
            if errors:
                label = f"total time, {name} error"
                yield _share(group, label, take(errors), limit, len(errors))


def _passes(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    near = [
        abs(error) <= tolerances.passes_off
        for _, quantity in _of(comparisons, "passes")
        if (error := quantity.error) is not None
    ]
    if near:
        share = sum(near) / len(near)
        yield Headline(
            ALL,
            f"passes within {tolerances.passes_off:g}",
            share,
            "%",
            f">= {tolerances.passes_share:.0%}",
            share >= tolerances.passes_share,
            _scenarios(len(near)),
        )


def _throttle(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    steps = {
        it.scenario.name: abs(error)
        / int(it.scenario.policy.parameter("cpu-throttle-increment"))
        for it, quantity in _of(comparisons, "peak_throttle_percent")
        if (error := quantity.error) is not None
    }
    if steps:
        worst = max(steps, key=lambda name: steps[name])
        yield Headline(
            "autoconverge",
            "peak throttle, most steps off",
            steps[worst],
            "",
            f"<= {tolerances.throttle_steps:g}",
            steps[worst] <= tolerances.throttle_steps,
            f"{_scenarios(len(steps))}, worst {worst}",
        )


def _downtimes(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    floor_s, share = tolerances.downtime_s, tolerances.downtime_share
    for quantity_name, label in DOWNTIMES.items():
        gated = quantity_name == "downtime_stop_resume_s"
        for group, techniques in SWITCHES.items():
            found = [
                (abs(error), max(floor_s, share * quantity.measured))
                for it, quantity in _of(comparisons, quantity_name)
                if it.ends and it.scenario.policy.technique in techniques
                if (error := quantity.error) is not None
            ]
            if not found:
                continue
            value = p90([error / allowed for error, allowed in found])
            worst_ms = 1000 * p90([error for error, _ in found])
            yield Headline(
                group,
                f"{label}, p90 error over the allowed one",
                value,
                "",
                f"<= 1 (the larger of {1000 * floor_s:.0f} ms, {share:.0%})",
                value <= 1 if gated else None,
                f"{_scenarios(len(found))}, p90 error {worst_ms:.0f} ms",
            )


def _shares(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    limits: dict[str, tuple[str, float | None]] = {
        **{
            f"guest_{phase}_ms_per_gib": (f"guest ms/GiB, {phase}", tolerances.guest)
            for phase in PHASES
        },
        CPU_TOTAL: ("host CPU seconds", tolerances.cpu),
        **{name: (f"host CPU seconds, {name[:-6]}", None) for name in CPU_PARTS},
        "bytes_sent": ("bytes sent", None),
    }
    for name, (label, limit) in limits.items():
        errors = _errors(comparisons, name)
        if errors:
            yield _share(
                ALL, f"{label}, median error", median(errors), limit, len(errors)
            )


def _intervals(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    found = [
        (quantity, covered)
        for it, quantity in _of(comparisons, TOTAL_TIME)
        if it.ends and (covered := quantity.covered) is not None
    ]
    if not found:
        return
    runs = sum(len(quantity.runs) for quantity, _ in found)
    share = sum(covered for _, covered in found) / runs
    least_most = tolerances.coverage
    yield Headline(
        ALL,
        "total time, runs within the 80 % interval",
        share,
        "%",
        "" if least_most is None else "{:.0%} to {:.0%}".format(*least_most),
        None if least_most is None else least_most[0] <= share <= least_most[1],
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
    yield _share(ALL, label, median(widths), tolerances.width, len(widths))


def _noise(comparisons: Sequence[Comparison]) -> Iterator[Headline]:
    for kind in ("bare", "linux"):
        found = [
            (it, quantity)
            for it, quantity in _of(comparisons, TOTAL_TIME)
            if it.ends and it.scenario.guest.kind == kind and len(quantity.runs) > 1
        ]
        if not found:
            continue
        noise = max(
            median(step for _, quantity in found for step in _run_noise(quantity)),
            NOISE_FLOOR,
        )
        enough = sum(len(quantity.runs) >= NOISE_REPEATS for _, quantity in found)
        detail = f"noise {noise:.1%}, {_scenarios(len(found))}"
        if enough < NOISE_SCENARIOS:
            detail += (
                f"; indicative: {enough} have {NOISE_REPEATS} repeats, "
                f"{NOISE_SCENARIOS} should"
            )
        value = median(it.total_time_error for it, _ in found) / noise
        yield Headline(f"{kind} guest", "noise ratio", value, detail=detail)


def _run_noise(quantity: Quantity) -> Iterator[float]:
    """How far each run is from the median of the others, relative to the median."""
    for index, run in enumerate(quantity.runs):
        others = quantity.runs[:index] + quantity.runs[index + 1 :]
        yield relative(run - median(others), quantity.measured)


def _beaten(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    """Better: fewer or as many wrong verdicts, lower median error, no higher p90."""
    plain = [it for it in comparisons if it.scenario.policy.technique == "precopy"]
    for group, members in (("plain pre-copy", plain), (ALL, comparisons)):
        known = [it for it in members if it.baselines]
        ended = [it for it in known if it.ends]
        if not ended:
            continue
        own = [it.total_time_error for it in ended]
        own_wrong = sum(not it.verdict_right for it in known)
        for name in (baseline.name for baseline in BASELINES):
            errors = [it.baseline_error(name) for it in ended]
            wrong = sum(not it.baseline_right(name) for it in known)
            better = (
                own_wrong <= wrong
                and median(own) < median(errors)
                and p90(own) <= p90(errors)
            )
            yield Headline(
                group,
                f"total time, median error of {name}",
                median(errors),
                "%",
                f"> {median(own):.1%} (ours)" if tolerances.baselines else "",
                better if tolerances.baselines else None,
                f"{_scenarios(len(ended))}, p90 {_percent(p90(errors))}, "
                f"{wrong} wrong verdicts of {len(known)}",
            )


def _of(
    comparisons: Iterable[Comparison], name: str
) -> Iterator[tuple[Comparison, Quantity]]:
    for comparison in comparisons:
        quantity = comparison.quantities.get(name)
        if quantity is not None and quantity.best is not None:
            yield comparison, quantity


def _errors(comparisons: Iterable[Comparison], name: str) -> list[float]:
    errors = [quantity.relative_error for _, quantity in _of(comparisons, name)]
    return [error for error in errors if error is not None]


def _share(
    group: str, name: str, value: float, limit: float | None, count: int
) -> Headline:
    return Headline(
        group,
        name,
        value,
        "%",
        "" if limit is None else f"<= {limit:.1%}",
        None if limit is None else value <= limit,
        _scenarios(count),
    )


def _scenarios(count: int) -> str:
    return f"{count} scenario" + ("s" if count != 1 else "")


def _percent(value: float) -> str:
    return "no answer" if math.isinf(value) else f"{value:.1%}"
