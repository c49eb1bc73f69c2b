"""One kind of run of a calibration, in proportion to the largest guest."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from migmodel.physics.parameters import PARAMETERS
from migmodel.records.parameters import DEFAULT_QEMU, ParameterValue
from migmodel.records.policy import Technique
from migmodel.records.scenario import Content, Touch, Transport

PREFIX = "cal-"  # of a scenario's name
COLD_PPS = 50.0  # a guest that hardly writes; the stress guest is never quite idle
LONGEST_RUN_S = 30.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """A run, as far as the bounds of a calibration leave it open.

    Attributes
    ----------
    name : str
        Short; the scenario's has `PREFIX` before it.
    purpose : str
        For a person: which costs hang on it.
    tells : tuple of str
        Parameters of the profile that it identifies.
    expected_s : float
        Rough length of the migration itself, for the estimate.
    share, still : float
        Working set, and memory that is filled and left alone, of the guest's RAM.
    largest : bool
        In the largest guest; most take five sevenths of it.
    repeats : int or None
        None: as many as its table's are.
    quick_repeats : int or None
        Instead, where a quick calibration takes fewer: of what lasts long, or need not
        show its spread.
    bandwidth : int
        max-bandwidth [bytes/s]; 0 is unlimited.
    filling : float
        Instead: as a share of the guest's RAM each second.
    vcpus : int
        The run is left out where the bounds allow fewer.
    """

    name: str
    purpose: str
    tells: tuple[str, ...]
    expected_s: float
    share: float
    still: float = 0.0
    largest: bool = False
    repeats: int | None = None
    quick_repeats: int | None = None
    rate_pps: float | None = None
    vcpus: int = 1
    touch: Touch = "sweep"
    content: Content = "random"
    compressibility: float | None = None
    delta_bytes: int | None = None
    bandwidth: int = 0
    filling: float = 0.0
    downtime_ms: int = 300
    technique: Technique = "precopy"
    after: int | None = None
    parameters: tuple[tuple[str, ParameterValue], ...] = ()
    capabilities: tuple[str, ...] = ()
    transport: Transport = "unix"
    qemu: str = DEFAULT_QEMU
    max_time_s: float = LONGEST_RUN_S


def identified_by(recipes: Iterable[Recipe]) -> dict[str, tuple[str, ...]]:
    """Each parameter with the recipes that tell it, in the order of a profile."""
    found: dict[str, tuple[str, ...]] = {}
    for recipe in recipes:
        for name in recipe.tells:
            found[name] = (*found.get(name, ()), recipe.name)
    return {name: found[name] for name in PARAMETERS if name in found}
