"""A technique's parameters fitted to runs that were not made to tell them: by trial."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from migmodel.physics.parameters import PARAMETERS
from migmodel.records import HostProfile

from .fit import (
    HOPELESS,
    LEAPS,
    PRIOR_SD,
    Distances,
    Fit,
    cost_of,
    filled_in,
    refine,
    residuals,
    with_values,
)
from .foreign import NUDGE, TOLD
from .observation import Observation
from .simulations import Simulations

TURNS = 2  # so that each is put once beside all others


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

    A cost that starts far too small moves nothing: each in turn is first put where it
    describes the runs best. There it is tried a fifth larger and a fifth smaller, and
    some number must move by a sigma, the other way the second time: what comes out
    otherwise at any change (a pass more, a poll later) tells nothing. No more are named
    than there are numbers for two each.
    """
    start = filled_in(start, candidates)
    values = {name: start[name] for name in candidates if start[name] > 0}
    with Simulations([it.scenario for it in observations], jobs) as simulations:

        def distances(changed: dict[str, float]) -> Distances:
            profile = with_values(start, {**values, **changed})
            rows = residuals(simulations.on(profile), observations)
            return np.array([row[4] for row in rows])

        for _ in range(TURNS):
            for name in values:
                values[name] = _best(name, start[name], values[name], distances)
        here = distances({})
        moved = {
            name: _moves(
                distances({name: value * NUDGE}) - here,
                distances({name: value / NUDGE}) - here,
            )
            for name, value in values.items()
        }
    told = sorted((it for it in moved if moved[it] >= TOLD), key=lambda it: -moved[it])
    return told[: max(len(here) // 2, 1)]


def _best(
    name: str,
    first: float,
    now: float,
    distances: Callable[[dict[str, float]], Distances],
) -> float:
    """Where a parameter describes the runs best, all others as they are now."""
    spec = PARAMETERS[name]

    def cost_at(value: float) -> float:
        far = math.log(value / first) / PRIOR_SD
        return cost_of(np.append(distances({name: value}), far))

    best, least = now, cost_at(now)
    for factors in LEAPS:
        for factor in factors:
            tried = min(max(now * factor, spec.lower), spec.upper)
            cost = cost_at(tried)
            if cost < least:
                least, best = cost, tried
            elif cost > HOPELESS * least:
                break
    return best


def _moves(larger: Distances, smaller: Distances) -> float:
    """How far the number moves that follows best, up as well as down [sigmas]."""
    both = np.minimum(np.abs(larger), np.abs(smaller))
    return float(np.max(both * (larger * smaller < 0), initial=0.0))
