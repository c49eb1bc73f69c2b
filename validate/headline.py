"""One figure of a suite, and what all figures are made with."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .compare import Comparison
from .quantity import Quantity

ALL = "all"


@dataclass(frozen=True, slots=True)
class Headline:
    """One figure of a suite.

    Attributes
    ----------
    group, name : str
        Over which scenarios, and of what.
    value : float or None
        None where there is nothing to take it from.
    unit : {'%', ''}
        Shares have '%'.
    limit : str
        The tolerance as text; empty where none is stated.
    passed : bool or None
        None where the figure decides nothing.
    detail : str
        From how many, and what to make of it.
    """

    group: str
    name: str
    value: float | None
    unit: str = ""
    limit: str = ""
    passed: bool | None = None
    detail: str = ""

    @property
    def text(self) -> str:
        """The value for a person."""
        if self.value is None:
            return "-"
        if math.isinf(self.value):
            return "no answer"
        if self.unit == "%":
            return f"{self.value:.1%}"
        whole = self.value >= 10 and self.value == int(self.value)
        return f"{self.value:.0f}" if whole else f"{self.value:.2g}"


def share(
    group: str, name: str, value: float, limit: float | None, count: int
) -> Headline:
    """A relative figure that may be at most `limit`; None decides nothing."""
    return Headline(
        group,
        name,
        value,
        "%",
        "" if limit is None else f"<= {limit:.1%}",
        None if limit is None else value <= limit,
        scenarios(count),
    )


def p90(values: Sequence[float]) -> float:
    """The smallest value that at least 90 % do not exceed (nearest rank)."""
    return sorted(values)[math.ceil(0.9 * len(values)) - 1]


def predicted(
    comparisons: Iterable[Comparison], name: str
) -> Iterator[tuple[Comparison, Quantity]]:
    """Scenarios in which a quantity was both measured and predicted."""
    for comparison in comparisons:
        quantity = comparison.quantities.get(name)
        if quantity is not None and quantity.best is not None:
            yield comparison, quantity


def errors(comparisons: Iterable[Comparison], name: str) -> list[float]:
    """Relative errors of a quantity, scenario by scenario."""
    found = [quantity.relative_error for _, quantity in predicted(comparisons, name)]
    return [error for error in found if error is not None]


def scenarios(count: int) -> str:
    """How many, for a person."""
    return f"{count} scenario" + ("s" if count != 1 else "")


def percent(value: float) -> str:
    """A share for a person."""
    return "no answer" if math.isinf(value) else f"{value:.1%}"
