"""Finds where the distances of a simulation from what was measured are least.

The simulation has steps (windows, passes): small differences fall into them and large
ones step over, and no gradient leads out of a valley between two. So least squares take
turns with leaps.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .observe import SMOOTH

if TYPE_CHECKING:
    import lmfit
    from lmfit.minimizer import MinimizerResult

Distances = NDArray[np.float64]
# Of parameters, of those numbers alone that are named.
DistancesOf = Callable[["lmfit.Parameters", frozenset[str] | None], Distances]

OUTLIER = 3.0  # residuals beyond this count linearly, not squared
MOST_EVALUATIONS = 1500
# Factors on one parameter, below and above. In turns: what lies between the factors of
# one set is found by the others'.
LEAPS = (
    ((0.85, 0.7, 0.4, 0.2, 0.1), (1.2, 1.4, 2.5, 5.0, 10.0, 20.0)),
    ((0.93, 0.78, 0.55, 0.3, 0.14), (1.08, 1.3, 1.9, 3.5, 7.0, 14.0)),
    ((0.99, 0.98, 0.96), (1.01, 1.02, 1.04)),
)
MOST_LEAPS = 9
# Farther leaps are worse still where two in a row were worse by so much, or one so many
# times as bad.
CLEARLY_WORSE = 10.0
HOPELESS = 3.0
WORTH_A_LEAP = 2.0  # of cost gained, as of two numbers a standard error off
FEW = 10  # parameters: then searches are short, and some more of them cost little
SCATTERED = 6
SCATTER_SD = 0.5  # of a parameter's logarithm


def cost_of(distances: Distances) -> float:
    """What the search makes small: squares, but of outliers their size (soft L1)."""
    scaled: Distances = (distances / OUTLIER) ** 2
    return float(OUTLIER**2 * np.sum(2 * (np.sqrt(1 + scaled) - 1)))


def find(
    start: lmfit.Parameters, distances: DistancesOf, steps: Sequence[float]
) -> MinimizerResult:
    """Where they are least, as far as is found.

    Parameters
    ----------
    start : lmfit.Parameters
        Logarithms, with bounds. All of them vary.
    distances : callable
        What is to be small, in standard errors, of parameters; of all numbers, or of
        those named in its second argument.
    steps : sequence of float
        Relative differences: least squares are begun anew with each, from where the
        last one ended.
    """
    coarse, finer = steps[:1], steps[1:]
    # Costs first, from what adds up smoothly, then everything from there; and all at
    # once from near the start: each ends in a valley of its own at times.
    rough = _descend(start, distances, coarse, SMOOTH)
    begins = [rough.params, _leap(start, distances)[0]]
    if len(start) <= FEW:
        begins += _scattered(start)
    result = _best([_descend(begin, distances, coarse) for begin in begins])
    here, least = result.params, cost_of(result.residual)
    idle = 1  # the first set has just been tried
    for number in range(1, MOST_LEAPS):
        before = least
        here, least = _leap(here, distances, LEAPS[number % len(LEAPS)])
        idle = 0 if before - least >= WORTH_A_LEAP else idle + 1
        if idle == len(LEAPS):
            break
    return _descend(here, distances, finer)


def _descend(
    begin: lmfit.Parameters,
    distances: DistancesOf,
    steps: Sequence[float],
    only: frozenset[str] | None = None,
) -> MinimizerResult:
    """Least squares, with one relative difference after the other."""
    import lmfit

    found: list[MinimizerResult] = []
    for step in steps:
        # Correlations of a parameter that nothing depends on are 0/0: left out.
        with np.errstate(invalid="ignore", divide="ignore"):
            result = lmfit.minimize(
                distances,
                _best(found).params if found else begin,
                args=(only,),
                method="least_squares",
                diff_step=step,
                loss="soft_l1",
                f_scale=OUTLIER,
                max_nfev=MOST_EVALUATIONS,
                xtol=3e-5,
                ftol=1e-3,
            )
        found.append(result)
    return _best(found)


def _best(found: Sequence[MinimizerResult]) -> MinimizerResult:
    """The least; of equals the last one, whose differences are the finest."""
    return min(reversed(found), key=lambda one: cost_of(one.residual))


def _scattered(about: lmfit.Parameters) -> Iterator[lmfit.Parameters]:
    """Other begins, as far off as a host usually is from the one a fit begins with."""
    rng = np.random.default_rng(0)
    for _ in range(SCATTERED):
        there = about.copy()
        for name in about:
            there[name].value = about[name].value + SCATTER_SD * rng.standard_normal()
        yield there


def _leap(
    begin: lmfit.Parameters,
    distances: DistancesOf,
    leaps: Sequence[Sequence[float]] = LEAPS[0],
) -> tuple[lmfit.Parameters, float]:
    """Out of a valley: each parameter in turn, by factors that differences never see.

    A cost that is far too small (a sleep's, a limit that never binds) changes nothing
    when it is varied by a percent, so that no gradient leads away from it.
    """
    here = begin.copy()
    least = cost_of(distances(here, None))
    for name in begin:
        middle = here[name].value
        best = middle
        for factors in leaps:
            last, rises = least, 0
            for factor in factors:
                # lmfit keeps it within its bounds.
                here[name].value = middle + math.log(factor)
                cost = cost_of(distances(here, None))
                if cost < least:
                    least, best = cost, here[name].value
                rises = rises + 1 if cost > max(last, least + CLEARLY_WORSE) else 0
                if rises == 2 or cost > HOPELESS * least:
                    break
                last = cost
        here[name].value = best
    # What was better for each is better yet farther on, if they lie along a valley.
    while True:
        beyond = here.copy()
        for name in begin:
            beyond[name].value = 2 * here[name].value - begin[name].value
        cost = cost_of(distances(beyond, None))
        if not cost < least:
            return here, least
        here, least = beyond, cost
