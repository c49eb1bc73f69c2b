"""Post-copy fault latency: predicted and measured distributions.

Both are counts in QEMU's buckets, N from 2^N to 2^(N+1) microseconds (QEMU 10.1
migration/postcopy-ram.c, postcopy-latency-dist); everything here is taken from the
counts, so that neither side is better resolved than the other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from .compare import Comparison
from .headline import Headline, scenarios
from .tolerances import Tolerances

FEWEST_FAULTS = 1000
POSTCOPY = "postcopy"


@dataclass(frozen=True, slots=True)
class FaultLatency:
    """One scenario's fault latency, all runs together.

    Attributes
    ----------
    measured, predicted : tuple of float
        Faults in each bucket.
    traced : bool
        Measured by tracing each fault, and corrected.
    """

    measured: tuple[float, ...]
    predicted: tuple[float, ...]
    traced: bool = False

    @property
    def faults(self) -> float:
        """Faults measured, over all runs."""
        return sum(self.measured)

    @property
    def counts(self) -> bool:
        """Whether there are faults enough to judge a distribution by."""
        return self.faults >= FEWEST_FAULTS

    @property
    def distance_buckets(self) -> float:
        """Earth-mover distance between the distributions, in buckets."""
        return earth_mover_buckets(self.measured, self.predicted)

    @property
    def medians_s(self) -> tuple[float, float]:
        """Measured and predicted median [s]."""
        return median_s(self.measured), median_s(self.predicted)

    @property
    def factor(self) -> float:
        """The larger of the medians over the smaller."""
        low, high = sorted(self.medians_s)
        return high / low


def fault_latency(comparison: Comparison) -> FaultLatency | None:
    """Both distributions of a scenario.

    What QEMU reports itself goes before what was traced.

    Returns
    -------
    FaultLatency or None
        None unless both sides have one and at least 1,000 faults were measured. A
        traced run, which was made for this figure alone, tells it from fewer, too; then
        it does not count.
    """
    said = comparison.prediction.trace.outcome.fault_latency_histogram
    seen = [
        counts
        for trace in comparison.traces
        if (counts := trace.outcome.fault_latency_histogram) is not None
    ]
    traced = comparison.traced is not None and not seen
    if comparison.traced is not None and traced:
        seen = [comparison.traced.outcome.fault_latency_histogram or []]
    measured = tuple(sum(column) for column in zip(*seen, strict=True))
    if not said or sum(said) <= 0 or sum(measured) <= 0:
        return None
    latency = FaultLatency(measured, tuple(said), traced)
    return latency if latency.counts or traced else None


def earth_mover_buckets(first: Sequence[float], second: Sequence[float]) -> float:
    """Earth-mover distance of two histograms over the same buckets, in buckets.

    In one dimension it is the area between the cumulative distributions.
    """
    sums = sum(first), sum(second)
    pairs = zip(accumulate(first), accumulate(second), strict=True)
    return sum(abs(one / sums[0] - other / sums[1]) for one, other in pairs)


def median_s(counts: Sequence[float]) -> float:
    """Median of a histogram of latencies [s], interpolated within its bucket.

    Buckets are octaves, so it is interpolated on a logarithmic scale.
    """
    half, below = sum(counts) / 2, 0.0
    for bucket, count in enumerate(counts):
        if count and below + count >= half:
            return math.exp2(bucket + (half - below) / count) * 1e-6
        below += count
    raise ValueError("an empty histogram has no median")


def fault_latencies(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    """How far medians and distributions are off, at worst."""
    found = {
        it.scenario.name: latency
        for it in comparisons
        if (latency := fault_latency(it)) is not None and latency.counts
    }
    if not found:
        return
    factors = {name: it.factor for name, it in found.items()}
    distances = {name: it.distance_buckets for name, it in found.items()}
    faults = sum(it.faults for it in found.values())
    traced = sum(it.traced for it in found.values())
    of_them = f" ({traced} traced)" if traced else ""
    for label, values, limit in (
        ("factor between medians", factors, tolerances.fault_factor),
        ("earth-mover distance in buckets", distances, tolerances.fault_buckets),
    ):
        worst = max(values, key=values.__getitem__)
        yield Headline(
            POSTCOPY,
            f"fault latency, {label}, largest",
            values[worst],
            "",
            "" if limit is None else f"<= {limit:g}",
            None if limit is None else values[worst] <= limit,
            f"{scenarios(len(values))}{of_them}, {faults:.0f} faults, worst {worst}",
        )
