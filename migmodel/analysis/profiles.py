"""Profiles by name or file."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from migmodel.errors import InputError, RecordError
from migmodel.physics.parameters import check_profile
from migmodel.records import HostProfile
from migmodel.records.files import read_record

DEFAULT_PROFILE = "kvm-generic"


def profile_names() -> list[str]:
    """Names of the bundled profiles."""
    folder = files("migmodel.profiles")
    return sorted(
        item.name.removesuffix(".json")
        for item in folder.iterdir()
        if item.name.endswith(".json")
    )


def load_profile(name_or_path: str | None = None) -> HostProfile:
    """Load a profile.

    Parameters
    ----------
    name_or_path : str or None
        A bundled profile's name, or a file; None is the default profile.

    Raises
    ------
    RecordError
        When there is no such profile, or the file does not hold a complete one.
    """
    name = name_or_path or DEFAULT_PROFILE
    path = Path(name)
    if name in profile_names():
        path = Path(str(files("migmodel.profiles") / f"{name}.json"))
    elif path.suffix not in (".json", ".gz") and not path.exists():
        known = ", ".join(profile_names())
        raise RecordError(
            f"no profile named '{name}'; bundled are {known}, or give a file"
        )
    profile = read_record(path, HostProfile)
    try:
        check_profile(profile)
    except InputError as error:
        raise RecordError(f"{path} is no usable profile: {error}") from None
    return profile
