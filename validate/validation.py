"""A suite's runs, predicted again and compared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

from migmodel.analysis.campaign import stored_runs
from migmodel.analysis.disturbed import usual_speeds
from migmodel.errors import InputError
from migmodel.records import HostFacts, HostProfile, Measurement, Scenario
from migmodel.records.measurement import SAME_FACTS, SAME_HOST
from migmodel.records.profile import AWAKE_FACT, yes_or_no

from .compare import (
    Comparison,
    Predictor,
    check_same_host,
    compare,
)
from .headline import ALL, Headline
from .headlines import headlines, spread
from .honesty import honesty
from .skips import read_skips, skip_notes
from .suites import SUITES, VERSIONED
from .tolerances import FULL, SMOKE_FACTOR, STANDARD
from .traced_faults import TracedFaults, traced_faults

BUSY_SHARE = 0.25  # of all CPUs, before a run began


@dataclass(frozen=True, slots=True)
class Validation:
    """All that is reported of a suite.

    Attributes
    ----------
    host : HostFacts
        Where it was run.
    qemu_versions : list of str
        What it was run with.
    period : str
        When.
    honesty, notes : list of str
        What the figures are worth, and what else the reader should know.
    """

    suite: str
    profile: HostProfile
    host: HostFacts
    qemu_versions: list[str]
    period: str
    comparisons: list[Comparison]
    headlines: list[Headline]
    honesty: list[str]
    notes: list[str]

    @property
    def missed(self) -> list[Headline]:
        """Headlines beyond their tolerance, wrong verdicts among them."""
        return [it for it in self.headlines if it.passed is False]


def validate_runs(
    suite: str,
    scenarios: Sequence[Scenario],
    out: Path,
    profile: HostProfile,
    predictor: Predictor,
) -> Validation:
    """Compare all runs that a directory holds of these scenarios.

    Parameters
    ----------
    suite : str
        `smoke` has looser tolerances, see `Tolerances.following`; `full` has its own,
        and runs of several versions of QEMU.
    predictor : callable
        Predicts a Scenario.

    Raises
    ------
    InputError
        When there are none, or they are not of one host.
    """
    runs = {
        scenario.name: [measurement for _, measurement in group]
        for scenario, group in groupby(stored_runs(scenarios, out), lambda it: it[0][0])
    }
    every = [measurement for group in runs.values() for measurement in group]
    if not every:
        raise InputError(
            f"{out} holds no runs of these scenarios: give the folder and the suite of "
            "an earlier validate"
        )
    # Within a scenario all must be the same; `compare` sees to that.
    check_same_host(every, SAME_HOST if suite in VERSIONED else SAME_FACTS)
    traced = _traced(scenarios, runs, out)
    compared = {
        name: _compare(group, predictor, profile, traced.get(name))
        for name, group in runs.items()
    }
    comparisons = [it for it in compared.values() if it is not None]
    useless = [name for name, it in compared.items() if it is None]
    notes = _notes(every, profile)
    notes += [f"fault latency of {name}: {it.note}" for name, it in traced.items()]
    skips = read_skips(out)
    absent = [it.name for it in scenarios if it.name not in runs]
    notes += skip_notes(skips, absent)
    unexplained = [name for name in absent if name not in skips]
    if unexplained:
        notes.append(f"not run: {', '.join(unexplained)}")
    tolerances = FULL if suite == "full" else STANDARD
    if len(scenarios) < len(SUITES[suite]):
        # So many runs are asked of the whole suite; a part of it cannot have them.
        tolerances = replace(tolerances, runs=None)
    if suite == "smoke":
        tolerances = tolerances.following(spread(comparisons))
        notes.append(
            "tolerances follow the measured spread: those of the standard suite, "
            f"relative ones widened by {spread(comparisons):.1%}, the largest range of "
            "the total time among a scenario's repeats, but to "
            f"{SMOKE_FACTOR:g} times at most; others {SMOKE_FACTOR:g} times; the "
            "guest's ms/GiB follows its own spread besides"
        )
    return Validation(
        suite=suite,
        profile=profile,
        host=every[0].host,
        qemu_versions=sorted({it.host.qemu_version for it in every}),
        period=_period(every),
        comparisons=comparisons,
        headlines=[_usable(useless), *headlines(comparisons, tolerances)],
        honesty=honesty(comparisons),
        notes=notes,
    )


def _traced(
    scenarios: Sequence[Scenario], runs: Mapping[str, list[Measurement]], out: Path
) -> dict[str, TracedFaults]:
    """What was traced of scenarios that were run, and on the same host."""
    found = {}
    for scenario in scenarios:
        group = runs.get(scenario.name)
        traced = group and traced_faults(scenario, out)
        if group and traced:
            check_same_host([group[0], *traced.hosts], SAME_HOST)
            found[scenario.name] = traced
    return found


def _compare(
    group: Sequence[Measurement],
    predictor: Predictor,
    profile: HostProfile,
    traced: TracedFaults | None,
) -> Comparison | None:
    comparison = compare(group, predictor, profile)
    if comparison is None or traced is None:
        return comparison
    return replace(comparison, traced=traced.trace)


def _usable(useless: Sequence[str]) -> Headline:
    return Headline(
        ALL,
        "scenarios without a valid run",
        float(len(useless)),
        limit="0",
        passed=not useless,
        detail=", ".join(useless),
    )


def _period(measurements: Sequence[Measurement]) -> str:
    started = sorted(it.started_at for it in measurements)
    return f"{started[0]} to {started[-1]}"


def _notes(measurements: Sequence[Measurement], profile: HostProfile) -> list[str]:
    host, notes = measurements[0].host, []
    if profile.kind != "fitted":
        notes.append(
            f"profile {profile.name} was fitted to no host: its predictions are a guess"
        )
    if (profile.accel, profile.host_cpus) != (host.accel, host.cpus):
        notes.append(
            f"profile {profile.name} is of a host with {profile.host_cpus} CPUs and "
            f"{profile.accel}, these runs are of one with {host.cpus} and {host.accel}"
        )
    awake = yes_or_no(host.cpus_kept_awake) or "not noted"
    fitted = profile.facts.get(AWAKE_FACT, "not noted")
    if profile.kind == "fitted" and awake != fitted:
        notes.append(
            f"CPUs kept awake: {awake} in these runs, {fitted} in those that profile "
            f"{profile.name} was fitted to"
        )
    invalid = [it for it in measurements if not it.valid]
    notes += [
        f"thrown away: {it.scenario.name}, repeat {it.repeat}: {'; '.join(it.problems)}"
        for it in invalid
    ]
    busy = [it for it in measurements if (it.host.load_before or 0.0) > BUSY_SHARE]
    if busy:
        notes.append(
            f"{len(busy)} of {len(measurements)} runs began while the host was more "
            f"than {BUSY_SHARE:.0%} busy"
        )
    return notes + list(_disturbed(measurements))


def _disturbed(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Runs that the host disturbed count all the same: nobody is spared the host."""
    valid = [it for it in measurements if it.valid]
    speeds = usual_speeds(valid)
    found = [
        f"{it.scenario.name}, repeat {it.repeat} ({share:.0%})"
        for index, (it, share) in enumerate(zip(valid, speeds.shares, strict=True))
        if speeds.is_disturbed(index)
    ]
    if found:
        yield (
            f"{len(found)} of {len(valid)} runs, which count all the same, were "
            "disturbed by the host: before their migrations a vCPU ran at so much of "
            f"its usual speed: {', '.join(found)}"
        )
