"""Both stress guests in real QEMU: their lines, their pace, their vCPUs."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest

from migmodel.stress.builder import build_bare, build_linux
from migmodel.stress.command import guest_arguments
from migmodel.stress.console import Line
from migmodel.stress.errors import StressError
from migmodel.stress.kernel import kernel_image
from migmodel.stress.runner import guest_lines

pytestmark = pytest.mark.qemu
MIB = 1 << 20


@pytest.fixture(scope="module", params=["bare", "linux"])
def guest(request: pytest.FixtureRequest) -> tuple[str, Path, Path | None]:
    if request.param == "bare":
        return "bare", build_bare(), None
    try:
        return "linux", build_linux(), kernel_image()
    except StressError as error:
        pytest.skip(str(error))


def _lines(
    qemu: Path,
    guest: tuple[str, Path, Path | None],
    seconds: float,
    vcpus: int = 1,
    **settings: Any,
) -> list[Line]:
    argv = [
        *(str(qemu), "-accel", "tcg,thread=multi", "-m", "256M", "-smp", str(vcpus)),
        *("-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *guest_arguments(*guest, cpus=vcpus, **settings),
    ]
    return list(guest_lines(argv, seconds))


def _units(lines: list[Line], cpu: int) -> list[dict[str, int]]:
    units = [
        {name: int(value) for name, value in line.fields.items()}
        for line in lines
        if line.kind == "unit"
    ]
    return [unit for unit in units if unit["cpu"] == cpu]


def test_a_paced_guest_keeps_its_rate(
    qemu_binary: Path, guest: tuple[str, Path, Path | None]
) -> None:
    lines = _lines(qemu_binary, guest, 2.0, ws_bytes=32 * MIB, rate_pps=2000, seed=9)
    start, ready, *_ = lines
    assert (start.kind, ready.kind) == ("start", "ready")
    said = {name: start.fields[name] for name in ("kind", "cpus", "ws_bytes", "seed")}
    assert said == {
        "kind": guest[0],
        "cpus": "1",
        "ws_bytes": str(32 * MIB),
        "seed": "9",
    }
    units = _units(lines, 0)
    elapsed_s = (units[-1]["t_ns"] - int(ready.fields["t_ns"])) / 1e9
    pages = sum(unit["pages"] for unit in units)
    assert pages == pytest.approx(2000 * elapsed_s, rel=0.01)
    for before, after in itertools.pairwise(units):
        assert after["t_ns"] - after["dt_ns"] == pytest.approx(before["t_ns"], abs=2)
    assert units[-1]["bad"] == 0


def test_two_vcpus_both_report(
    qemu_binary: Path, guest: tuple[str, Path, Path | None]
) -> None:
    lines = _lines(qemu_binary, guest, 1.5, vcpus=2, ws_bytes=16 * MIB)
    for cpu in (0, 1):
        units = _units(lines, cpu)
        assert len(units) >= 2
        assert units[-1]["sweeps"] >= 1
        assert units[-1]["bad"] == 0


def test_a_working_set_larger_than_the_ram_is_refused(
    qemu_binary: Path, guest: tuple[str, Path, Path | None]
) -> None:
    with pytest.raises(StressError, match="more than the"):
        _lines(qemu_binary, guest, 1.0, ws_bytes=512 * MIB)


def test_missing_vcpus_are_refused(
    qemu_binary: Path, guest: tuple[str, Path, Path | None]
) -> None:
    argv = [
        *(str(qemu_binary), "-accel", "tcg", "-m", "256M", "-nodefaults"),
        *("-display", "none", "-no-reboot", "-serial", "stdio"),
        *guest_arguments(*guest, cpus=2, ws_bytes=MIB),
    ]
    with pytest.raises(StressError, match="fewer vCPUs than cpus= says"):
        list(guest_lines(argv, 1.0))
