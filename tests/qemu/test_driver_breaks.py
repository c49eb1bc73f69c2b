"""The driver with real QEMUs that are killed or interrupted on the way."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from migmodel.qemu.driver import measure
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.options import DriverOptions
from migmodel.records import Guest, Measurement, Policy, Scenario, Workload
from migmodel.stress.builder import build_bare
from migmodel.stress.errors import StressError
from migmodel.units import MIB

pytestmark = pytest.mark.qemu


@pytest.fixture
def run(
    qemu_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], None]], Measurement]:
    """Migrates without end, and calls back once when it is in the second pass."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    try:
        image = GuestImage("bare", build_bare())
    except StressError as error:
        pytest.skip(str(error))
    scenario = Scenario(
        guest=Guest(ram_bytes=64 * MIB),
        workload=Workload(working_set_bytes=16 * MIB, rate_pps=12_000),
        policy=Policy(parameters={"max-bandwidth": 32 * MIB, "downtime-limit": 50}),
    )
    options = DriverOptions(
        image=image, qemu=str(qemu_binary), baseline_s=0.1, reply_timeout_s=5.0
    )

    def run(once: Callable[[], None]) -> Measurement:
        done = []

        def on_progress(phase: str, status: object) -> None:
            passes = getattr(status, "dirty_sync_count", 0)
            if phase == "migrating" and passes >= 2 and not done:
                done.append(phase)
                once()

        return measure(scenario, options, on_progress=on_progress)

    return run


def _children() -> dict[str, int]:
    """Process ids of this process's QEMUs, by side."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            words = (folder / "cmdline").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if parent != str(os.getpid()):
            continue
        for side in ("source", "destination"):
            if f"migmodel-{side}" in words:
                found[side] = int(folder.name)
    return found


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_killed_qemu_gives_a_failed_measurement(
    run: Callable[[Callable[[], None]], Measurement], tmp_path: Path, side: str
) -> None:
    measurement = run(lambda: os.kill(_children()[side], signal.SIGKILL))
    assert measurement.trace.outcome.verdict == "failed"
    # A destination whose source is gone ends by itself, and may be seen first.
    assert f"the {side} QEMU was killed by signal 9" in measurement.problems[0]
    assert not measurement.valid
    assert measurement.trace.progress.time_s
    assert _children() == {}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_driver_leaves_nothing(
    run: Callable[[Callable[[], None]], Measurement],
    tmp_path: Path,
    number: signal.Signals,
) -> None:
    seen = {}

    def interrupt() -> None:
        seen.update(_children())
        signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt):
        run(interrupt)
    assert set(seen) == {"source", "destination"}
    assert _children() == {}
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_qemu_counts_as_hung(
    run: Callable[[Callable[[], None]], Measurement],
) -> None:
    measurement = run(lambda: os.kill(_children()["source"], signal.SIGSTOP))
    assert "the source QEMU hangs" in measurement.trace.outcome.reason
    assert _children() == {}
