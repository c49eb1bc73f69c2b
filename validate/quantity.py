"""One number, measured over the repeats and predicted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import median

from migmodel.records import Interval


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number of one scenario, measured over the repeats and predicted.

    Attributes
    ----------
    runs : tuple of float
        At least one.
    predicted : Interval
    """

    runs: tuple[float, ...]
    predicted: Interval

    @property
    def measured(self) -> float:
        """Median over the repeats."""
        return median(self.runs)

    @property
    def spread(self) -> float:
        """Range over the repeats, relative to their median."""
        return relative(max(self.runs) - min(self.runs), self.measured)

    @property
    def best(self) -> float | None:
        """The prediction as one number: its median, or the nominal run's."""
        if self.predicted.median is not None:
            return self.predicted.median
        return self.predicted.nominal

    @property
    def error(self) -> float | None:
        """Predicted less measured."""
        return None if self.best is None else self.best - self.measured

    @property
    def relative_error(self) -> float | None:
        """Absolute error over what was measured."""
        return None if self.error is None else relative(self.error, self.measured)

    @property
    def covered(self) -> int | None:
        """How many runs lie within the predicted interval; None without one."""
        low, high = self.predicted.low, self.predicted.high
        if low is None or high is None:
            return None
        return sum(low <= run <= high for run in self.runs)


def relative(value: float, reference: float) -> float:
    """Size of a value relative to a reference; 0 of 0 is 0, else of 0 infinite."""
    if reference == 0:
        return 0.0 if value == 0 else math.inf
    return abs(value) / abs(reference)
