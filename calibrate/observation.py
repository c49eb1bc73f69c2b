"""What the repeats of one scenario say, number by number."""

from __future__ import annotations

import math
from dataclasses import dataclass

from migmodel.records import Scenario

from .observe import scale_of

_MEDIAN_ERROR = 1.2533  # of many normal values, in their sd / sqrt(n)


@dataclass(frozen=True, slots=True)
class Observation:
    """One scenario's numbers over its repeats.

    Attributes
    ----------
    values : dict
        Observable to its median over the repeats.
    spreads : dict
        Observable to its standard deviation over the repeats; absent with one.
    repeats : int
        How many runs the medians are of.
    """

    scenario: Scenario
    values: dict[str, float]
    spreads: dict[str, float]
    repeats: int = 1

    def sigma(self, name: str) -> float:
        """What a residual of this number is divided by: the median's standard error."""
        scale = scale_of(name, self.scenario.policy)
        floor = max(scale.relative * abs(self.values[name]), scale.absolute)
        spread = self.spreads.get(name, 0.0)
        return max(_MEDIAN_ERROR * spread / math.sqrt(self.repeats), floor)
