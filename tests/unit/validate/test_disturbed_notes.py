"""Runs that the host disturbed are named, and count all the same."""

from __future__ import annotations

from pathlib import Path

import msgspec

from migmodel.analysis.campaign import execute
from migmodel.analysis.predict import predict
from migmodel.records import HostProfile, Measurement, Prediction, Scenario
from migmodel.records.trace import GuestSpeed
from migmodel.validate.suites import STANDARD
from migmodel.validate.validation import validate_runs

from .conftest import MakeMeasurement

FULL_PPS, LINE_S = 300_000.0, 0.05
[FULL_SPEED] = [it for it in STANDARD if it.name == "pre-easy"]


def before(share: float) -> GuestSpeed:
    """A guest that ran for a second at this share of its speed."""
    starts = [index * LINE_S for index in range(-20, 0)]
    return GuestSpeed(
        vcpu=[0] * 20,
        start_s=starts,
        end_s=[at + LINE_S for at in starts],
        pages=[share * FULL_PPS * LINE_S] * 20,
        gap_s=[0.0] * 20,
    )


def notes(
    make: MakeMeasurement, profile: HostProfile, out: Path, *shares: float
) -> tuple[str, int]:
    """What is said of runs before which a guest had these shares; how many count."""

    def run(scenario: Scenario, repeat: int) -> Measurement:
        found = make(scenario, repeat)
        phases = msgspec.structs.replace(found.trace.phases, before_s=-1.0)
        work = before(shares[repeat])
        trace = msgspec.structs.replace(found.trace, guest=work, phases=phases)
        return msgspec.structs.replace(found, trace=trace)

    def nominal(scenario: Scenario) -> Prediction:
        return predict(scenario, profile, draws=0)

    execute([(FULL_SPEED, repeat) for repeat in range(len(shares))], out, run)
    found = validate_runs("standard", [FULL_SPEED], out, profile, nominal)
    [comparison] = found.comparisons
    return "\n".join(found.notes), len(comparison.traces)


def test_a_run_with_a_slow_vcpu_is_named(
    make_measurement: MakeMeasurement, host_profile: HostProfile, tmp_path: Path
) -> None:
    said, count = notes(
        make_measurement, host_profile, tmp_path, 1.0, 0.99, 0.6, 1.0, 0.98
    )
    assert "1 of 5 runs, which count all the same, were disturbed" in said
    assert "pre-easy, repeat 2 (60%)" in said
    assert count == 5


def test_of_a_quiet_host_nothing_is_said(
    make_measurement: MakeMeasurement, host_profile: HostProfile, tmp_path: Path
) -> None:
    said, _ = notes(make_measurement, host_profile, tmp_path, 1.0, 0.99, 0.98)
    assert "disturbed" not in said
