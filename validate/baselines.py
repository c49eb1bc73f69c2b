"""Other people's predictors, given what ours is given.

All get the calibrated bandwidth and the dirty curve of the guest that ran, measured
before its migration. None knows of auto-converge, pausing or post-copy: on every
scenario they say what plain pre-copy would do.

References
----------
.. [1] A. Gudkov, predict_migration.py, qemu-devel, cover.1677589218, 28 Feb 2023.
.. [2] CloudSim, PowerVmAllocationPolicyMigrationAbstract and Datacenter: a migration
   lasts RAM / (bw / (2 * 8000)); CloudSim Plus, VmScheduler: RAM / (0.5 * bandwidth).
.. [3] SimGrid 3.32, src/plugins/vm/VmLiveMigration.cpp.
.. [4] V. Kherbache, E. Madelaine, F. Hermenier, "Scheduling Live-Migrations of Virtual
   Machines", IEEE Trans. Cloud Computing, 2017; BtrPlace, MinMTTRMig.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from migmodel.physics.wire import NORMAL_PAGE_BYTES
from migmodel.records import Scenario
from migmodel.sim.machine import lay_out
from migmodel.units import PAGE_BYTES

from .dirty_curve import DirtyCurve

WIRE_PAGE_BYTES = NORMAL_PAGE_BYTES  # [1]: 4096 + 8
WIRE_ZERO_BYTES = 8  # [1]: a page of zeros
GIVE_UP_S = 3600.0  # [1]
CLOUDSIM_SHARE = 0.5  # [2]: of the bandwidth
SIMGRID_DOWNTIME_S = 0.030  # [3]: where no limit is given


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


class SimGrid:
    """SimGrid's live migration [3]_, told the guest's working set and dirty rate.

    SimGrid has the dirty rate as a share of the migration's speed and assumes a working
    set of 0.9 of the RAM; both are settings, and both are set to what was measured. It
    knows neither zero pages nor headers.
    """

    name = "simgrid"

    def predict(
        self, scenario: Scenario, bandwidth_bytes_per_s: float, dirty_curve: DirtyCurve
    ) -> BaselineResult:
        """Predict one migration."""
        found = simgrid_stages(
            scenario.guest.ram_bytes,
            dirty_curve.rate_pps * PAGE_BYTES,
            dirty_curve.working_set_pages * PAGE_BYTES,
            bandwidth_bytes_per_s,
            scenario.policy.downtime_limit_s,
        )
        return _ended(scenario, *found) if found else BaselineResult("never")


class BtrPlace:
    """The duration that BtrPlace's scheduler reckons a migration at [4]_.

    The measured curve is its hot part: the working set, dirty within the time that the
    guest needs to go through it; nothing is cold. It rounds to whole seconds and takes
    a ninth of a link's bits/s for bytes/s, which would be unfair here: the bandwidth
    is calibrated. It has no verdict: where its formula divides by less than nothing,
    that is `never`.
    """

    name = "btrplace"

    def predict(
        self, scenario: Scenario, bandwidth_bytes_per_s: float, dirty_curve: DirtyCurve
    ) -> BaselineResult:
        """Predict one migration."""
        used, _ = content_pages(scenario)
        duration_s = btrplace_duration_s(
            used * PAGE_BYTES,
            dirty_curve.working_set_pages * PAGE_BYTES,
            dirty_curve.saturation_s,
            0.0,
            bandwidth_bytes_per_s,
        )
        if duration_s is None:
            return BaselineResult("never")
        return _ended(scenario, duration_s, None)


BASELINES: tuple[Baseline, ...] = (
    GeometricSeries(),
    Gudkov(),
    CloudSim(),
    SimGrid(),
    BtrPlace(),
)


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


def simgrid_stages(
    ram_bytes: float,
    dirty_bytes_per_s: float,
    working_set_bytes: float,
    bandwidth_bytes_per_s: float,
    downtime_limit_s: float,
) -> tuple[float, float] | None:
    """SimGrid's stages [3]_: all RAM, rounds, and the rest of a guest that is stopped.

    Returns
    -------
    tuple of float or None
        Total time and last stage [s]; None beyond an hour (SimGrid itself goes on for
        115 days and then fails an assertion).
    """
    threshold = bandwidth_bytes_per_s * (downtime_limit_s or SIMGRID_DOWNTIME_S)
    sent, total_s = ram_bytes, 0.0
    while total_s <= GIVE_UP_S:
        round_s = sent / bandwidth_bytes_per_s
        total_s += round_s
        sent = min(dirty_bytes_per_s * round_s, working_set_bytes)
        if sent <= threshold:
            last_s = sent / bandwidth_bytes_per_s
            return total_s + last_s, last_s
    return None


def btrplace_duration_s(
    used_bytes: float,
    hot_bytes: float,
    hot_s: float,
    cold_bytes_per_s: float,
    bandwidth_bytes_per_s: float,
) -> float | None:
    """BtrPlace's duration of a migration [4]_ [s].

    Parameters
    ----------
    used_bytes : float
        Memory in use.
    hot_bytes, hot_s : float
        So much is dirtied over and over, within this time.
    cold_bytes_per_s : float
        Rate at which more is dirtied after that.

    Returns
    -------
    float or None
        None where the guest dirties as fast as the bandwidth.
    """
    bandwidth = bandwidth_bytes_per_s
    hot_rate = hot_bytes / hot_s if hot_s else 0.0
    if bandwidth <= max(hot_rate, cold_bytes_per_s):
        return None
    least_s = used_bytes / bandwidth
    if least_s <= hot_s:
        return least_s + hot_rate * least_s / (bandwidth - hot_rate)
    cold_bytes = hot_bytes + (least_s - hot_s) * cold_bytes_per_s
    cold_s = cold_bytes / (bandwidth - cold_bytes_per_s)
    return least_s + cold_s + hot_bytes / bandwidth * hot_rate / (bandwidth - hot_rate)


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
