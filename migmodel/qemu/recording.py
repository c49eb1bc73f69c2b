"""What is seen while a migration runs, as it comes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import msgspec

from migmodel.qemu.cpu import PROCESS, ProcessCpu
from migmodel.qemu.faults import TRACE_FILE, read_trace
from migmodel.qemu.host import busy_cpu_s
from migmodel.records.clock import ClockOffset
from migmodel.records.measurement import Raw


class Recording:
    """Collects what becomes a `Raw`."""

    def __init__(self) -> None:
        self.started_s: float | None = None
        self.prepared_s: float | None = None
        self.realtime_offset_s = time.time() - time.monotonic()
        self.queries: list[Any] = []
        self.destination_queries: list[Any] = []
        self.events: list[Any] = []
        self.consoles: dict[str, list[Any]] = {"source": [], "destination": []}
        self.cpu_samples: list[Any] = []
        self.fault_latencies_s: list[float] = []
        self._own = ProcessCpu(os.getpid())

    def prepared(self) -> None:
        """From now on only the guest has work."""
        self.prepared_s = time.monotonic()

    def start(self) -> None:
        """Set the Trace's zero: the migrate command is sent now."""
        self.started_s = time.monotonic()
        self.realtime_offset_s = time.time() - self.started_s

    def cpu(self, time_s: float, whose: str, used: dict[str, float]) -> None:
        """Note the CPU clocks of a side or of a helper."""
        self.cpu_samples.append([time_s, whose, used])

    def sample_own_cpu(self) -> None:
        """Read the CPU clocks of the host, and our own."""
        now_s = time.monotonic()
        self.cpu(now_s, "driver", {PROCESS: self._own.total_s()})
        self.cpu(now_s, "host", {PROCESS: busy_cpu_s()})

    def action(self, action: Any) -> None:
        """Note what a manager does."""
        data = msgspec.to_builtins(action)
        name = data.pop("type")
        event = {"event": name, "data": data}
        self.events.append([time.monotonic(), "driver", event])

    def read_faults(self, folder: Path) -> None:
        """Read what the destination logged of its faults, if it came to that."""
        file = folder / TRACE_FILE
        if file.is_file():
            with file.open(encoding="ascii", errors="replace") as lines:
                self.fault_latencies_s = read_trace(lines)

    def raw(self, destination_clock: ClockOffset | None = None) -> Raw:
        """Everything, as a record."""
        started_s = time.monotonic() if self.started_s is None else self.started_s
        return Raw(
            started_s=started_s,
            prepared_s=self.prepared_s,
            realtime_offset_s=self.realtime_offset_s,
            destination_clock=destination_clock,
            queries=self.queries,
            destination_queries=self.destination_queries,
            events=self.events,
            source_console=self.consoles["source"],
            destination_console=self.consoles["destination"],
            cpu_samples=self.cpu_samples,
            fault_latencies_s=self.fault_latencies_s,
        )
