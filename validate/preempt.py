"""Post-copy's fault latencies with and without preempt, published and predicted.

Source: Peter Xu, 'migration: Postcopy Preemption', qemu-devel, 19 Jan 2022,
20220119080929.39485.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, NamedTuple

import msgspec

from migmodel.physics.faults import LATENCY_BUCKETS
from migmodel.records import (
    Guest,
    HostProfile,
    Link,
    Parameter,
    Policy,
    Scenario,
    Workload,
)
from migmodel.records.scenario import Pattern
from migmodel.sim.simulate import simulate_profile
from migmodel.units import GIB, KIB, MIB, US_PER_S

from .fault_latency import earth_mover_buckets

# tcp(7): tcp_wmem's maximum of 4 MiB at the sender; of tcp_rmem's 6 MiB half holds
# payload (ip-sysctl, tcp_adv_win_scale 1). Postcopy places a page in 6 us, which is
# slower than the link, so both are full.
BUFFER_BYTES = 7 * MIB
ASSUMED = {
    "preempt_fault_s": Parameter(
        value=2e-4, source="as fault_s: the same messages over the same network"
    ),
}
_HOST_CPUS = 64
_PAGES = {"4K": 4 * KIB, "2M": 2 * MIB}
_FACTORS = {"": 1, "K": 1000}  # of the histogram's edges, as printed


class PreemptCase(NamedTuple):
    """One published distribution of latencies, and the prediction [us, counts]."""

    name: str
    measured_us: float
    predicted_us: float
    measured: list[float]
    predicted: list[float]

    @property
    def factor(self) -> float:
        """Predicted over measured mean."""
        return self.predicted_us / self.measured_us

    @property
    def distance_buckets(self) -> float:
        """Earth-mover distance of the two histograms."""
        return earth_mover_buckets(self.measured, self.predicted)


def preempt_cases(profile: HostProfile) -> Iterator[PreemptCase]:
    """All six, on hosts like those of a profile.

    Parameters
    ----------
    profile : HostProfile
        Of servers with 10 GbE.
    """
    path = files("migmodel.validate") / "published" / "postcopy_preempt_2022.json"
    table: dict[str, Any] = json.loads(path.read_text())
    host = msgspec.structs.replace(
        profile,
        host_cpus=_HOST_CPUS,
        same_host=False,
        parameters={**profile.parameters, **ASSUMED},
    )
    for kind, averages in table["avg_us"].items():
        for mode, average_us in averages.items():
            outcome = simulate_profile(_scenario(kind, mode), host).outcome
            assert outcome.fault_latency_mean_s is not None
            yield PreemptCase(
                f"{kind}, {mode}",
                float(average_us),
                outcome.fault_latency_mean_s * US_PER_S,
                _counts(table["hist"][f"{kind}/{mode}"]),
                list(outcome.fault_latency_histogram or ()),
            )


def _scenario(kind: str, mode: str) -> Scenario:
    """18 GiB touched at random by mig_mon, or 16 workers of `stress` that sweep."""
    page, threads = kind.split("/")
    many = threads == "16thr"
    pattern: Pattern = "sweep" if many else "random"
    capabilities = {"postcopy-preempt": True} if mode == "preempt" else {}
    return Scenario(
        guest=Guest(
            ram_bytes=20 * GIB, vcpus=16 if many else 1, host_page_bytes=_PAGES[page]
        ),
        workload=Workload(
            working_set_bytes=(16 if many else 18) * GIB, touch="page", pattern=pattern
        ),
        link=Link(
            transport="tcp",
            bandwidth_bytes_per_s=1.25e9,
            socket_buffer_bytes=BUFFER_BYTES,
        ),
        policy=Policy(
            technique="postcopy",
            after_passes=1,
            parameters={"max-bandwidth": 0},
            capabilities=capabilities,
        ),
        qemu_version="7.2",
    )


def _counts(published: dict[str, int]) -> list[float]:
    """Printed buckets as QEMU's; below 1 us belongs to the first."""
    counts = [0.0] * LATENCY_BUCKETS
    for edges, count in published.items():
        low = edges.split("-")[0]
        unit = low[-1] if low[-1] in _FACTORS else ""
        low_us = float(low.removesuffix(unit)) * _FACTORS[unit]
        counts[max(round(math.log2(max(low_us, 1.0))), 0)] += count
    return counts
