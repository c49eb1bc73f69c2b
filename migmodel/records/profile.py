"""What is known of a host: the simulator's numbers, each with its provenance."""

from __future__ import annotations

from typing import Literal

from migmodel.errors import InputError
from migmodel.records.base import Record
from migmodel.records.checks import require

PROFILE_SCHEMA = 1
AWAKE_FACT = "cpus_kept_awake"  # yes or no, in a fitted profile's facts


def yes_or_no(value: bool | None) -> str | None:
    """A fact as a text; None where nobody noted it."""
    return None if value is None else "yes" if value else "no"


class Parameter(Record, frozen=True, kw_only=True):
    """One number of a host.

    Parameters
    ----------
    value : float
        The number, in the unit that its name ends with.
    stderr : float or None
        Standard error of a fitted value; None for a fact or a documented guess.
    lower, upper : float or None
        Bounds within which it was fitted.
    source : str
        Where it comes from: a fit, a document, an estimate.
    """

    value: float
    stderr: float | None = None
    lower: float | None = None
    upper: float | None = None
    source: str = ""


class HostProfile(Record, frozen=True, kw_only=True):
    """A host, or a pair of hosts, as the model sees it.

    Parameters
    ----------
    name : str
        Short name, as `--profile` takes it.
    kind : {'fitted', 'documented'}
        Fitted from Measurements of that host, or put together from documents.
    accel : {'tcg', 'kvm'}
        Accelerator of the guests.
    host_cpus : int
        CPUs that vCPUs and QEMU's threads share.
    same_host : bool
        Source and destination share those CPUs.
    parameters : dict
        Name to `Parameter`; the names are in docs/nomenclature.md.
    correlation : dict
        ``{name: {name: correlation}}`` of fitted parameters, where it is not 0.
    facts : dict
        Host facts: CPU model, kernel, QEMU version, date, as texts.
    """

    name: str
    kind: Literal["fitted", "documented"]
    accel: Literal["tcg", "kvm"]
    host_cpus: int
    same_host: bool
    parameters: dict[str, Parameter]
    correlation: dict[str, dict[str, float]] = {}
    description: str = ""
    facts: dict[str, str] = {}
    schema: int = PROFILE_SCHEMA

    def __post_init__(self) -> None:
        require(
            self.schema == PROFILE_SCHEMA,
            f"profile has schema {self.schema}, this program reads {PROFILE_SCHEMA}",
        )
        require(self.host_cpus >= 1, "a profile needs at least one host CPU")

    def __getitem__(self, name: str) -> float:
        """Value of a parameter.

        Raises
        ------
        InputError
            When the profile lacks it.
        """
        try:
            return self.parameters[name].value
        except KeyError:
            raise InputError(
                f"profile '{self.name}' lacks the parameter {name}; calibrate again "
                "with this version of migmodel (--fit-only, where its runs are kept)"
            ) from None
