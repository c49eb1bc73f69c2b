"""What bounds a migration that compresses: the link, or the CPUs that compress.

As long as a codec makes bytes faster than they may leave, the link is full and a better
ratio makes the migration shorter. Where it does not, the link is partly idle and the
codec itself is what takes the time. Which of the two holds is seen from outside: from
the share of the narrowest limit (max-bandwidth, or the link) that was achieved.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median
from typing import Literal

from migmodel.records import Scenario, Trace

from .compare import Comparison
from .frontier import achieved_bandwidth
from .headline import Headline
from .tolerances import Tolerances

Side = Literal["link", "CPU"]
FULL_LINK = 0.9  # a shaped link carries 0.95 of its rate in pages
UNCLEAR = 0.03  # nearer to that, runs do not tell


def compresses(scenario: Scenario) -> bool:
    """Whether pages go through a codec."""
    policy = scenario.policy
    if policy.all_capabilities.get("compress"):
        return True
    multifd = policy.all_capabilities.get("multifd", False)
    return multifd and policy.parameter("multifd-compression") != "none"


def limit_bytes_per_s(scenario: Scenario) -> float | None:
    """The narrower of max-bandwidth and the link; None where neither limits."""
    limits = [
        limit
        for limit in (
            float(scenario.policy.max_bandwidth_bytes_per_s),
            scenario.link.bandwidth_bytes_per_s,
        )
        if limit
    ]
    return min(limits, default=None)


def full_share(scenario: Scenario, trace: Trace) -> float | None:
    """Share of the narrowest limit that a migration achieved."""
    limit, achieved = limit_bytes_per_s(scenario), achieved_bandwidth(trace)
    return None if limit is None or achieved is None else achieved / limit


def sides(comparison: Comparison) -> tuple[Side | None, Side] | None:
    """What bound a scenario, and what was predicted to.

    Returns
    -------
    tuple or None
        Measured (None where it is too near to tell) and predicted; None where nothing
        is compressed or limited.
    """
    scenario = comparison.scenario
    if not compresses(scenario):
        return None
    shares = [full_share(scenario, trace) for trace in comparison.traces]
    known = [share for share in shares if share is not None]
    said = full_share(scenario, comparison.prediction.trace)
    if not known or said is None:
        return None
    seen = median(known)
    unclear = abs(seen - FULL_LINK) < UNCLEAR
    return None if unclear else _side(seen), _side(said)


def crossovers(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    """Share of the codecs that are bound by what they were predicted to be bound by."""
    found = {
        it.scenario.name: pair for it in comparisons if (pair := sides(it)) is not None
    }
    told = {name: pair for name, pair in found.items() if pair[0] is not None}
    if not told:
        return
    wrong = [
        f"{name} by its {seen}" for name, (seen, said) in told.items() if seen != said
    ]
    count = {
        side: sum(seen == side for seen, _ in told.values()) for side in ("link", "CPU")
    }
    yield Headline(
        "codecs",
        "bound by link or CPU, as measured",
        1 - len(wrong) / len(told),
        "%",
        "100%" if tolerances.crossovers else "",
        not wrong if tolerances.crossovers else None,
        f"{count['link']} by the link, {count['CPU']} by the CPU, "
        f"{len(found) - len(told)} between"
        + (f"; wrong: {', '.join(wrong)}" if wrong else ""),
    )


def _side(share: float) -> Side:
    return "link" if share >= FULL_LINK else "CPU"
