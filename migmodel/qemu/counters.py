"""What a technique's own counters say at the end: Outcome's fields by their names."""

from __future__ import annotations

from typing import Any

from migmodel.qemu.faults import FaultLatency, reported_latency, traced_latency
from migmodel.records.measurement import Raw
from migmodel.records.policy import Policy
from migmodel.units import MS_PER_S, PAGE_BYTES

# A packet's header and offsets, whatever its pages (QEMU migration/multifd.h), and the
# pages of a full one.
_PACKET_HEADER_BYTES = 1344
_PACKET_PAGES = 128
# Before 8.2 ram.multifd-bytes is not what went over the channels.
_COUNTS_COMPRESSED_SINCE = (8, 2)


def counters(
    raw: Raw, reply: dict[str, Any], policy: Policy, version: tuple[int, int]
) -> dict[str, Any]:
    """Fields of the Outcome that belong to techniques; absent where none applies.

    Parameters
    ----------
    raw : Raw
        With the destination's answers and traced faults.
    reply : dict
        The source's last answer to query-migrate.
    policy : Policy
        What was switched on.
    version : (int, int)
        Of QEMU.
    """
    ram = reply.get("ram", {})
    found: dict[str, Any] = {"zero_pages": ram.get("duplicate")}
    if policy.has("multifd"):
        found["multifd_bytes"] = ram.get("multifd-bytes")
        codec = policy.parameter("multifd-compression")
        if codec != "none" and version >= _COUNTS_COMPRESSED_SINCE:
            found["compression_ratio"] = _channels_ratio(ram)
    elif "compression" in reply:
        found["compression_ratio"] = _threads_ratio(reply["compression"])
    elif "xbzrle-cache" in reply:
        cache = reply["xbzrle-cache"]
        found["xbzrle_cache_misses"] = cache["cache-miss"]
        found["xbzrle_overflows"] = cache["overflow"]
        found["xbzrle_pages"] = cache["pages"]
        found["xbzrle_bytes"] = cache["bytes"]
    if policy.has("postcopy-ram"):
        found |= _postcopy(raw)
    return found


def _channels_ratio(ram: dict[str, Any]) -> float | None:
    """Zero pages stand in the packets' headers alone; packets are taken for full."""
    if "multifd-bytes" not in ram:  # it ended before it said anything
        return None
    packets = (ram["normal"] + ram["duplicate"]) / _PACKET_PAGES
    encoded_bytes = ram["multifd-bytes"] - packets * _PACKET_HEADER_BYTES
    pages_bytes = ram["normal"] * PAGE_BYTES
    return pages_bytes / encoded_bytes if encoded_bytes > 0 < pages_bytes else None


def _threads_ratio(compression: dict[str, Any]) -> float | None:
    encoded_bytes = compression["compressed-size"]
    pages_bytes = compression["pages"] * PAGE_BYTES
    return pages_bytes / encoded_bytes if encoded_bytes > 0 else None


def _postcopy(raw: Raw) -> dict[str, Any]:
    reply = raw.destination_queries[-1][2] if raw.destination_queries else {}
    latency = traced_latency(raw.fault_latencies_s) or reported_latency(reply)
    found = {} if latency is None else latency_fields(latency)
    blocktime_ms = reply.get("postcopy-blocktime")
    if blocktime_ms is not None:
        found["postcopy_blocktime_s"] = blocktime_ms / MS_PER_S
    each_ms = reply.get("postcopy-vcpu-blocktime")
    if each_ms is not None:
        found["postcopy_vcpu_blocktime_s"] = [ms / MS_PER_S for ms in each_ms]
    return found


def latency_fields(latency: FaultLatency) -> dict[str, Any]:
    """Fields of the Outcome that tell fault latency."""
    p50_s, p90_s, p99_s = latency.quantiles_s
    return {
        "fault_latency_mean_s": latency.mean_s,
        "fault_latency_p50_s": p50_s,
        "fault_latency_p90_s": p90_s,
        "fault_latency_p99_s": p99_s,
        "fault_latency_histogram": latency.histogram,
    }
