"""Predicts a published table: fits what may be fitted, predicts the rest."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

import msgspec
import numpy as np
from numpy.typing import NDArray

from migmodel.analysis.predict import predict, quantities_of
from migmodel.errors import InputError
from migmodel.records import HostProfile, Parameter, Prediction
from migmodel.sim.simulate import draw_host, simulate, simulate_profile

from .tables import MOST_CONSTANTS, Case, Table

TOTAL = "total_time_s"
START_POINTS = 9  # of each constant, before the search begins from the best
ROUNDS = 2  # of a search line by line
WORST = 3.0  # log error of a row that does not complete


@dataclass(frozen=True)
class Predicted:
    """A case and its prediction, or why there is none.

    Attributes
    ----------
    peaks : dict of float to float
        Peak throttle to its share of the draws, where repeats differed in it.
    """

    case: Case
    prediction: Prediction | None
    refused: str = ""
    peaks: dict[float, float] = field(default_factory=dict)

    def best(self, quantity: str) -> float | None:
        """Median over the draws, or the nominal run's."""
        if self.prediction is None:
            return None
        interval = self.prediction.quantities[quantity]
        return interval.nominal if interval.median is None else interval.median

    def error(self, quantity: str = TOTAL) -> float | None:
        """(predicted - measured) / measured; None where one of them is missing."""
        measured, best = self.case.value(quantity), self.best(quantity)
        return None if not measured or best is None else best / measured - 1


@dataclass(frozen=True)
class Reproduction:
    """A whole table, predicted.

    Attributes
    ----------
    fitted : dict
        Constants of the host and the values that were found.
    """

    table: Table
    profile: HostProfile
    fitted: dict[str, float]
    rows: list[Predicted]

    @property
    def counting(self) -> list[Predicted]:
        """Rows that were predicted and not used to fit."""
        return [it for it in self.rows if it.prediction and not it.case.fitted]

    def median_error(self, quantity: str) -> float | None:
        """Median of the sizes of the errors, relative; of per cent, absolute."""
        sizes = []
        for it in self.counting:
            measured, best = it.case.value(quantity), it.best(quantity)
            if measured is None:
                continue
            if quantity.endswith("_percent"):
                sizes.append(math.inf if best is None else abs(best - measured))
            else:
                error = it.error(quantity)
                sizes.append(math.inf if error is None else abs(error))
        return median(sizes) if sizes else None


def reproduce_table(table: Table, *, draws: int = 0, seed: int = 0) -> Reproduction:
    """Fit a table's constants on its few rows and predict all.

    Parameters
    ----------
    table : Table
        See `load_tables`.
    draws, seed : int
        As `predict` takes them.
    """
    fitted = _fit(table)
    profile = _with(table.profile, fitted)
    rows = []
    for case in table.cases:
        if case.scenario is None:
            rows.append(Predicted(case, None, case.refused))
            continue
        try:
            found = predict(
                case.scenario, profile, draws=draws, seed=seed, rules=case.rules
            )
        except InputError as error:
            rows.append(Predicted(case, None, str(error)))
        else:
            peaks = _peaks(case, profile, draws, seed)
            rows.append(Predicted(case, found, peaks=peaks))
    return Reproduction(table, profile, fitted, rows)


def _peaks(
    case: Case, profile: HostProfile, draws: int, seed: int
) -> dict[float, float]:
    """Share of the draws for each peak throttle, if the repeats differ in it."""
    measured = case.measured.get("peak_throttle_percent", ())
    if len(set(measured)) < 2 or not draws or case.scenario is None:
        return {}
    seen = Counter(
        simulate(
            case.scenario, draw_host(profile, rng), detailed=False, rules=case.rules
        ).outcome.peak_throttle_percent
        for rng in np.random.default_rng(seed).spawn(draws)
    )
    known = {peak: count for peak, count in seen.items() if peak is not None}
    return {peak: known[peak] / draws for peak in sorted(known)}


def _with(profile: HostProfile, values: dict[str, float]) -> HostProfile:
    changed = {
        name: Parameter(value=value, source="fitted on rows of the table")
        for name, value in values.items()
    }
    return msgspec.structs.replace(
        profile, parameters={**profile.parameters, **changed}
    )


def _fit(table: Table) -> dict[str, float]:
    """Least squares of the logarithm of total times, in the constants' logarithms."""
    fit = table.about.fit
    cases = [case for case in table.cases if case.fitted and case.scenario]
    if fit is None or not cases:
        return {}
    names = list(fit.constants)
    bounds = np.log([fit.constants[name] for name in names])

    def misfit(point: NDArray[np.float64]) -> float:
        inside = np.clip(point, bounds[:, 0], bounds[:, 1])
        values = dict(zip(names, np.exp(inside).tolist(), strict=True))
        profile = _with(table.profile, values)
        outside = float(np.abs(point - inside).sum())
        return sum(_misfit(case, profile) for case in cases) + outside

    try:
        return _search(names, bounds, misfit)
    except InputError:
        return {}  # not modelled: each row will say so


def _misfit(case: Case, profile: HostProfile) -> float:
    assert case.scenario is not None
    measured = case.value(TOTAL)
    assert measured
    found = quantities_of(simulate_profile(case.scenario, profile, case.rules))[TOTAL]
    return WORST**2 if found is None else math.log(found / measured) ** 2


def _search(
    names: list[str],
    bounds: NDArray[np.float64],
    misfit: Callable[[NDArray[np.float64]], float],
) -> dict[str, float]:
    from itertools import product

    from scipy.optimize import minimize

    # Windows and passes are whole numbers, so the misfit has steps: a grid first, then
    # a search that needs no slope. Of many constants, one line of the grid at a time.
    lines = [np.linspace(low, high, START_POINTS) for low, high in bounds]
    if len(names) <= MOST_CONSTANTS:
        best = min((np.array(point) for point in product(*lines)), key=misfit)
    else:
        best = bounds.mean(axis=1)
        for number in [*range(len(names))] * ROUNDS:
            tried = np.tile(best, (START_POINTS, 1))
            tried[:, number] = lines[number]
            best = min(tried, key=misfit)
    steps = (bounds[:, 1] - bounds[:, 0]) / (START_POINTS - 1) / 2
    simplex = np.vstack([best, *(best + np.diag(steps))])
    found = minimize(
        misfit,
        best,
        method="Nelder-Mead",
        options={
            "initial_simplex": simplex,
            "xatol": 2e-3,
            "fatol": 1e-5,
            "maxfev": 50 * len(names),
        },
    )
    return dict(zip(names, np.exp(found.x).tolist(), strict=True))
