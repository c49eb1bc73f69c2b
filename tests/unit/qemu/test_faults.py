from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from migmodel.qemu.faults import (
    correction,
    read_trace,
    reported_latency,
    traced_latency,
)

REQUEST = "postcopy_ram_fault_thread_request Request for HVA={} rb=pc.ram offset=0x1"
PLACED = "postcopy_place_page host={}"
ZERO = "postcopy_place_page_zero host={}"


def _old(us: int, text: str) -> str:
    return f"4711@1795458136.{us:06d}:{text}\n"


def _new(us: int, text: str) -> str:
    return f"2026-01-02T03:04:59.{us:06d}Z {text}\n"


@pytest.mark.parametrize("line", [_old, _new])
def test_latency_is_from_the_request_to_the_pages_placement(
    line: Callable[[int, str], str],
) -> None:
    lines = [
        line(100, PLACED.format("0x7f0000001000")),
        line(200, REQUEST.format("0x7f0000001234")),  # is there already
        line(300, REQUEST.format("0x7f0000002008")),
        line(310, REQUEST.format("0x7f0000002ff8")),  # the same page, another vCPU
        line(320, REQUEST.format("0x7f0000003000")),
        line(350, ZERO.format("0x7f0000003000")),
        line(900, PLACED.format("0x7f0000002000")),
        line(950, REQUEST.format("0x7f0000009000")),  # never comes
        "qemu-system-x86_64: warning: something else\n",
    ]
    assert read_trace(lines) == pytest.approx([30e-6, 600e-6, 590e-6])


def test_stamps_of_a_date_pass_midnight() -> None:
    lines = [
        f"2026-12-31T23:59:59.999990Z {REQUEST.format('0x1000')}\n",
        f"2027-01-01T00:00:00.000010Z {PLACED.format('0x1000')}\n",
    ]
    assert read_trace(lines) == [20e-6]


def test_traced_latencies_fall_into_buckets_of_microseconds() -> None:
    latency = traced_latency([0.2e-6, 1e-6, 1.9e-6, 2e-6, 1000e-6, 1e3])
    assert latency is not None
    counted = {n: count for n, count in enumerate(latency.histogram) if count}
    assert counted == {0: 3, 1: 1, 9: 1, 23: 1}
    assert len(latency.histogram) == 24
    assert latency.quantiles_s[0] == pytest.approx(1.95e-6)
    assert traced_latency([]) is None


def test_what_qemu_reports_is_read_and_percentiles_lie_in_their_bucket() -> None:
    counts = [0] * 24
    counts[4], counts[10] = 90, 10
    reply = {"postcopy-latency": 34_000, "postcopy-latency-dist": counts}
    latency = reported_latency(reply)
    assert latency is not None
    assert latency.mean_s == pytest.approx(34e-6)
    p50_s, p90_s, p99_s = latency.quantiles_s
    assert 16e-6 < p50_s < 32e-6
    assert p90_s == pytest.approx(32e-6)
    assert 1024e-6 < p99_s < 2048e-6
    assert reported_latency({"status": "completed"}) is None
    assert reported_latency({"postcopy-latency-dist": [0] * 24}) is None


def test_what_tracing_adds_is_undone_by_size() -> None:
    # Tracing makes 16 us out of each 8 us, and leaves what waits for a window alone.
    fast, slow = 0.9, 0.1
    counts = [0.0] * 24
    counts[3], counts[16] = 1000 * fast, 1000 * slow
    untraced = reported_latency(
        {"postcopy-latency": 1, "postcopy-latency-dist": counts}
    )
    assert untraced is not None
    steps = [n / 1000 for n in range(1000)]
    traced = [2**exponent * 16e-6 for exponent in steps[: int(1000 * fast)]]
    traced += [2**exponent * 65536e-6 for exponent in steps[:: round(1 / slow)]]
    correct = correction(traced, untraced)
    assert correct(20e-6) == pytest.approx(10e-6, rel=0.1)
    assert correct(90e-3) == pytest.approx(90e-3, rel=0.1)
    corrected = [correct(value) for value in sorted(traced)]
    assert all(b >= a for a, b in itertools.pairwise(corrected))
