"""The driver on a bench: its QEMU is scripted, everything else is real."""

from __future__ import annotations

import json
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from migmodel.qemu.driver import measure
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.options import DriverOptions
from migmodel.records import (
    Guest,
    Limits,
    Link,
    Measurement,
    Outage,
    Policy,
    Scenario,
    Workload,
)
from migmodel.units import MIB

PEER = Path(__file__).with_name("peer.py")


class Bench:
    """A scripted QEMU, and what it must not leave behind."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.temporary = folder / "temporary"
        self.temporary.mkdir()
        self.log = folder / "log"
        self.image = folder / "guest.elf"
        self.image.touch()
        self.qemu = folder / "qemu-system-x86_64"
        self.qemu.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{PEER}" "$@"\n')
        self.qemu.chmod(self.qemu.stat().st_mode | stat.S_IXUSR)
        self._monkeypatch = monkeypatch
        monkeypatch.setattr(tempfile, "tempdir", str(self.temporary))
        monkeypatch.setenv("PEER_LOG", str(self.log))

    def script(self, **script: Any) -> None:
        self._monkeypatch.setenv("PEER_SCRIPT", json.dumps(script))

    def scenario(
        self,
        *,
        transport: Any = "unix",
        limits: Limits | None = None,
        touch: Any = "sweep",
        outage: Outage | None = None,
        **policy: Any,
    ) -> Scenario:
        return Scenario(
            guest=Guest(ram_bytes=64 * MIB),
            workload=Workload(working_set_bytes=4 * MIB, touch=touch),
            link=Link(transport=transport, outage=outage),
            policy=Policy(**policy),
            limits=limits or Limits(),
            qemu_version="7.2" if policy.get("technique") == "compress" else "10.0",
            name="bench",
        )

    def options(self, **options: Any) -> DriverOptions:
        defaults: dict[str, Any] = {
            "image": GuestImage("bare", self.image),
            "qemu": str(self.qemu),
            "accel": "tcg",
            "baseline_s": 0.1,
            "after_s": 0.3,
        }
        return DriverOptions(**{**defaults, **options})

    def measure(
        self,
        scenario: Scenario | None = None,
        on_progress: Callable[..., None] | None = None,
        **options: Any,
    ) -> Measurement:
        return measure(
            scenario or self.scenario(),
            self.options(**options),
            on_progress=on_progress,
        )

    def commands(self, side: str) -> list[str]:
        return (self.log / f"{side}.commands").read_text().split()

    def arguments(self, side: str, command: str) -> list[Any]:
        lines = (self.log / f"{side}.arguments").read_text().splitlines()
        return [said for name, said in map(json.loads, lines) if name == command]

    def pids(self) -> list[int]:
        if not self.log.exists():
            return []
        return [int(file.name) for file in self.log.iterdir() if file.name.isdigit()]

    def running(self) -> int:
        return sum(map(alive, self.pids()))

    def leftovers(self) -> list[str]:
        processes = [f"process {pid}" for pid in self.pids() if alive(pid)]
        return processes + [f"file {path}" for path in self.temporary.rglob("*")]


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody reaps has ended all the same."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    """A bench that fails its test when anything is left behind."""
    bench = Bench(tmp_path, monkeypatch)
    bench.script()
    yield bench
    assert bench.leftovers() == []
