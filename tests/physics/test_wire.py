"""The rate limiter's quantum."""

from __future__ import annotations

import pytest

from migmodel.physics import wire

NORMAL = (wire.NORMAL_PAGE_BYTES, wire.FLUSH_PAGES)
ZERO = (wire.ZERO_PAGE_BYTES, wire.FLUSH_ZERO_PAGES)


def test_unlimited_has_no_budget():
    assert wire.window_pages(0, *NORMAL) == float("inf")
    # 1 to 9 bytes/s divide to a budget of zero, which QEMU takes for no limit.
    assert wire.window_pages(9, *NORMAL) == float("inf")


@pytest.mark.parametrize("bandwidth", [12_500_000, 125_000_000, 134_217_728])
@pytest.mark.parametrize(("page_bytes", "flush_pages"), [NORMAL, ZERO, (4104, 1)])
def test_overshoot_is_at_most_one_flush(bandwidth, page_bytes, flush_pages):
    budget = bandwidth // 10
    sent = wire.window_pages(bandwidth, page_bytes, flush_pages) * page_bytes
    assert 0 < sent - budget <= flush_pages * page_bytes


def test_100_mbit_overshoots_by_five_percent():
    # 10 flushes of 131,328 bytes against a budget of 1,250,000: seen on QEMU 10.0.
    sent = wire.window_pages(12_500_000, *NORMAL) * wire.NORMAL_PAGE_BYTES
    assert sent == 10 * 131_328


def test_what_is_used_is_not_left():
    assert wire.window_pages(12_500_000, *NORMAL, used_bytes=1_250_001) == 0
    # Seen on QEMU 10.0: 128 normal pages, then zero pages to the first flush over it.
    used = 128 * wire.NORMAL_PAGE_BYTES
    zeros = wire.window_pages(12_500_000, *ZERO, used_bytes=used)
    assert 0 < used + zeros * 9 - 1_250_000 <= 32_760
