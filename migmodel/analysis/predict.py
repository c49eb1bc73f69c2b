"""Predict one migration: the nominal run, and a distribution around it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from migmodel.analysis.guest_speed import phase_speeds
from migmodel.physics.parameters import check_profile
from migmodel.records import HostProfile, Interval, Prediction, Scenario, Trace
from migmodel.sim.simulate import draw_host, simulate

DEFAULT_DRAWS = 64
LOW_PERCENT, HIGH_PERCENT = 10, 90  # an 80 % interval

_OUTCOME_QUANTITIES = (
    "total_time_s",
    "downtime_reported_s",
    "downtime_stop_resume_s",
    "downtime_guest_s",
    "bytes_sent",
    "passes",
    "peak_throttle_percent",
    "source_cpu_s",
    "destination_cpu_s",
    "vcpu_cpu_s",
    "source_extra_memory_bytes",
    "destination_extra_memory_bytes",
    "postcopy_requests",
)


def predict(
    scenario: Scenario,
    profile: HostProfile,
    *,
    draws: int = DEFAULT_DRAWS,
    seed: int = 0,
) -> Prediction:
    """Predict what a migration will do.

    Parameters
    ----------
    scenario : Scenario
        What to migrate, over what, and how.
    profile : HostProfile
        The host, calibrated or documented.
    draws : int
        Replications that draw from the profile's uncertainty and noise; 0 gives the
        nominal run alone, without intervals.
    seed : int
        Seed of the draws; the same seed gives the same answer.

    Returns
    -------
    Prediction

    Raises
    ------
    InputError
        When the profile lacks a parameter.
    """
    check_profile(profile)
    trace = simulate(scenario, draw_host(profile))
    nominal = quantities_of(trace)
    rows: list[dict[str, float | None]] = []
    completed = 0
    for rng in np.random.default_rng(seed).spawn(draws):
        drawn = simulate(scenario, draw_host(profile, rng), detailed=False)
        completed += drawn.outcome.verdict == "completed"
        row = quantities_of(drawn)
        # What the fit left unexplained is part of what is not known.
        factor = float(np.exp(profile["noise_total_sd"] * rng.standard_normal()))
        if row["total_time_s"] is not None:
            row["total_time_s"] *= factor
        rows.append(row)
    if draws:
        probability = completed / draws
    else:
        probability = float(trace.outcome.verdict == "completed")
    return Prediction(
        scenario=scenario,
        profile=profile.name,
        trace=trace,
        completes_probability=probability,
        quantities={name: _interval(name, nominal, rows) for name in nominal},
        draws=draws,
        seed=seed,
    )


def quantities_of(trace: Trace) -> dict[str, float | None]:
    """The numbers of a Trace that predictions and measurements are compared in."""
    outcome = trace.outcome
    values: dict[str, float | None] = {
        name: getattr(outcome, name) for name in _OUTCOME_QUANTITIES
    }
    if outcome.verdict != "completed":
        # A run that was cut off has no total time to be right about.
        values["total_time_s"] = None
    speeds = phase_speeds(trace)
    for phase in ("before", "precopy", "postcopy", "after"):
        speed = speeds.get(phase)
        values[f"guest_{phase}_ms_per_gib"] = speed.mean_ms_per_gib if speed else None
    during = [speeds[name] for name in ("precopy", "postcopy") if name in speeds]
    worst: Callable[..., float | None] = max
    values["guest_worst_ms_per_gib"] = worst(
        (speed.worst_ms_per_gib for speed in during), default=None
    )
    values["guest_slow_s"] = sum(s.slow_s for s in during) if during else None
    return values


def _interval(
    name: str,
    nominal: dict[str, float | None],
    rows: list[dict[str, float | None]],
) -> Interval:
    drawn = [value for row in rows if (value := row[name]) is not None]
    if not drawn:
        return Interval(nominal=nominal[name])
    low, median, high = np.percentile(drawn, [LOW_PERCENT, 50, HIGH_PERCENT])
    return Interval(
        nominal=nominal[name], low=float(low), median=float(median), high=float(high)
    )
