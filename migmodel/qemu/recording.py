"""What is seen while a migration runs, as it comes."""

from __future__ import annotations

import os
import time
from typing import Any

import msgspec

from migmodel.qemu.cpu import PROCESS, ProcessCpu
from migmodel.qemu.host import busy_cpu_s
from migmodel.records.measurement import Raw


class Recording:
    """Collects what becomes a `Raw`."""

    def __init__(self) -> None:
        self.started_s: float | None = None
        self.realtime_offset_s = time.time() - time.monotonic()
        self.queries: list[Any] = []
        self.destination_queries: list[Any] = []
        self.events: list[Any] = []
        self.consoles: dict[str, list[Any]] = {"source": [], "destination": []}
        self.cpu_samples: list[Any] = []
        self._own = ProcessCpu(os.getpid())

    def start(self) -> None:
        """Set the Trace's zero: the migrate command is sent now."""
        self.started_s = time.monotonic()
        self.realtime_offset_s = time.time() - self.started_s

    def sample_cpu(self, sides: dict[str, ProcessCpu]) -> None:
        """Read the CPU clocks of both sides, of the host, and our own."""
        for side, cpu in sides.items():
            self.cpu_samples.append([time.monotonic(), side, cpu.sample()])
        now_s = time.monotonic()
        own = {PROCESS: self._own.total_s()}
        self.cpu_samples.append([now_s, "driver", own])
        self.cpu_samples.append([now_s, "host", {PROCESS: busy_cpu_s()}])

    def action(self, action: Any) -> None:
        """Note what a manager does."""
        data = msgspec.to_builtins(action)
        name = data.pop("type")
        event = {"event": name, "data": data}
        self.events.append([time.monotonic(), "driver", event])

    def raw(self) -> Raw:
        """Everything, as a record."""
        started_s = time.monotonic() if self.started_s is None else self.started_s
        return Raw(
            started_s=started_s,
            realtime_offset_s=self.realtime_offset_s,
            queries=self.queries,
            destination_queries=self.destination_queries,
            events=self.events,
            source_console=self.consoles["source"],
            destination_console=self.consoles["destination"],
            cpu_samples=self.cpu_samples,
        )
