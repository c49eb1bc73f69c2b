"""Where Measurements are kept: one file each, none ever overwritten."""

from __future__ import annotations

import re
from pathlib import Path

from migmodel.records.files import write_record
from migmodel.records.measurement import Measurement
from migmodel.records.scenario import Scenario
from migmodel.units import MIB

_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


def scenario_name(scenario: Scenario) -> str:
    """The scenario's name as part of a file name; made up if it has none."""
    if scenario.name:
        return _NOT_IN_NAMES.sub("-", scenario.name).strip(".-") or "scenario"
    guest, workload = scenario.guest, scenario.workload
    return (
        f"{scenario.policy.technique}-{guest.ram_bytes // MIB}m"
        f"-ws{workload.working_set_bytes // MIB}m"
    )


def next_repeat(folder: Path, scenario: Scenario) -> int:
    """First number of a repeat of which the folder has no file yet."""
    repeat = 0
    while measurement_path(folder, scenario, repeat).exists():
        repeat += 1
    return repeat


def measurement_path(folder: Path, scenario: Scenario, repeat: int) -> Path:
    """File of one repeat of a scenario."""
    return folder / f"{scenario_name(scenario)}-r{repeat}.json.gz"


def save(measurement: Measurement, folder: Path) -> Path:
    """Write a Measurement, atomically, and return its file.

    Raises
    ------
    RecordError
        When it cannot be written.
    """
    path = measurement_path(folder, measurement.scenario, measurement.repeat)
    write_record(path, measurement)
    return path
