"""Published tables: a CSV, and a description that says which migration a row is.

How a description is written stands in docs/howto-published.md.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any

import msgspec

from migmodel.analysis.profiles import load_profile
from migmodel.cli.scenario_options import scenario_from
from migmodel.errors import InputError, RecordError
from migmodel.physics.versions import Behaviour, behaviour
from migmodel.records import HostProfile, Parameter, Scenario

Row = dict[str, str]


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which column holds a quantity, and the factor to our unit."""

    column: str
    factor: float = 1.0


class Assumed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A host's number and where it comes from."""

    value: float
    source: str


class Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is known of the hosts beside the profile."""

    host_cpus: int | None = None
    same_host: bool | None = None
    parameters: dict[str, Assumed] = {}


class Fitting(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Constants with their bounds, and the rows that they are fitted on.

    Parameters
    ----------
    rows : dict or list of dict
        Columns with the values that a row must have; of several, any will do.
    """

    constants: dict[str, tuple[float, float]]
    rows: dict[str, list[str]] | list[dict[str, list[str]]]


class Description(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the migrations of a table have in common, and what a column's value says.

    Parameters
    ----------
    repeats : list of str
        Columns that together tell scenarios apart; rows that agree are repeats.
    options : dict
        Options of `migmodel predict` that all rows share.
    by : dict
        Column to value to the options that this value means; ``not_modelled`` instead
        gives the reason why such a row is not predicted, and ``rules`` what a QEMU that
        was never released did otherwise (names of physics/versions.py).
    """

    title: str
    source: str
    repeats: list[str]
    rows_named: str
    measured: dict[str, Measured]
    note: str = ""
    profile: str = "kvm-generic"
    options: dict[str, Any] = {}
    by: dict[str, dict[str, dict[str, Any]]] = {}
    host: Host = Host()
    fit: Fitting | None = None
    target: dict[str, float] = {}


MOST_CONSTANTS = 2
LARGEST_SHARE = 1 / 3


@dataclass(frozen=True)
class Case:
    """One migration of a table, with its repeats.

    Attributes
    ----------
    scenario : Scenario or None
        None where it is not modelled; `refused` says why.
    fitted : bool
        It was used to fit, and does not count.
    """

    name: str
    rows: tuple[Row, ...]
    measured: Mapping[str, tuple[float, ...]]
    scenario: Scenario | None
    refused: str = ""
    fitted: bool = False
    rules: Behaviour | None = None

    def value(self, quantity: str) -> float | None:
        """Median over the repeats; None where the table has none."""
        values = self.measured.get(quantity)
        return median(values) if values else None


@dataclass(frozen=True)
class Table:
    """A published table and its description."""

    name: str
    about: Description
    rows: tuple[Row, ...]

    @cached_property
    def cases(self) -> list[Case]:
        """Its migrations, in the table's order."""
        grouped: dict[tuple[str, ...], list[Row]] = {}
        for row in self.rows:
            key = tuple(row[name] for name in self.about.repeats)
            grouped.setdefault(key, []).append(row)
        return [self._case(rows) for rows in grouped.values()]

    @cached_property
    def profile(self) -> HostProfile:
        """The hosts, before anything is fitted."""
        host = self.about.host
        profile = load_profile(self.about.profile)
        known = {
            name: Parameter(value=it.value, source=it.source)
            for name, it in host.parameters.items()
        }
        return msgspec.structs.replace(
            profile,
            name=f"{profile.name} for {self.name}",
            host_cpus=host.host_cpus or profile.host_cpus,
            same_host=profile.same_host if host.same_host is None else host.same_host,
            parameters={**profile.parameters, **known},
        )

    def _case(self, rows: list[Row]) -> Case:
        first = rows[0]
        name = self.about.rows_named.format(**first)
        measured = {
            quantity: tuple(
                float(row[it.column]) * it.factor for row in rows if row[it.column]
            )
            for quantity, it in self.about.measured.items()
        }
        options = dict(self.about.options)
        for column, meanings in self.about.by.items():
            meaning = meanings.get(first[column])
            if meaning is None:
                reason = f"{column} {first[column]} is not described"
                return Case(name, tuple(rows), measured, None, reason)
            if "not_modelled" in meaning:
                reason = str(meaning["not_modelled"])
                return Case(name, tuple(rows), measured, None, reason)
            options.update(meaning)
        unreleased = options.pop("rules", None)
        try:
            scenario = scenario_from(**options).scenario
        except InputError as error:
            return Case(name, tuple(rows), measured, None, str(error))
        scenario = msgspec.structs.replace(scenario, name=name)
        rules = None
        if unreleased:
            rules = replace(behaviour(scenario.version), **unreleased)
        fitted = self._is_fitted(first)
        return Case(name, tuple(rows), measured, scenario, "", fitted, rules)

    def _is_fitted(self, row: Row) -> bool:
        fit = self.about.fit
        if fit is None:
            return False
        sets = [fit.rows] if isinstance(fit.rows, dict) else fit.rows
        return any(
            all(row[column] in values for column, values in one.items()) for one in sets
        )


def load_tables(folder: Path | None = None) -> Iterator[Table]:
    """Read all described tables of a folder, or the bundled ones, by name.

    Raises
    ------
    RecordError
        When a description or its CSV is wrong.
    """
    root = folder or Path(str(files("migmodel.validate") / "published"))
    for path in sorted(root.glob("*.toml")):
        yield read_table(path)


def read_table(path: Path) -> Table:
    """Read one description and the CSV beside it; see `load_tables`."""
    try:
        about = msgspec.toml.decode(path.read_bytes(), type=Description)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is no description of a table: {error}") from None
    data = path.with_suffix(".csv")
    try:
        text = data.read_text(encoding="utf-8")
    except OSError as error:
        raise RecordError(f"cannot read {data}: {error.strerror}") from None
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    rows = tuple(csv.DictReader(lines))
    table = Table(path.stem, about, rows)
    _check(table, path)
    return table


def _check(table: Table, path: Path) -> None:
    about, columns = table.about, set(table.rows[0]) if table.rows else set()
    named = {*about.repeats, *about.by, *(it.column for it in about.measured.values())}
    missing = sorted(named - columns)
    if missing:
        raise RecordError(f"{path}: the table has no column {', '.join(missing)}")
    rules = {field.name for field in fields(Behaviour)}
    for meaning in (it for values in about.by.values() for it in values.values()):
        unknown = sorted(set(meaning.get("rules", ())) - rules)
        if unknown:
            raise RecordError(f"{path}: there is no rule {', '.join(unknown)}")
    if about.fit is None:
        return
    own = [name for name in about.fit.constants if not _of_codec(name)]
    if len(own) > MOST_CONSTANTS:
        raise RecordError(
            f"{path}: {len(own)} constants are fitted ({', '.join(own)}), at most "
            f"{MOST_CONSTANTS} a host beside those of codecs are allowed"
        )
    usable = [case for case in table.cases if case.scenario is not None]
    used = sum(case.fitted for case in usable)
    if usable and used > max(len(usable) * LARGEST_SHARE, 1):
        raise RecordError(
            f"{path}: {used} of {len(usable)} rows are used to fit, at most a third may"
        )


def _of_codec(name: str) -> bool:
    """A codec's ratio and speed may be fitted beside the host's constants."""
    return name.startswith(("zlib_", "zstd_", "qatzip_", "qpl_", "uadk_", "codec_"))
