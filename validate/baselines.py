"""Other people's predictors, given what ours is given.

All get the calibrated bandwidth and the dirty curve of the guest that ran, measured
before its migration. None knows of auto-converge, pausing or post-copy: on every
scenario they say what plain pre-copy would do.

References
----------
.. [1] A. Gudkov, predict_migration.py, qemu-devel, cover.1677589218, 28 Feb 2023.
.. [2] CloudSim, PowerVmAllocationPolicyMigrationAbstract and Datacenter: a migration
   lasts RAM / (bw / (2 * 8000)); CloudSim Plus, VmScheduler: RAM / (0.5 * bandwidth).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from migmodel.analysis.guest_speed import PAGES_PER_GIB, phase_speeds
from migmodel.physics.cpu import Pipeline
from migmodel.physics.wire import FLUSH_PAGES, NORMAL_PAGE_BYTES
from migmodel.records import HostProfile, Scenario, Trace
from migmodel.sim.machine import lay_out
from migmodel.units import MS_PER_S

WIRE_PAGE_BYTES = NORMAL_PAGE_BYTES  # [1]: 4096 + 8
WIRE_ZERO_BYTES = 8  # [1]: a page of zeros
GIVE_UP_S = 3600.0  # [1]
CLOUDSIM_SHARE = 0.5  # [2]: of the bandwidth


@dataclass(frozen=True, slots=True)
class DirtyCurve:
    """Pages that a guest dirties within a time: D(t) = min(working set, rate t).

    Attributes
    ----------
    rate_pps : float
        Pages/s over all vCPUs.
    working_set_pages : float
        More are never dirty.
    """

    rate_pps: float
    working_set_pages: float

    def __call__(self, elapsed_s: float) -> float:
        """Pages dirty after a time [s]."""
        return min(self.working_set_pages, self.rate_pps * elapsed_s)


@dataclass(frozen=True, slots=True)
class BaselineResult:
    """What a baseline says; None where it has no answer."""

    verdict: Literal["completed", "cancelled", "never"]
    total_time_s: float | None = None
    downtime_s: float | None = None


class Baseline(Protocol):
    """A predictor to be compared with."""

    name: str

    def predict(
        self, scenario: Scenario, bandwidth_bytes_per_s: float, dirty_curve: DirtyCurve
    ) -> BaselineResult:
        """Predict one migration, at a bandwidth on the wire [bytes/s]."""
        ...


class GeometricSeries:
    """The textbook's iterated pre-copy at a constant dirty rate.

    V(0) = memory that is not zero, V(i+1) = V(i) rate/bandwidth, until V(n) fits into
    the downtime limit; with x = rate/bandwidth the sum is V(0)/B (1-x^(n+1))/(1-x).
    A working set is none of its terms.
    """

    name = "geometric"

    def predict(
        self, scenario: Scenario, bandwidth_bytes_per_s: float, dirty_curve: DirtyCurve
    ) -> BaselineResult:
        """Predict one migration."""
        pages, _ = content_pages(scenario)
        curve = DirtyCurve(dirty_curve.rate_pps, float("inf"))
        return _iterated(scenario, pages, 0.0, bandwidth_bytes_per_s, curve)


class Gudkov:
    """QEMU's proposed predict_migration.py [1]_ on the measured dirty curve."""

    name = "gudkov"

    def predict(
        self, scenario: Scenario, bandwidth_bytes_per_s: float, dirty_curve: DirtyCurve
    ) -> BaselineResult:
        """Predict one migration."""
        pages, zero = content_pages(scenario)
        return _iterated(scenario, pages, zero, bandwidth_bytes_per_s, dirty_curve)


class CloudSim:
    """CloudSim's formula [2]_: all RAM at half the bandwidth, and it always ends."""

    name = "cloudsim"

    def predict(
        self,
        scenario: Scenario,
        bandwidth_bytes_per_s: float,
        dirty_curve: DirtyCurve,  # noqa: ARG002
    ) -> BaselineResult:
        """Predict one migration."""
        share = CLOUDSIM_SHARE * bandwidth_bytes_per_s
        return _ended(scenario, scenario.guest.ram_bytes / share, None)


BASELINES: tuple[Baseline, ...] = (GeometricSeries(), Gudkov(), CloudSim())


def iterate_precopy(
    pages: float,
    zero_pages: float,
    bandwidth_bytes_per_s: float,
    downtime_limit_s: float,
    dirty: Callable[[float], float],
) -> tuple[float, float] | None:
    """Repeat passes until one fits into the downtime limit.

    Parameters
    ----------
    pages, zero_pages : float
        The first pass.
    bandwidth_bytes_per_s : float
        On the wire.
    downtime_limit_s : float
        Infinite: the first pass is the last.
    dirty : callable
        Pages dirtied within a time [s].

    Returns
    -------
    tuple of float or None
        Total time and last pass [s]; None beyond an hour.
    """
    total_s = 0.0
    while total_s <= GIVE_UP_S:
        sent = pages * WIRE_PAGE_BYTES + zero_pages * WIRE_ZERO_BYTES
        pass_s = sent / bandwidth_bytes_per_s
        total_s += pass_s
        if pass_s <= downtime_limit_s:
            return total_s, pass_s
        pages, zero_pages = dirty(pass_s), 0.0
    return None


def stream_bytes_per_s(profile: HostProfile) -> float:
    """What a migration of a filled, idle guest achieves on this host [bytes/s].

    That is what somebody who calibrates a bandwidth would measure: each page is sent
    once, to a destination that has no memory for it yet.
    """
    pipeline = Pipeline(
        profile["page_source_s"],
        profile["page_destination_s"] + profile["fresh_page_s"],
        profile["link_bytes_per_s"] / WIRE_PAGE_BYTES,
        profile["pipeline_overlap"],
        profile["flush_handoff_s"] / FLUSH_PAGES,
    )
    return pipeline.free_rate_pps * WIRE_PAGE_BYTES


def calibrated_bandwidth(scenario: Scenario, profile: HostProfile) -> float:
    """Bandwidth that all baselines are given: the narrowest limit [bytes/s]."""
    limits = [stream_bytes_per_s(profile)]
    if scenario.policy.max_bandwidth_bytes_per_s:
        limits.append(float(scenario.policy.max_bandwidth_bytes_per_s))
    if scenario.link.bandwidth_bytes_per_s is not None:
        limits.append(scenario.link.bandwidth_bytes_per_s)
    return min(limits)


def measured_curve(
    scenario: Scenario, trace: Trace, phase: str = "before"
) -> DirtyCurve | None:
    """The dirty curve of the guest that ran, from the lines that it printed.

    Parameters
    ----------
    phase : str
        As `phase_speeds` names them; baselines know the guest before the migration.

    Returns
    -------
    DirtyCurve or None
        None when it printed nothing in that phase.
    """
    speed = phase_speeds(trace).get(phase)
    if speed is None:
        return None
    vcpu_pps = PAGES_PER_GIB * MS_PER_S / speed.mean_ms_per_gib
    vcpus = len(set(trace.guest.vcpu))
    return DirtyCurve(vcpu_pps * vcpus, float(scenario.workload.pages))


def content_pages(scenario: Scenario) -> tuple[float, float]:
    """Pages of a guest that are not zero, and those that are."""
    stretches = lay_out(scenario)
    zero = sum(stretch.pages for stretch in stretches if stretch.zero)
    return sum(stretch.pages for stretch in stretches) - zero, zero


def _iterated(
    scenario: Scenario,
    pages: float,
    zero_pages: float,
    bandwidth_bytes_per_s: float,
    dirty: Callable[[float], float],
) -> BaselineResult:
    limit_s = scenario.policy.downtime_limit_s
    found = iterate_precopy(pages, zero_pages, bandwidth_bytes_per_s, limit_s, dirty)
    if found is None:
        return BaselineResult("never")
    return _ended(scenario, *found)


def _ended(
    scenario: Scenario, total_time_s: float, downtime_s: float | None
) -> BaselineResult:
    limit_s = scenario.limits.max_time_s
    if limit_s is not None and total_time_s > limit_s:
        return BaselineResult("cancelled")
    return BaselineResult("completed", total_time_s, downtime_s)
