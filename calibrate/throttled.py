"""What a guest got done at each level of the throttle, from any Trace."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from migmodel.analysis.guest_speed import phase_spans
from migmodel.physics.throttle import TIMESLICE_S, period_s
from migmodel.records import Measurement, Trace

SHORTEST_LEVEL_S = 1.2  # a level is held for a second and more, or says nothing
_SETTLED_S = 0.1  # after a step, as seen by a poll, a sleep of the level before ends
_BLOCK_UNITS = 2.0  # of the longest units of work; single ones end within a turn
_FEWEST_BLOCKS = 5


class _Held(NamedTuple):
    """A run's turns at one level."""

    run_s: float  # what a turn left to run, as the guest's work tells [s]
    turns: float
    block_variance_s2: float
    block_turns: float
    freedom: int


def held_levels(trace: Trace) -> dict[float, tuple[float, float]]:
    """Begin and end of each level that was held for long enough [s], by its percent."""
    progress = trace.progress
    _, stop_s = phase_spans(trace)["precopy"]
    begins: list[tuple[float, float]] = []
    for time_s, percent in zip(
        progress.time_s, progress.throttle_percent, strict=False
    ):
        if time_s < stop_s and (not begins or begins[-1][1] != (percent or 0.0)):
            begins.append((time_s, percent or 0.0))
    ends = [*(time_s for time_s, _ in begins), stop_s][1:]
    return {
        percent: (begin_s + _SETTLED_S, end_s)
        for (begin_s, percent), end_s in zip(begins, ends, strict=True)
        if percent and end_s - begin_s >= SHORTEST_LEVEL_S
    }


def throttle_noise(
    measurements: Iterable[Measurement],
) -> tuple[float | None, float | None]:
    """How much a throttled guest's luck differs.

    Returns
    -------
    tuple of float or None
        Relative spread of what it gets done from level to level, over repeats of the
        same; spread of what a turn leaves it to run from turn to turn [s], of guests
        with one vCPU. None where nothing tells.
    """
    groups: dict[tuple[str, float], list[_Held]] = defaultdict(list)
    for measurement in measurements:
        scenario = measurement.scenario
        unpaced = scenario.workload.rate_pps is None and scenario.guest.vcpus == 1
        if measurement.tells and unpaced and scenario.policy.has("auto-converge"):
            for percent, held in _turns(measurement.trace).items():
                groups[scenario.name, percent].append(held)
    turns_s2 = _pooled(
        (held.block_variance_s2 / held.block_turns, held.freedom)
        for group in groups.values()
        for held in group
    )
    if turns_s2 is None:
        return None, None
    levels = _pooled(
        (_level_variance(group, turns_s2), len(group) - 1)
        for group in groups.values()
        if len(group) > 1
    )
    level_sd = None if levels is None else float(np.sqrt(max(levels, 0.0)))
    return level_sd, float(np.sqrt(turns_s2))


def _level_variance(group: list[_Held], turns_s2: float) -> float:
    """Relative variance over repeats that is more than their turns explain."""
    runs = np.array([held.run_s for held in group])
    by_turns = np.mean([turns_s2 / held.turns for held in group])
    return float((runs.var(ddof=1) - by_turns) / runs.mean() ** 2)


def _pooled(variances: Iterable[tuple[float, int]]) -> float | None:
    """Mean of variances by their degrees of freedom."""
    known = [(value, freedom) for value, freedom in variances if freedom > 0]
    total = sum(freedom for _, freedom in known)
    return sum(value * freedom for value, freedom in known) / total if total else None


def _turns(trace: Trace) -> dict[float, _Held]:
    guest = trace.guest
    start, end = np.array(guest.start_s), np.array(guest.end_s)
    pages = np.array(guest.pages)
    begin_s, _ = phase_spans(trace)["before"]
    before = (start >= begin_s) & (start < 0.0)
    if not before.any():
        return {}
    full_pps = pages[before].sum() / (end[before] - start[before]).sum()
    found = {}
    for percent, (begin_s, end_s) in held_levels(trace).items():
        inside = (start >= begin_s) & (end <= end_s)
        if inside.sum() <= _FEWEST_BLOCKS:
            continue
        at = end[inside]
        done_s = np.concatenate(([0.0], pages[inside][1:].cumsum())) / full_pps
        turn_s = period_s(percent)
        longest_s = max(float((end - start)[inside].max()), turn_s)
        edges = np.arange(at[0], at[-1], _BLOCK_UNITS * longest_s)
        blocks = np.diff(np.interp(edges, at, done_s))
        if len(blocks) < _FEWEST_BLOCKS:
            continue
        turns = (at[-1] - at[0]) / turn_s
        found[percent] = _Held(
            run_s=min(done_s[-1] / turns, 2 * TIMESLICE_S),
            turns=turns,
            block_variance_s2=float(blocks.var(ddof=1)),
            block_turns=_BLOCK_UNITS * longest_s / turn_s,
            freedom=len(blocks) - 1,
        )
    return found
