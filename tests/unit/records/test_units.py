"""Text to number and back."""

from __future__ import annotations

import pytest

from migmodel.errors import InputError
from migmodel.units import (
    GIB,
    MIB,
    format_bandwidth,
    format_bytes,
    format_duration,
    parse_bandwidth,
    parse_bytes,
    parse_duration,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8", 8 * GIB),
        ("512m", 512 * MIB),
        ("1.5g", 3 * GIB // 2),
        ("64KiB", 64 << 10),
        ("4096b", 4096),
        ("2T", 2 << 40),
    ],
)
def test_sizes_are_binary(text, expected):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1g", 125_000_000),
        ("10gbit", 1_250_000_000),
        ("100Mbit/s", 12_500_000),
        ("125MB/s", 125_000_000),
        ("128MiB/s", 128 * MIB),
        ("unlimited", 0),
        ("0", 0),
    ],
)
def test_bandwidths_are_decimal_bits_unless_bytes_are_named(text, expected):
    assert parse_bandwidth(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"), [("300ms", 0.3), ("2s", 2), ("5m", 300), ("1h", 3600)]
)
def test_durations(text, expected):
    assert parse_duration(text) == pytest.approx(expected)


@pytest.mark.parametrize("text", ["", "-1", "x", "1q", "0", "1e400", "9" * 400])
def test_nonsense_sizes_are_refused(text):
    with pytest.raises(InputError):
        parse_bytes(text)


@pytest.mark.parametrize("text", ["", "-1g", "fast", "9" * 400])
def test_nonsense_bandwidths_are_refused(text):
    with pytest.raises(InputError):
        parse_bandwidth(text)


def test_numbers_are_written_with_a_unit_that_suits():
    assert format_bytes(3 * GIB) == "3 GiB"
    assert format_bytes(999.6 * MIB) == "1000 MiB"
    assert format_bandwidth(0) == "unlimited"
    assert format_bandwidth(125_000_000) == "1 Gbit/s"
    assert format_duration(0.0) == "0 ms"
    assert format_duration(10.2e-6) == "10.2 us"
    assert format_duration(0.0123) == "12.3 ms"
    assert format_duration(0.9996) == "1000 ms"
    assert format_duration(90) == "90 s"
