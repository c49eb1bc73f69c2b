"""Several scenarios over one link."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migmodel.cli.main import run
from migmodel.cli.scenario_options import scenario_from
from migmodel.records.files import write_record
from migmodel.units import MIB

GBIT = 125e6


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    """Two guests described, one twice as large as the other."""
    arguments = []
    for name, size in (("a", "512m"), ("b", "256m")):
        file = tmp_path / f"{name}.json"
        described = scenario_from(mem="1", ws=size, rate="100", bw="unlimited")
        write_record(file, described.scenario)
        arguments += ["--scenario", str(file)]
    return arguments


def test_migrations_that_share_a_link_are_predicted_together(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["predict", *files, "--nominal", "--json", "--shared-link", "1g"]
    assert run(arguments) == 0
    predictions = json.loads(capsys.readouterr().out)
    times = [each["trace"]["outcome"]["total_time_s"] for each in predictions]
    # The smaller one has half the link until it ends.
    assert times[1] == pytest.approx(2 * 256 * MIB / GBIT, rel=0.1)
    assert times[0] == pytest.approx((512 + 256) * MIB / GBIT, rel=0.1)


@pytest.mark.parametrize(
    "extra",
    [
        [],
        ["--shared-link", "unlimited"],
        ["--shared-link", "much"],
        ["--shared-link", "1g", "--plot", "x.png"],
    ],
)
def test_what_cannot_be_shared_is_refused_in_one_line(
    files: list[str], extra: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", *files, *extra]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "--shared-link" in error


def test_each_of_them_is_told_under_the_name_of_its_file(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", *files, "--nominal", "--shared-link", "1g"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.endswith(".json:")] == [
        f"{file}:" for file in files[1::2]
    ]


def test_a_whole_record_is_no_scenario_but_has_one(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", *files[:2], "--nominal", "--json"]) == 0
    record = tmp_path / "prediction.json"
    record.write_text(capsys.readouterr().out)
    assert run(["predict", "--scenario", str(record)]) == 2
    assert f"jq .scenario {record}" in capsys.readouterr().err


def test_one_file_needs_no_link_to_share(
    files: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", *files[:2], "--nominal"]) == 0
    assert run(["predict", *files[:2], "--shared-link", "1g"]) == 2
    assert "two or more" in capsys.readouterr().err


def test_a_sweep_takes_no_second_file(
    files: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "rows.csv")
    assert run(["sweep", *files, "--out", out]) == 2
    assert "--scenario" in capsys.readouterr().err
