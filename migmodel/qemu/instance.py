"""One side of a migration: a QEMU with its monitor, its console and its clocks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from migmodel.qemu.accel import Accel
from migmodel.qemu.binary import QemuBinary
from migmodel.qemu.consoles import Console, LineHandler
from migmodel.qemu.cpu import ProcessCpu
from migmodel.qemu.monitor import EventHandler, Monitor
from migmodel.qemu.process import QemuProcess
from migmodel.records.scenario import Guest
from migmodel.units import MIB

_ACCELERATORS: dict[Accel, str] = {"tcg": "tcg,thread=multi", "kvm": "kvm"}


def machine_argv(
    qemu: QemuBinary, accel: Accel, guest: Guest, guest_argv: list[str], side: str
) -> list[str]:
    """QEMU's command line, the same on both sides but for its name and -incoming."""
    argv = [str(qemu.path), "-name", f"migmodel-{side},debug-threads=on"]
    argv += ["-no-user-config", "-nodefaults", "-display", "none", "-nic", "none"]
    argv += ["-machine", "q35", "-accel", _ACCELERATORS[accel]]
    argv += ["-m", f"{guest.ram_bytes // MIB}M", "-smp", str(guest.vcpus)]
    argv += guest_argv
    if side == "destination":
        argv += ["-incoming", "defer"]
    return argv


class Handlers(msgspec.Struct, frozen=True):
    """Who is told what one side says."""

    event: EventHandler
    line: LineHandler


class Instance:
    """A running QEMU: `connect` before use; in the end `kill` and `close`."""

    def __init__(
        self,
        side: str,
        argv: list[str],
        folder: Path,
        handlers: Handlers,
        nice: int,
        reply_timeout_s: float,
    ) -> None:
        self.side = side
        self._monitor = Monitor(side, handlers.event, reply_timeout_s)
        self.process = QemuProcess(side, argv, folder, nice)
        self.cpu = ProcessCpu(self.process.pid)
        self._console = Console(self.process.console_fd, handlers.line)

    async def connect(self) -> None:
        """Wait for QEMU's greeting."""
        await self._monitor.connect(self.process.monitor_socket)

    async def execute(
        self, command: str, arguments: dict[str, Any] | None = None
    ) -> Any:
        """Execute one QMP command; see `Monitor.execute`."""
        return await self._monitor.execute(command, arguments)

    def kill(self) -> None:
        """End the process."""
        self.process.unwatch()
        self.process.end()

    async def close(self) -> None:
        """Read what is left of the console and let go of everything."""
        self._console.close()
        try:
            await self._monitor.close()
        finally:
            self.process.close()
