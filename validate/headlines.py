"""A suite in figures: how good the predictions are, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from migmodel.records import TECHNIQUES
from migmodel.records.policy import Technique

from .certainty import intervals, noise
from .compare import BAD, CPU_PARTS, CPU_TOTAL, TOTAL_TIME, Comparison
from .crossover import crossovers
from .fault_latency import fault_latencies
from .headline import ALL, Headline, errors, p90, predicted, scenarios, share
from .orderings import orderings
from .rivalry import against_baselines
from .tolerances import Tolerances

DOWNTIMES = {
    "downtime_stop_resume_s": "downtime, STOP to RESUME",
    "downtime_reported_s": "downtime, as QEMU reports it",
    "downtime_guest_s": "downtime, as the guest feels it",
}
# What ends a migration otherwise than by a threshold.
SWITCHES: dict[Technique, str] = {"pause": "pause", "postcopy": "post-copy"}
THRESHOLD = "pre-copy of any kind"
# Until then in whole milliseconds, of waits that are a tenth of one.
FINE_BLOCKTIME_SINCE = (10, 1)
PHASES = ("before", "precopy", "postcopy", "after")
GUEST = {f"guest_{phase}_ms_per_gib": phase for phase in PHASES}


def headlines(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> list[Headline]:
    """All headline figures of a suite."""
    return [
        *_runs(comparisons, tolerances),
        _verdicts(comparisons, tolerances),
        _bad_runs(comparisons, tolerances),
        *_total_times(comparisons, tolerances),
        *_passes(comparisons, tolerances),
        *_throttle(comparisons, tolerances),
        *_downtimes(comparisons, tolerances),
        *_shares(comparisons, tolerances),
        *fault_latencies(comparisons, tolerances),
        *orderings(comparisons, tolerances),
        *crossovers(comparisons, tolerances),
        *intervals(comparisons, tolerances),
        *noise(comparisons, tolerances),
        *against_baselines(comparisons, tolerances),
    ]


def spread(comparisons: Iterable[Comparison]) -> float:
    """Largest relative range of the total time among one scenario's repeats."""
    times = [it.quantities.get(TOTAL_TIME) for it in comparisons]
    return max((it.spread for it in times if it is not None), default=0.0)


def _runs(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    least = tolerances.runs
    if least is not None:
        count = sum(len(it.traces) for it in comparisons)
        yield Headline(
            *(ALL, "valid runs", float(count), "", f">= {least}", count >= least),
            scenarios(len(comparisons)),
        )


def _verdicts(comparisons: Sequence[Comparison], tolerances: Tolerances) -> Headline:
    wrong = [it for it in comparisons if not it.verdict_right]
    causes = "; ".join(f"{it.scenario.name}: {it.cause}" for it in wrong)
    detail = causes or f"{len(comparisons)} scenarios"
    most = tolerances.wrong_verdicts
    return Headline(
        ALL,
        "wrong verdicts",
        len(wrong),
        "",
        "" if most is None else str(most),
        None if most is None else len(wrong) <= most,
        detail,
    )


def _bad_runs(comparisons: Sequence[Comparison], tolerances: Tolerances) -> Headline:
    bad = [it for it in comparisons if it.bad_runs]
    count, most = sum(it.bad_runs for it in bad), tolerances.bad_runs
    return Headline(
        ALL,
        f"runs with a wrong verdict or {BAD:.0%} off",
        count,
        "",
        "" if most is None else f"<= {most}",
        None if most is None else count <= most,
        "; ".join(f"{it.scenario.name}: {it.bad_runs}, {_why(it)}" for it in bad)
        or f"{sum(len(it.traces) for it in comparisons)} runs",
    )


def _why(comparison: Comparison) -> str:
    time = comparison.quantities.get(TOTAL_TIME)
    if not comparison.verdict_right or time is None or time.best is None:
        return comparison.cause
    runs = ", ".join(f"{run:.2f}" for run in time.runs)
    return f"predicted {time.best:.2f} s, measured {runs} s"


def _total_times(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    ended = [it for it in comparisons if it.ends]
    whole = tolerances.total_time_median, tolerances.total_time_p90
    part = tolerances.technique_median, tolerances.technique_p90
    yield from _total_time(ALL, ended, *whole)
    for technique, members in by_technique(ended).items():
        yield from _total_time(technique, members, *part)
    for version, members in by_version(ended).items():
        yield from _total_time(version, members, None, None)


def _total_time(
    group: str,
    members: Sequence[Comparison],
    most_median: float | None,
    most_p90: float | None,
) -> Iterator[Headline]:
    found = [it.total_time_error for it in members]
    if found:
        count, label = len(found), "total time, {} error"
        yield share(group, label.format("median"), median(found), most_median, count)
        yield share(group, label.format("p90"), p90(found), most_p90, count)


def by_technique(comparisons: Iterable[Comparison]) -> dict[str, list[Comparison]]:
    """Scenarios by technique, in the order of `TECHNIQUES`."""
    groups: dict[str, list[Comparison]] = {name: [] for name in TECHNIQUES}
    for it in comparisons:
        groups[it.scenario.policy.technique].append(it)
    return {name: members for name, members in groups.items() if members}


def by_version(comparisons: Iterable[Comparison]) -> dict[str, list[Comparison]]:
    """Scenarios by the QEMU that ran them; nothing where there was only one."""
    groups: dict[str, list[Comparison]] = {}
    for it in sorted(comparisons, key=lambda it: it.scenario.version):
        groups.setdefault(f"QEMU {it.scenario.qemu_version}", []).append(it)
    return groups if len(groups) > 1 else {}


def _passes(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    near = [
        abs(error) <= tolerances.passes_off
        for _, quantity in predicted(comparisons, "passes")
        if (error := quantity.error) is not None
    ]
    if near:
        right = sum(near) / len(near)
        yield Headline(
            ALL,
            f"passes within {tolerances.passes_off:g}",
            right,
            "%",
            f">= {tolerances.passes_share:.0%}",
            right >= tolerances.passes_share,
            scenarios(len(near)),
        )


def _throttle(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    steps = {
        it.scenario.name: abs(error)
        / int(it.scenario.policy.parameter("cpu-throttle-increment"))
        for it, quantity in predicted(comparisons, "peak_throttle_percent")
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
            f"{scenarios(len(steps))}, worst {worst}",
        )


def _downtimes(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    floor_s, relative = tolerances.downtime_s, tolerances.downtime_share
    for quantity_name, label in DOWNTIMES.items():
        gated = quantity_name == "downtime_stop_resume_s"
        for group in (THRESHOLD, *SWITCHES.values()):
            found = [
                (abs(error), max(floor_s, relative * quantity.measured))
                for it, quantity in predicted(comparisons, quantity_name)
                if it.ends and _switch(it) == group
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
                f"<= 1 (the larger of {1000 * floor_s:.0f} ms, {relative:.0%})",
                value <= 1 if gated else None,
                f"{scenarios(len(found))}, p90 error {worst_ms:.0f} ms",
            )


def _switch(comparison: Comparison) -> str:
    return SWITCHES.get(comparison.scenario.policy.technique, THRESHOLD)


def _shares(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    limits: dict[str, tuple[str, float | None]] = {
        **{
            name: (f"guest ms/GiB, {phase}", tolerances.guest)
            for name, phase in GUEST.items()
        },
        **{
            f"guest_{phase}_worst_ms_per_gib": (
                f"guest ms/GiB, {phase}, worst second",
                tolerances.guest_worst,
            )
            for phase in PHASES
        },
        CPU_TOTAL: ("host CPU seconds", tolerances.cpu),
        **{name: (f"host CPU seconds, {name[:-6]}", None) for name in CPU_PARTS},
        "bytes_sent": ("bytes sent", tolerances.bytes_sent),
        "postcopy_blocktime_s": ("blocktime", None),
    }
    for name, (label, limit) in limits.items():
        among = comparisons
        if name == "postcopy_blocktime_s":
            among = [it for it in among if it.scenario.version >= FINE_BLOCKTIME_SINCE]
        found = errors(among, name)
        if found:
            if limit is not None and tolerances.guest_follows and name in GUEST:
                limit += median(it.spread for _, it in predicted(comparisons, name))
            yield share(ALL, f"{label}, median error", median(found), limit, len(found))
    # Where the bytes come from differs between techniques, and how they are counted
    # between versions.
    groups = {**by_technique(comparisons), **by_version(comparisons)}
    for group, members in groups.items():
        found = errors(members, "bytes_sent")
        if found and len(members) < len(comparisons):
            label = "bytes sent, median error"
            yield share(group, label, median(found), None, len(found))
