"""CPU time of processes and their threads, from /proc and the CPU clocks."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from migmodel.units import NS_PER_S

PROCESS = "process"  # the name under which the sum of all threads is kept
VCPU_PREFIX = "CPU "  # QEMU's names of vCPU threads with debug-threads=on


class ProcessCpu:
    """CPU clocks of one process.

    Threads that have ended count in the process's own clock only, so QEMU's work
    apart from the vCPUs is process minus vCPU threads (which live as long as it does).
    """

    def __init__(self, pid: int) -> None:
        self._tasks = Path("/proc") / str(pid) / "task"
        # CPUCLOCK_SCHED of a process, linux/include/linux/posix-timers_types.h
        self._clock = ~pid << 3 | 2
        self._names: dict[str, str] = {}

    def total_s(self) -> float:
        """CPU seconds of all threads so far, ended ones too."""
        return time.clock_gettime(self._clock)

    def sample(self) -> dict[str, float]:
        """CPU seconds so far, by thread name; empty when the process is gone."""
        try:
            used = {PROCESS: self.total_s()}
            tasks = list(self._tasks.iterdir())
        except OSError:
            return {}
        for task in tasks:
            with contextlib.suppress(OSError):  # it may end while we look
                name = self._names.get(task.name) or self._learn(task)
                spent = int((task / "schedstat").read_bytes().split()[0]) / NS_PER_S
                used[name] = used.get(name, 0.0) + spent
        return used

    def _learn(self, task: Path) -> str:
        name = (task / "comm").read_text(encoding="utf-8").strip()
        self._names[task.name] = name
        return name


def vcpu_s(sample: dict[str, float]) -> float:
    """CPU seconds of the vCPU threads in a sample."""
    return sum(s for name, s in sample.items() if name.startswith(VCPU_PREFIX))


def others_s(sample: dict[str, float]) -> float:
    """CPU seconds of QEMU apart from its vCPUs in a sample."""
    return max(sample.get(PROCESS, 0.0) - vcpu_s(sample), 0.0)
