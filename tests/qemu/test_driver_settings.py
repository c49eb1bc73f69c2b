"""Techniques that encode, split or tell more, with real QEMU, in the version they need.

Each run is a second or two; figures are asserted where the content fixes them.
"""

from __future__ import annotations

from typing import Any

import pytest

from migmodel.qemu.binary import find_qemu, how_to_get
from migmodel.qemu.driver import measure
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.options import DriverOptions
from migmodel.qemu.traced import measure_faults
from migmodel.records import (
    Guest,
    Limits,
    Measurement,
    Policy,
    Scenario,
    Tuning,
    Workload,
)
from migmodel.stress.builder import build_bare
from migmodel.stress.errors import StressError
from migmodel.units import MIB, PAGE_BYTES

pytestmark = pytest.mark.qemu
LIMITED = {"max-bandwidth": 32 * MIB, "downtime-limit": 50}
PAGES = 16 * MIB // PAGE_BYTES
BOTH = pytest.mark.parametrize("version", ["10.0", "11.1"])
DELTA = 64


@pytest.fixture(scope="module")
def bare() -> GuestImage:
    try:
        return GuestImage("bare", build_bare())
    except StressError as error:
        pytest.skip(str(error))


def _qemu(version: str) -> str:
    wanted = tuple(map(int, version.split(".")))
    found = find_qemu(wanted=(wanted[0], wanted[1]))
    if found.release != version:
        pytest.skip(f"no QEMU {version} here: {how_to_get((wanted[0], wanted[1]))}")
    return str(found.path)


def _scenario(version: str, workload: dict[str, Any], **policy: Any) -> Scenario:
    policy.setdefault("parameters", LIMITED)
    return Scenario(
        guest=Guest(ram_bytes=64 * MIB),
        workload=Workload(working_set_bytes=16 * MIB, **workload),
        policy=Policy(**policy),
        limits=Limits(max_time_s=60.0),
        qemu_version=version,
    )


def _options(image: GuestImage, version: str) -> DriverOptions:
    qemu = _qemu(version)
    return DriverOptions(
        image=image, qemu=qemu, accel="tcg", baseline_s=0.2, after_s=0.5
    )


def _measure(image: GuestImage, scenario: Scenario) -> Measurement:
    measurement = measure(scenario, _options(image, scenario.qemu_version))
    assert measurement.valid, measurement.problems
    assert measurement.trace.outcome.verdict == "completed"
    return measurement


@BOTH
def test_xbzrle_sends_what_changed(bare: GuestImage, version: str) -> None:
    scenario = _scenario(
        version,
        {"rate_pps": 6000, "content": "delta", "delta_bytes": DELTA},
        technique="xbzrle",
        parameters={
            "max-bandwidth": 12 * MIB,
            "downtime-limit": 20,
            "xbzrle-cache-size": 64 * MIB,
        },
    )
    outcome = _measure(bare, scenario).trace.outcome
    assert outcome.xbzrle_overflows == 0
    # The second pass fills the cache, and the cache is as large as the RAM.
    assert outcome.xbzrle_cache_misses is not None
    assert 0 < outcome.xbzrle_cache_misses < 1.2 * PAGES
    assert outcome.xbzrle_pages
    assert outcome.xbzrle_bytes is not None
    # Runs of zero and non-zero bytes, each with its length, and three bytes around
    # them; a page may be found as it was, or changed several times.
    assert outcome.xbzrle_bytes / outcome.xbzrle_pages < DELTA + 8


@BOTH
@pytest.mark.parametrize("codec", ["zlib", "zstd"])
def test_channels_compress_what_repeats(
    bare: GuestImage, version: str, codec: str
) -> None:
    workload = {"rate_pps": 1000, "content": "text", "compressibility": 0.75}
    outcome = _measure(
        bare, _scenario(version, workload, technique=f"multifd-{codec}")
    ).trace.outcome
    assert outcome.compression_ratio is not None
    # A quarter cannot be compressed; what repeats costs a few bytes a line of 64.
    assert 64 / (16 + 6) < outcome.compression_ratio < 64 / 16
    assert outcome.multifd_bytes is not None
    assert outcome.bytes_sent is not None
    assert outcome.multifd_bytes < outcome.bytes_sent < 16 * MIB


@BOTH
def test_channels_without_a_codec_send_every_byte(
    bare: GuestImage, version: str
) -> None:
    scenario = _scenario(
        version,
        {"rate_pps": 500},
        technique="multifd",
        parameters={**LIMITED, "multifd-channels": 4},
    )
    outcome = _measure(bare, scenario).trace.outcome
    assert outcome.compression_ratio is None
    assert outcome.multifd_bytes is not None
    assert outcome.multifd_bytes > 16 * MIB
    # All but firmware and working set is zero, and goes out as such.
    assert outcome.zero_pages is not None
    assert outcome.zero_pages > 0.9 * (48 * MIB // PAGE_BYTES)


def test_zero_content_never_goes_out_as_pages(bare: GuestImage) -> None:
    workload = {"rate_pps": 3000, "content": "zero"}
    outcome = _measure(bare, _scenario("10.0", workload)).trace.outcome
    assert outcome.zero_pages is not None
    assert outcome.zero_pages > 0.95 * (64 * MIB // PAGE_BYTES)
    assert outcome.bytes_sent is not None
    assert outcome.bytes_sent < 2 * MIB


def test_threads_of_old_versions_compress_a_guest_that_only_reads(
    bare: GuestImage,
) -> None:
    scenario = _scenario(
        "7.2",
        {"touch": "read", "content": "text", "compressibility": 0.5},
        technique="compress",
        parameters={"max-bandwidth": 0, "compress-threads": 2},
    )
    measurement = _measure(bare, scenario)
    outcome = measurement.trace.outcome
    assert "only times, bytes and ratios" in measurement.problems[0]
    assert outcome.compression_ratio is not None
    assert 1.6 < outcome.compression_ratio < 2.0
    assert outcome.bytes_sent is not None
    assert outcome.bytes_sent < 12 * MIB


@BOTH
@pytest.mark.parametrize("preempt", [False, True])
def test_post_copy_tells_its_faults(
    bare: GuestImage, version: str, preempt: bool
) -> None:
    scenario = _postcopy(version, preempt)
    measurement = _measure(bare, scenario)
    outcome = measurement.trace.outcome
    assert outcome.postcopy_requests
    assert outcome.postcopy_blocktime_s is not None
    # The switch came in the pass after the second, whatever QEMU counts; it syncs.
    assert outcome.passes == 2 + 1 + 1
    if version == "10.0":
        assert outcome.fault_latency_histogram is None
        return
    assert outcome.fault_latency_histogram is not None
    faults = sum(outcome.fault_latency_histogram)
    assert faults == pytest.approx(outcome.postcopy_requests, rel=0.2, abs=5)
    assert outcome.fault_latency_mean_s is not None
    assert 0 < outcome.fault_latency_mean_s < 0.1


@BOTH
@pytest.mark.parametrize(
    ("technique", "maximum"),
    [("downtime-tuning", 1500), ("bandwidth-tuning", 1 << 30)],
)
def test_a_raised_limit_ends_what_would_not_end(
    bare: GuestImage, version: str, technique: Any, maximum: int
) -> None:
    scenario = _scenario(
        version,
        {"rate_pps": 12_000},
        technique=technique,
        tuning=Tuning(maximum=maximum, steps=2, interval_s=0.7),
    )
    measurement = _measure(bare, scenario)
    acted = [it for it in measurement.trace.events if it.name == "MANAGER"]
    assert 1 <= len(acted) <= 2
    assert measurement.trace.outcome.total_time_s is not None
    assert measurement.trace.outcome.total_time_s > 0.7


@BOTH
@pytest.mark.parametrize(
    ("technique", "after", "rate_pps"),
    [("precopy", None, 500), ("pause", 2, 12_000), ("postcopy", 2, 12_000)],
)
def test_a_wait_before_the_switch_is_ended_at_once(
    bare: GuestImage, version: str, technique: Any, after: int | None, rate_pps: int
) -> None:
    scenario = _scenario(
        version,
        {"rate_pps": rate_pps},
        technique=technique,
        after_passes=after,
        capabilities={"pause-before-switchover": True},
    )
    measurement = _measure(bare, scenario)
    began_s = {
        it.detail: it.time_s
        for it in measurement.trace.events
        if it.name == "MIGRATION"
    }
    wait_s = began_s["device"] - began_s["pre-switchover"]
    # Sooner than at the driver's next look, a poll interval later.
    assert 0 < wait_s < 0.05


def _postcopy(version: str, preempt: bool) -> Scenario:
    return _scenario(
        version,
        {"rate_pps": 12_000},
        technique="postcopy",
        after_passes=2,
        parameters={**LIMITED, "max-postcopy-bandwidth": 16 * MIB},
        capabilities={"postcopy-preempt": preempt},
    )


# 10.0 counts a wait's blocktime in whole milliseconds: it tells those that last some.
@pytest.mark.parametrize(
    ("version", "preempt", "remark"),
    [
        ("10.0", False, "corrected by what tracing adds on QEMU 11.1"),
        ("11.1", True, "this QEMU reports latencies itself"),
    ],
)
def test_traced_faults_agree_with_blocktime_and_gaps(
    bare: GuestImage, version: str, preempt: bool, remark: str
) -> None:
    scenario = _postcopy(version, preempt=preempt)
    measurement = measure_faults(scenario, _options(bare, version))
    assert measurement.valid, measurement.problems
    assert measurement.traced
    outcome = measurement.trace.outcome
    assert outcome.total_time_s is None
    assert measurement.raw is not None
    latencies_s = measurement.raw.fault_latencies_s
    assert outcome.postcopy_requests is not None
    # A thread that is woken by something else faults on its page again: that is traced
    # anew, but not requested again.
    count = len(latencies_s)
    assert outcome.postcopy_requests - 5 <= count <= 2 * outcome.postcopy_requests + 10
    # One vCPU stands still as long as its faults wait together; 10.0 knows one fault of
    # a vCPU at a time and forgets it at the next (migration/postcopy-ram.c,
    # mark_postcopy_blocktime_begin), which may be most. Its longest gap holds the
    # longest wait, but for those of QEMU's own threads.
    blocktime_s, waits_s = outcome.postcopy_blocktime_s, sum(latencies_s)
    assert blocktime_s is not None
    least_s = 0.0 if version == "10.0" else 0.6 * waits_s
    assert least_s < blocktime_s < 1.15 * waits_s + 0.01
    assert measurement.trace.phases.resume_s is not None
    gaps_s = [
        gap
        for gap, end in zip(
            measurement.trace.guest.gap_s, measurement.trace.guest.end_s, strict=True
        )
        if end > measurement.trace.phases.resume_s
    ]
    assert max(gaps_s) > sorted(latencies_s)[-len(latencies_s) // 100 - 1]
    _qemu("11.1")
    assert remark in measurement.problems[-1]
