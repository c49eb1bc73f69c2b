from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from migmodel.errors import InputError
from migmodel.qemu import accel
from migmodel.qemu.binary import PROGRAM, QemuBinary, find_qemu, how_to_get
from migmodel.records import Workload
from migmodel.records.scenario import Touch

MakeProgram = Callable[[Path, str], Path]


@pytest.fixture
def make_program() -> MakeProgram:
    def make(path: Path, says: str) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\necho '{says}'\n")
        path.chmod(0o755)
        return path

    return make


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No QEMU of this host is found."""
    monkeypatch.delenv("MIGMODEL_QEMU", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", "/usr/bin:/bin" if _no_qemu_there() else "/nowhere")


def _no_qemu_there() -> bool:
    return not any(Path(folder, PROGRAM).exists() for folder in ("/usr/bin", "/bin"))


def test_the_version_is_asked(tmp_path: Path, make_program: MakeProgram) -> None:
    says = "QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2)"
    found = find_qemu(str(make_program(tmp_path / "qemu", says)))
    assert found.version == (10, 0)
    assert found.release == "10.0"
    assert found.version_text == "10.0.2 (Debian 1:10.0.2+ds-2)"


def test_a_version_without_a_package_is_read(
    tmp_path: Path, make_program: MakeProgram
) -> None:
    path = make_program(tmp_path / "qemu", "QEMU emulator version 9.2.0-rc1")
    assert find_qemu(str(path)).version_text == "9.2.0-rc1"


def test_the_named_one_wins_over_the_environment_over_the_cache(
    tmp_path: Path, make_program: MakeProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    says = "QEMU emulator version {}"
    cached = tmp_path / "cache" / "migmodel" / "qemu" / "10" / PROGRAM
    make_program(cached, says.format("10.1.0"))
    assert find_qemu().version == (10, 1)
    named = make_program(tmp_path / "environment", says.format("9.1.0"))
    monkeypatch.setenv("MIGMODEL_QEMU", str(named))
    assert find_qemu().version == (9, 1)
    explicit = make_program(tmp_path / "explicit", says.format("8.2.0"))
    assert find_qemu(str(explicit)).version == (8, 2)


def test_without_any_it_is_said_how_to_get_one() -> None:
    with pytest.raises(InputError, match=r"\./dev setup qemu"):
        find_qemu()


@pytest.mark.parametrize(
    ("says", "complaint"),
    [("bash 5.2", "it said 'bash 5.2'"), ("", "it said ''|it said 'nothing'")],
)
def test_another_program_is_no_qemu(
    tmp_path: Path, make_program: MakeProgram, says: str, complaint: str
) -> None:
    path = make_program(tmp_path / "other", says)
    with pytest.raises(InputError, match=complaint):
        find_qemu(str(path))


def test_a_file_that_cannot_be_run_is_no_qemu(tmp_path: Path) -> None:
    path = tmp_path / "qemu"
    path.write_text("no program")
    with pytest.raises(InputError, match="no program that can be run"):
        find_qemu(str(path))


QEMU = QemuBinary(Path("/nowhere/qemu"), (10, 0), "10.0.0")


@pytest.mark.parametrize(
    ("flags", "refusal", "chosen"),
    [(True, None, "kvm"), (True, "no such device", "tcg"), (False, None, "tcg")],
)
def test_kvm_needs_the_cpu_and_a_successful_try(
    monkeypatch: pytest.MonkeyPatch, flags: bool, refusal: str | None, chosen: str
) -> None:
    monkeypatch.setattr(accel, "has_hardware_virtualization", lambda: flags)
    monkeypatch.setattr(accel, "kvm_refusal", lambda _: refusal)
    assert accel.choose_accel(QEMU) == chosen


def test_kvm_that_is_asked_for_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accel, "kvm_refusal", lambda _: "no such device")
    with pytest.raises(InputError, match=r"KVM does not work here \(no such device\)"):
        accel.choose_accel(QEMU, "kvm")
    monkeypatch.setattr(accel, "kvm_refusal", lambda _: None)
    assert accel.choose_accel(QEMU, "kvm") == "kvm"


@pytest.mark.parametrize(
    ("version", "kind", "touch", "refused"),
    [
        ((8, 2), "tcg", "sweep", True),
        ((8, 2), "tcg", "read", False),
        ((8, 2), "kvm", "sweep", False),
        ((9, 0), "tcg", "sweep", False),
    ],
)
def test_only_a_writing_guest_under_old_tcg_is_refused(
    version: tuple[int, int], kind: accel.Accel, touch: Touch, refused: bool
) -> None:
    qemu = QemuBinary(Path("/nowhere/qemu"), version, "")
    workload = Workload(working_set_bytes=4096, touch=touch)
    if not refused:
        accel.check_dirty_tracking(qemu, kind, workload)
        return
    with pytest.raises(InputError, match=r"use QEMU 9\.0 or newer"):
        accel.check_dirty_tracking(qemu, kind, workload)


def test_the_wanted_version_is_taken_where_the_set_up_has_it(
    tmp_path: Path, make_program: MakeProgram
) -> None:
    cache = tmp_path / "cache" / "migmodel" / "qemu"
    for major, version in (("10", "10.0.2"), ("11", "11.1.2")):
        make_program(cache / major / PROGRAM, f"QEMU emulator version {version}")
    assert find_qemu(wanted=(11, 1)).version == (11, 1)
    # One of another minor is not it; nor is one that is not there.
    assert find_qemu(wanted=(11, 0)).version == (10, 0)
    assert find_qemu(wanted=(7, 2)).version == (10, 0)
    assert "./dev setup qemu-7" in how_to_get((7, 2))
    assert how_to_get((9, 0)) == "name another with --qemu FILE"
