from __future__ import annotations

from pathlib import Path

import pytest

from migmodel.qemu.store import measurement_path, next_repeat, scenario_name
from migmodel.records import Guest, Scenario, Workload
from migmodel.units import MIB


def _scenario(name: str) -> Scenario:
    return Scenario(
        guest=Guest(ram_bytes=512 * MIB),
        workload=Workload(working_set_bytes=64 * MIB),
        name=name,
    )


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("standard-07", "standard-07"),
        ("../a name/with slashes", "a-name-with-slashes"),
        ("...", "scenario"),
        ("", "precopy-512m-ws64m"),
    ],
)
def test_a_name_is_fit_for_a_file(name: str, file: str) -> None:
    assert scenario_name(_scenario(name)) == file


def test_no_file_is_taken_twice(tmp_path: Path) -> None:
    scenario = _scenario("one")
    assert next_repeat(tmp_path, scenario) == 0
    for repeat in (0, 1):
        measurement_path(tmp_path, scenario, repeat).touch()
    assert next_repeat(tmp_path, scenario) == 2
