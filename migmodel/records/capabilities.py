"""QEMU's migration capabilities, and which of them go together in which version.

Read from qapi/migration.json and migration/options.c (migrate_caps_check,
migrate_rdma_caps_check; migration/migration.c before 8.1) of QEMU 7.2 to 10.1.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from migmodel.errors import InputError
from migmodel.records.parameters import (
    PARAMETERS,
    ParameterValue,
    Version,
    check_since,
)

_ANCIENT: Version = (0, 0)
_NEVER: Version = (999, 0)


class CapabilitySpec(msgspec.Struct, frozen=True):
    """One capability: versions that have it; whether it changes what is modelled."""

    since: Version = _ANCIENT
    gone: Version = _NEVER
    effect: bool = True


CAPABILITIES: dict[str, CapabilitySpec] = {
    "auto-converge": CapabilitySpec((1, 6)),
    "xbzrle": CapabilitySpec((1, 2)),
    "compress": CapabilitySpec((2, 4), (9, 1)),
    "multifd": CapabilitySpec((4, 0)),
    "zero-copy-send": CapabilitySpec((7, 1)),
    "postcopy-ram": CapabilitySpec((2, 6)),
    "postcopy-preempt": CapabilitySpec((7, 1)),
    "postcopy-blocktime": CapabilitySpec((3, 0)),
    "dirty-limit": CapabilitySpec((8, 1)),
    "return-path": CapabilitySpec((2, 11)),
    "pause-before-switchover": CapabilitySpec((2, 11)),
    "switchover-ack": CapabilitySpec((8, 1)),
    "rdma-pin-all": CapabilitySpec((2, 0)),
    "events": CapabilitySpec((2, 4), effect=False),
    "release-ram": CapabilitySpec((2, 9), effect=False),
    "validate-uuid": CapabilitySpec((4, 2), effect=False),
    "late-block-activate": CapabilitySpec((3, 1), effect=False),
    "dirty-bitmaps": CapabilitySpec((2, 12), effect=False),
    "zero-blocks": CapabilitySpec((1, 6), (9, 1), effect=False),
}
# Known to QEMU, but another kind of migration.
NOT_MODELLED: dict[str, str] = {
    "x-colo": "keeps two guests in step (COLO)",
    "block": "migrates disks",
    "x-ignore-shared": "leaves shared RAM where it is",
    "background-snapshot": "saves a snapshot",
    "mapped-ram": "writes a file",
}


class Rule(NamedTuple):
    """Two that a span of versions refuses together, or one that needs another."""

    first: str
    second: str
    reason: str
    since: Version = _ANCIENT
    gone: Version = _NEVER


# Refused together.
EXCLUSIVE: tuple[Rule, ...] = (
    Rule(
        *("postcopy-ram", "multifd", "pages of both could arrive in any order"),
        since=(8, 1),
        gone=(10, 1),
    ),
    Rule("xbzrle", "compress", "both encode pages: choose one", since=(8, 2)),
    Rule(
        *("xbzrle", "multifd", "the channels send pages unencoded: choose one"),
        since=(8, 2),
    ),
    Rule("multifd", "compress", "use --policy multifd-zlib or multifd-zstd instead"),
    Rule("postcopy-preempt", "compress", "its threads write to one channel only"),
    Rule("dirty-limit", "auto-converge", "both slow the vCPUs: choose one"),
    Rule("zero-copy-send", "xbzrle", "encoding is a copy"),
)
# The first is refused without the second.
DEPENDENT: tuple[Rule, ...] = (
    Rule("postcopy-preempt", "postcopy-ram", "it is a channel of post-copy"),
    Rule("zero-copy-send", "multifd", "only its channels send without copying"),
    Rule("switchover-ack", "return-path", "the destination answers on it"),
)
# Accepted together, but the first then does nothing.
INERT: tuple[Rule, ...] = (
    Rule("xbzrle", "multifd", "the channels send pages unencoded", gone=(8, 2)),
    Rule("xbzrle", "compress", "compress encodes the first pass only", gone=(8, 2)),
)
# Capabilities that this span of versions refuses over RDMA.
NOT_OVER_RDMA: tuple[Rule, ...] = (
    Rule("multifd", "rdma", "it needs several connections: tcp or unix"),
    Rule("postcopy-preempt", "rdma", "it needs a second connection: tcp or unix"),
    Rule("xbzrle", "rdma", "pages go out unencoded", since=(10, 1)),
    Rule("postcopy-ram", "rdma", "it is not supported there", since=(10, 1)),
    Rule("zero-copy-send", "rdma", "it needs sockets"),
)
# And over a unix socket. QEMU asks the kernel for SO_ZEROCOPY when it connects, and
# ends the migration where it is refused (io/channel-socket.c, migration/socket.c);
# Linux takes it for TCP, UDP and RDS; here it answers EOPNOTSUPP (net/core/sock.c of
# 4.14 to 6.18).
NOT_OVER_UNIX: tuple[Rule, ...] = (
    Rule(
        *("zero-copy-send", "unix"),
        "zero copy is not detected in the host's kernel, Linux has it for tcp alone: "
        "--transport tcp",
    ),
)
_NOT_OVER = {"rdma": NOT_OVER_RDMA, "unix": NOT_OVER_UNIX}


def check_known(capabilities: dict[str, bool]) -> None:
    """Refuse capabilities that are unknown or not modelled.

    Raises
    ------
    InputError
        Names the capability and what is allowed.
    """
    for name in capabilities:
        if name in NOT_MODELLED:
            raise InputError(
                f"capability {name} {NOT_MODELLED[name]}, which migmodel does not model"
            )
        if name not in CAPABILITIES:
            known = ", ".join(sorted(CAPABILITIES))
            raise InputError(f"capability '{name}' is unknown; known are {known}")


def check_capabilities(
    capabilities: dict[str, bool],
    parameters: dict[str, ParameterValue],
    version: Version,
    transport: str,
    dirty_ring: bool,
) -> None:
    """Refuse what this QEMU refuses, with its reason.

    Parameters
    ----------
    capabilities, parameters : dict
        All that are set, the technique's own among them.
    version : (int, int)
        QEMU's version.
    transport : str
        The link's.
    dirty_ring : bool
        KVM logs dirty pages in a ring.

    Raises
    ------
    InputError
        Names what does not go together, since when, and why.
    """
    check_known(capabilities)
    on = {name for name, state in capabilities.items() if state}
    for name in sorted(on):
        spec = CAPABILITIES[name]
        check_since(f"capability {name}", spec.since, spec.gone, version)
    shown = ".".join(map(str, version))
    for rule in EXCLUSIVE:
        if {rule.first, rule.second} <= on and rule.since <= version < rule.gone:
            raise InputError(
                f"QEMU {shown} refuses {rule.first} with {rule.second}: {rule.reason}"
            )
    for rule in DEPENDENT:
        if rule.first in on and rule.second not in on:
            raise InputError(
                f"QEMU {shown} refuses {rule.first} without {rule.second}: "
                f"{rule.reason}"
            )
    for rule in _NOT_OVER.get(transport, ()):
        if rule.first in on and rule.since <= version < rule.gone:
            raise InputError(
                f"QEMU {shown} refuses {rule.first} over {transport}: {rule.reason}"
            )
    codec = parameters.get("multifd-compression", "none")
    if "zero-copy-send" in on and codec != "none":
        raise InputError(
            f"QEMU {shown} refuses zero-copy-send with multifd-compression {codec}: "
            "compressing is a copy"
        )
    if "dirty-limit" in on and not dirty_ring:
        raise InputError(
            f"QEMU {shown} refuses dirty-limit without KVM's dirty ring: give its "
            "size, --dirty-ring 4096"
        )


def idle_settings(
    capabilities: dict[str, bool],
    parameters: dict[str, ParameterValue],
    version: Version,
    transport: str,
) -> list[str]:
    """Tell what QEMU accepts although it changes nothing.

    Returns
    -------
    list of str
        One line a setting: what does nothing, and why.
    """
    on = {name for name, state in capabilities.items() if state}
    found = []
    for name in sorted(on):
        if not CAPABILITIES[name].effect:
            found.append(f"{name} changes none of the figures predicted")
    for rule in INERT:
        if {rule.first, rule.second} <= on and rule.since <= version < rule.gone:
            found.append(f"{rule.first} does nothing with {rule.second}: {rule.reason}")
    if "switchover-ack" in on:
        found.append("switchover-ack does nothing: no device of the guest waits for it")
    if "rdma-pin-all" in on and transport != "rdma":
        found.append(f"rdma-pin-all does nothing over {transport}")
    if "postcopy-blocktime" in on and "postcopy-ram" not in on:
        found.append("postcopy-blocktime does nothing without postcopy-ram")
    for name in parameters:
        spec = PARAMETERS[name]
        if not spec.effect:
            found.append(f"{name} changes none of the figures predicted")
        elif spec.needs and spec.needs not in on:
            found.append(f"{name} does nothing without {spec.needs}")
    return found + _idle_levels(on, parameters, version)


def _idle_levels(
    on: set[str], parameters: dict[str, ParameterValue], version: Version
) -> list[str]:
    """Levels of multifd: of the codec in use only, and ignored before 9.0."""
    found = []
    codec = parameters.get("multifd-compression", "none")
    for name in parameters:
        owner = name.removeprefix("multifd-").removesuffix("-level")
        if not (name.startswith("multifd-") and name.endswith("-level")):
            continue
        if "multifd" in on and owner != codec:
            found.append(f"{name} does nothing with multifd-compression {codec}")
        elif version < (9, 0):
            # applied from 9.0 on (migration/options.c, b4014a2bf5)
            found.append(f"{name} does nothing before QEMU 9.0: level 1 stays")
    if parameters.get("zero-page-detection") == "multifd" and "multifd" not in on:
        found.append("zero-page-detection multifd is legacy without multifd")
    return found
