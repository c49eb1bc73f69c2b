"""The runs of a calibration: recipes made into scenarios, within bounds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from migmodel.errors import InputError
from migmodel.records import Guest, Limits, Link, Policy, Scenario, Workload
from migmodel.units import MIB

from .basic_runs import BASIC, MORE
from .recipe import COLD_PPS, PREFIX, Recipe
from .technique_runs import MORE_REPEATS, NEEDS, REPEATS, TECHNIQUE_RUNS

DEFAULT_RAM_BYTES = 448 * MIB
SMALLEST_RAM_BYTES = 96 * MIB
HUGE_BYTES = 2 * MIB  # working sets are whole huge pages, one at least
USUAL_SHARE = 5 / 7  # of the largest guest: what most runs take
# What a run costs beside its migration: start, fill, settle, watch before and after.
OVERHEAD_S = 3.5


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One scenario, how often it is run, and what it tells.

    Attributes
    ----------
    purpose : str
        For a person: which parameters hang on it.
    expected_s : float
        Rough length of the migration itself, for the estimate.
    """

    scenario: Scenario
    repeats: int
    purpose: str
    expected_s: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a calibration may take of the host.

    Attributes
    ----------
    ram_bytes : int
        Largest guest [bytes]; two are alive at a time.
    vcpus : int
        Most vCPUs of a guest.
    max_bandwidth_bytes_per_s : int or None
        Cap on every migration; None lets some run unlimited.
    """

    ram_bytes: int = DEFAULT_RAM_BYTES
    vcpus: int = 2
    max_bandwidth_bytes_per_s: int | None = None


def plan_runs(
    bounds: Bounds, *, quick: bool = False, techniques: Sequence[str] = ()
) -> list[PlannedRun]:
    """Choose the runs, within bounds.

    Parameters
    ----------
    bounds : Bounds
        What may be taken.
    quick : bool
        Fewer repeats, of what lasts long none, and only what the basic figures hang
        on.
    techniques : sequence of str
        Names of `TECHNIQUE_RUNS` whose runs are made besides.

    Raises
    ------
    InputError
        When the bounds leave nothing to be learnt.
    """
    if bounds.ram_bytes < SMALLEST_RAM_BYTES:
        raise InputError(
            f"--mem must be at least {SMALLEST_RAM_BYTES // MIB} MiB to calibrate, "
            f"not {bounds.ram_bytes // MIB} MiB"
        )
    runs = _within(bounds, BASIC, 2 if quick else 3, quick=quick)
    if not quick:
        runs += _within(bounds, MORE, 2)
    for technique in techniques:
        repeats = 1 if quick else MORE_REPEATS.get(technique, REPEATS)
        runs += _within(bounds, TECHNIQUE_RUNS[technique], repeats, quick=quick)
    return runs


def choose_techniques(text: str) -> list[str]:
    """Read ``all``, ``basic`` or names separated by commas.

    Returns
    -------
    list of str
        In the order in which they are fitted, with those that they build on.

    Raises
    ------
    InputError
        Names what is unknown, and what is known.
    """
    if text == "all":
        return list(TECHNIQUE_RUNS)
    if text == "basic":
        return []
    names = {name.strip() for name in text.split(",")}
    for name in sorted(names):
        if name not in TECHNIQUE_RUNS:
            raise InputError(
                f"--techniques is all, basic, or some of {', '.join(TECHNIQUE_RUNS)}, "
                f"not '{name}'"
            )
    names.update(*(NEEDS.get(name, ()) for name in sorted(names)))
    return [name for name in TECHNIQUE_RUNS if name in names]


def estimate_s(runs: Iterable[PlannedRun]) -> float:
    """Rough time that the runs take [s]."""
    return sum(run.repeats * (run.expected_s + OVERHEAD_S) for run in runs)


def _within(
    bounds: Bounds, recipes: Iterable[Recipe], repeats: int, *, quick: bool = False
) -> list[PlannedRun]:
    return [
        PlannedRun(
            scenario=_scenario(recipe, bounds),
            repeats=(quick and recipe.quick_repeats) or recipe.repeats or repeats,
            purpose=recipe.purpose,
            expected_s=recipe.expected_s,
        )
        for recipe in recipes
        if recipe.vcpus <= bounds.vcpus
    ]


def _scenario(recipe: Recipe, bounds: Bounds) -> Scenario:
    ram_mib = bounds.ram_bytes // MIB
    ram = MIB * (ram_mib if recipe.largest else round(ram_mib * USUAL_SHARE))
    bandwidth = int(recipe.filling * ram) or recipe.bandwidth
    cap = bounds.max_bandwidth_bytes_per_s
    if cap is not None:
        bandwidth = min(bandwidth or cap, cap)
    return Scenario(
        name=PREFIX + recipe.name,
        guest=Guest(ram_bytes=ram, vcpus=recipe.vcpus),
        workload=Workload(
            working_set_bytes=max(_whole(ram * recipe.share), HUGE_BYTES),
            still_bytes=_whole(ram * recipe.still),
            rate_pps=recipe.rate_pps,
            touch=recipe.touch,
            # Where a paced guest is in its sweep would be noise.
            phase=None if recipe.rate_pps in (None, COLD_PPS) else 0.0,
            content=recipe.content,
            compressibility=recipe.compressibility,
            delta_bytes=recipe.delta_bytes,
        ),
        link=Link(transport=recipe.transport),
        policy=Policy(
            technique=recipe.technique,
            after_passes=recipe.after,
            parameters={
                "max-bandwidth": bandwidth,
                "downtime-limit": recipe.downtime_ms,
                **dict(recipe.parameters),
            },
            capabilities=dict.fromkeys(recipe.capabilities, True),
        ),
        limits=Limits(max_time_s=recipe.max_time_s),
        qemu_version=recipe.qemu,
    )


def _whole(size_bytes: float) -> int:
    return int(size_bytes) // HUGE_BYTES * HUGE_BYTES
