"""KVM's own ways of tracking and slowing a guest, wherever /dev/kvm runs one.

That may be a KVM that emulates: what is asserted holds there too, and no rate is taken
from it.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from migmodel.qemu.accel import kvm_refusal
from migmodel.qemu.binary import QemuBinary, find_qemu, how_to_get
from migmodel.stress.builder import build_bare
from migmodel.stress.command import guest_arguments
from migmodel.stress.console import read_line

pytestmark = pytest.mark.kvm
MIB = 1 << 20
PATIENCE_S = 20.0
TRIES = 5  # of a second each
RATE_PPS = 2000
WS_BYTES = 2 * MIB
RING = 4096
# An emulating KVM lacks what these announce.
CPU = "qemu64,-pni"


@pytest.fixture(scope="module", params=[(7, 2), (10, 0)], ids=["7.2", "10.0"])
def qemu(request: pytest.FixtureRequest) -> QemuBinary:
    found = find_qemu(wanted=request.param)
    if found.version != request.param:
        pytest.skip(f"no such QEMU here: {how_to_get(request.param)}")
    refusal = kvm_refusal(found)
    if refusal is not None:
        pytest.skip(f"KVM does not work here: {refusal}")
    return found


class Machine:
    """A QEMU on KVM, spoken to over its standard input and output."""

    def __init__(self, qemu: QemuBinary, folder: Path, name: str, *more: str) -> None:
        self.console = folder / f"{name}.console"
        self._process = subprocess.Popen(
            [
                *(str(qemu.path), "-m", "64M", "-nodefaults", "-cpu", CPU),
                *("-display", "none", "-no-reboot", "-qmp", "stdio"),
                *("-bios", "qboot.rom"),  # SeaBIOS takes seconds where KVM emulates
                *("-serial", f"file:{self.console}", *more),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=folder,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in: IO[str] = self._process.stdin
        self._out: IO[str] = self._process.stdout
        self._out.readline()
        self("qmp_capabilities")

    def __call__(self, command: str, **arguments: Any) -> Any:
        answer = self.answer(command, **arguments)
        assert "error" not in answer, answer
        return answer["return"]

    def answer(self, command: str, **arguments: Any) -> dict[str, Any]:
        json.dump({"execute": command, "arguments": arguments}, self._in)
        self._in.flush()
        while True:
            said: dict[str, Any] = json.loads(self._out.readline())
            if "return" in said or "error" in said:
                return said

    def units(self) -> list[dict[str, int]]:
        lines = map(read_line, self.console.read_text().splitlines())
        whole = [line for line in lines if line and "sweeps" in line.fields]
        return [{name: int(text) for name, text in x.fields.items()} for x in whole]

    def sweeps(self) -> int:
        return max((unit["sweeps"] for unit in self.units()), default=-1)

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Any]:
    """Starts a guest that sweeps, and the QEMU that it goes to."""
    guest = guest_arguments(
        *("bare", build_bare()),
        ws_bytes=WS_BYTES,
        rate_pps=RATE_PPS,
        touch="page",
        report_ms=250,
    )
    with contextlib.ExitStack() as started:

        def start(qemu: QemuBinary, accel: str) -> tuple[Machine, Machine]:
            argv = ["-accel", accel, *guest]
            pair = []
            for name, more in (("source", []), ("target", ["-incoming", "defer"])):
                machine = Machine(qemu, tmp_path, name, *argv, *more)
                started.callback(machine.close)
                pair.append(machine)
            _wait(lambda: pair[0].sweeps() >= 1, "the guest never swept its memory")
            return pair[0], pair[1]

        yield start


def _wait(done: Any, complaint: str) -> None:
    until = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < until, complaint
        time.sleep(0.05)


def _migrate(source: Machine, target: Machine, **parameters: int) -> dict[str, Any]:
    settings = {"max-bandwidth": 32 * MIB, "downtime-limit": 300, **parameters}
    source("migrate-set-parameters", **settings)
    target("migrate-incoming", uri="unix:migration")
    source("migrate", uri="unix:migration")
    _wait(
        lambda: source("query-migrate")["status"] in ("completed", "failed"),
        "the migration did not end",
    )
    reply: dict[str, Any] = source("query-migrate")
    assert reply["status"] == "completed", reply
    # A whole sweep there: every page has been looked at.
    swept = source.sweeps() + 2
    _wait(lambda: target.sweeps() >= swept, "the guest does not sweep any more")
    assert target.units()[-1]["bad"] == 0
    return reply


@pytest.mark.parametrize(
    "accel", ["kvm", f"kvm,dirty-ring-size={RING}"], ids=["bitmap", "ring"]
)
def test_no_dirty_page_is_lost(qemu: QemuBinary, machines: Any, accel: str) -> None:
    """Bitmap with manual protection, or ring: on both the guest arrives whole."""
    reply = _migrate(*machines(qemu, accel))
    assert reply["ram"]["dirty-sync-count"] >= 2
    # Some pages went out twice: the guest was seen to write.
    assert reply["ram"]["normal"] > WS_BYTES // 4096


def test_the_bitmap_is_protected_page_by_page(qemu: QemuBinary) -> None:
    """KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2: what the lazy clearing of chunks needs."""
    import fcntl
    import os

    device = os.open("/dev/kvm", os.O_RDWR)
    try:
        machine = fcntl.ioctl(device, 0xAE01, 0)  # KVM_CREATE_VM
        try:
            offered = fcntl.ioctl(machine, 0xAE03, 168)  # KVM_CHECK_EXTENSION
        finally:
            os.close(machine)
    finally:
        os.close(device)
    assert offered & 1, f"KVM offers {offered}: QEMU {qemu.release} protects at syncs"


def _calculated(source: Any, mode: str) -> Any:
    settings = {"sample-pages": 16384} if mode == "page-sampling" else {}
    source("calc-dirty-rate", mode=mode, **{"calc-time": 1}, **settings)
    _wait(
        lambda: source("query-dirty-rate")["status"] == "measured",
        f"no rate in mode {mode}",
    )
    return source("query-dirty-rate")


def test_a_rate_is_calculated_in_every_mode(qemu: QemuBinary, machines: Any) -> None:
    for accel, modes in (
        ("kvm", ("page-sampling", "dirty-bitmap")),
        (f"kvm,dirty-ring-size={RING}", ("page-sampling", "dirty-ring")),
    ):
        source, target = machines(qemu, accel)
        target.close()
        for mode in modes:
            found = _calculated(source, mode)
            assert found["mode"] == mode
            assert found["dirty-rate"] >= 0
            if mode != "dirty-ring":  # wrong on a KVM that emulates
                # The guest rewrites its 2 MiB several times in that second; at an
                # emulating KVM's start, or in a bad second of its, not even once.
                for _ in range(TRIES):
                    found = found if found["dirty-rate"] else _calculated(source, mode)
                assert 0 < found["dirty-rate"] < 8
        wrong = "dirty-ring" if "dirty-bitmap" in modes else "dirty-bitmap"
        refused = source.answer("calc-dirty-rate", mode=wrong, **{"calc-time": 1})
        assert "error" in refused
        source.close()


def test_dirty_limit_slows_and_needs_the_ring(qemu: QemuBinary, machines: Any) -> None:
    if qemu.version < (8, 1):
        pytest.skip(f"QEMU {qemu.release} has no dirty-limit in migrations")
    limit = [{"capability": "dirty-limit", "state": True}]
    source, target = machines(qemu, "kvm")
    refused = source.answer("migrate-set-capabilities", capabilities=limit)
    assert "dirty-ring-size" in refused["error"]["desc"]
    source.close()
    target.close()
    source, target = machines(qemu, f"kvm,dirty-ring-size={RING}")
    for machine in (source, target):
        machine("migrate-set-capabilities", capabilities=limit)
    both = [*limit, {"capability": "auto-converge", "state": True}]
    refused = source.answer("migrate-set-capabilities", capabilities=both)
    assert "auto-converge" in refused["error"]["desc"]
    _migrate(source, target, **{"vcpu-dirty-limit": 1})
