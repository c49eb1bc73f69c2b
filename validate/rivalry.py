"""Whether predictions are better than the baselines' are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from .baselines import BASELINES
from .compare import Comparison
from .headline import ALL, Headline, p90, percent, scenarios
from .tolerances import Tolerances


def against_baselines(
    comparisons: Sequence[Comparison], tolerances: Tolerances
) -> Iterator[Headline]:
    """Better: fewer or as many wrong verdicts, lower median error, no higher p90."""
    plain = [it for it in comparisons if it.scenario.policy.technique == "precopy"]
    for group, members in (("plain pre-copy", plain), (ALL, comparisons)):
        known = [it for it in members if it.baselines]
        ended = [it for it in known if it.ends]
        if not ended:
            continue
        own = [it.total_time_error for it in ended]
        own_wrong = sum(not it.verdict_right for it in known)
        for name in (baseline.name for baseline in BASELINES):
            errors = [it.baseline_error(name) for it in ended]
            wrong = sum(not it.baseline_right(name) for it in known)
            better = (
                own_wrong <= wrong
                and median(own) < median(errors)
                and p90(own) <= p90(errors)
            )
            yield Headline(
                group,
                f"total time, median error of {name}",
                median(errors),
                "%",
                f"> {median(own):.1%} (ours)" if tolerances.baselines else "",
                better if tolerances.baselines else None,
                f"{scenarios(len(ended))}, p90 {percent(p90(errors))}, "
                f"{wrong} wrong verdicts of {len(known)}",
            )
