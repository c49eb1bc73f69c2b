"""A guest that writes at random places, measured and predicted."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.records import Measurement
from migmodel.records.files import read_record
from migmodel.sim.simulate import simulate_profile

pytestmark = pytest.mark.qemu


def test_a_random_guest_is_measured_and_its_precopy_predicted(
    qemu_binary: Path, tmp_path: Path
) -> None:
    """The limiter paces the passes, so that any host's profile predicts them."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "migmodel.cli.main", "measure"),
            *("--mem", "192m", "--ws", "128m", "--rate", "9000"),
            *("--pattern", "random", "--bw", "60MB/s", "--downtime", "100ms"),
            *("--out", str(tmp_path), "--qemu", str(qemu_binary)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = tmp_path.rglob("*.json.gz")
    run = read_record(file, Measurement)
    assert run.scenario.workload.pattern == "random"
    measured = run.trace.outcome
    assert measured.verdict == "completed"
    predicted = simulate_profile(run.scenario, load_profile("tcg-2core")).outcome
    assert predicted.bytes_sent == pytest.approx(measured.bytes_sent, rel=0.05)
    assert predicted.total_time_s == pytest.approx(measured.total_time_s, rel=0.1)
    # It is chance that makes the difference: in order of address more is dirtied.
    workload = msgspec.structs.replace(run.scenario.workload, pattern="sweep")
    swept = msgspec.structs.replace(run.scenario, workload=workload)
    other = simulate_profile(swept, load_profile("tcg-2core")).outcome
    assert other.bytes_sent is not None
    assert measured.bytes_sent is not None
    assert other.bytes_sent > 1.15 * measured.bytes_sent
