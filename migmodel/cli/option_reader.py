"""Reads describing options one by one and collects what had to be assumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from migmodel.cli.option_values import qemu_parameters
from migmodel.errors import InputError
from migmodel.records.parameters import ParameterValue

Value = TypeVar("Value")


class DescribingOption(NamedTuple):
    """One option; its name is also the keyword that `scenario_from` takes.

    `alone` is what the option means when no value follows it; None: one must.
    """

    name: str
    metavar: str
    help: str
    alone: str | None = None

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--" + self.name.replace("_", "-")


class OptionReader:
    """Reads options one by one and collects what had to be assumed."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.assumptions: list[str] = []

    def take(
        self, name: str, parse: Callable[[str], Value], default: Value, assumed: str
    ) -> Value:
        """Value of an option, or its default, of which a note is kept."""
        flag = "--" + name.replace("_", "-")
        text = self.options.get(name)
        if text is None:
            self.assume(assumed, flag)
            return default
        too_large = InputError(f"{flag}: too large: '{text}'")
        try:
            value = parse(text)
        except InputError as error:
            raise InputError(f"{flag}: {error}") from None
        except OverflowError:
            raise too_large from None
        if value == math.inf:
            raise too_large
        return value

    def settings(self) -> dict[str, ParameterValue]:
        """QEMU parameters given by their own names."""
        try:
            return qemu_parameters(self.options.get("set") or ())
        except InputError as error:
            raise InputError(f"--set: {error}") from None

    def assume(self, what: str, flag: str) -> None:
        """Note what was assumed, unless it goes without saying."""
        if what:
            self.assumptions.append(f"{what} ({flag})")
