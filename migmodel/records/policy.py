"""How a migration is made to complete: a technique with QEMU's parameters."""

from __future__ import annotations

from typing import Literal, get_args

from migmodel.errors import InputError
from migmodel.records.base import Record
from migmodel.records.capabilities import check_known
from migmodel.records.checks import require, require_not_negative, require_positive
from migmodel.records.parameters import PARAMETERS, ParameterValue, Version
from migmodel.units import MS_PER_S

Technique = Literal[
    "precopy",
    "pause",
    "autoconverge",
    "postcopy",
    "xbzrle",
    "compress",
    "multifd",
    "multifd-zlib",
    "multifd-zstd",
    "multifd-qatzip",
    "multifd-qpl",
    "multifd-uadk",
    "dirtylimit",
    "downtime-tuning",
    "bandwidth-tuning",
]
TECHNIQUES: tuple[Technique, ...] = get_args(Technique)
ACTING: tuple[Technique, ...] = ("pause", "postcopy")  # after some passes
# The QEMU parameter that a tuning technique raises.
TUNED: dict[Technique, str] = {
    "downtime-tuning": "downtime-limit",
    "bandwidth-tuning": "max-bandwidth",
}
TECHNIQUE_CAPABILITY: dict[Technique, str] = {
    "autoconverge": "auto-converge",
    "postcopy": "postcopy-ram",
    "xbzrle": "xbzrle",
    "compress": "compress",
    "multifd": "multifd",
    "multifd-zlib": "multifd",
    "multifd-zstd": "multifd",
    "multifd-qatzip": "multifd",
    "multifd-qpl": "multifd",
    "multifd-uadk": "multifd",
    "dirtylimit": "dirty-limit",
}


class Tuning(Record, frozen=True, kw_only=True):
    """How a manager raises a QEMU parameter while the migration runs.

    Step i of n, at ``i * interval_s`` after the migrate command, sets the parameter to
    ``start + (maximum - start) * i / n``, whole; `start` is the parameter as the policy
    gives it.

    Parameters
    ----------
    maximum : int or None
        Last value, in QEMU's unit (ms, or bytes/s); None: `DEFAULT_RISE` times the
        first.
    steps : int
        Number of steps.
    interval_s : float
        Time between two steps [s].
    """

    maximum: int | None = None
    steps: int = 10
    interval_s: float = 10.0

    def __post_init__(self) -> None:
        require_positive("the tuned parameter's maximum", self.maximum)
        require_positive("the number of tuning steps", self.steps)
        require_positive("the time between two tuning steps", self.interval_s, " s")


DEFAULT_RISE = 10


class Policy(Record, frozen=True, kw_only=True):
    """A technique, QEMU's parameters, and when a manager steps in.

    Parameters
    ----------
    technique : one of `TECHNIQUES`
        What makes the migration complete.
    after_passes : int or None
        For `pause` and `postcopy`: act when that many passes over RAM are complete.
    parameters : dict
        QEMU migration parameters by their own names, e.g.
        ``{"downtime-limit": 300, "max-bandwidth": 125000000}`` in QEMU's units (ms,
        bytes/s, %). What is absent has QEMU's default.
    capabilities : dict
        QEMU migration capabilities switched on or off beside the technique's own, so
        that techniques can be combined.
    tuning : Tuning or None
        For `downtime-tuning` and `bandwidth-tuning`; None: as `Tuning` has it.
    """

    technique: Technique = "precopy"
    after_passes: int | None = None
    parameters: dict[str, ParameterValue] = {}
    capabilities: dict[str, bool] = {}
    tuning: Tuning | None = None

    def __post_init__(self) -> None:
        require(
            self.technique in TECHNIQUES,
            f"unknown policy '{self.technique}'; known are " + ", ".join(TECHNIQUES),
        )
        if self.after_passes is not None and self.technique not in ACTING:
            raise InputError(
                f"--after belongs to the policies pause and postcopy, "
                f"not to {self.technique}"
            )
        require_not_negative("--after", self.after_passes)
        if self.tuning is not None and self.technique not in TUNED:
            raise InputError(
                f"tuning belongs to the policies {' and '.join(TUNED)}, "
                f"not to {self.technique}"
            )
        own = TECHNIQUE_CAPABILITY.get(self.technique)
        if own is not None and self.capabilities.get(own) is False:
            raise InputError(f"policy {self.technique} needs the capability {own}")
        for name, value in self._own_parameters.items():
            said = self.parameters.get(name, value)
            require(
                said == value,
                f"policy {self.technique} means {name} {value}, not {said}",
            )
        check_known(self.capabilities)

    @property
    def _own_parameters(self) -> dict[str, ParameterValue]:
        name, _, codec = self.technique.partition("-")
        return {"multifd-compression": codec} if name == "multifd" and codec else {}

    @property
    def all_capabilities(self) -> dict[str, bool]:
        """The technique's own capability and those asked for beside it."""
        own = TECHNIQUE_CAPABILITY.get(self.technique)
        return {**({own: True} if own else {}), **self.capabilities}

    @property
    def all_parameters(self) -> dict[str, ParameterValue]:
        """The technique's own parameters and those asked for: what QEMU is told."""
        return {**self._own_parameters, **self.parameters}

    def has(self, capability: str) -> bool:
        """Whether a capability is on."""
        return self.all_capabilities.get(capability, False)

    def parameter(self, name: str, version: Version | None = None) -> ParameterValue:
        """Value of a QEMU parameter: as set, else QEMU's default (in that version)."""
        spec = PARAMETERS[name]
        default = spec.default if version is None else spec.default_of(version)
        return self.all_parameters.get(name, default)

    def tuned_at(self, elapsed_s: float) -> bool:
        """Whether a tuning technique has made a step by then."""
        if self.technique not in TUNED:
            return False
        return elapsed_s >= (self.tuning or Tuning()).interval_s

    @property
    def tuned_until_s(self) -> float:
        """When a tuning technique has made its last step [s]; 0 without tuning."""
        if self.technique not in TUNED:
            return 0.0
        tuning = self.tuning or Tuning()
        return tuning.steps * tuning.interval_s

    @property
    def max_bandwidth_bytes_per_s(self) -> int:
        """QEMU's max-bandwidth [bytes/s]; 0 is unlimited."""
        return int(self.parameter("max-bandwidth"))

    @property
    def downtime_limit_s(self) -> float:
        """QEMU's downtime-limit [s]."""
        return int(self.parameter("downtime-limit")) / MS_PER_S
