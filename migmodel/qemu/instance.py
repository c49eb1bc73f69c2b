"""One side of a migration: a QEMU with its monitor, its console and its clocks."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from migmodel.qemu.accel import Accel, has_hardware_virtualization
from migmodel.qemu.binary import QemuBinary
from migmodel.qemu.consoles import Console, LineHandler
from migmodel.qemu.hardware import memory_argv
from migmodel.qemu.monitor import EventHandler, Monitor
from migmodel.qemu.process import CpuHandler
from migmodel.records.hardware import Hardware
from migmodel.records.scenario import Guest
from migmodel.units import MIB

# QEMU's own default less what a KVM that emulates lacks.
_EMULABLE_CPU = "qemu64,-pni"
_ACCELERATORS: dict[Accel, str] = {"tcg": "tcg,thread=multi", "kvm": "kvm"}


def machine_argv(
    qemu: QemuBinary,
    accel: Accel,
    guest: Guest,
    guest_argv: list[str],
    side: str,
    hardware: Hardware | None = None,
) -> list[str]:
    """QEMU's command line, the same on both sides but for its name and -incoming."""
    accelerator = _ACCELERATORS[accel]
    if guest.dirty_ring_size is not None:
        accelerator += f",dirty-ring-size={guest.dirty_ring_size}"
    argv = [str(qemu.path), "-name", f"migmodel-{side},debug-threads=on"]
    argv += ["-no-user-config", "-nodefaults", "-display", "none", "-nic", "none"]
    argv += ["-machine", "q35", "-accel", accelerator]
    if accel == "kvm" and not has_hardware_virtualization():
        argv += ["-cpu", _EMULABLE_CPU]
    argv += ["-m", f"{guest.ram_bytes // MIB}M", "-smp", str(guest.vcpus)]
    argv += memory_argv(hardware or Hardware(), guest, side)
    argv += guest_argv
    if side == "destination":
        argv += ["-incoming", "defer"]
    return argv


class Handlers(msgspec.Struct, frozen=True):
    """Who is told what one side says."""

    event: EventHandler
    line: LineHandler


class Process(Protocol):
    """A QEMU process, here or elsewhere; see `QemuProcess`."""

    argv: list[str]
    monitor_socket: socket.socket
    console_fd: int

    @property
    def was_killed(self) -> bool:
        """Whether a signal ended it."""

    @property
    def stderr_tail(self) -> str:
        """The last of what it complained of."""

    def sample_cpu(self, record: CpuHandler) -> None:
        """Read the CPU clocks and hand on what they show, now or soon."""

    def watch(self, on_death: Callable[[str], None]) -> None:
        """Call `on_death` with the reason when it ends by itself."""

    def unwatch(self) -> None:
        """Take it out of the event loop."""

    def end(self) -> None:
        """Kill it."""

    def close(self) -> None:
        """Let go of its channels."""


class Instance:
    """A running QEMU: `connect` before use; in the end `kill` and `close`."""

    def __init__(
        self,
        side: str,
        process: Process,
        handlers: Handlers,
        reply_timeout_s: float,
    ) -> None:
        self.side = side
        self.process = process
        self._monitor = Monitor(side, handlers.event, reply_timeout_s)
        self._console = Console(self.process.console_fd, handlers.line)

    async def connect(self) -> None:
        """Wait for QEMU's greeting."""
        await self._monitor.connect(self.process.monitor_socket)

    async def execute(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        out_of_band: bool = False,
    ) -> Any:
        """Execute one QMP command; see `Monitor.execute`."""
        return await self._monitor.execute(command, arguments, out_of_band=out_of_band)

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
