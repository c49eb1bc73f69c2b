"""A host made up for these tests, and measurements made of simulated runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from migmodel.records import (
    Guest,
    HostFacts,
    HostProfile,
    Interval,
    Limits,
    Measurement,
    Outcome,
    Parameter,
    Phases,
    Policy,
    Prediction,
    Round,
    Scenario,
    Trace,
    Workload,
)
from migmodel.records.trace import Verdict
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import MIB
from migmodel.validate.baselines import BaselineResult
from migmodel.validate.compare import Comparison
from migmodel.validate.quantity import Quantity

VALUES = {
    "page_source_s": 2.0e-6,
    "page_destination_s": 2.2e-6,
    "fresh_page_s": 1e-6,
    "zero_page_source_s": 0.4e-6,
    "zero_page_destination_s": 0.4e-6,
    "postcopy_page_s": 5e-6,
    "link_bytes_per_s": 5e9,
    "socket_buffer_bytes": 2e5,
    "device_state_bytes": 76_600.0,
    "setup_s": 0.004,
    "wakeup_s": 1e-4,
    "sync_fixed_s": 2e-4,
    "sync_page_s": 2e-9,
    "sync_dirty_page_s": 2e-9,
    "stop_s": 5e-4,
    "device_save_s": 2e-3,
    "switch_s": 8e-3,
    "cont_s": 2e-3,
    "gap_s": 1e-3,
    "discard_page_s": 5e-8,
    "postcopy_switch_s": 5e-3,
    "postcopy_finish_s": 5e-3,
    "fault_s": 5e-5,
    "fault_pages": 5.0,
    "sweep_touch_s": 1.7e-6,
    "study_touch_s": 1.7e-6,
    "page_touch_s": 1.6e-7,
    "memory_pages_per_s": 1e12,
    "first_write_s": 2e-7,
    "copy_interference": 0.1,
    "throttle_sleep_extra_s": 1e-4,
    "noise_run_sd": 0.02,
    "noise_guest_sd": 0.01,
    "noise_window_sd": 0.03,
}
HOST = HostFacts(
    cpu_model="made up",
    cpus=2,
    memory_bytes=1 << 33,
    kernel="6.1",
    qemu_version="10.0.2",
    accel="tcg",
)

MakeMeasurement = Callable[..., Measurement]
MakeComparison = Callable[..., Comparison]


@pytest.fixture(scope="session")
def host_profile() -> HostProfile:
    """A host of two CPUs without hardware virtualization."""
    from migmodel.physics.parameters import PARAMETERS

    # Parameters that come later begin at the least that they can be.
    missing = {name: spec.lower for name, spec in PARAMETERS.items()}
    return HostProfile(
        name="made-up",
        kind="documented",
        accel="tcg",
        host_cpus=2,
        same_host=True,
        parameters={
            name: Parameter(value=VALUES.get(name, lower))
            for name, lower in missing.items()
        },
    )


@pytest.fixture
def paced() -> Scenario:
    """A guest of 256 MiB that converges within seconds."""
    return Scenario(
        name="paced",
        guest=Guest(ram_bytes=256 * MIB),
        workload=Workload(working_set_bytes=96 * MIB, rate_pps=20_000),
        policy=Policy(parameters={"max-bandwidth": 125_000_000, "downtime-limit": 100}),
        limits=Limits(max_time_s=30),
    )


@pytest.fixture
def make_measurement(host_profile: HostProfile) -> MakeMeasurement:
    """A simulated run as if it had been measured; seed None is the nominal one."""

    def make(
        scenario: Scenario,
        repeat: int = 0,
        *,
        seed: int | None = None,
        valid: bool = True,
    ) -> Measurement:
        rng = None if seed is None else np.random.default_rng(seed)
        return Measurement(
            scenario=scenario,
            trace=simulate(scenario, draw_host(host_profile, rng)),
            host=HOST,
            started_at=f"2025-01-01T00:00:0{repeat}+00:00",
            repeat=repeat,
            valid=valid,
            problems=[] if valid else ["the guest stopped printing"],
        )

    return make


@pytest.fixture
def make_comparison() -> MakeComparison:
    """A comparison of figures alone: quantity = (runs, predicted low, median, high)."""

    def make(
        name: str = "one",
        *,
        technique: Any = "precopy",
        verdicts: str = "ccc",
        probability: float = 1.0,
        baselines: dict[str, BaselineResult] | None = None,
        parameters: dict[str, Any] | None = None,
        capabilities: dict[str, bool] | None = None,
        qemu: str = "10.0",
        faults: tuple[list[float] | None, list[float] | None] = (None, None),
        traced: list[float] | None = None,
        rounds: tuple[list[Round], list[Round]] = ([], []),
        **quantities: tuple[tuple[float, ...], float, float, float],
    ) -> Comparison:
        scenario = Scenario(
            name=name,
            guest=Guest(ram_bytes=256 * MIB),
            workload=Workload(working_set_bytes=64 * MIB),
            policy=Policy(
                technique=technique,
                parameters=dict(parameters or {}),
                capabilities=dict(capabilities or {}),
            ),
            qemu_version=qemu,
        )
        words: dict[str, Verdict] = {"c": "completed", "x": "cancelled"}
        traces = tuple(
            Trace(
                outcome=Outcome(
                    verdict=words[letter],
                    passes=7,
                    fault_latency_histogram=faults[0],
                    total_time_s=(
                        quantities["total_time_s"][0][
                            index % len(quantities["total_time_s"][0])
                        ]
                        if "total_time_s" in quantities
                        else None
                    ),
                ),
                phases=Phases(end_s=1.0),
                rounds=rounds[0],
            )
            for index, letter in enumerate(verdicts)
        )
        found = {
            quantity: Quantity(
                runs, Interval(nominal=middle, low=low, median=middle, high=high)
            )
            for quantity, (runs, low, middle, high) in quantities.items()
        }
        prediction = Prediction(
            scenario=scenario,
            profile="made-up",
            trace=Trace(
                outcome=Outcome(
                    verdict="completed",
                    reason="it fits",
                    passes=5,
                    fault_latency_histogram=faults[1],
                ),
                phases=Phases(end_s=1.0),
                rounds=rounds[1],
            ),
            completes_probability=probability,
            quantities={},
        )
        return Comparison(
            prediction=prediction,
            traces=traces,
            invalid=0,
            quantities=found,
            baselines=baselines or {},
            traced=None
            if traced is None
            else Trace(
                outcome=Outcome(verdict="completed", fault_latency_histogram=traced),
                phases=Phases(end_s=1.0),
            ),
        )

    return make
