"""Every technique that can be measured, over links and on two versions of QEMU.

At most 20 s each. Every scenario has the bare guest on QEMU 10.0 unless it says
otherwise; a third is run on 11.1 as well. What a ladder varies (channels, levels, cache
sizes, preempt) is varied alone, so that its steps can be ordered.
"""

from __future__ import annotations

import msgspec

from migmodel.records import Link, Scenario
from migmodel.records.parameters import ParameterValue
from migmodel.records.policy import Tuning

from .case import case

NEWER, NEWER_SUFFIX = "11.1", "-on11"
OLD = "7.2"  # of those that can be set up, the one that still compresses page by page
CUT_S = 12.0  # what never converges is cut off then
STEEP: dict[str, ParameterValue] = {
    "cpu-throttle-initial": 50,
    "cpu-throttle-increment": 20,
}


def _wire(megabits: float, rtt_ms: float = 0.0) -> Link:
    """A shaped link between two network namespaces."""
    return Link(
        transport="tcp",
        bandwidth_bytes_per_s=megabits * 1e6 / 8,
        rtt_s=rtt_ms / 1000,
    )


PRECOPY = (
    # Converging or not, near the frontier ...
    case("pre-1g", "precopy", "384m", "160m", "1g", "50ms", rate=24_000),
    case("pre-200m", "precopy", "256m", "48m", "200m", "100ms", rate=5_200, phase=0.5),
    case("pre-fit", "precopy", "640m", "200m", "2g", "1s"),
    case(
        *("pre-over", "precopy", "256m", "96m", "500m", "300ms"),
        rate=17_000,
        max_time=CUT_S,
    ),
    # ... over other links ...
    case(
        *("pre-tcp", "precopy", "1g", "640m", "unlimited", "50ms"),
        rate=60_000,
        link=Link(transport="tcp"),
    ),
    case(
        *("pre-wire-1g", "precopy", "512m", "192m", "unlimited", "100ms"),
        rate=23_000,
        link=_wire(1000),
    ),
    case(
        *("pre-wire-300m", "precopy", "256m", "96m", "unlimited", "200ms"),
        rate=6_800,
        phase=0.25,
        link=_wire(300, 10),
    ),
    case(
        *("pre-wire-over", "precopy", "256m", "128m", "unlimited", "300ms"),
        rate=18_000,
        max_time=CUT_S,
        link=_wire(500),
    ),
    # ... told what bandwidth the switch will have ...
    case(
        *("pre-told", "precopy", "384m", "144m", "300m", "200ms"),
        rate=7_000,
        phase=0.0,
        parameters={"avail-switchover-bandwidth": 125_000_000},
    ),
    # ... and with the realistic guest.
    case(
        *("pre-linux", "precopy", "512m", "96m", "500m", "100ms"),
        rate=11_000,
        kind="linux",
    ),
)

THROTTLED = (
    case(
        *("auto-steep", "autoconverge", "256m", "80m", "1g", "400ms"), parameters=STEEP
    ),
    case(
        *("auto-tail", "autoconverge", "384m", "96m", "2g", "200ms"),
        parameters={**STEEP, "cpu-throttle-tailslow": True},
    ),
    # A throttle that may not go far enough.
    case(
        *("auto-capped", "autoconverge", "256m", "128m", "500m", "100ms"),
        parameters={**STEEP, "max-cpu-throttle": 70},
        max_time=CUT_S,
    ),
    case(
        *("auto-wire", "autoconverge", "256m", "64m", "unlimited", "500ms"),
        parameters=STEEP,
        link=_wire(1000, 2),
    ),
    # Needs KVM with a dirty ring.
    case(
        *("dirty-limit", "dirtylimit", "512m", "128m", "500m", "200ms"),
        rate=30_000,
        ring=4096,
        parameters={"vcpu-dirty-limit": 40},
    ),
    case(
        *("auto-linux", "autoconverge", "384m", "64m", "1g", "400ms"),
        parameters=STEEP,
        kind="linux",
    ),
)

TUNED = (
    case("pause-3", "pause", "256m", "96m", "500m", "100ms", after=3),
    case("pause-2-2cpu", "pause", "384m", "128m", "1g", "200ms", after=2, cpus=2),
    case(
        *("downtime", "downtime-tuning", "256m", "96m", "1g", "100ms"),
        tuning=Tuning(maximum=1500, steps=10, interval_s=1.0),
    ),
    case(
        *("downtime-2cpu", "downtime-tuning", "384m", "64m", "500m", "50ms"),
        cpus=2,
        tuning=Tuning(maximum=2000, steps=8, interval_s=1.0),
    ),
    case(
        *("bandwidth", "bandwidth-tuning", "256m", "128m", "200m", "100ms"),
        rate=20_000,
        tuning=Tuning(maximum=250_000_000, steps=10, interval_s=1.0),
    ),
    case(
        *("bandwidth-2cpu", "bandwidth-tuning", "384m", "96m", "100m", "50ms"),
        rate=14_000,
        cpus=2,
        tuning=Tuning(maximum=125_000_000, steps=6, interval_s=1.5),
    ),
)


def _post(
    name: str,
    mem: str,
    ws: str,
    slow: int,
    *,
    preempt: bool = False,
    rate: float | None = None,
    phase: float | None = None,
    cpus: int = 1,
    link: Link | None = None,
    bw: str = "1g",
) -> Scenario:
    """Post-copy whose stream is slow enough for a thousand faults, vanilla or not."""
    return case(
        f"post-{name}-preempt" if preempt else f"post-{name}",
        "postcopy",
        *(mem, ws, "unlimited" if link else bw, "200ms"),
        rate=rate,
        phase=phase,
        cpus=cpus,
        after=2,
        link=link,
        parameters={"max-postcopy-bandwidth": slow},
        capabilities=("postcopy-blocktime", *(["postcopy-preempt"] * preempt)),
    )


POSTCOPY = (
    *(_post("fast", "256m", "128m", 60_000_000, preempt=it) for it in (False, True)),
    *(_post("slow", "192m", "80m", 20_000_000, preempt=it) for it in (False, True)),
    *(
        _post("2cpu", "384m", "160m", 60_000_000, preempt=it, cpus=2)
        for it in (False, True)
    ),
    *(
        _post("wire", "256m", "112m", 0, preempt=it, link=_wire(500, 4))
        for it in (False, True)
    ),
    _post("paced", "384m", "144m", 40_000_000, rate=5_200, phase=0.5, bw="200m"),
)

# Writes that change little of a page; what the cache does not hold goes out whole.
_DELTA: dict[str, ParameterValue] = {"xbzrle-cache-size": 64 << 20}


def _xbzrle(ws: str, cache_mib: int) -> Scenario:
    return case(
        f"xbz-cache-{cache_mib}m",
        *("xbzrle", "256m", ws, "300m", "50ms"),
        rate=8_200,
        phase=0.0,
        content="delta",
        delta=64,
        parameters={"xbzrle-cache-size": cache_mib << 20},
    )


XBZRLE = (
    *(_xbzrle("48m", mebibytes) for mebibytes in (16, 32, 64)),
    # Never over without it ...
    case(
        *("xbz-delta", "xbzrle", "256m", "40m", "200m", "100ms"),
        rate=20_000,
        content="delta",
        delta=64,
        parameters=_DELTA,
    ),
    case(
        *("xbz-delta-1k", "xbzrle", "384m", "56m", "500m", "50ms"),
        rate=26_000,
        content="delta",
        delta=1024,
        parameters=_DELTA,
    ),
    # So few bytes that the bandwidth achieved promises no downtime at all ...
    case(
        *("xbz-free", "xbzrle", "256m", "48m", "1g", "20ms"),
        cpus=2,
        rate=120_000,
        content="delta",
        delta=8,
        max_time=CUT_S,
        parameters=_DELTA,
    ),
    # ... and where it is in vain: nothing is alike, every page overflows.
    case("xbz-random", "xbzrle", "256m", "56m", "500m", "100ms", rate=11_000),
    case(
        *("xbz-wire", "xbzrle", "192m", "48m", "unlimited", "50ms"),
        rate=30_000,
        content="delta",
        delta=256,
        parameters=_DELTA,
        link=_wire(300, 4),
    ),
)


def _channels(ws: str, channels: int) -> Scenario:
    return case(
        f"mfd-{channels}",
        *("multifd", "768m", ws, "unlimited", "50ms"),
        rate=60_000,
        parameters={"multifd-channels": channels},
    )


def _level(codec: str, level: int, ws: str, bw: str, rate: float) -> Scenario:
    return case(
        f"{codec}-level-{level}",
        "multifd-zlib" if codec == "zlib" else "multifd-zstd",
        *("256m", ws, bw, "100ms"),
        rate=rate,
        content="text",
        share=0.5,
        parameters={f"multifd-{codec}-level": level},
    )


def _zstd_channels(channels: int) -> Scenario:
    return case(
        f"zstd-channels-{channels}",
        *("multifd-zstd", "384m", "192m", "4g", "50ms"),
        rate=10_000,
        content="text",
        share=0.5,
        parameters={"multifd-channels": channels, "multifd-zstd-level": 3},
    )


MULTIFD = (
    *(_channels("384m", channels) for channels in (1, 2, 4)),
    case("mfd-500m", "multifd", "384m", "128m", "500m", "100ms", rate=12_000),
    case("mfd-zero", "multifd", "1g", "64m", "300m", "100ms", rate=6_000),
    case(
        *("mfd-wire", "multifd", "384m", "144m", "unlimited", "100ms"),
        rate=20_000,
        link=_wire(1000, 2),
    ),
    case(
        *("mfd-auto", "multifd", "256m", "96m", "1g", "300ms"),
        parameters=STEEP,
        capabilities=("auto-converge",),
    ),
    # Bound by the link: the codec is faster than its output may leave ...
    case(
        *("zlib-link", "multifd-zlib", "128m", "56m", "50m", "300ms"),
        rate=2_500,
        content="text",
        share=0.75,
    ),
    case(
        *("zstd-link", "multifd-zstd", "256m", "128m", "100m", "300ms"),
        rate=6_000,
        content="text",
        share=0.75,
    ),
    case(
        *("zstd-wire", "multifd-zstd", "256m", "112m", "unlimited", "200ms"),
        rate=7_000,
        content="text",
        share=0.875,
        link=_wire(100, 2),
    ),
    # ... or by the CPUs.
    case("zlib-cpu", "multifd-zlib", "192m", "80m", "1g", "500ms", rate=2_500),
    case(*("zlib-over", "multifd-zlib", "192m", "64m", "1g", "100ms"), max_time=CUT_S),
    case(
        *("zstd-cpu", "multifd-zstd", "768m", "512m", "4g", "50ms"),
        rate=24_000,
        content="text",
        share=0.25,
    ),
    *(_level("zlib", level, "72m", "1g", 1_500) for level in (1, 6)),
    *(_level("zstd", level, "160m", "2g", 4_500) for level in (1, 4, 6, 9)),
    *(_zstd_channels(channels) for channels in (1, 2)),
)

COMPRESSED = tuple(
    case(
        f"compress-{level}",
        *("compress", "192m", "64m", "1g", "300ms"),
        rate=500,
        touch="read",  # under TCG that version loses what is written
        content="text",
        share=0.5,
        parameters={
            "compress-level": level,
            "compress-threads": 2,
            "decompress-threads": 2,
        },
        qemu=OLD,
    )
    for level in (1, 6)
)

BASE = (
    *PRECOPY,
    *THROTTLED,
    *TUNED,
    *POSTCOPY,
    *XBZRLE,
    *MULTIFD,
    *COMPRESSED,
)

# Where 11.1 differs: the end of pre-copy and of post-copy, preempt's cursor, its own
# fault latencies, multifd's zero pages and flushes.
ON_NEWER = (
    *("pre-1g", "pre-fit", "pre-over", "auto-steep", "auto-tail", "downtime"),
    *("post-fast", "post-fast-preempt", "post-slow", "post-slow-preempt"),
    *("post-2cpu", "post-2cpu-preempt", "post-wire", "post-wire-preempt", "post-paced"),
    *("xbz-delta", "xbz-cache-32m", "mfd-2", "mfd-zero", "zlib-cpu", "zstd-link"),
)


def on_newer(scenario: Scenario) -> Scenario:
    """The same migration on the newer QEMU: its twin, by name and version."""
    return msgspec.structs.replace(
        scenario, name=scenario.name + NEWER_SUFFIX, qemu_version=NEWER
    )


FULL: tuple[Scenario, ...] = (
    *BASE,
    *(on_newer(it) for it in BASE if it.name in ON_NEWER),
)
