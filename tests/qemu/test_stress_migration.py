"""The stress guest migrates: its time goes on, and it finds no page corrupted."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pytest

from migmodel.stress.builder import build_bare
from migmodel.stress.command import guest_arguments
from migmodel.stress.console import read_line

pytestmark = pytest.mark.qemu
MIB = 1 << 20
PATIENCE_S = 60.0


class Machine:
    """A QEMU with its monitor and its console."""

    def __init__(self, qemu: Path, folder: Path, name: str, *more: str) -> None:
        self.console = folder / f"{name}.console"
        monitor = folder / f"{name}.monitor"
        self.process = subprocess.Popen(
            [
                *(qemu, "-accel", "tcg,thread=multi", "-m", "128M", "-nodefaults"),
                *("-smp", "2", "-display", "none", "-no-reboot"),
                *("-serial", f"file:{self.console}"),
                *("-qmp", f"unix:{monitor},server=on,wait=off", *more),
            ],
            stdin=subprocess.DEVNULL,
        )
        self._socket = socket.socket(socket.AF_UNIX)
        self._stream: IO[str] = self._connected(monitor)
        self._stream.readline()
        self.execute("qmp_capabilities")

    def _connected(self, monitor: Path) -> IO[str]:
        for _ in range(200):
            with contextlib.suppress(OSError):
                self._socket.connect(str(monitor))
                return self._socket.makefile("rw")
            time.sleep(0.05)
        raise TimeoutError("QEMU opened no monitor")

    def execute(self, command: str, **arguments: Any) -> Any:
        json.dump({"execute": command, "arguments": arguments}, self._stream)
        self._stream.flush()
        while True:
            answer = json.loads(self._stream.readline())
            assert "error" not in answer
            if "return" in answer:
                return answer["return"]

    def units(self) -> list[dict[str, int]]:
        # The last line may still be on its way, or go on on the destination.
        written, _, _ = self.console.read_text().rpartition("\n")
        lines = map(read_line, written.splitlines())
        whole = [line for line in lines if line and "sweeps" in line.fields]
        return [{name: int(text) for name, text in x.fields.items()} for x in whole]

    def close(self) -> None:
        self._stream.close()
        self._socket.close()
        self.process.kill()
        self.process.wait()


@pytest.fixture
def folder() -> Iterator[Path]:
    # Not pytest's: the path of a UNIX socket is short.
    with tempfile.TemporaryDirectory(prefix="migstress-") as path:
        yield Path(path)


@pytest.fixture(params=["sweep", "random"])
def machines(
    qemu_binary: Path, folder: Path, request: pytest.FixtureRequest
) -> Iterator[tuple[Machine, Machine]]:
    guest = guest_arguments(
        "bare",
        build_bare(),
        ws_bytes=32 * MIB,
        rate_pps=4000,
        pattern=request.param,
        cpus=2,
    )
    with contextlib.ExitStack() as started:
        source = Machine(qemu_binary, folder, "source", *guest)
        started.callback(source.close)
        target = Machine(qemu_binary, folder, "target", *guest, "-incoming", "defer")
        started.callback(target.close)
        yield source, target


def _wait(done: Any) -> None:
    until = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.mark.parametrize("postcopy", [False, True], ids=["precopy", "postcopy"])
def test_time_goes_on_and_no_page_is_bad(
    machines: tuple[Machine, Machine], folder: Path, postcopy: bool
) -> None:
    source, target = machines
    _wait(lambda: len(source.units()) >= 4)
    if postcopy:
        for machine in machines:
            machine.execute(
                "migrate-set-capabilities",
                capabilities=[{"capability": "postcopy-ram", "state": True}],
            )
    source.execute("migrate-set-parameters", **{"max-bandwidth": 30_000_000})
    target.execute("migrate-incoming", uri=f"unix:{folder}/migration")
    source.execute("migrate", uri=f"unix:{folder}/migration")
    if postcopy:
        _wait(lambda: source.execute("query-migrate")["status"] == "active")
        source.execute("migrate-start-postcopy")
    _wait(lambda: source.execute("query-migrate")["status"] == "completed")
    # A whole sweep on the destination: every page has been looked at there.
    swept = max(unit["sweeps"] for unit in source.units()) + 2
    _wait(lambda: {u["cpu"] for u in target.units() if u["sweeps"] >= swept} == {0, 1})
    for cpu in (0, 1):
        before = [unit for unit in source.units() if unit["cpu"] == cpu]
        after = [unit for unit in target.units() if unit["cpu"] == cpu]
        times = [unit["t_ns"] for unit in before + after]
        assert times == sorted(times)
        # Guest time stands still in the blackout: at most a line is lost to it.
        assert after[0]["t_ns"] - before[-1]["t_ns"] < 1_500_000_000
        assert after[-1]["bad"] == 0
