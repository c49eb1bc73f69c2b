"""Hand-made predictions: what stands above the model is tested without it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from migmodel.records import (
    Guest,
    GuestSpeed,
    HostProfile,
    Interval,
    Outcome,
    Parameter,
    Phases,
    Policy,
    Prediction,
    Progress,
    Scenario,
    Trace,
    Workload,
)
from migmodel.units import GIB

MakeScenario = Callable[..., Scenario]
MakePrediction = Callable[..., Prediction]


@pytest.fixture
def make_scenario() -> MakeScenario:
    """An 8 GiB guest, its policy made of the keywords."""

    def make(**policy: Any) -> Scenario:
        return Scenario(
            guest=Guest(ram_bytes=8 * GIB),
            workload=Workload(working_set_bytes=8 * GIB),
            policy=Policy(**policy),
        )

    return make


@pytest.fixture
def make_trace() -> Callable[..., Trace]:
    """A minute of migration, its outcome made of the keywords."""

    def make(*, vcpus: int = 1, throttle: float = 0.0, **outcome: Any) -> Trace:
        outcome = {"verdict": "completed", "total_time_s": 60.0, **outcome}
        times = [float(second) for second in range(-5, 65)]
        columns = [(cpu, time) for cpu in range(vcpus) for time in times]
        return Trace(
            outcome=Outcome(**outcome),
            phases=Phases(stop_s=59.7, resume_s=60.0, end_s=60.0),
            progress=Progress(
                time_s=[0.0, 30.0, 60.0],
                remaining_bytes=[8.0 * GIB, 4.0 * GIB, 0.0],
                throttle_percent=[0.0, throttle, throttle],
            ),
            guest=GuestSpeed(
                vcpu=[cpu for cpu, _ in columns],
                start_s=[time for _, time in columns],
                end_s=[time + 1.0 for _, time in columns],
                pages=[262144.0 for _ in columns],
                gap_s=[0.001 for _ in columns],
            ),
        )

    return make


@pytest.fixture
def make_prediction(
    make_scenario: MakeScenario, make_trace: Callable[..., Trace]
) -> MakePrediction:
    """A prediction with the given quantities, as numbers or (low, median, high)."""

    def make(
        scenario: Scenario | None = None,
        *,
        verdict: str = "completed",
        reason: str = "",
        probability: float | None = None,
        draws: int = 0,
        **quantities: float | tuple[float, float, float],
    ) -> Prediction:
        if probability is None:
            probability = float(verdict == "completed")
        intervals = {}
        for name, value in quantities.items():
            if isinstance(value, tuple):
                low, median, high = value
                interval = Interval(nominal=median, low=low, median=median, high=high)
            else:
                interval = Interval(nominal=value)
            intervals[name] = interval
        return Prediction(
            scenario=scenario or make_scenario(),
            profile="made-up",
            trace=make_trace(verdict=verdict, reason=reason),
            completes_probability=probability,
            quantities=intervals,
            draws=draws,
        )

    return make


@pytest.fixture
def profile() -> HostProfile:
    """A profile that no simulation is made with."""
    return HostProfile(
        name="made-up",
        kind="documented",
        accel="kvm",
        host_cpus=16,
        same_host=False,
        parameters={
            "setup_s": Parameter(value=0.01, source="a guess"),
            "stop_s": Parameter(value=0.002, stderr=0.0005, source="fit"),
        },
    )
