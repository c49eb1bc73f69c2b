"""Management policies, one a file; each runs in the simulator and on real QEMU."""

from __future__ import annotations

from migmodel.managers.after_passes import AfterPasses
from migmodel.managers.base import Manager
from migmodel.managers.give_up import GiveUp
from migmodel.managers.tune import Tune
from migmodel.records.policy import TUNED, Tuning
from migmodel.records.scenario import Scenario
from migmodel.records.status import PauseGuest, StartPostcopy

DEFAULT_AFTER_PASSES = 5  # guestperf's default for both policies

__all__ = ["AfterPasses", "GiveUp", "Manager", "Tune", "managers_for"]


def managers_for(scenario: Scenario) -> list[Manager]:
    """Managers that a scenario's policy and limits call for, in order of asking."""
    policy, limits = scenario.policy, scenario.limits
    managers: list[Manager] = []
    after = policy.after_passes
    after = DEFAULT_AFTER_PASSES if after is None else after
    if policy.technique == "pause":
        managers.append(AfterPasses(after, PauseGuest()))
    elif policy.technique == "postcopy":
        managers.append(AfterPasses(after, StartPostcopy()))
    elif policy.technique in TUNED:
        name = TUNED[policy.technique]
        first = int(policy.parameter(name, scenario.version))
        managers.append(Tune(name, first, policy.tuning or Tuning()))
    if limits.max_time_s is not None or limits.max_iters is not None:
        managers.append(GiveUp(limits))
    return managers
