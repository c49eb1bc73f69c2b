"""The rate limiter's quantum."""

from __future__ import annotations

import pytest

from migmodel.physics import wire


def test_unlimited_has_no_budget():
    assert wire.window_pages(0, True) == float("inf")
    # 1 to 9 bytes/s divide to a budget of zero, which QEMU takes for no limit.
    assert wire.window_pages(9, True) == float("inf")


@pytest.mark.parametrize("bandwidth", [12_500_000, 125_000_000, 134_217_728])
def test_overshoot_is_at_most_one_flush(bandwidth):
    budget = bandwidth // 10
    sent = wire.window_pages(bandwidth, True) * wire.NORMAL_PAGE_BYTES
    assert 0 < sent - budget <= wire.FLUSH_PAGES * wire.NORMAL_PAGE_BYTES
    before_8_2 = wire.window_pages(bandwidth, False) * wire.NORMAL_PAGE_BYTES
    assert 0 < before_8_2 - budget <= wire.NORMAL_PAGE_BYTES


def test_100_mbit_overshoots_by_five_percent():
    # 10 flushes of 131,328 bytes against a budget of 1,250,000: seen on QEMU 10.0.
    sent = wire.window_pages(12_500_000, True) * wire.NORMAL_PAGE_BYTES
    assert sent == 10 * 131_328
