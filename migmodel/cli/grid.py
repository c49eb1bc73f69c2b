"""The full grid over describing options that have several values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Any, NamedTuple

from migmodel.cli.link_option import split_links
from migmodel.cli.policy_options import OWNERS
from migmodel.cli.scenario_options import Described, scenario_from
from migmodel.errors import InputError
from migmodel.records.scenario import Scenario

Combination = dict[str, str]
_SET = "set "  # such an axis is one QEMU parameter
_CAP = "cap "  # or one capability


class Grid(NamedTuple):
    """All combinations of the options' values.

    Parameters
    ----------
    axes : dict
        Options with more than one value, and their values as typed.
    combinations : list of dict
        The full product: option to value.
    points : list of Described
        The distinct migrations among them.
    point_of : list of int
        For each combination the index of its point.
    """

    axes: dict[str, list[str]]
    combinations: list[Combination]
    points: list[Described]
    point_of: list[int]

    @property
    def scenarios(self) -> list[Scenario]:
        """The distinct migrations."""
        return [point.scenario for point in self.points]

    @property
    def assumptions(self) -> list[str]:
        """All that was assumed in any of the points, each once."""
        texts = (text for point in self.points for text in point.assumptions)
        return list(dict.fromkeys(texts))


def grid_from(**options: Any) -> Grid:
    """Make the grid of describing options, each a comma list.

    Where policies are swept, a policy's own setting counts for those alone that have
    it.

    Raises
    ------
    InputError
        Names the first combination that is no migration, and why.
    """
    values = _values(options)
    axes = {name: texts for name, texts in values.items() if len(texts) > 1}
    combinations = [
        dict(zip(values, chosen, strict=True)) for chosen in product(*values.values())
    ]
    indices: dict[tuple[tuple[str, str], ...], int] = {}
    points: list[Described] = []
    point_of = []
    for combination in combinations:
        said = _said(combination, "policy" in axes)
        key = tuple(said.items())
        if key not in indices:
            indices[key] = len(points)
            points.append(_describe(said, axes))
        point_of.append(indices[key])
    return Grid(axes, combinations, points, point_of)


def _values(options: dict[str, Any]) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, text in options.items():
        if isinstance(text, tuple) and name not in ("set", "cap"):
            raise InputError(f"--{name} is given twice: give a comma list")
        if name not in ("set", "cap") and text is not None:
            split = split_links if name == "link" else _split
            values[name] = _distinct("--" + name.replace("_", "-"), text, split(text))
    for prefix in (_SET, _CAP):
        for setting in options.get(prefix.strip()) or ():
            name, equals, text = setting.partition("=")
            typed = flag(prefix)
            if prefix + name in values:
                raise InputError(f"{typed}: {name} is given twice")
            texts = _distinct(typed, text, _split(text)) if text else [""]
            values[prefix + name] = [name + equals + value for value in texts]
    return values


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")]


def _distinct(flag: str, text: str, parts: list[str]) -> list[str]:
    if not all(parts):
        raise InputError(f"{flag}: an empty value in '{text}'")
    return list(dict.fromkeys(parts))


def _said(combination: Combination, policies_swept: bool) -> Combination:
    if not policies_swept:
        return dict(combination)
    policy = combination["policy"]
    return {
        name: text
        for name, text in combination.items()
        if policy in OWNERS.get(name, (policy,))
    }


def _describe(said: Combination, axes: dict[str, list[str]]) -> Described:
    plain = {name: text for name, text in said.items() if " " not in name}
    several = {
        prefix.strip(): [text for name, text in said.items() if name.startswith(prefix)]
        for prefix in (_SET, _CAP)
    }
    try:
        return scenario_from(**plain, **several)
    except InputError as error:
        swept = [f"{flag(name)} {said[name]}" for name in axes if name in said]
        where = f" (at {' '.join(swept)})" if swept else ""
        raise InputError(f"{error}{where}") from None


def flag(axis: str) -> str:
    """The option of an axis as it is typed."""
    return "--" + axis.split(" ")[0].replace("_", "-")


def plotted_axes(axes: Sequence[str]) -> tuple[str, str | None, str | None]:
    """Choose which swept options span the heat map.

    Returns
    -------
    tuple
        Options across, up and of the panels: bandwidth and memory where they are
        swept, the policy as panels.

    Raises
    ------
    InputError
        When none or more than three are swept.
    """
    if not 1 <= len(axes) <= 3:
        raise InputError(
            f"--plot shows one to three options with several values, not {len(axes)}; "
            "leave it out or sweep as many"
        )
    favoured = ("bw", "mem")
    plane = [name for name in favoured if name in axes]
    plane += [name for name in axes if name not in (*favoured, "policy")]
    plane += [name for name in axes if name == "policy"]
    padded = [*plane, None, None]
    assert padded[0] is not None
    return padded[0], padded[1], padded[2]
