"""Codecs, XBZRLE's encoding and packets: known sizes, limits, order."""

from __future__ import annotations

import pytest

from migmodel.physics import multifd, xbzrle
from migmodel.physics.codecs import codec_cost
from migmodel.physics.technique_parameters import TECHNIQUE_PARAMETERS
from migmodel.units import PAGE_BYTES

VALUES = {
    name: float(spec.default)
    for name, spec in TECHNIQUE_PARAMETERS.items()
    if not isinstance(spec.default, str) and spec.default is not None
}


@pytest.mark.parametrize("codec", ["zlib", "zstd", "qatzip", "qpl", "uadk"])
def test_random_content_stays_and_repeated_content_goes(codec):
    sizes = [
        codec_cost(VALUES, codec, 1, share).page_bytes for share in (0, 0.25, 0.5, 0.75)
    ]
    assert sizes[0] == PAGE_BYTES
    assert sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize(
    ("share", "size"), [(0.25, 3213), (0.5, 2181), (0.75, 1152), (0.875, 631)]
)
def test_zlib_leaves_what_it_leaves(share, size):
    """Sizes that zlib 1.2.13 gave at level 1 for such content."""
    assert codec_cost(VALUES, "zlib", 1, share).page_bytes == pytest.approx(
        size, rel=0.03
    )


def test_between_two_levels_time_lies_between_theirs():
    times = [codec_cost(VALUES, "zlib", level, 0.5).encode_s for level in (1, 3, 6, 9)]
    assert times == sorted(times)
    assert times[0] == pytest.approx(VALUES["zlib_1_text_s"])
    assert times[2] == pytest.approx(VALUES["zlib_6_text_s"])


@pytest.mark.parametrize(
    ("level", "text_us"), [(2, 8.1), (5, 35.1), (13, 396), (16, 728)]
)
def test_levels_follow_the_librarys_curve(level, text_us):
    """A host three times as fast at the fitted levels is so at those between."""
    values = dict(VALUES)
    for known, own_us in (
        *((1, 6.57), (3, 17.9), (6, 39.6), (9, 74.6)),
        (19, 1024.0),
    ):
        values[f"zstd_{known}_text_s"] = own_us / 3 * 1e-6
    found = codec_cost(values, "zstd", level, 0.5).encode_s
    assert found == pytest.approx(text_us / 3 * 1e-6, rel=0.01)


def test_what_is_nearly_random_is_no_easier_than_what_repeats():
    """zstd 1 took 9.3, 8.1, 6.6, 4.2 us a page at these shares, and 2.6 of random."""
    values = {**VALUES, "zstd_1_random_s": 2.55e-6, "zstd_1_text_s": 6.57e-6}
    values["zstd_1_zero_s"] = 3.41e-6
    for share, us in (
        (0, 2.55),
        (0.125, 9.28),
        (0.25, 8.14),
        (0.5, 6.57),
        (0.875, 4.2),
    ):
        found = codec_cost(values, "zstd", 1, share).encode_s
        assert found == pytest.approx(us * 1e-6, rel=0.05)


def test_level_0_of_zlib_copies():
    stored = codec_cost(VALUES, "zlib", 0, 0.5)
    assert stored.page_bytes == PAGE_BYTES
    assert stored.encode_s < codec_cost(VALUES, "zlib", 1, 0.5).encode_s


@pytest.mark.parametrize(
    ("start", "length", "size"),
    [(0, 8, 10), (0, 127, 129), (0, 128, 131), (300, 8, 11), (200, 200, 204)],
)
def test_a_run_is_its_bytes_and_two_lengths(start, length, size):
    assert xbzrle.run_bytes(start, length) == size


def test_only_a_page_changed_nearly_wholly_overflows():
    assert xbzrle.overflows(PAGE_BYTES)
    assert not xbzrle.overflows(PAGE_BYTES // 2)


def test_a_packet_is_525632_bytes():
    page = multifd.counted_page_bytes(PAGE_BYTES, "wire")
    assert page * multifd.PACKET_PAGES == 525_632


def test_what_versions_count_of_a_compressed_page():
    assert multifd.counted_page_bytes(100.0, "queued") == PAGE_BYTES + 10.5
    assert multifd.counted_page_bytes(100.0, "data") == 100.0
    assert multifd.counted_page_bytes(100.0, "wire") == 110.5
