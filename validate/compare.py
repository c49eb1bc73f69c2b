"""Sets a prediction against the runs of the same scenario, quantity by quantity."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from migmodel.analysis.predict import quantities_of
from migmodel.errors import InputError
from migmodel.records import (
    HostProfile,
    Interval,
    Measurement,
    Prediction,
    Scenario,
    Trace,
)
from migmodel.records.measurement import SAME_FACTS

from .bandwidth import calibrated_bandwidth
from .baselines import BASELINES, BaselineResult
from .dirty_curve import measured_curve
from .frontier import frontier_ratio
from .quantity import Quantity, relative

TOTAL_TIME = "total_time_s"
CPU_PARTS = ("source_cpu_s", "destination_cpu_s", "vcpu_cpu_s")
CPU_TOTAL = "host_cpu_s"
UNDECIDED = (0.1, 0.9)  # predicted probability where the repeats disagree
BAD = 0.25  # error of a run's total time from which on it counts as missed
Predictor = Callable[[Scenario], Prediction]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One scenario: what was predicted, what the runs did, what baselines say.

    Attributes
    ----------
    prediction : Prediction
        Of the scenario as it was run.
    traces : tuple of Trace
        The valid runs, at least one.
    invalid : int
        Runs that were thrown away.
    quantities : dict of str to Quantity
        Over the runs that ended as most did.
    baselines : dict of str to BaselineResult
        Empty when the guest printed nothing before the migration.
    traced : Trace or None
        Of a run whose faults were traced: tells their latencies, corrected, no more.
    """

    prediction: Prediction
    traces: tuple[Trace, ...]
    invalid: int
    quantities: dict[str, Quantity]
    baselines: dict[str, BaselineResult]
    traced: Trace | None = None

    @property
    def scenario(self) -> Scenario:
        """What was run."""
        return self.prediction.scenario

    @property
    def completed_share(self) -> float:
        """Share of the runs that completed."""
        return mean(completes(trace) for trace in self.traces)

    @property
    def ends(self) -> bool:
        """Whether it ends by itself: at least half of the runs did."""
        return self.completed_share >= 0.5

    @property
    def undecided(self) -> bool:
        """Whether the repeats disagree."""
        return 0 < self.completed_share < 1

    @property
    def verdict_right(self) -> bool:
        """Whether the prediction says what the runs did.

        Where they disagree, its probability must be between 10 and 90 %.
        """
        probability = self.prediction.completes_probability
        if self.undecided:
            return UNDECIDED[0] <= probability <= UNDECIDED[1]
        return (probability >= 0.5) == self.ends

    @property
    def cause(self) -> str:
        """Both sides' reasons, for a verdict that is wrong."""
        said = self.prediction.trace.outcome
        seen = next(it.outcome for it in self.traces if completes(it) == self.ends)
        frontier = self.frontier_ratio
        place = "" if frontier is None else f"; frontier ratio {frontier:.2f}"
        return (
            f"predicted {self.prediction.completes_probability:.0%} to complete "
            f"(nominal: {said.verdict} after {said.passes} passes"
            f"{f', {said.reason}' if said.reason else ''}), measured "
            f"{self.completed_share:.0%} of {len(self.traces)} ({seen.verdict} after "
            f"{seen.passes} passes{f', {seen.reason}' if seen.reason else ''}){place}"
        )

    @property
    def bad_runs(self) -> int:
        """Runs with another verdict than the predicted one, or a time 25 % off."""
        said = self.prediction.completes_probability >= 0.5
        found = self.quantities.get(TOTAL_TIME)
        best = found.best if found else None
        bad = 0
        for trace in self.traces:
            time_s = trace.outcome.total_time_s
            if completes(trace) != said:
                bad += not (self.undecided and self.verdict_right)
            elif said and time_s is not None:
                bad += best is None or relative(best - time_s, time_s) >= BAD
        return bad

    @property
    def total_time_error(self) -> float:
        """Relative error of the total time; infinite where the verdict is wrong."""
        found = self.quantities.get(TOTAL_TIME)
        error = found.relative_error if found and self.verdict_right else None
        return math.inf if error is None else error

    def baseline_error(self, name: str) -> float:
        """The same of a baseline."""
        found, result = self.quantities.get(TOTAL_TIME), self.baselines.get(name)
        if found is None or result is None or result.total_time_s is None:
            return math.inf
        return relative(result.total_time_s - found.measured, found.measured)

    def baseline_right(self, name: str) -> bool:
        """Whether a baseline's verdict is right; any is where the repeats disagree."""
        result = self.baselines.get(name)
        said = result is not None and result.verdict == "completed"
        return self.undecided or (result is not None and said == self.ends)

    @property
    def frontier_ratio(self) -> float | None:
        """Where it lies to the frontier of convergence: median over the runs."""
        ratios = [frontier_ratio(self.scenario, trace) for trace in self.traces]
        known = [ratio for ratio in ratios if ratio is not None]
        return median(known) if known else None


def completes(trace: Trace) -> bool:
    """Whether a migration ended by itself."""
    return trace.outcome.verdict == "completed"


def compare(
    measurements: Sequence[Measurement], predictor: Predictor, profile: HostProfile
) -> Comparison | None:
    """Compare one scenario's runs with its prediction and with the baselines.

    Parameters
    ----------
    measurements : sequence of Measurement
        Of one scenario on one host.
    predictor : callable
        Predicts a Scenario.
    profile : HostProfile
        Gives the baselines their bandwidth.

    Returns
    -------
    Comparison or None
        None when no run is valid.

    Raises
    ------
    InputError
        When the runs were made on different hosts.
    """
    check_same_host(measurements)
    valid = [it for it in measurements if it.valid]
    if not valid:
        return None
    scenario = valid[0].scenario
    prediction = predictor(scenario)
    traces = tuple(it.trace for it in valid)
    return Comparison(
        prediction=prediction,
        traces=traces,
        invalid=len(measurements) - len(valid),
        quantities=_quantities(prediction, traces),
        baselines=_baselines(scenario, traces, profile),
    )


def check_same_host(
    measurements: Sequence[Measurement], facts: Sequence[str] = SAME_FACTS
) -> None:
    """Refuse runs that were made on different hosts or with different QEMUs.

    Parameters
    ----------
    facts : sequence of str
        Of `HostFacts`: what must be the same.

    Raises
    ------
    InputError
        Names the difference.
    """
    for fact in facts:
        seen = sorted({str(getattr(it.host, fact)) for it in measurements})
        if len(seen) > 1:
            raise InputError(
                f"these runs differ in {fact} ({' and '.join(seen)}), so they are not "
                "repeats of one another: give another --out"
            )


def _quantities(prediction: Prediction, traces: Sequence[Trace]) -> dict[str, Quantity]:
    ends = mean(completes(trace) for trace in traces) >= 0.5
    rows = [_with_cpu(trace) for trace in traces if completes(trace) == ends]
    predicted = dict(prediction.quantities)
    predicted[CPU_TOTAL] = _summed([predicted.get(name) for name in CPU_PARTS])
    found = {}
    for name in rows[0]:
        runs = tuple(value for row in rows if (value := row[name]) is not None)
        if runs:
            found[name] = Quantity(runs, predicted.get(name, Interval()))
    return found


def _with_cpu(trace: Trace) -> dict[str, float | None]:
    values = quantities_of(trace)
    parts = [value for name in CPU_PARTS if (value := values[name]) is not None]
    values[CPU_TOTAL] = sum(parts) if len(parts) == len(CPU_PARTS) else None
    return values


def _summed(parts: Sequence[Interval | None]) -> Interval:
    """Sum of medians and of nominal values; an interval of a sum is not known."""
    return Interval(
        nominal=_sum([it.nominal if it else None for it in parts]),
        median=_sum([it.median if it else None for it in parts]),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else None


def _baselines(
    scenario: Scenario, traces: Sequence[Trace], profile: HostProfile
) -> dict[str, BaselineResult]:
    curves = [measured_curve(scenario, trace) for trace in traces]
    known = [curve for curve in curves if curve is not None]
    if not known:
        return {}
    curve = sorted(known, key=lambda it: it.rate_pps)[len(known) // 2]
    bandwidth = calibrated_bandwidth(scenario, profile)
    return {it.name: it.predict(scenario, bandwidth, curve) for it in BASELINES}
