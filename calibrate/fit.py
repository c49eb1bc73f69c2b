"""Fits a host's parameters to its runs: least squares, bounds, covariance."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from migmodel.errors import FitError
from migmodel.physics.parameters import PARAMETERS, with_defaults
from migmodel.records import HostProfile, Parameter

from .observation import Observation
from .search import OUTLIER, Distances, find
from .simulations import Simulations

if TYPE_CHECKING:
    from lmfit.minimizer import MinimizerResult

# A free parameter is ORIGIN + log(value / start), and differences are relative to it.
ORIGIN = 10.0
# What the runs do not tell stays near where it started, within a factor of e**PRIOR_SD.
PRIOR_SD = 1.5
BADLY_DETERMINED = 0.3  # relative standard error
DIFFERENCE_STEPS = (0.03, 0.01, 0.003)
REFINING_STEPS = (0.03, 0.01, 0.02)  # of a few parameters at a time


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted profile and how well it describes the runs.

    Attributes
    ----------
    badly_determined : list of str
        Parameters that these runs hardly tell: their standard error is large.
    residuals : list
        ``(scenario, observable, measured, simulated, sigmas)`` of each number.
    remarks : list of str
        What was not fitted and why, a line each.
    """

    profile: HostProfile
    badly_determined: list[str]
    residuals: list[tuple[str, str, float, float, float]]
    reduced_chi_square: float
    remarks: list[str] = field(default_factory=list)


def fit_profile(
    start: HostProfile,
    observations: Sequence[Observation],
    free: Sequence[str],
    on_step: Callable[[int], None] = lambda _: None,
    *,
    steps: Sequence[float] = DIFFERENCE_STEPS,
    jobs: int = 1,
) -> Fit:
    """Fit parameters to observations.

    Every free parameter is positive, and is fitted by its logarithm, so that its
    standard error is relative.

    Parameters
    ----------
    start : HostProfile
        Where to start; parameters that are not free keep their values.
    observations : sequence of Observation
        Measured numbers.
    free : sequence of str
        Names of the parameters to fit.
    on_step : callable
        Told the number of evaluations so far.
    steps : sequence of float
        Relative differences; the search is begun anew with each.
    jobs : int
        Most processes at a time.

    Raises
    ------
    FitError
        When there is less to go by than there is to be fitted.
    """
    count = sum(len(observation.values) for observation in observations)
    if count < len(free):
        raise FitError(
            f"{count} measured numbers cannot determine {len(free)} parameters: "
            "measure more runs"
        )
    scenarios = [observation.scenario for observation in observations]
    with Simulations(scenarios, jobs) as simulations:
        return _fit(start, observations, free, on_step, steps, simulations)


def _fit(
    start: HostProfile,
    observations: Sequence[Observation],
    free: Sequence[str],
    on_step: Callable[[int], None],
    steps: Sequence[float],
    simulations: Simulations,
) -> Fit:
    import lmfit

    first = {
        name: max(start.parameters[name].value, PARAMETERS[name].lower, _SMALLEST)
        for name in free
    }
    calls = 0

    def value_of(current: Any, name: str) -> float:
        spec = PARAMETERS[name]
        value = first[name] * math.exp(current[name].value - ORIGIN)
        # By its logarithm a value at a bound may end up a rounding beyond it.
        return min(max(value, spec.lower), spec.upper)

    def distances(current: Any, only: frozenset[str] | None = None) -> Distances:
        nonlocal calls
        calls += 1
        on_step(calls)
        profile = with_values(start, {n: value_of(current, n) for n in free})
        rows = residuals(simulations.on(profile), observations, only)
        found = [row[4] for row in rows]
        prior = [(current[name].value - ORIGIN) / PRIOR_SD for name in free]
        return np.array(found + prior)

    parameters = lmfit.Parameters()
    for name in free:
        spec = PARAMETERS[name]
        parameters.add(
            name,
            value=ORIGIN,
            min=ORIGIN + math.log(max(spec.lower, _SMALLEST) / first[name]) - 1e-9,
            max=ORIGIN + math.log(spec.upper / first[name]) + 1e-9,
        )
    result = find(parameters, distances, steps)
    values = {name: value_of(result.params, name) for name in free}
    return _finish(start, observations, values, result, simulations)


_SMALLEST = 1e-12


def refine(
    fit: Fit,
    observations: Sequence[Observation],
    free: Sequence[str],
    on_step: Callable[[int], None] = lambda _: None,
    *,
    local: Sequence[str] = (),
    jobs: int = 1,
) -> Fit:
    """Fit more parameters to more observations; what is fitted already stays.

    Parameters
    ----------
    fit : Fit
        Of the parameters that these runs hang on as well. Those to be fitted may be
        missing from its profile: they begin at their defaults.
    observations : sequence of Observation
        Not those of `fit`.
    free : sequence of str
        Names of the parameters to fit, none of them fitted before.
    on_step : callable
        Told the number of evaluations so far.
    local : sequence of str
        Fitted parameters that may have had another value while these runs were made.
        They are fitted with the others, and keep their own value in the end.
    jobs : int
        Most processes at a time.
    """
    start = fit.profile
    own = fit_profile(
        filled_in(start, free),
        observations,
        [*free, *local],
        on_step,
        steps=REFINING_STEPS,
        jobs=jobs,
    )
    import msgspec

    kept = {name: start.parameters[name] for name in local}
    correlation = {
        name: {other: it for other, it in row.items() if other not in kept}
        for name, row in own.profile.correlation.items()
        if name not in kept
    }
    profile = msgspec.structs.replace(
        own.profile,
        parameters={**own.profile.parameters, **kept},
        correlation={**start.correlation, **correlation},
    )
    residuals = fit.residuals + own.residuals
    fitted = sum(it.stderr is not None for it in profile.parameters.values())
    return Fit(
        profile,
        fit.badly_determined + [it for it in own.badly_determined if it not in local],
        residuals,
        _reduced_chi_square(residuals, fitted),
    )


def filled_in(profile: HostProfile, names: Iterable[str]) -> HostProfile:
    """The profile with the defaults of those of these parameters that it lacks."""
    known = profile.parameters
    values = with_defaults({name: it.value for name, it in known.items()})
    return with_values(profile, {it: values[it] for it in names if it not in known})


def with_values(profile: HostProfile, values: dict[str, float]) -> HostProfile:
    """The profile with some values replaced."""
    import msgspec

    changed = {
        name: Parameter(value=value, source="fit") for name, value in values.items()
    }
    return msgspec.structs.replace(
        profile, parameters={**profile.parameters, **changed}
    )


def residuals(
    simulated: Sequence[dict[str, float]],
    observations: Sequence[Observation],
    only: frozenset[str] | None = None,
) -> list[tuple[str, str, float, float, float]]:
    """Measured, simulated and their distance in sigmas, number by number."""
    rows = []
    for found, observation in zip(simulated, observations, strict=True):
        for name, measured in observation.values.items():
            if only is not None and name not in only:
                continue
            sigma = observation.sigma(name)
            # What the simulation does not have at all (it was cut off, say) is wrong,
            # but finite: the fit must find its way back.
            there = found.get(name, measured + OUTLIER * sigma)
            rows.append(
                (
                    observation.scenario.name,
                    name,
                    measured,
                    there,
                    (there - measured) / sigma,
                )
            )
    return rows


def _finish(
    start: HostProfile,
    observations: Sequence[Observation],
    values: dict[str, float],
    result: MinimizerResult,
    simulations: Simulations,
) -> Fit:
    import msgspec

    chosen = result.params
    fitted: dict[str, Parameter] = {}
    bad: list[str] = []
    for name, value in values.items():
        # The covariance is only known where the solution is not at a bound.
        relative = chosen[name].stderr  # of the logarithm
        if relative is None or not math.isfinite(relative) or relative > 1:
            relative = 1.0
        if relative > BADLY_DETERMINED:
            bad.append(name)
        spec = PARAMETERS[name]
        fitted[name] = Parameter(
            value=value,
            stderr=value * relative,
            lower=spec.lower,
            upper=spec.upper,
            source="fit",
        )
    correlation = {
        name: {
            other: round(value, 3)
            for other, value in (chosen[name].correl or {}).items()
            if abs(value) > 0.05
        }
        for name in values
    }
    profile = msgspec.structs.replace(
        start,
        parameters={**start.parameters, **fitted},
        correlation={name: row for name, row in correlation.items() if row},
    )
    rows = residuals(simulations.on(profile), observations)
    return Fit(profile, bad, rows, _reduced_chi_square(rows, len(values)))


def _reduced_chi_square(
    rows: Sequence[tuple[str, str, float, float, float]], fitted: int
) -> float:
    return sum(row[4] ** 2 for row in rows) / max(len(rows) - fitted, 1)
