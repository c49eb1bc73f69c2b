"""Whether a suite is hard enough for its figures to mean anything."""

from __future__ import annotations

from collections.abc import Sequence

from .compare import Comparison
from .frontier import NEAR

PASSES = 4
MISSED = 0.20  # by the geometric series
NEAR_SCENARIOS = 4


def honesty(comparisons: Sequence[Comparison]) -> list[str]:
    """Check the two conditions under which a suite's figures are honest.

    Of the scenarios that end by themselves at least half take four passes or more and
    are missed by the geometric series by 20 % or more (a wrong "never" misses by any
    measure); at least four lie near the frontier of convergence, and some of them
    converge and some do not.

    Returns
    -------
    list of str
        A line for each condition, which says whether it is met.
    """
    ended = [it for it in comparisons if it.ends]
    hard = [it for it in ended if _is_hard(it)]
    met = bool(ended) and 2 * len(hard) >= len(ended)
    ratios = [
        (it, ratio)
        for it in comparisons
        if (ratio := it.frontier_ratio) is not None and NEAR[0] <= ratio <= NEAR[1]
    ]
    converged = sum(it.ends for it, _ in ratios)
    failed = len(ratios) - converged
    near = len(ratios) >= NEAR_SCENARIOS and converged > 0 and failed > 0
    names = ", ".join(f"{it.scenario.name} {ratio:.2f}" for it, ratio in ratios)
    hard_line = (
        f"{_word(met)}: {len(hard)} of {len(ended)} scenarios that end by themselves "
        f"take {PASSES} passes or more and are missed by the geometric series by "
        f"{MISSED:.0%} or more (at least half should)"
    )
    near_line = (
        f"{_word(near)}: {len(ratios)} lie within a factor {NEAR[0]} to {NEAR[1]} of "
        f"the frontier of convergence, of which {converged} converge and {failed} do "
        f"not (at least {NEAR_SCENARIOS} should, on both sides)"
    )
    return [hard_line, near_line + (f": {names}" if names else "")]


def _is_hard(comparison: Comparison) -> bool:
    passes = comparison.quantities.get("passes")
    return (
        passes is not None
        and passes.measured >= PASSES
        and comparison.baseline_error("geometric") >= MISSED
    )


def _word(met: bool) -> str:
    return "met" if met else "NOT MET"
