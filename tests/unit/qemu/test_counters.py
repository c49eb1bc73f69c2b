from __future__ import annotations

from typing import Any

import msgspec
import pytest

from migmodel.qemu.counters import counters
from migmodel.qemu.trace import build_trace
from migmodel.records import Policy, Raw
from migmodel.units import MIB

from .recorded import TOTAL, completed, event, query, scenario

QUIET = Raw(started_s=0.0)
RAM = {"normal": 12_800, "duplicate": 1280, "multifd-bytes": 30_000_000}


def _counters(version: tuple[int, int], reply: dict[str, Any], **policy: Any) -> Any:
    return counters(QUIET, reply, Policy(**policy), version)


def test_plain_precopy_has_zero_pages_and_nothing_else() -> None:
    found = _counters((10, 0), {"ram": RAM})
    assert found == {"zero_pages": 1280}


def test_xbzrle_has_its_cache() -> None:
    cache = {"cache-miss": 7, "overflow": 1, "pages": 90, "bytes": 5000}
    reply = {"ram": RAM, "xbzrle-cache": {**cache, "cache-size": MIB}}
    found = _counters((10, 0), reply, technique="xbzrle")
    assert found["xbzrle_cache_misses"] == 7
    assert found["xbzrle_overflows"] == 1
    assert found["xbzrle_pages"] == 90
    assert found["xbzrle_bytes"] == 5000


def test_a_codecs_ratio_leaves_the_packets_headers_out() -> None:
    found = _counters((10, 0), {"ram": RAM}, technique="multifd-zstd")
    headers = (12_800 + 1280) / 128 * 1344
    assert found["compression_ratio"] == pytest.approx(
        12_800 * 4096 / (30_000_000 - headers)
    )
    assert found["multifd_bytes"] == 30_000_000
    # Before 8.2 the counter ignores what compression saves; without a codec, no ratio.
    old = _counters((7, 2), {"ram": RAM}, technique="multifd-zstd")
    assert "compression_ratio" not in old
    assert "compression_ratio" not in _counters(
        (10, 0), {"ram": RAM}, technique="multifd"
    )


def test_compressing_threads_have_their_ratio() -> None:
    reply = {"ram": RAM, "compression": {"pages": 100, "compressed-size": 102_400}}
    found = _counters((7, 2), reply, technique="compress")
    assert found["compression_ratio"] == 4.0
    nothing = {"ram": RAM, "compression": {"pages": 0, "compressed-size": 0}}
    found = _counters((7, 2), nothing, technique="compress")
    assert found["compression_ratio"] is None


def test_post_copy_has_the_destinations_figures() -> None:
    dist = [0] * 5 + [10] + [0] * 18
    reply = {
        "status": "completed",
        "postcopy-blocktime": 12,
        "postcopy-vcpu-blocktime": [30, 17],
        "postcopy-latency": 40_000,
        "postcopy-latency-dist": dist,
    }
    raw = Raw(started_s=0.0, destination_queries=[[0.0, 0.0, reply]])
    found = counters(raw, {"ram": RAM}, Policy(technique="postcopy"), (11, 1))
    assert found["postcopy_blocktime_s"] == 0.012
    assert found["postcopy_vcpu_blocktime_s"] == [0.03, 0.017]
    assert found["fault_latency_mean_s"] == pytest.approx(40e-6)
    assert found["fault_latency_histogram"] == [float(n) for n in dist]
    assert 32e-6 < found["fault_latency_p50_s"] < 64e-6


def test_passes_are_counted_by_what_was_sent_where_qemu_counts_iterates() -> None:
    pages = TOTAL // 4096
    queries = [
        query(0.5, "active", transferred=1, dirty_sync_count=9, remaining=TOTAL),
        query(
            *(1.0, "active"),
            transferred=2,
            dirty_sync_count=20,
            normal=pages,
            remaining=4096 * 100,
        ),
        query(
            *(1.5, "active"),
            transferred=3,
            dirty_sync_count=31,
            normal=pages + 99,
            remaining=4096 * 90,
        ),
        query(
            *(2.21, "completed"),
            transferred=4,
            dirty_sync_count=40,
            normal=pages + 200,
            total_time=2203,
        ),
    ]
    # QEMU's events tell iterates as well.
    events = [
        event(at / 10, "source", "MIGRATION_PASS", **{"pass": at})
        for at in range(1, 20)
    ]
    raw = completed(queries=queries, events=events + completed().events[3:])
    wanted = scenario(technique="postcopy")
    newer = build_trace(raw, msgspec.structs.replace(wanted, qemu_version="11.1"))
    assert newer.progress.dirty_sync_count == [1, 2, 2]
    assert newer.outcome.passes == 3
    assert [part.index for part in newer.rounds] == [1, 2, 3]
    assert build_trace(raw, wanted).outcome.passes == 40
