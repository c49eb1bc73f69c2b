"""Whether a setting's steps are ordered as measured: which is faster, which is smaller.

A ladder is a setting of which a suite holds several steps, all else being equal. Two
steps that the runs tell apart must be predicted in the same order; those that they do
not tell apart say nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

import msgspec

from migmodel.records import Scenario

from .compare import TOTAL_TIME, Comparison
from .headline import Headline
from .quantity import Quantity
from .tolerances import Tolerances

# Repeats that happen to agree better than this tell nothing apart either.
SMALLEST_SPREAD = 0.01
LATENCY = "fault_latency_p50_s"


@dataclass(frozen=True, slots=True)
class Ladder:
    """A setting with steps.

    Attributes
    ----------
    parameters, capabilities : tuple of str
        QEMU's names for it.
    quantities : tuple of str
        What it is there to change.
    """

    name: str
    quantities: tuple[str, ...]
    parameters: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()

    def step(self, scenario: Scenario) -> tuple[object, ...]:
        """Where on the ladder a scenario stands; QEMU's defaults count."""
        policy = scenario.policy
        values: list[object] = [policy.parameter(name) for name in self.parameters]
        values += [
            policy.all_capabilities.get(name, False) for name in self.capabilities
        ]
        return tuple(values)

    def rest(self, scenario: Scenario) -> bytes:
        """All else of a scenario: what steps of one ladder have in common."""
        policy = scenario.policy
        bare = msgspec.structs.replace(
            policy,
            parameters={
                name: value
                for name, value in sorted(policy.parameters.items())
                if name not in self.parameters
            },
            capabilities={
                name: value
                for name, value in sorted(policy.capabilities.items())
                if name not in self.capabilities
            },
        )
        return msgspec.json.encode(
            msgspec.structs.replace(scenario, name="", policy=bare)
        )


LADDERS = (
    Ladder(
        "preempt against vanilla",
        (LATENCY, "guest_postcopy_ms_per_gib"),
        capabilities=("postcopy-preempt",),
    ),
    Ladder("channels", (TOTAL_TIME,), ("multifd-channels",)),
    Ladder(
        "levels",
        (TOTAL_TIME, "bytes_sent"),
        ("multifd-zlib-level", "multifd-zstd-level", "compress-level"),
    ),
    Ladder("cache sizes", (TOTAL_TIME, "bytes_sent"), ("xbzrle-cache-size",)),
)


def orderings(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    """For each ladder, the share of its pairs that are ordered as measured."""
    for ladder in LADDERS:
        right, wrong, untold = 0, [], 0
        for first, second in _pairs(ladder, comparisons):
            for name in ladder.quantities:
                one, other = first.quantities.get(name), second.quantities.get(name)
                if one is None or other is None:
                    continue
                agrees = ordered_as_measured(one, other)
                if agrees is None:
                    untold += 1
                elif agrees:
                    right += 1
                else:
                    names = f"{first.scenario.name} and {second.scenario.name}"
                    wrong.append(f"{names} in {name}")
        told = right + len(wrong)
        if not told + untold:
            continue
        gated = tolerances.orderings and told
        yield Headline(
            "ordered as measured",
            ladder.name,
            right / told if told else None,
            "%",
            "100%" if gated else "",
            not wrong if gated else None,
            f"{told} differences, {untold} within the spread"
            + (f"; not: {'; '.join(wrong)}" if wrong else ""),
        )


def ordered_as_measured(one: Quantity, other: Quantity) -> bool | None:
    """Whether two are predicted in the order in which they were measured.

    Returns
    -------
    bool or None
        None where the measured difference is within the spread of the repeats, or
        there are no repeats to take it from.
    """
    if min(len(one.runs), len(other.runs)) < 2:
        return None
    spread = max(max(it.runs) - min(it.runs) for it in (one, other))
    least = SMALLEST_SPREAD * max(abs(one.measured), abs(other.measured))
    measured = other.measured - one.measured
    if abs(measured) <= max(spread, least):
        return None
    if one.best is None or other.best is None:
        return False
    return (other.best - one.best) * measured > 0


def _pairs(
    ladder: Ladder, comparisons: Iterable[Comparison]
) -> Iterator[tuple[Comparison, Comparison]]:
    groups: dict[bytes, list[Comparison]] = {}
    for it in comparisons:
        groups.setdefault(ladder.rest(it.scenario), []).append(it)
    for members in groups.values():
        for first, second in combinations(members, 2):
            if ladder.step(first.scenario) != ladder.step(second.scenario):
                yield first, second
