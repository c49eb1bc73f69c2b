"""QEMU's migration parameters and capabilities: names, units, ranges, versions.

Read from qapi/migration.json and migration/options.c of QEMU 7.2 to 10.1.
"""

from __future__ import annotations

import msgspec

from migmodel.errors import InputError

ParameterValue = bool | int | str
Version = tuple[int, int]

SUPPORTED_QEMU: tuple[str, ...] = (
    "7.2",
    "8.0",
    "8.1",
    "8.2",
    "9.0",
    "9.1",
    "9.2",
    "10.0",
)
NEWEST_QEMU = SUPPORTED_QEMU[-1]
_ANCIENT: Version = (0, 0)


def parse_version(text: str) -> Version:
    """Read ``10.0`` or ``10.0.2`` as (10, 0).

    Raises
    ------
    InputError
        When the text is no version.
    """
    parts = text.strip().split(".")
    if len(parts) < 2 or not all(part.isdigit() for part in parts[:2]):
        raise InputError(f"not a QEMU version: '{text}'; write it like {NEWEST_QEMU}")
    return int(parts[0]), int(parts[1])


class ParameterSpec(msgspec.Struct, frozen=True):
    """One migration parameter as QEMU knows it."""

    default: ParameterValue
    unit: str
    minimum: int = 0
    maximum: int = 2**63 - 1
    since: Version = _ANCIENT
    effect: bool = True  # False: accepted by QEMU, but it changes nothing modelled here


_INT_MAX = 2**31 - 1
PARAMETERS: dict[str, ParameterSpec] = {
    "max-bandwidth": ParameterSpec(128 << 20, "bytes/s"),
    "max-postcopy-bandwidth": ParameterSpec(0, "bytes/s"),
    "avail-switchover-bandwidth": ParameterSpec(0, "bytes/s", since=(8, 2)),
    "downtime-limit": ParameterSpec(300, "ms", 0, 2_000_000),
    "throttle-trigger-threshold": ParameterSpec(50, "%", 1, 100),
    "cpu-throttle-initial": ParameterSpec(20, "%", 1, 99),
    "cpu-throttle-increment": ParameterSpec(10, "%", 1, 99),
    "cpu-throttle-tailslow": ParameterSpec(False, ""),
    "max-cpu-throttle": ParameterSpec(99, "%", 1, 99),
    "announce-initial": ParameterSpec(50, "ms", 0, 100_000, effect=False),
    "announce-max": ParameterSpec(550, "ms", 0, 100_000, effect=False),
    "announce-rounds": ParameterSpec(5, "", 0, 1000, effect=False),
    "announce-step": ParameterSpec(100, "ms", 1, 10_000, effect=False),
}
# Known to QEMU, belonging to techniques that this version of migmodel does not model.
NOT_MODELLED: frozenset[str] = frozenset(
    {
        "multifd-channels",
        "multifd-compression",
        "multifd-zlib-level",
        "multifd-zstd-level",
        "multifd-qatzip-level",
        "xbzrle-cache-size",
        "compress-level",
        "compress-threads",
        "compress-wait-thread",
        "decompress-threads",
        "vcpu-dirty-limit",
        "x-vcpu-dirty-limit-period",
        "zero-page-detection",
        "direct-io",
        "mode",
        "tls-creds",
        "tls-hostname",
        "tls-authz",
    }
)
CAPABILITIES: frozenset[str] = frozenset(
    {"auto-converge", "postcopy-ram", "return-path", "events", "postcopy-blocktime"}
)


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
                    f"the QEMU parameter {name} belongs to a technique that migmodel "
                    "does not model yet"
                )
            known = ", ".join(sorted(PARAMETERS))
            raise InputError(f"unknown QEMU parameter '{name}'; known are {known}")
        if version < spec.since:
            since = ".".join(map(str, spec.since))
            raise InputError(f"{name} needs QEMU {since} or newer")
        _check_value(name, value, spec)
    maximum = parameters.get("max-cpu-throttle", PARAMETERS["max-cpu-throttle"].default)
    initial = parameters.get(
        "cpu-throttle-initial", PARAMETERS["cpu-throttle-initial"].default
    )
    if int(maximum) < int(initial):
        raise InputError(
            f"max-cpu-throttle ({maximum}) must not be below cpu-throttle-initial "
            f"({initial}): QEMU refuses it"
        )


def _check_value(name: str, value: ParameterValue, spec: ParameterSpec) -> None:
    if isinstance(spec.default, bool):
        if not isinstance(value, bool):
            raise InputError(f"{name} is on or off, not {value}")
    elif isinstance(value, bool) or not isinstance(value, int):
        raise InputError(f"{name} is a whole number ({spec.unit}), not {value}")
    elif not spec.minimum <= value <= spec.maximum:
        upper = "" if spec.maximum > _INT_MAX else f" and at most {spec.maximum}"
        raise InputError(
            f"{name} must be at least {spec.minimum}{upper} {spec.unit}".rstrip()
            + f", not {value}"
        )


def check_capabilities(capabilities: dict[str, bool]) -> None:
    """Refuse capabilities that are unknown, not modelled or contradictory.

    Raises
    ------
    InputError
        Names the capability and what is allowed.
    """
    for name in capabilities:
        if name not in CAPABILITIES:
            known = ", ".join(sorted(CAPABILITIES))
            raise InputError(
                f"capability '{name}' is unknown or not modelled yet; known are {known}"
            )
    if capabilities.get("postcopy-blocktime") and not capabilities.get("postcopy-ram"):
        raise InputError("postcopy-blocktime needs postcopy-ram: use --policy postcopy")
