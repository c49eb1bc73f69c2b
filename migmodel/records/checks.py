"""Checks that records make when they are made."""

from __future__ import annotations

from migmodel.errors import InputError


def require(condition: bool, message: str) -> None:
    """Raise `InputError` with `message` unless `condition` holds."""
    if not condition:
        raise InputError(message)


def require_positive(name: str, value: float | None, unit: str = "") -> None:
    """Raise `InputError` unless `value` is None or greater than zero."""
    if value is not None and not value > 0:
        raise InputError(f"{name} must be greater than zero{unit}, not {value}")


def require_not_negative(name: str, value: float | None) -> None:
    """Raise `InputError` unless `value` is None, zero or greater."""
    if value is not None and not value >= 0:
        raise InputError(f"{name} must not be negative, not {value}")
