"""QEMU's parameters as they stand: what the policy said, and managers changed."""

from __future__ import annotations

from migmodel.physics.throttle import ThrottleRule
from migmodel.physics.versions import Behaviour, behaviour
from migmodel.records import Scenario
from migmodel.records.parameters import PARAMETERS, ParameterValue
from migmodel.units import MS_PER_S


class Settings:
    """A migration's parameters and capabilities, and its QEMU's rules.

    Parameters
    ----------
    scenario : Scenario
        What is migrated, and how.
    rules : Behaviour or None
        Of a QEMU that was never released; None: of the scenario's version.
    """

    def __init__(self, scenario: Scenario, rules: Behaviour | None = None) -> None:
        self._version = scenario.version
        # As said, then as changed; a default joins when it is first looked up.
        self._values = dict(scenario.policy.all_parameters)
        self.capabilities = scenario.policy.all_capabilities
        self.rules: Behaviour = rules or behaviour(scenario.version)

    def change(self, parameters: dict[str, ParameterValue]) -> None:
        """migrate-set-parameters while it runs."""
        self._values.update(parameters)

    def number(self, name: str) -> int:
        """A parameter as it stands now, in QEMU's unit."""
        return int(self._value(name))

    def word(self, name: str) -> str:
        """A parameter as it stands now, of those that are words."""
        return str(self._value(name))

    def _value(self, name: str) -> ParameterValue:
        value = self._values.get(name)
        if value is None:
            # 2.6 has the throttle's parameters under their first names.
            value = self._values.get(f"x-{name}")
            if value is None:
                value = PARAMETERS[name].default_of(self._version)
            self._values[name] = value
        return value

    def has(self, capability: str) -> bool:
        """Whether a capability is on."""
        return self.capabilities.get(capability, False)

    @property
    def zero_detection(self) -> str:
        """Who looks for zero pages: none, legacy (the migration thread), multifd."""
        word = self.word("zero-page-detection")
        if word == "multifd" and not self.rules.multifd_finds_zeros:
            return "legacy"
        return word

    def codec_level(self, codec: str) -> int:
        """Level of a multifd codec, as this version uses it."""
        name = f"multifd-{codec}-level"
        if not self.rules.multifd_levels or name not in PARAMETERS:
            return 1
        return self.number(name)

    @property
    def auto_converges(self) -> bool:
        """auto-converge is on."""
        return self.capabilities.get("auto-converge", False)

    @property
    def returns(self) -> bool:
        """A return path is open: asked for, or brought by postcopy-ram."""
        capabilities = self.capabilities
        return bool(capabilities.get("return-path") or capabilities.get("postcopy-ram"))

    def lacks_return_path(self, transport: str) -> bool:
        """A return path is wanted that this transport has none of in this version."""
        return transport == "rdma" and self.returns and not self.rules.rdma_returns

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
