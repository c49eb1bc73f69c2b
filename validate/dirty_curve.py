"""How many pages a guest dirties within a time, from the lines that it printed."""

from __future__ import annotations

from dataclasses import dataclass

from migmodel.analysis.guest_speed import PAGES_PER_GIB, phase_speeds
from migmodel.records import Scenario, Trace
from migmodel.units import MS_PER_S


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

    @property
    def saturation_s(self) -> float:
        """When the whole working set is dirty [s]; infinite for an idle guest."""
        return self.working_set_pages / self.rate_pps if self.rate_pps else float("inf")


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
