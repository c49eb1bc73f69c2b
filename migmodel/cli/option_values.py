"""The values of the describing options: from what is typed to what records take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeVar

from migmodel.errors import InputError
from migmodel.records.parameters import PARAMETERS, ParameterValue
from migmodel.records.scenario import Content
from migmodel.units import (
    GIB,
    KIB,
    MIB,
    MS_PER_S,
    PAGE_BYTES,
    TIB,
    parse_bytes,
    parse_duration,
)

Value = TypeVar("Value")
FULL_SPEED = "full"
DEFAULT_COMPRESSIBILITY = 0.5
DEFAULT_DELTA_BYTES = 64
_CONTENTS: tuple[Content, ...] = ("random", "text", "zero", "delta")
_ON_OFF = {"on": True, "off": False, "true": True, "false": False}
_QEMU_SIZES = {"k": KIB, "m": MIB, "g": GIB, "t": TIB}


def one_of(allowed: tuple[Value, ...]) -> Callable[[str], Value]:
    """Make a reader that takes only the words in `allowed`."""

    def parse(text: str) -> Value:
        for value in allowed:
            if value == text:
                return value
        words = ", ".join(map(str, allowed))
        raise InputError(f"'{text}' is unknown; it is one of {words}")

    return parse


def whole_number(text: str) -> int:
    """Read a whole number."""
    try:
        return int(text)
    except ValueError:
        raise InputError(f"not a whole number: '{text}'") from None


def pages_per_s(text: str) -> float | None:
    """Read a rate of writing [pages/s]; `full` is None."""
    if text == FULL_SPEED:
        return None
    rate = _finite(text)
    if rate is None:
        raise InputError(f"not a number of pages/s: '{text}'; or write {FULL_SPEED}")
    return rate


def milliseconds(text: str) -> float:
    """Read a time span [s] of which a bare number is ms, as in QEMU and virsh."""
    number = _finite(text)
    return parse_duration(text) if number is None else number / MS_PER_S


def downtime_ms(text: str) -> int:
    """Read a downtime limit [ms] as QEMU takes it: whole."""
    value = milliseconds(text) * MS_PER_S
    if not (math.isfinite(value) and math.isclose(value, round(value), abs_tol=1e-9)):
        raise InputError(f"QEMU takes whole milliseconds, not '{text}'")
    return round(value)


def part_of_ram(text: str, ram_bytes: int) -> int:
    """Read a part of the RAM [bytes]: a size, a share of it, or 0."""
    if text in ("0", "0%"):
        return 0
    if not text.endswith("%"):
        return parse_bytes(text)
    percent = _finite(text[:-1])
    if percent is None or not 0 < percent <= 100:
        raise InputError(f"a share of the RAM is above 0% and at most 100%: '{text}'")
    return int(ram_bytes * percent / 100) // PAGE_BYTES * PAGE_BYTES


def content(text: str) -> tuple[Content, float | None, int | None]:
    """Read a content class with its compressibility or its changed bytes."""
    name, colon, value = text.partition(":")
    if name == "text":
        share = _finite(value) if colon else DEFAULT_COMPRESSIBILITY
        if share is None:
            raise InputError(f"write text:0.5, the share that repeats, not '{text}'")
        return "text", share, None
    if name == "delta":
        return "delta", None, whole_number(value) if colon else DEFAULT_DELTA_BYTES
    kind = one_of(_CONTENTS)(name)
    if colon:
        raise InputError(f"content {name} takes no number: '{text}'")
    return kind, None, None


def on_off(text: str) -> bool | None:
    """Read on or off."""
    if text.lower() not in _ON_OFF:
        raise InputError(f"it is on or off, not '{text}'")
    return _ON_OFF[text.lower()]


def megabytes_per_s(text: str) -> int:
    """Read a dirty rate in MB/s as QEMU takes it: whole."""
    return whole_number(text.lower().removesuffix("mb/s").strip())


def share_of_ram(text: str, ram_bytes: int) -> int:
    """Read a size [bytes], or a share of RAM rounded down to a power of two."""
    if not text.endswith("%"):
        return parse_bytes(text)
    size = max(part_of_ram(text, ram_bytes), PAGE_BYTES)
    return 1 << size.bit_length() - 1


def capabilities(settings: Sequence[str]) -> dict[str, bool]:
    """Read ``name=on|off`` settings of QEMU's migration capabilities."""
    found: dict[str, bool] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if not name or text.lower() not in _ON_OFF:
            raise InputError(f"write name=on or name=off, not '{setting}'")
        if name in found:
            raise InputError(f"{name} is given twice")
        found[name] = _ON_OFF[text.lower()]
    return found


def qemu_parameters(settings: Sequence[str]) -> dict[str, ParameterValue]:
    """Read ``name=value`` settings of QEMU's migration parameters.

    Raises
    ------
    InputError
        When one cannot be read or comes twice. What QEMU does not know is left to the
        scenario to refuse.
    """
    parameters: dict[str, ParameterValue] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if not (name and text):
            raise InputError(
                f"write name=value, like cpu-throttle-increment=20, not '{setting}'"
            )
        if name in parameters:
            raise InputError(f"{name} is given twice")
        parameters[name] = _parameter_value(name, text)
    return parameters


def _parameter_value(name: str, text: str) -> ParameterValue:
    spec = PARAMETERS.get(name)
    if spec is None or isinstance(spec.default, str):
        return text
    lower = text.lower()
    if isinstance(spec.default, bool):
        if lower not in _ON_OFF:
            raise InputError(f"{name} is on or off, not '{text}'")
        return _ON_OFF[lower]
    factor = _QEMU_SIZES.get(lower[-1], 1) if spec.unit in ("bytes", "bytes/s") else 1
    try:
        return int(text if factor == 1 else text[:-1]) * factor
    except ValueError:
        unit = f" ({spec.unit})" if spec.unit else ""
        raise InputError(f"{name} is a whole number{unit}, not '{text}'") from None


def _finite(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None
