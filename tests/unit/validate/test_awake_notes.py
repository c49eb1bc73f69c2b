"""A profile of CPUs that slept is not silently held against runs with awake ones."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from migmodel.analysis.campaign import execute
from migmodel.analysis.predict import predict
from migmodel.records import HostProfile, Measurement, Prediction, Scenario
from migmodel.records.profile import AWAKE_FACT
from migmodel.validate.validation import validate_runs

from .conftest import MakeMeasurement


@pytest.mark.parametrize(
    ("fitted", "awake", "said"),
    [
        ({}, None, None),
        ({}, True, "yes in these runs, not noted in those"),
        ({AWAKE_FACT: "yes"}, True, None),
        ({AWAKE_FACT: "yes"}, False, "no in these runs, yes in those"),
        ({AWAKE_FACT: "no"}, None, "not noted in these runs, no in those"),
    ],
)
def test_a_difference_is_named(
    make_measurement: MakeMeasurement,
    host_profile: HostProfile,
    paced: Scenario,
    tmp_path: Path,
    fitted: dict[str, str],
    awake: bool | None,
    said: str | None,
) -> None:
    profile = msgspec.structs.replace(host_profile, kind="fitted", facts=fitted)

    def run(scenario: Scenario, repeat: int) -> Measurement:
        found = make_measurement(scenario, repeat)
        host = msgspec.structs.replace(found.host, cpus_kept_awake=awake)
        return msgspec.structs.replace(found, host=host)

    def nominal(scenario: Scenario) -> Prediction:
        return predict(scenario, profile, draws=0)

    execute([(paced, 0)], tmp_path, run)
    notes = validate_runs("standard", [paced], tmp_path, profile, nominal).notes
    found = [note for note in notes if "kept awake" in note]
    assert len(found) == (said is not None)
    assert said is None or said in found[0]
