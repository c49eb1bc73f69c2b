"""What a fit of runs that nobody planned leaves as it was, and why, a line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from migmodel.records import Measurement

from .groups import TCP, Groups, techniques_of, unfitted_codec
from .recipe import identified_by
from .technique_runs import NEEDS, TECHNIQUE_RUNS


def remarks_of(
    groups: Groups, fitted: Mapping[str, Sequence[str]], start: str
) -> list[str]:
    """Say what was left at the start's values.

    Parameters
    ----------
    groups : Groups
        The runs.
    fitted : mapping
        Technique to its parameters that were fitted, where some were.
    start : str
        Name of the profile that the fit started from.
    """
    lines = [
        f"{run.scenario.name}: left out, no run tells what the codec "
        f"{unfitted_codec(run.scenario)} costs"
        for run in groups.left_out
    ]
    if not groups.basic:
        lines.append(f"every run uses a technique: the basic parameters stay {start}'s")
    for technique, runs in groups.techniques.items():
        if runs:
            told = fitted.get(technique, [])
            lines += _of_technique(technique, runs, told, start)
            lines += _below(technique, runs, groups, fitted, start)
    return lines


def _of_technique(
    technique: str, runs: Sequence[Measurement], told: Sequence[str], start: str
) -> list[str]:
    others = len(identified_by(TECHNIQUE_RUNS[technique])) - len(told)
    if not others:
        return []
    said = f"{technique}: its runs ({len(runs)}) tell "
    if not told:
        return [f"{said}none of its parameters: all {others} stay {start}'s"]
    return [
        f"{said}{', '.join(told)}; its other parameters ({others}) stay {start}'s",
    ]


def _below(
    technique: str,
    runs: Sequence[Measurement],
    groups: Groups,
    fitted: Mapping[str, Sequence[str]],
    start: str,
) -> list[str]:
    """What it was fitted on top of that no run told."""
    if technique not in fitted:
        return []
    used = {it for run in runs for it in techniques_of(run.scenario)}
    used.update(NEEDS.get(technique, ()))
    known = {technique, *fitted, *([TCP] if groups.basic_over_tcp else [])}
    untold = [it for it in groups.techniques if it in used - known]
    if not untold:
        return []
    return [f"{technique}: fitted on top of {start}'s costs of {', '.join(untold)}"]
