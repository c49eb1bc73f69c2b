"""QEMU's migration parameters: names, units, ranges, versions.

Read from qapi/migration.json and migration/options.c of QEMU 7.2 to 10.1, and from
qapi-schema.json of 2.6.
"""

from __future__ import annotations

import msgspec

from migmodel.errors import InputError
from migmodel.units import PAGE_BYTES

ParameterValue = bool | int | str
Version = tuple[int, int]

SUPPORTED_QEMU: tuple[str, ...] = (
    "2.6",
    "7.2",
    "8.0",
    "8.1",
    "8.2",
    "9.0",
    "9.1",
    "9.2",
    "10.0",
    "10.1",
    "11.1",
)
NEWEST_QEMU = SUPPORTED_QEMU[-1]
# The newest version whose every basic technique was validated on real QEMU.
DEFAULT_QEMU = "10.0"
_ANCIENT: Version = (0, 0)
_NEVER: Version = (999, 0)


def parse_version(text: str) -> Version:
    """Read ``10.0`` or ``10.0.2`` as (10, 0).

    Raises
    ------
    InputError
        When the text is no version.
    """
    parts = text.strip().split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        raise InputError(f"not a QEMU version: '{text}'; write it like {DEFAULT_QEMU}")
    return int(parts[0]), int(parts[1])


def format_version(version: Version) -> str:
    """Write (10, 0) as ``10.0``."""
    return ".".join(map(str, version))


class ParameterSpec(msgspec.Struct, frozen=True):
    """One migration parameter as QEMU knows it.

    Parameters
    ----------
    default : bool, int or str
        Its default; the type is the parameter's.
    unit : str
        Unit of its values.
    minimum, maximum : int
        Smallest and largest value.
    since, gone : (int, int)
        First version that has it, and first that has it no more.
    effect : bool
        False: accepted by QEMU, but it changes nothing that is modelled here.
    needs : str
        Capability without which it does nothing.
    choices : dict
        Words that it may be, each with the first version that has it.
    power_of_two : bool
        QEMU refuses other numbers.
    before : tuple
        ``((version, default), ...)``: up to that version the default was another one.
    """

    default: ParameterValue
    unit: str
    minimum: int = 0
    maximum: int = 2**63 - 1
    since: Version = _ANCIENT
    gone: Version = _NEVER
    effect: bool = True
    needs: str = ""
    choices: dict[str, Version] = {}
    power_of_two: bool = False
    before: tuple[tuple[Version, ParameterValue], ...] = ()

    def default_of(self, version: Version) -> ParameterValue:
        """Default in that QEMU version."""
        for last, value in self.before:
            if version <= last:
                return value
        return self.default


_INT_MAX = 2**31 - 1
PARAMETERS: dict[str, ParameterSpec] = {
    # 32 MiB/s until 5.2 (migration/migration.c, MAX_THROTTLE)
    "max-bandwidth": ParameterSpec(128 << 20, "bytes/s", before=(((5, 1), 32 << 20),)),
    "max-postcopy-bandwidth": ParameterSpec(
        0, "bytes/s", since=(3, 0), needs="postcopy-ram"
    ),
    "avail-switchover-bandwidth": ParameterSpec(0, "bytes/s", since=(8, 2)),
    "downtime-limit": ParameterSpec(300, "ms", 0, 2_000_000),
    "throttle-trigger-threshold": ParameterSpec(50, "%", 1, 100, since=(5, 0)),
    "cpu-throttle-initial": ParameterSpec(
        20, "%", 1, 99, since=(2, 7), needs="auto-converge"
    ),
    "cpu-throttle-increment": ParameterSpec(
        10, "%", 1, 99, since=(2, 7), needs="auto-converge"
    ),
    "x-cpu-throttle-initial": ParameterSpec(
        20, "%", 1, 99, since=(2, 5), gone=(2, 7), needs="auto-converge"
    ),
    "x-cpu-throttle-increment": ParameterSpec(
        10, "%", 1, 99, since=(2, 5), gone=(2, 7), needs="auto-converge"
    ),
    "cpu-throttle-tailslow": ParameterSpec(
        False, "", since=(5, 1), needs="auto-converge"
    ),
    "max-cpu-throttle": ParameterSpec(
        99, "%", 1, 99, since=(3, 1), needs="auto-converge"
    ),
    "xbzrle-cache-size": ParameterSpec(
        64 << 20,
        "bytes",
        PAGE_BYTES,
        needs="xbzrle",
        power_of_two=True,
    ),
    "compress-level": ParameterSpec(1, "", 0, 9, gone=(9, 1), needs="compress"),
    "compress-threads": ParameterSpec(8, "", 1, 255, gone=(9, 1), needs="compress"),
    "decompress-threads": ParameterSpec(2, "", 1, 255, gone=(9, 1), needs="compress"),
    "compress-wait-thread": ParameterSpec(
        True, "", since=(3, 1), gone=(9, 1), needs="compress"
    ),
    "multifd-channels": ParameterSpec(2, "", 1, 255, since=(4, 0), needs="multifd"),
    "multifd-compression": ParameterSpec(
        "none",
        "",
        since=(5, 0),
        needs="multifd",
        choices={
            "none": (5, 0),
            "zlib": (5, 0),
            "zstd": (5, 0),
            "qpl": (9, 1),
            "uadk": (9, 1),
            "qatzip": (9, 2),
        },
    ),
    "multifd-zlib-level": ParameterSpec(1, "", 0, 9, since=(5, 0), needs="multifd"),
    "multifd-zstd-level": ParameterSpec(1, "", 0, 20, since=(5, 0), needs="multifd"),
    "multifd-qatzip-level": ParameterSpec(1, "", 1, 9, since=(9, 2), needs="multifd"),
    "zero-page-detection": ParameterSpec(
        "multifd",
        "",
        since=(9, 0),
        choices={"none": (9, 0), "legacy": (9, 0), "multifd": (9, 0)},
    ),
    "vcpu-dirty-limit": ParameterSpec(1, "MB/s", 1, since=(8, 1), needs="dirty-limit"),
    "x-vcpu-dirty-limit-period": ParameterSpec(
        1000, "ms", 1, 1000, since=(8, 1), needs="dirty-limit"
    ),
    "announce-initial": ParameterSpec(50, "ms", 0, 100_000, since=(4, 0), effect=False),
    "announce-max": ParameterSpec(550, "ms", 0, 100_000, since=(4, 0), effect=False),
    "announce-rounds": ParameterSpec(5, "", 0, 1000, since=(4, 0), effect=False),
    "announce-step": ParameterSpec(100, "ms", 1, 10_000, since=(4, 0), effect=False),
    # of migrations to files, which are not modelled
    "direct-io": ParameterSpec(False, "", since=(9, 1), effect=False),
}
# Known to QEMU, belonging to what migmodel does not model, with what that is.
NOT_MODELLED: dict[str, str] = {
    "mode": "restarts QEMU in place (CPR)",
    "cpr-exec-command": "restarts QEMU in place (CPR)",
    "tls-creds": "encrypts the stream",
    "tls-hostname": "encrypts the stream",
    "tls-authz": "encrypts the stream",
    "x-checkpoint-delay": "belongs to COLO",
    "block-incremental": "migrates disks",
    "block-bitmap-mapping": "migrates the bitmaps of disks",
}


def check_parameters(parameters: dict[str, ParameterValue], version: Version) -> None:
    """Refuse parameters that this QEMU would refuse or that are not modelled.

    Raises
    ------
    InputError
        Names the parameter, what is wrong and what is allowed.
    """
    for name, value in parameters.items():
        spec = PARAMETERS.get(name)
        if spec is None:
            if name in NOT_MODELLED:
                raise InputError(
                    f"the QEMU parameter {name} {NOT_MODELLED[name]}, which migmodel "
                    "does not model"
                )
            known = ", ".join(sorted(PARAMETERS))
            raise InputError(f"unknown QEMU parameter '{name}'; known are {known}")
        check_since(name, spec.since, spec.gone, version)
        _check_value(name, value, spec)
        if value in spec.choices:
            check_since(f"{name} {value}", spec.choices[str(value)], _NEVER, version)
    maximum = parameters.get("max-cpu-throttle", PARAMETERS["max-cpu-throttle"].default)
    initial = parameters.get(
        "cpu-throttle-initial", PARAMETERS["cpu-throttle-initial"].default
    )
    if int(maximum) < int(initial):
        raise InputError(
            f"max-cpu-throttle ({maximum}) must not be below cpu-throttle-initial "
            f"({initial}): QEMU refuses it"
        )


def check_since(what: str, since: Version, gone: Version, version: Version) -> None:
    """Refuse what this QEMU version does not have yet, or no more."""
    if version < since:
        raise InputError(f"{what} needs QEMU {format_version(since)} or newer")
    if version >= gone:
        raise InputError(
            f"{what} is gone since QEMU {format_version(gone)}: use an older version "
            "or leave it out"
        )


def _check_value(name: str, value: ParameterValue, spec: ParameterSpec) -> None:
    if isinstance(spec.default, bool):
        if not isinstance(value, bool):
            raise InputError(f"{name} is on or off, not {value}")
    elif isinstance(spec.default, str):
        if value not in spec.choices:
            raise InputError(f"{name} is one of {', '.join(spec.choices)}, not {value}")
    elif isinstance(value, bool) or not isinstance(value, int):
        unit = f" ({spec.unit})" if spec.unit else ""
        raise InputError(f"{name} is a whole number{unit}, not {value!r}")
    elif not spec.minimum <= value <= spec.maximum:
        upper = "" if spec.maximum > _INT_MAX else f" and at most {spec.maximum}"
        raise InputError(
            f"{name} must be at least {spec.minimum}{upper} {spec.unit}".rstrip()
            + f", not {value}"
        )
    elif spec.power_of_two and value & (value - 1):
        raise InputError(
            f"{name} must be a power of two, not {value}: {1 << value.bit_length() - 1}"
            f" or {1 << value.bit_length()} {spec.unit}"
        )
