"""Predict one migration: the nominal run, and a distribution around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from migmodel.analysis.guest_speed import phase_speeds
from migmodel.physics.parameters import check_profile
from migmodel.physics.versions import Behaviour
from migmodel.records import HostProfile, Interval, Prediction, Scenario, Trace
from migmodel.sim.simulate import draw_host, simulate, simulate_together

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
    "postcopy_blocktime_s",
    "fault_latency_mean_s",
    "fault_latency_p50_s",
    "fault_latency_p90_s",
    "fault_latency_p99_s",
    "compression_ratio",
    "xbzrle_cache_misses",
)
_PHASES = ("before", "precopy", "postcopy", "after")
# All that `quantities_of` gives, in its order.
QUANTITIES: tuple[str, ...] = (
    *_OUTCOME_QUANTITIES,
    *(f"guest_{phase}{of}_ms_per_gib" for phase in _PHASES for of in ("", "_worst")),
    "guest_worst_ms_per_gib",
    "guest_slow_s",
)


def predict(
    scenario: Scenario,
    profile: HostProfile,
    *,
    draws: int = DEFAULT_DRAWS,
    seed: int = 0,
    rules: Behaviour | None = None,
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
    rules : Behaviour or None
        Of a QEMU that was never released; None: of the scenario's version.

    Returns
    -------
    Prediction

    Raises
    ------
    InputError
        When the profile lacks a parameter.
    """
    check_profile(profile)
    trace = simulate(scenario, draw_host(profile), rules=rules)
    drawn = [
        (rng, simulate(scenario, draw_host(profile, rng), detailed=False, rules=rules))
        for rng in np.random.default_rng(seed).spawn(draws)
    ]
    return _prediction(scenario, profile, trace, drawn, seed)


def predict_together(
    scenarios: Sequence[Scenario],
    profile: HostProfile,
    shared_bytes_per_s: float,
    *,
    draws: int = DEFAULT_DRAWS,
    seed: int = 0,
) -> list[Prediction]:
    """Predict migrations that begin together and share one link.

    Parameters
    ----------
    scenarios : sequence of Scenario
        Each between hosts of its own, of the profile's kind.
    profile, draws, seed
        As in `predict`.
    shared_bytes_per_s : float
        What the link carries for all of them.
    """
    check_profile(profile)
    hosts = [draw_host(profile) for _ in scenarios]
    traces = simulate_together(scenarios, hosts, shared_bytes_per_s)
    drawn: list[list[tuple[np.random.Generator, Trace]]] = [[] for _ in scenarios]
    for rng in np.random.default_rng(seed).spawn(draws):
        rngs = rng.spawn(len(scenarios))
        hosts = [draw_host(profile, each) for each in rngs]
        runs = simulate_together(scenarios, hosts, shared_bytes_per_s, detailed=False)
        for column, each, run in zip(drawn, rngs, runs, strict=True):
            column.append((each, run))
    return [
        _prediction(scenario, profile, trace, column, seed)
        for scenario, trace, column in zip(scenarios, traces, drawn, strict=True)
    ]


def _prediction(
    scenario: Scenario,
    profile: HostProfile,
    trace: Trace,
    drawn: Sequence[tuple[np.random.Generator, Trace]],
    seed: int,
) -> Prediction:
    nominal = quantities_of(trace)
    rows: list[dict[str, float | None]] = []
    completed = 0
    for rng, run in drawn:
        completed += run.outcome.verdict == "completed"
        row = quantities_of(run)
        # What the fit left unexplained is part of what is not known.
        factor = float(np.exp(profile["noise_total_sd"] * rng.standard_normal()))
        if row["total_time_s"] is not None:
            row["total_time_s"] *= factor
        rows.append(row)
    if drawn:
        probability = completed / len(drawn)
    else:
        probability = float(trace.outcome.verdict == "completed")
    return Prediction(
        scenario=scenario,
        profile=profile.name,
        trace=trace,
        completes_probability=probability,
        quantities={name: _interval(name, nominal, rows) for name in nominal},
        draws=len(drawn),
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
    for phase in _PHASES:
        speed = speeds.get(phase)
        values[f"guest_{phase}_ms_per_gib"] = speed.mean_ms_per_gib if speed else None
        values[f"guest_{phase}_worst_ms_per_gib"] = (
            speed.worst_ms_per_gib if speed else None
        )
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
