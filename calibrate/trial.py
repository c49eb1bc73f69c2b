"""A technique's parameters fitted to runs that were not made to tell them: by trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from migmodel.physics.parameters import PARAMETERS
from migmodel.records import HostProfile

from .fit import PRIOR_SD, Fit, filled_in, refine, residuals, with_values
from .foreign import NUDGE, TOLD
from .observation import Observation
from .search import HOPELESS, LEAPS, WORTH_A_LEAP, Distances, cost_of
from .simulations import Simulations

STEPS = ((0.9, 0.8), (1.1, 1.25))  # about the best leap; leaps are wide apart


def refine_told(
    fit: Fit,
    observations: Sequence[Observation],
    candidates: Sequence[str],
    on_step: Callable[[int], None] = lambda _: None,
    *,
    local: Sequence[str] = (),
    jobs: int = 1,
) -> tuple[Fit, list[str]]:
    """Refine a fit by those parameters that these runs determine.

    All that may be told are fitted; the one that comes out worst is put back, if it is
    badly determined, and the others are fitted anew, until none is.

    Parameters
    ----------
    fit, observations, on_step, local, jobs
        As `refine` has them.
    candidates : sequence of str
        Parameters that these runs may tell, none of them fitted before.

    Returns
    -------
    tuple
        The refined fit, and the parameters that were fitted in it.
    """
    likely = likely_told(fit.profile, observations, [*candidates, *local], jobs)
    told = [name for name in likely if name in candidates]
    besides = [name for name in likely if name in local]
    while told:
        found = refine(fit, observations, told, on_step, local=besides, jobs=jobs)
        bad = [name for name in told if name in found.badly_determined]
        if not bad:
            return found, [name for name in candidates if name in told]
        fitted = found.profile.parameters
        # Of those alike the one that tells least, which comes last.
        told.remove(
            max(
                reversed(bad),
                key=lambda name: (fitted[name].stderr or 0.0) / fitted[name].value,
            )
        )
    return fit, []


def likely_told(
    start: HostProfile,
    observations: Sequence[Observation],
    candidates: Sequence[str],
    jobs: int = 1,
) -> list[str]:
    """Parameters that may be told by these runs, the most telling first.

    A cost that starts far too small moves nothing: what describes the runs best when it
    alone is changed is changed first, then what does so beside it, and so on. There
    each is tried a fifth larger and a fifth smaller, and some number must move by a
    sigma, the other way the second time: what comes out otherwise at any change (a pass
    more, a poll later) tells nothing. No more are named than there are numbers for two
    each.
    """
    start = filled_in(start, candidates)
    first = {name: start[name] for name in candidates if start[name] > 0}
    with Simulations([it.scenario for it in observations], jobs) as simulations:

        def distances(values: dict[str, float]) -> Distances:
            rows = residuals(simulations.on(with_values(start, values)), observations)
            return np.array([row[4] for row in rows])

        def cost(values: dict[str, float]) -> float:
            far = [math.log(values[name] / first[name]) / PRIOR_SD for name in values]
            return cost_of(np.append(distances(values), far))

        values = _nearer(first, cost)
        here = distances(values)
        moved = {
            name: _moves(
                distances({**values, name: value * NUDGE}) - here,
                distances({**values, name: value / NUDGE}) - here,
            )
            for name, value in values.items()
        }
    told = sorted((it for it in moved if moved[it] >= TOLD), key=lambda it: -moved[it])
    return told[: max(len(here) // 2, 1)]


def _nearer(
    values: dict[str, float], cost: Callable[[dict[str, float]], float]
) -> dict[str, float]:
    """Values that describe the runs better, leap by leap, the best first."""
    least = cost(values)
    for _ in range(len(values)):
        leaps = (_leap(name, values, least, cost) for name in values)
        reached, there = min(leaps, key=lambda leap: leap[0])
        if least - reached < WORTH_A_LEAP:
            break
        least, values = reached, there
    return values


def _leap(
    name: str,
    values: dict[str, float],
    least: float,
    cost: Callable[[dict[str, float]], float],
) -> tuple[float, dict[str, float]]:
    """The best that one of them can do while the others stay: its cost, and all."""
    spec = PARAMETERS[name]
    best = values

    def tries(middle: float, factors: Sequence[float]) -> None:
        nonlocal least, best
        for factor in factors:
            tried = min(max(middle * factor, spec.lower), spec.upper)
            there = {**values, name: tried}
            reached = cost(there)
            if reached < least:
                least, best = reached, there
            elif reached > HOPELESS * least:
                break

    for factors in LEAPS[0]:
        tries(values[name], factors)
    if best is not values:
        for near in STEPS:
            tries(best[name], near)
    return least, best


def _moves(larger: Distances, smaller: Distances) -> float:
    """How far the number moves that follows best, up as well as down [sigmas]."""
    both = np.minimum(np.abs(larger), np.abs(smaller))
    return float(np.max(both * (larger * smaller < 0), initial=0.0))
