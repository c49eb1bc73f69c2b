"""`migmodel measure` with a scripted QEMU."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migmodel.cli import main, measure
from migmodel.qemu import driver
from migmodel.qemu.guest import GuestImage
from migmodel.records import Measurement
from migmodel.records.files import read_record, write_record


@pytest.fixture(autouse=True)
def guest(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    image = GuestImage("bare", bench.image)
    monkeypatch.setattr(measure, "_guest_image", lambda _kind, _kernel: image)


def _run(bench: Any, *more: str) -> int:
    argv = ["measure", "--mem", "64m", "--ws", "4m", "--accel", "tcg"]
    return main.run([*argv, "--qemu", str(bench.qemu), *more])


def _files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_each_run_is_kept(
    bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "new" / "runs"
    assert _run(bench, "--repeat", "2", "--out", str(out)) == 0
    assert _files(out) == [f"precopy-64m-ws4m-r{n}.json.gz" for n in (0, 1)]
    second = read_record(out / "precopy-64m-ws4m-r1.json.gz", Measurement)
    assert second.repeat == 1
    assert second.raw is not None
    printed = capsys.readouterr().out
    assert printed.count("completed") == 2
    assert "1.23 s" in printed
    assert all(len(line) <= 80 for line in printed.splitlines()[:3])
    # A further series adds to the folder.
    assert _run(bench, "--out", str(out)) == 0
    assert "precopy-64m-ws4m-r2.json.gz" in _files(out)


def test_a_scenario_file_is_executed(bench: Any, tmp_path: Path) -> None:
    file = tmp_path / "scenario.json"
    write_record(file, msgspec.structs.replace(bench.scenario(), name="mine"))
    argv = ["measure", "--scenario", str(file), "--qemu", str(bench.qemu)]
    out = tmp_path / "out"
    assert main.run([*argv, "--accel", "tcg", "--out", str(out)]) == 0
    assert _files(out) == ["mine-r0.json.gz"]


@pytest.mark.parametrize(
    ("said", "explicit", "status"),
    [("11.1", False, 2), ("10.0", False, 0), (None, False, 0), ("11.1", True, 0)],
)
def test_a_file_is_measured_on_the_qemu_that_it_asks_for(
    bench: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    said: str | None,
    explicit: bool,
    status: int,
) -> None:
    scenario = msgspec.to_builtins(bench.scenario())
    del scenario["qemu_version"]
    if said is not None:
        scenario["qemu_version"] = said
    file, out = tmp_path / "mine.json", tmp_path / "out"
    write_record(file, scenario)
    monkeypatch.setenv("MIGMODEL_QEMU", str(bench.qemu))
    argv = ["measure", "--scenario", str(file), "--accel", "tcg", "--out", str(out)]
    if explicit:
        argv += ["--qemu", str(bench.qemu)]
    assert main.run(argv) == status
    printed = capsys.readouterr()
    if status:
        assert bench.pids() == []
        complaint = printed.err.strip()
        assert complaint.startswith(f"migmodel: {file} asks for QEMU 11.1, but")
        assert f"{bench.qemu} is QEMU 10.0" in complaint
        assert "./dev setup qemu-11 gets it, or name one: --qemu FILE" in complaint
        return
    (name,) = _files(out)
    run = read_record(out / name, Measurement)
    assert run.scenario.qemu_version == "10.0"
    remark = "measured with QEMU 10.0; the scenario says 11.1"
    assert run.problems == ([remark] if explicit else [])
    assert (remark in printed.out) == explicit


def test_what_another_qemu_lacks_is_not_held_against_a_file(
    bench: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    bench.script(version="7.2.22")
    scenario = bench.scenario(parameters={"avail-switchover-bandwidth": 10**9})
    write_record(tmp_path / "mine.json", scenario)
    monkeypatch.setenv("MIGMODEL_QEMU", str(bench.qemu))
    assert main.run(["measure", "--scenario", str(tmp_path / "mine.json")]) == 2
    assert "asks for QEMU 10.0, but" in capsys.readouterr().err


def test_a_failed_run_is_kept_and_is_exit_status_1(
    bench: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.script(source={"query-migrate": {"what": "die"}})
    assert _run(bench, "--out", str(tmp_path / "out")) == 1
    complaint = capsys.readouterr().err.strip().splitlines()[-1]
    assert "1 of 1 runs failed" in complaint
    assert "killed by signal 9" in complaint
    assert len(_files(tmp_path / "out")) == 1


def test_an_interrupted_series_keeps_what_it_has(
    bench: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    execute = driver.measure

    def second_is_interrupted(*args: Any, repeat: int, **more: Any) -> Measurement:
        if repeat == 1:
            signal.raise_signal(signal.SIGINT)
        return execute(*args, repeat=repeat, **more)

    monkeypatch.setattr(driver, "measure", second_is_interrupted)
    out = tmp_path / "out"
    assert _run(bench, "--repeat", "3", "--out", str(out)) == 130
    assert len(_files(out)) == 1
    assert "completed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--qemu-version", "9.0"], "is QEMU 10.0: name another with --qemu"),
        (["--timeout", "0"], "--timeout must be greater than zero"),
        (["--accel", "xen"], "'xen' is no accelerator"),
        (["--link", "1g"], "a unix socket has no bandwidth"),
        (["--out", "/proc/none/here"], "--out: cannot make"),
        (["--repeat", "0"], "--repeat"),
    ],
)
def test_bad_input_is_one_line_and_starts_nothing(
    bench: Any, capsys: pytest.CaptureFixture[str], more: list[str], complaint: str
) -> None:
    assert _run(bench, *more) == 2
    printed = capsys.readouterr().err.strip()
    assert complaint in printed
    assert len(printed.splitlines()) == 1
    assert bench.pids() == []
