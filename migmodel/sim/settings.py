"""QEMU's parameters as they stand: what the policy said, and managers changed."""

from __future__ import annotations

from migmodel.physics.throttle import ThrottleRule
from migmodel.physics.versions import Behaviour, behaviour
from migmodel.records import Scenario
from migmodel.records.parameters import ParameterValue
from migmodel.units import MS_PER_S


class Settings:
    """A migration's parameters and capabilities, and its QEMU's rules."""

    def __init__(self, scenario: Scenario) -> None:
        self._policy = scenario.policy
        self._changed: dict[str, ParameterValue] = {}
        self.capabilities = scenario.policy.all_capabilities
        self.rules: Behaviour = behaviour(scenario.version)

    def change(self, parameters: dict[str, ParameterValue]) -> None:
        """migrate-set-parameters while it runs."""
        self._changed.update(parameters)

    def number(self, name: str) -> int:
        """A parameter as it stands now, in QEMU's unit."""
        if name in self._changed:
            return int(self._changed[name])
        return int(self._policy.parameter(name))

    @property
    def auto_converges(self) -> bool:
        """auto-converge is on."""
        return self.capabilities.get("auto-converge", False)

    @property
    def returns(self) -> bool:
        """A return path is open: asked for, or brought by postcopy-ram."""
        capabilities = self.capabilities
        return bool(capabilities.get("return-path") or capabilities.get("postcopy-ram"))

    def threshold_bytes(self, bandwidth: float) -> float:
        """Bandwidth x downtime-limit, with the bandwidth given or seen (Eq M4)."""
        given = self.number("avail-switchover-bandwidth")
        return (given or bandwidth) * self.number("downtime-limit") / MS_PER_S

    @property
    def throttle_rule(self) -> ThrottleRule:
        """Auto-converge's parameters."""
        return ThrottleRule(
            trigger_threshold=self.number("throttle-trigger-threshold"),
            initial=self.number("cpu-throttle-initial"),
            increment=self.number("cpu-throttle-increment"),
            maximum=self.number("max-cpu-throttle"),
            tailslow=bool(self.number("cpu-throttle-tailslow")),
            hits=self.rules.throttle_hits,
        )
