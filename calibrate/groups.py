"""Which runs each part of a fit goes by: the basic one, and each technique's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from migmodel.records import Measurement, Scenario

from .recipe import PREFIX
from .technique_runs import TECHNIQUE_RUNS

TCP = "tcp"
_CODECS = ("zlib", "zstd")  # of multifd, those that a technique is named after


@dataclass(frozen=True, slots=True)
class Groups:
    """Runs by what they are fitted for.

    Attributes
    ----------
    basic : list of Measurement
        What the basic parameters are fitted to.
    techniques : dict
        Technique to its runs, in the order in which they are fitted.
    basic_over_tcp : bool
        All basic runs go over TCP: what its pages cost is told by them.
    left_out : list of Measurement
        Runs of what has no parameters to be fitted, and would bend others.
    """

    basic: list[Measurement]
    techniques: dict[str, list[Measurement]]
    basic_over_tcp: bool = False
    left_out: list[Measurement] = field(default_factory=list)


def by_plan(runs: Sequence[Measurement]) -> Groups:
    """Group the calibration's own runs: their names tell what each was made for."""
    made_for = {
        PREFIX + recipe.name: technique
        for technique, recipes in TECHNIQUE_RUNS.items()
        for recipe in recipes
    }
    groups = Groups([], {technique: [] for technique in TECHNIQUE_RUNS})
    for run in runs:
        technique = made_for.get(run.scenario.name)
        (groups.techniques[technique] if technique else groups.basic).append(run)
    return groups


def by_use(runs: Sequence[Measurement]) -> Groups:
    """Group other runs by the techniques that they use.

    A run of several is the last one's, which is fitted on top of those before it.
    """
    groups = Groups([], {technique: [] for technique in TECHNIQUE_RUNS})
    for run in runs:
        if unfitted_codec(run.scenario) is not None:
            groups.left_out.append(run)
            continue
        used = techniques_of(run.scenario)
        (groups.techniques[used[-1]] if used else groups.basic).append(run)
    if groups.basic or not groups.techniques[TCP]:
        return groups
    return Groups(
        basic=groups.techniques[TCP],
        techniques={**groups.techniques, TCP: []},
        basic_over_tcp=True,
        left_out=groups.left_out,
    )


def techniques_of(scenario: Scenario) -> list[str]:
    """Techniques, by `TECHNIQUE_RUNS`, whose costs a migration has, in that order."""
    policy = scenario.policy
    multifd, compress = policy.has("multifd"), policy.has("compress")
    codec = policy.parameter("multifd-compression")
    used = {
        TCP: scenario.link.transport == "tcp",
        "multifd": multifd,
        **{name: multifd and codec == name for name in _CODECS},
        # With these an older QEMU accepts it, and it does nothing.
        "xbzrle": policy.has("xbzrle") and not (multifd or compress),
        "compress": compress,
        "preempt": policy.has("postcopy-preempt"),
    }
    return [technique for technique in TECHNIQUE_RUNS if used[technique]]


def unfitted_codec(scenario: Scenario) -> str | None:
    """The codec of multifd whose costs no run of a calibration tells, if it has one."""
    codec = scenario.policy.parameter("multifd-compression")
    if not scenario.policy.has("multifd") or codec in ("none", *_CODECS):
        return None
    return str(codec)
