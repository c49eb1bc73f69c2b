"""Runs made for another purpose: told by trial, fitted together."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate.calibration import calibrate
from migmodel.calibrate.evidence import observe
from migmodel.calibrate.fit import with_values
from migmodel.calibrate.foreign import read_folder, told_by
from migmodel.cli.main import run
from migmodel.errors import FitError
from migmodel.qemu import accel
from migmodel.records.files import write_record

REPORTS = Path(__file__).parents[2] / "golden" / "guestperf"


def test_reports_of_one_name_are_told_apart() -> None:
    runs, passed_over = read_folder(REPORTS, load_profile("tcg-2core"), "10.0")
    assert [it.scenario.name for it in runs] == [
        "ac10-250-1",
        "pause3-250-1",
        "postcopy2-125-1",
    ]
    assert passed_over == []


def test_only_what_the_runs_tell_is_fitted() -> None:
    profile = load_profile("tcg-2core")
    runs, _ = read_folder(REPORTS, profile, "10.0")
    told = told_by(
        profile,
        observe(runs),
        ("study_touch_s", "sweep_touch_s", "page_source_s", "setup_s"),
    )
    assert "study_touch_s" in told, "the guest's lines tell it"
    assert "page_source_s" in told, "QEMU's CPU time tells it"
    assert "sweep_touch_s" not in told, "no such guest ran"


def test_old_reports_give_a_profile_that_describes_them() -> None:
    start = load_profile("tcg-2core")
    runs, _ = read_folder(REPORTS, start, "10.0")
    half = start["page_source_s"] / 2
    start = with_values(start, {"page_source_s": half})
    fit = calibrate(start, runs, name="old", planned=False, jobs=2)
    # 1.4 to 1.6 s a GiB before the migrations
    assert fit.profile["study_touch_s"] == pytest.approx(1.52 / 262144, rel=0.05)
    # and QEMU's CPU time, wherever the search begins
    assert fit.profile["page_source_s"] > 1.5 * half
    errors = [
        abs(simulated / measured - 1)
        for _, name, measured, simulated, _ in fit.residuals
        if name == "total_time_s"
    ]
    assert len(errors) == 3
    assert max(errors) < 0.12


@pytest.mark.parametrize(
    ("kind", "flags", "left_out"),
    [
        ("kvm", False, True),
        ("kvm", True, False),
        ("kvm", None, False),
        ("tcg", False, False),
    ],
)
def test_a_kvm_that_emulates_is_never_fitted(
    tmp_path: Path, kind: str, flags: bool | None, left_out: bool
) -> None:
    start = load_profile("tcg-2core")
    (report, *_), _ = read_folder(REPORTS, start, "10.0")
    facts = msgspec.structs.replace(
        report.host, accel=kind, hardware_virtualization=flags
    )
    for name, elsewhere in (("here", None), ("there", facts)):
        made = msgspec.structs.replace(
            report, host=report.host if elsewhere else facts, destination_host=elsewhere
        )
        assert made.tells is not left_out
        write_record(tmp_path / name / "run.json", made)
        if not left_out:
            runs, passed_over = read_folder(tmp_path / name, start)
            assert (len(runs), passed_over) == (1, [])
            continue
        with pytest.raises(FitError, match=r"no valid run .*a KVM that emulates"):
            read_folder(tmp_path / name, start)
        shutil.copy(REPORTS / "pause3-250-1.json", tmp_path / name)
        runs, (said,) = read_folder(tmp_path / name, start, "10.0")
        assert [it.scenario.name for it in runs] == ["pause3-250-1"]
        assert said.startswith(f"{tmp_path / name / 'run.json'}: by a KVM that")


def test_calibrating_a_kvm_that_emulates_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(accel, "has_hardware_virtualization", lambda: False)
    out = tmp_path / "out.json"
    assert run(["calibrate", "--out", str(out), "--accel", "kvm"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    (complaint,) = printed.err.strip().splitlines()
    assert "--accel kvm: this CPU has neither vmx nor svm" in complaint
    assert list(tmp_path.iterdir()) == []
    # To say what would run takes no KVM.
    assert run(["calibrate", "--out", str(out), "--accel", "kvm", "--plan"]) == 0


def test_what_is_no_run_is_passed_over_and_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text("{}")
    with pytest.raises(FitError, match="no valid run"):
        read_folder(tmp_path, load_profile())
    shutil.copy(REPORTS / "pause3-250-1.json", tmp_path)
    runs, passed_over = read_folder(tmp_path, load_profile())
    assert len(runs) == 1
    assert "neither" in passed_over[0]
    out = str(tmp_path / "out.json")
    assert run(["calibrate", "--out", out, "--from", str(tmp_path), "--quick"]) == 2
    assert "--from runs nothing" in capsys.readouterr().err
