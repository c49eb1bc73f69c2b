"""What a record allows where a file holds something else."""

from __future__ import annotations

import re

from msgspec import inspect

_PLACE = re.compile(r" - at `\$((?:\.\w+)*)`$")  # within lists and dicts: not told


def allowed_at(kind: type, complaint: str) -> str:
    """Name the values or the fields that a record has at the place complained of.

    Parameters
    ----------
    kind : type
        The record's class.
    complaint : str
        msgspec's, of a value that is none of a few or of a field that is unknown.

    Returns
    -------
    str
        To be put behind the complaint; empty where there is nothing to name.
    """
    found = _type_at(kind, complaint)
    if isinstance(found, inspect.LiteralType) and "Invalid enum value" in complaint:
        return f"; it is one of {', '.join(map(str, found.values))}"
    if isinstance(found, inspect.StructType) and "unknown field" in complaint:
        return f"; known are {', '.join(field.encode_name for field in found.fields)}"
    return ""


def _type_at(kind: type, complaint: str) -> inspect.Type | None:
    place = _PLACE.search(complaint)
    if place is None and " - at " in complaint:
        return None
    names = place.group(1).split(".")[1:] if place else []
    found: inspect.Type | None = inspect.type_info(kind)
    for name in names:
        if not isinstance(found, inspect.StructType):
            return None
        fields = {field.encode_name: field.type for field in found.fields}
        found = _without_none(fields.get(name))
    return found


def _without_none(kind: inspect.Type | None) -> inspect.Type | None:
    """The one type beside None of an optional field."""
    if not isinstance(kind, inspect.UnionType):
        return kind
    others = [it for it in kind.types if not isinstance(it, inspect.NoneType)]
    return others[0] if len(others) == 1 else None
