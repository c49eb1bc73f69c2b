"""CPU use on both sides, from samples of the CPU clocks."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from migmodel.qemu.cpu import others_s, vcpu_s
from migmodel.records.measurement import Raw
from migmodel.records.trace import HostLoad

_Series = NDArray[np.float64]
_SHORTEST_S = 0.05  # rows over less than this are noise of the clocks


class CpuUse(msgspec.Struct, frozen=True):
    """CPU seconds so far of one side, as columns over the Trace's clock."""

    time_s: _Series
    vcpu_s: _Series
    others_s: _Series

    def between(self, start_s: float, end_s: float) -> tuple[float, float] | None:
        """CPU seconds of vCPUs and of the rest in a span; None when not covered."""
        if len(self.time_s) < 2:
            return None
        at = [start_s, end_s]
        vcpu = np.interp(at, self.time_s, self.vcpu_s)
        others = np.interp(at, self.time_s, self.others_s)
        return float(vcpu[1] - vcpu[0]), float(others[1] - others[0])


def cpu_use(raw: Raw, side: str) -> CpuUse:
    """Samples of one side."""
    samples = [
        (at - raw.started_s, vcpu_s(used), others_s(used))
        for at, whose, used in raw.cpu_samples
        if whose == side and used
    ]
    columns = np.array(samples, dtype=np.float64).reshape(-1, 3).T
    return CpuUse(*columns)


def host_load(source: CpuUse, destination: CpuUse) -> HostLoad:
    """Busy cores between samples, on the source's sampling times."""
    load = HostLoad()
    if len(source.time_s) < 2:
        return load
    start_s = float(source.time_s[0])
    for end_s in map(float, source.time_s[1:]):
        span_s = end_s - start_s
        if span_s < _SHORTEST_S:
            continue
        here = source.between(start_s, end_s) or (0.0, 0.0)
        there = destination.between(start_s, end_s) or (0.0, 0.0)
        load.time_s.append(end_s)
        load.vcpu_cores.append((here[0] + there[0]) / span_s)
        load.source_cores.append(here[1] / span_s)
        load.destination_cores.append(there[1] / span_s)
        start_s = end_s
    return load
