"""Running a guest alone, against programs that play QEMU."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from migmodel.stress import runner
from migmodel.stress.errors import SettingError, StressError
from migmodel.stress.runner import check_memory, guest_lines, qemu_binary
from migmodel.stress.summary import summarize

UNIT = (
    "migstress unit cpu={} t_ns=9 dt_ns=500000000 pages=131072 gap_ns={} bad=0 sweeps=1"
)


def _qemu(tmp_path: Path, text: str) -> list[str]:
    program = tmp_path / "qemu"
    program.write_text(f"#!/bin/sh\necho $$ >{tmp_path}/pid\n{text}\n")
    program.chmod(0o755)
    return [str(program)]


def _is_gone(tmp_path: Path) -> bool:
    pid = int((tmp_path / "pid").read_text())
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_lines_until_the_time_is_over(tmp_path: Path) -> None:
    argv = _qemu(
        tmp_path,
        "echo SeaBIOS; echo migstress start version=1; echo migstress ready t_ns=5\n"
        f"while :; do echo '{UNIT.format(0, 3)}'; sleep 0.01; done",
    )
    lines = list(guest_lines(argv, 0.1))
    assert [line.kind for line in lines[:3]] == ["start", "ready", "unit"]
    assert _is_gone(tmp_path)


def test_a_reader_that_stops_early_leaves_nothing(tmp_path: Path) -> None:
    lines = guest_lines(_qemu(tmp_path, "echo migstress ready t_ns=5; sleep 60"), 60)
    assert next(lines).kind == "ready"
    lines.close()  # type: ignore[attr-defined]
    assert _is_gone(tmp_path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("echo migstress error no room; sleep 60", "the guest says: no room"),
        ("echo no such machine >&2; exit 1", "QEMU ended by itself: no such machine"),
        ("exit 0", "QEMU ended by itself: without a word"),
        ("sleep 60", "the guest printed nothing"),
    ],
)
def test_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, complaint: str
) -> None:
    monkeypatch.setattr(runner, "SILENCE_LIMIT_S", 2.0)
    with pytest.raises(StressError, match=complaint):
        list(guest_lines(_qemu(tmp_path, text), 60))
    assert _is_gone(tmp_path)


def test_the_qemu_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("MIGMODEL_QEMU", raising=False)
    kept = tmp_path / "migmodel" / "qemu" / "10" / "qemu-system-x86_64"
    kept.parent.mkdir(parents=True)
    (mine,) = _qemu(tmp_path, ":")
    kept.symlink_to(mine)
    assert qemu_binary() == str(kept)
    monkeypatch.setenv("MIGMODEL_QEMU", mine)
    assert qemu_binary() == mine
    with pytest.raises(SettingError, match="no QEMU at nowhere"):
        qemu_binary("nowhere")


def test_a_guest_larger_than_the_free_memory_is_refused() -> None:
    check_memory(1 << 20)
    with pytest.raises(SettingError, match="more than this host has free"):
        check_memory(1 << 60)


def test_summary(tmp_path: Path) -> None:
    units = f"{UNIT.format(1, 2000000)}\n{UNIT.format(0, 9)}\n{UNIT.format(1, 7)}"
    argv = _qemu(tmp_path, f"echo 'migstress ready t_ns=1\n{units}'; sleep 60")
    lines = guest_lines(argv, 60)
    first, second = summarize([next(lines) for _ in range(4)])
    lines.close()  # type: ignore[attr-defined]
    assert (first.cpu, second.cpu) == (0, 1)
    assert second.pages == 2 * 131072
    assert second.pages_per_s == pytest.approx(262144)
    assert second.ms_per_gib == pytest.approx(1000.0)
    assert second.longest_gap_ms == pytest.approx(2.0)
