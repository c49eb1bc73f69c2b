"""The driver with real QEMU: all techniques, both transports, both guests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migmodel.qemu.driver import measure
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.options import DriverOptions
from migmodel.records import (
    Guest,
    Limits,
    Link,
    Measurement,
    Policy,
    Scenario,
    Trace,
    Workload,
)
from migmodel.records.parameters import ParameterValue
from migmodel.stress.builder import build_bare, build_linux
from migmodel.stress.errors import StressError
from migmodel.stress.kernel import kernel_image
from migmodel.units import MIB

pytestmark = pytest.mark.qemu
CheckTrace = Callable[[Trace, Scenario], None]


@pytest.fixture(scope="module")
def bare() -> GuestImage:
    try:
        return GuestImage("bare", build_bare())
    except StressError as error:
        pytest.skip(str(error))


def _scenario(technique: Any, transport: Any, *, vcpus: int = 1, **parts: Any) -> Any:
    """16 MiB that are rewritten three times a second, sent in half a second."""
    policy = Policy(
        technique=technique,
        after_passes=2 if technique in ("pause", "postcopy") else None,
        parameters={"max-bandwidth": 32 * MIB, "downtime-limit": 50},
    )
    scenario: dict[str, Any] = {
        "guest": Guest(ram_bytes=64 * MIB, vcpus=vcpus),
        "workload": Workload(working_set_bytes=16 * MIB, rate_pps=12_000),
        "link": Link(transport=transport),
        "policy": policy,
        "limits": Limits(max_time_s=60.0),
    }
    return Scenario(**{**scenario, **parts})


def _measure(qemu: Path, image: GuestImage, scenario: Scenario) -> Measurement:
    options = DriverOptions(image=image, qemu=str(qemu), baseline_s=0.5, after_s=0.5)
    return measure(scenario, options)


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_precopy_completes_when_little_is_rewritten(
    qemu_binary: Path, bare: GuestImage, check_trace: CheckTrace, transport: str
) -> None:
    workload = Workload(working_set_bytes=16 * MIB, rate_pps=500)
    scenario = _scenario("precopy", transport, workload=workload)
    measurement = _measure(qemu_binary, bare, scenario)
    outcome = measurement.trace.outcome
    assert measurement.problems == []
    assert outcome.verdict == "completed"
    assert outcome.peak_throttle_percent is None
    # All of the working set went over the wire once at least, at the rate's limit.
    assert outcome.bytes_sent is not None
    assert outcome.bytes_sent > 16 * MIB
    assert outcome.total_time_s is not None
    assert outcome.total_time_s > 0.3
    check_trace(measurement.trace, measurement.scenario)
    _check_guest(measurement)


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_a_pause_is_the_blackout(
    qemu_binary: Path, bare: GuestImage, check_trace: CheckTrace, transport: str
) -> None:
    measurement = _measure(qemu_binary, bare, _scenario("pause", transport))
    outcome = measurement.trace.outcome
    assert measurement.problems == []
    assert outcome.verdict == "completed"
    # From the pause until the destination runs: much longer than QEMU's own figure.
    assert outcome.downtime_stop_resume_s is not None
    assert outcome.downtime_reported_s is not None
    assert outcome.downtime_stop_resume_s > outcome.downtime_reported_s + 0.1
    check_trace(measurement.trace, measurement.scenario)
    _check_guest(measurement)


@pytest.mark.parametrize("vcpus", [1, 2])
def test_autoconverge_throttles_until_it_completes(
    qemu_binary: Path, bare: GuestImage, check_trace: CheckTrace, vcpus: int
) -> None:
    parameters: dict[str, ParameterValue] = {
        # Carries 121 MB: less than the working set, but several times what both
        # vCPUs write in the 10 ms between two sleeps, so that full throttle ends it.
        "max-bandwidth": 128 * MIB,
        "downtime-limit": 900,
        "cpu-throttle-initial": 70,
        "cpu-throttle-increment": 29,
    }
    scenario = _scenario(
        "autoconverge",
        "unix",
        guest=Guest(ram_bytes=256 * MIB, vcpus=vcpus),
        workload=Workload(working_set_bytes=192 * MIB),
        policy=Policy(technique="autoconverge", parameters=parameters),
    )
    measurement = _measure(qemu_binary, bare, scenario)
    outcome = measurement.trace.outcome
    assert measurement.problems == []
    assert outcome.verdict == "completed"
    assert outcome.peak_throttle_percent is not None
    assert outcome.peak_throttle_percent >= 70
    assert outcome.passes is not None
    assert outcome.passes > 3
    assert set(measurement.trace.guest.vcpu) == set(range(vcpus))
    check_trace(measurement.trace, measurement.scenario)
    _check_guest(measurement)


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_postcopy_runs_the_guest_before_all_is_there(
    qemu_binary: Path, bare: GuestImage, check_trace: CheckTrace, transport: str
) -> None:
    measurement = _measure(qemu_binary, bare, _scenario("postcopy", transport))
    if "Postcopy is not supported" in measurement.trace.outcome.reason:
        pytest.skip(measurement.trace.outcome.reason)
    outcome, phases = measurement.trace.outcome, measurement.trace.phases
    assert measurement.problems == []
    assert outcome.verdict == "completed"
    assert outcome.postcopy_requests is not None
    assert phases.resume_s is not None
    assert phases.resume_s < phases.end_s
    check_trace(measurement.trace, measurement.scenario)
    _check_guest(measurement)


def test_a_migration_that_does_not_converge_is_cancelled(
    qemu_binary: Path, bare: GuestImage, check_trace: CheckTrace
) -> None:
    scenario = _scenario("precopy", "unix", limits=Limits(max_iters=3))
    measurement = _measure(qemu_binary, bare, scenario)
    outcome = measurement.trace.outcome
    assert measurement.problems == []
    assert outcome.verdict == "cancelled"
    assert "limit of 3 passes" in outcome.reason
    assert outcome.downtime_guest_s is None
    # The guest goes on where it was.
    assert max(measurement.trace.guest.end_s) > measurement.trace.phases.end_s
    check_trace(measurement.trace, measurement.scenario)


def test_the_linux_guest_migrates(qemu_binary: Path, check_trace: CheckTrace) -> None:
    try:
        image = GuestImage("linux", build_linux(), kernel_image())
    except StressError as error:
        pytest.skip(str(error))
    guest = Guest(ram_bytes=320 * MIB, kind="linux")
    workload = Workload(working_set_bytes=16 * MIB, rate_pps=500)
    policy = Policy(parameters={"max-bandwidth": 64 * MIB})
    scenario = Scenario(guest=guest, workload=workload, policy=policy)
    measurement = _measure(qemu_binary, image, scenario)
    assert measurement.problems == []
    assert measurement.trace.outcome.verdict == "completed"
    check_trace(measurement.trace, measurement.scenario)
    _check_guest(measurement)


def _check_guest(measurement: Measurement) -> None:
    """The guest's own gap holds the blackout, and CPU time was seen on both sides."""
    outcome, guest = measurement.trace.outcome, measurement.trace.guest
    assert outcome.downtime_stop_resume_s is not None
    assert outcome.downtime_guest_s is not None
    assert outcome.downtime_guest_s > 0.5 * outcome.downtime_stop_resume_s
    assert min(guest.start_s) < 0
    assert max(guest.end_s) > (measurement.trace.phases.resume_s or 0)
    assert outcome.source_cpu_s is not None
    assert outcome.source_cpu_s > 0
    assert outcome.destination_cpu_s is not None
    assert outcome.destination_cpu_s > 0
    assert outcome.vcpu_cpu_s is not None
    assert outcome.vcpu_cpu_s > 0
    assert measurement.trace.load.time_s
