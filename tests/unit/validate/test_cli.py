"""`migmodel validate` without QEMU: options, exit status, files."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from migmodel.analysis.campaign import execute, repeat_by_repeat
from migmodel.cli.main import run
from migmodel.errors import JobError
from migmodel.qemu import images
from migmodel.records import HostProfile
from migmodel.records.files import write_record
from migmodel.validate.suites import FULL, SMOKE

from .conftest import MakeMeasurement

FEW = "pre-pace,pre-over"


@pytest.fixture
def profile_file(host_profile: HostProfile, tmp_path: Path) -> str:
    path = tmp_path / "profile.json"
    write_record(path, host_profile)
    return str(path)


@pytest.fixture
def measured(make_measurement: MakeMeasurement, tmp_path: Path) -> Path:
    out = tmp_path / "out"
    chosen = [it for it in SMOKE if it.name in FEW.split(",")]
    execute(repeat_by_repeat(chosen, 2), out, make_measurement)
    return out


def arguments(out: Path, profile: str, *more: str) -> list[str]:
    return [
        *("validate", "--suite", "smoke", "--profile", profile, "--out", str(out)),
        *more,
    ]


def test_runs_that_are_there_are_compared_and_reported(
    measured: Path, profile_file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status = run(arguments(measured, profile_file, "--compare-only"))
    printed = capsys.readouterr()
    assert status == 0, printed.err
    assert "Is the suite hard enough?" in printed.out
    rows = [line.split() for line in printed.out.splitlines()]
    assert ["pre-pace", "2", "completes"] in [row[:3] for row in rows], "whole words"
    assert "not run: auto-pace, pause, post" in " ".join(printed.out.split())
    figures = {path.name for path in (measured / "figures").iterdir()}
    assert figures == {"pre-pace.png", "pre-over.png"}
    with (measured / "summary.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    times = [row for row in rows if row["quantity"] == "total_time_s"]
    assert [row["scenario"] for row in times] == ["pre-pace"]
    assert float(times[0]["relative_error"]) < 0.05
    assert float(times[0]["cloudsim_relative_error"]) > 0.5
    with (measured / "headlines.csv").open(newline="") as stream:
        heads = {row["figure"]: row for row in csv.DictReader(stream)}
    assert heads["wrong verdicts"]["value"] == "0"
    report = (measured / "report.md").read_text()
    assert report.startswith("# Validation: suite smoke")
    assert "| pre-pace | 2 | completes |" in report


def test_a_part_of_a_suite_is_not_asked_for_the_whole_ones_runs(
    make_measurement: MakeMeasurement, profile_file: str, tmp_path: Path
) -> None:
    few = [it for it in FULL if it.name in ("pre-fit", "pre-1g")]
    execute(repeat_by_repeat(few, 2), tmp_path / "few", make_measurement)

    def figures(*more: str) -> set[str]:
        options = ["--suite", "full", "--compare-only", *more]
        run(arguments(tmp_path / "few", profile_file, *options))
        with (tmp_path / "few" / "headlines.csv").open(newline="") as stream:
            return {row["figure"] for row in csv.DictReader(stream)}

    assert "valid runs" in figures()
    assert "valid runs" not in figures("--only", "pre-fit,pre-1g")


def test_a_wrong_prediction_is_status_one(
    measured: Path,
    host_profile: HostProfile,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    slow = dict(host_profile.parameters)
    # A host that sends more slowly than its guests write.
    slow["page_source_s"] = type(slow["page_source_s"])(value=9e-5)
    wrong = tmp_path / "wrong.json"
    write_record(
        wrong,
        HostProfile(
            name="wrong",
            kind="documented",
            accel="tcg",
            host_cpus=2,
            same_host=True,
            parameters=slow,
        ),
    )
    assert run(arguments(measured, str(wrong), "--compare-only")) == 1
    said = capsys.readouterr().err
    assert "wrong verdicts (all): 1" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--only", "nothing"], "no scenario 'nothing' in the suite smoke; it has"),
        (["--compare-only", "--repeat", "2"], "leave out --repeat"),
        (["--compare-only", "--accel", "tcg"], "leave out --repeat"),
        (["--compare-only", "--kernel", __file__], "leave out --repeat"),
        (["--compare-only", "--no-keep-awake"], "and --keep-awake"),
        (["--compare-only"], "holds no runs of these scenarios"),
        (["--suite", "other"], "--suite"),
    ],
)
def test_bad_input_is_one_line_and_status_two(
    tmp_path: Path,
    profile_file: str,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    assert run(arguments(tmp_path / "none", profile_file, *more)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert len(error.splitlines()) == 1


def test_a_guest_that_cannot_be_built_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = "echo migmodel: no compiler >&2; exit 1"
    monkeypatch.setattr(images, "BUILD", ("sh", "-c", said))
    with pytest.raises(JobError, match="cannot build the bare guest: no compiler"):
        images.build_image("bare")


def test_a_built_guest_is_taken_from_the_commands_output(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "BUILD", ("sh", "-c", "echo a; echo b"))
    image = images.build_image("linux")
    assert (image.image, image.kernel) == (Path("a"), Path("b"))


def test_a_kernel_of_ones_own_is_handed_to_the_builder(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "BUILD", ("sh", "-c", 'echo a; echo "$2=$3"', "sh"))
    image = images.build_image("linux", Path("b"))
    assert image.kernel == Path("--kernel=b")
