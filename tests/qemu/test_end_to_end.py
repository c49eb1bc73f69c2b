"""Calibrate on this host, predict, migrate for real, compare: the whole of it."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from migmodel.records import HostProfile
from migmodel.records.files import read_record

pytestmark = pytest.mark.qemu
MIGMODEL = (sys.executable, "-m", "migmodel.cli.main")
REPEATS = 3


def migmodel(*arguments: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*MIGMODEL, *arguments], capture_output=True, text=True, check=False
    )
    sys.stdout.write(done.stdout + done.stderr)  # shown when the test fails
    return done


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory, qemu_binary: Path) -> Path:
    """A profile of the host that the tests run on, as it is today."""
    path = tmp_path_factory.mktemp("calibrate") / "here.json"
    done = migmodel(
        "calibrate", "--quick", "--out", str(path), "--qemu", str(qemu_binary)
    )
    assert done.returncode == 0
    return path


def test_the_fit_describes_its_own_runs(fitted: Path) -> None:
    profile = read_record(fitted, HostProfile)
    assert profile.kind == "fitted"
    # Within five of its own standard errors: a wrong mechanism shows as hundreds.
    assert float(profile.facts["reduced_chi_square"]) < 25
    runs = list(fitted.with_name("here.runs").glob("runs/*.json.gz"))
    assert len(runs) >= int(profile.facts["runs"])  # invalid ones are kept, too


def test_predictions_hold_for_all_four_techniques(
    fitted: Path, tmp_path: Path, qemu_binary: Path
) -> None:
    """The smoke suite's tolerances follow the spread among the repeats, to a cap.

    On a host too restless for them this fails, and the printed notes tell the spread.
    """
    done = migmodel(
        "validate",
        *("--suite", "smoke", "--profile", str(fitted)),
        *("--repeat", str(REPEATS), "--out", str(tmp_path)),
        *("--qemu", str(qemu_binary)),
    )
    assert done.returncode == 0
    with (tmp_path / "runs.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["technique"] for row in rows if row["valid"] == "True"} == {
        "precopy",
        "pause",
        "autoconverge",
        "postcopy",
    }
