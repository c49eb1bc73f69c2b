"""Disturbed runs are left out of the fit, and made again within limits."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from migmodel.analysis.disturbed import usual_speeds
from migmodel.records import Measurement, Scenario

from .plan import PlannedRun

# Of the planned runs, at most: a host that is always disturbed would never be done, and
# the time that was announced is to hold.
AGAIN_SHARE = 0.1


def undisturbed(
    measurements: Sequence[Measurement],
) -> tuple[list[Measurement], list[str]]:
    """Leave out the runs before which a vCPU was slow, and say so, a line each.

    Of a scenario of which that is every run, the one that was disturbed least is kept.
    Paced guests do not tell: they have time to spare.
    """
    speeds = usual_speeds(measurements)
    best: dict[str, float] = defaultdict(float)
    for measurement, share in zip(measurements, speeds.shares, strict=True):
        name = measurement.scenario.name
        best[name] = max(best[name], 1.0 if share is None else share)
    kept, said = [], []
    for measurement, share in zip(measurements, speeds.shares, strict=True):
        name = measurement.scenario.name
        if share is None or share >= min(speeds.slowest_share, best[name]):
            kept.append(measurement)
            continue
        said.append(
            f"{name}, run {measurement.repeat + 1}: left out, before the migration a "
            f"vCPU ran at {share:.0%} of its usual speed: this host was disturbed"
        )
    return kept, said


def to_make_again(
    planned: Sequence[PlannedRun],
    measurements: Sequence[Measurement],
    made: Mapping[str, int],
) -> list[tuple[Scenario, int]]:
    """Choose the repeats that stand in for disturbed runs.

    Each stands in for one; one that is disturbed itself asks for another. There is an
    end of it when there are as many as a tenth of the planned runs.

    Parameters
    ----------
    measurements : sequence of Measurement
        All valid runs that are there.
    made : mapping of str to int
        Repeats that are there, valid or not, of each scenario's name.

    Returns
    -------
    list of tuple
        Scenarios, and the number of the repeat.
    """
    speeds = usual_speeds(measurements)
    disturbed = Counter(
        measurement.scenario.name
        for index, measurement in enumerate(measurements)
        if speeds.is_disturbed(index)
    )
    extra = {
        run.scenario.name: max(made[run.scenario.name] - run.repeats, 0)
        for run in planned
    }
    budget = round(AGAIN_SHARE * sum(run.repeats for run in planned))
    wanted = [
        (run.scenario, made[run.scenario.name] + again)
        for run in planned
        for again in range(disturbed[run.scenario.name] - extra[run.scenario.name])
    ]
    return wanted[: max(budget - sum(extra.values()), 0)]
