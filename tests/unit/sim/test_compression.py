"""XBZRLE, multifd and codecs: closed forms, limits, and what must order how."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migmodel.records import (
    Guest,
    Limits,
    Link,
)
from migmodel.units import GIB, MIB, PAGE_BYTES

from .scenarios import KVM, TCG, WS_PAGES, described, outcome


def test_a_cache_larger_than_the_working_set_misses_each_page_once():
    it = outcome(described("xbzrle", content="delta", delta_bytes=64))
    assert it.xbzrle_cache_misses == pytest.approx(WS_PAGES, rel=0.05)
    assert it.xbzrle_pages > 5 * WS_PAGES
    assert it.xbzrle_overflows == 0


def test_a_cache_half_the_working_set_keeps_half_of_it():
    """Direct-mapped, and what is refreshed each pass is never put out."""
    it = outcome(
        described(
            "xbzrle",
            content="delta",
            delta_bytes=64,
            parameters={"xbzrle-cache-size": 32 * MIB},
            limits=Limits(max_time_s=60.0),
        )
    )
    hits = it.xbzrle_pages / (it.xbzrle_pages + it.xbzrle_cache_misses)
    assert hits == pytest.approx(0.5, abs=0.06)


def test_an_encoded_page_has_the_length_of_its_change():
    """64 changed bytes: two lengths of a byte, and 3 bytes that the cache counts."""
    it = outcome(described("xbzrle", content="delta", delta_bytes=64))
    assert it.xbzrle_bytes / it.xbzrle_pages == pytest.approx(64 + 2 + 3, rel=0.02)


def test_the_destination_reads_what_is_encoded_as_it_reads_pages():
    """Half a page of changes is half a page to read, and copied once more."""

    def destination_s(delta_bytes):
        """Of a page found: what more of them cost more."""
        bandwidth = delta_bytes * 40_000
        runs = [
            described(
                "xbzrle",
                bw=bandwidth,
                content="delta",
                delta_bytes=delta_bytes,
                rate=60_000.0,
                parameters={"downtime-limit": 1},
                limits=Limits(max_time_s=seconds),
            )
            for seconds in (20.0, 25.0)
        ]
        alone = replace(TCG, values={**TCG.values, "crowded_flush_s": 0.0})
        short, long = (outcome(run, alone) for run in runs)
        pages = long.xbzrle_pages - short.xbzrle_pages
        assert pages > 50_000
        return (long.destination_cpu_s - short.destination_cpu_s) / pages

    slower = 1 + TCG["guest_interference"]
    half_s = (TCG["page_destination_s"] + TCG["xbzrle_insert_s"]) / 2 * slower
    more_s = destination_s(2048) - destination_s(1024)
    assert more_s == pytest.approx(half_s / 2, rel=0.3)


def test_pages_rewritten_wholly_overflow_and_save_nothing():
    plain, cached = outcome(described()), outcome(described("xbzrle"))
    assert cached.xbzrle_overflows > 0.9 * cached.xbzrle_pages
    assert cached.bytes_sent == pytest.approx(plain.bytes_sent, rel=0.05)
    assert cached.source_cpu_s > plain.source_cpu_s


def test_the_study_alternates_between_two_contents_so_half_is_identical():
    it = outcome(described("xbzrle", touch="study", limits=Limits(max_time_s=60.0)))
    same = 1 - it.xbzrle_overflows / it.xbzrle_pages
    assert 0.2 < same < 0.8


def test_smaller_changes_leave_less_to_send():
    sent = [
        outcome(
            described("xbzrle", rate=3000.0, content="delta", delta_bytes=size)
        ).bytes_sent
        for size in (8, 512, 2048)
    ]
    assert sent == sorted(sent)
    assert sent[0] < outcome(described(rate=3000.0)).bytes_sent


def test_multifd_packets_overshoot_the_limit_by_those_in_hand():
    """A window of 1.25 MB sends 3 packets of 525,632 bytes, and one a channel more."""
    it = outcome(described("multifd", rate=100.0))
    seconds = it.multifd_bytes / (5 * 525_632) * 0.1
    assert it.total_time_s == pytest.approx(seconds, rel=0.1)


def test_a_stream_that_never_sleeps_pays_for_no_waking_up():
    """On crowded CPUs: all threads together have what there is, and no more."""
    scenario = described(
        "multifd-zlib", bw=0, rate=100.0, parameters={"multifd-zlib-level": 9}
    )
    it = outcome(scenario)
    used_s = it.source_cpu_s + it.destination_cpu_s + it.vcpu_cpu_s
    assert 0.9 * TCG.cpus < used_s / it.total_time_s < 1.005 * TCG.cpus


def test_an_old_multifd_counts_what_it_queues_and_has_a_floor():
    """QEMU 7.2 at 1 MB/s sends a packet a window: 5.26 MB/s."""
    it = outcome(described("multifd", rate=100.0, bw=1_000_000, version="7.2"))
    assert it.multifd_bytes / it.total_time_s == pytest.approx(5.26e6, rel=0.05)


def test_compression_counts_only_from_8_1_on():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5}
    old = outcome(described("multifd-zstd", version="8.0", **text))
    new = outcome(described("multifd-zstd", version="8.2", **text))
    assert old.bytes_sent > 1.8 * new.bytes_sent
    assert old.total_time_s > 1.2 * new.total_time_s


def test_compression_threads_are_handed_zero_pages_too():
    """4 GiB more of zeros are a million hand-overs more, each on either side."""
    small, large = (
        outcome(described("compress", version="7.2", bw=0, rate=1.0, guest=guest))
        for guest in (Guest(ram_bytes=GIB), Guest(ram_bytes=5 * GIB))
    )
    handovers = 2 * 4 * GIB / PAGE_BYTES * TCG["compress_page_s"]
    assert large.source_cpu_s - small.source_cpu_s > handovers
    assert large.bytes_sent - small.bytes_sent < 4 * GIB / 400


def test_random_pages_compress_to_themselves():
    plain = outcome(described("multifd", rate=100.0))
    packed = outcome(described("multifd-zstd", rate=100.0))
    assert packed.compression_ratio == pytest.approx(1.0, abs=0.01)
    assert packed.bytes_sent == pytest.approx(plain.bytes_sent, rel=0.01)


def test_text_compresses_by_what_repeats():
    for share, ratio in ((0.5, 1.95), (0.875, 7.0)):
        it = outcome(
            described("multifd-zstd", rate=100.0, content="text", compressibility=share)
        )
        assert it.compression_ratio == pytest.approx(ratio, rel=0.1)


def test_a_codec_pays_on_a_slow_link_and_costs_on_a_fast_one():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5}
    narrow = Link(bandwidth_bytes_per_s=2_500_000)
    slow = [outcome(described(t, bw=0, link=narrow, **text)) for t in MULTIFD_TWO]
    fast = [outcome(described(t, bw=0, **text)) for t in MULTIFD_TWO]
    assert slow[1].total_time_s < slow[0].total_time_s
    assert fast[1].total_time_s > fast[0].total_time_s


MULTIFD_TWO = ("multifd", "multifd-zlib")


def test_a_higher_level_takes_more_cpu():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5}
    costs = [
        outcome(
            described("multifd-zstd", parameters={"multifd-zstd-level": level}, **text)
        ).source_cpu_s
        for level in (1, 2, 3, 6, 10, 19)
    ]
    assert costs == sorted(costs)
    old = [
        outcome(
            described(
                "multifd-zstd",
                parameters={"multifd-zstd-level": level},
                version="8.2",
                **text,
            )
        )
        for level in (1, 19)
    ]
    assert old[0] == old[1]  # the level is ignored there


def test_more_channels_are_never_slower_where_cpus_are_free():
    text = {"rate": 5000.0, "content": "text", "compressibility": 0.5}
    times = [
        outcome(
            described(
                "multifd-zstd",
                bw=0,
                guest=Guest(ram_bytes=8 * GIB),
                working_set_bytes=2 * GIB,
                parameters={"multifd-channels": channels},
                **text,
            ),
            KVM,
        ).total_time_s
        for channels in (1, 2, 4, 8)
    ]
    assert times == sorted(times, reverse=True)
    assert times[1] < 0.7 * times[0]


def test_compression_threads_share_the_work_until_the_feeder_binds():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5, "bw": 0}
    times = [
        outcome(
            described(
                "compress",
                version="7.2",
                parameters={"compress-threads": threads, "decompress-threads": 8},
                **text,
            ),
            KVM,
        ).total_time_s
        for threads in (1, 2, 4)
    ]
    assert times[1] < 0.7 * times[0]
    assert times == sorted(times, reverse=True)


def test_compress_with_postcopy_waits_for_every_page():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5, "bw": 0}
    alone = outcome(described("compress", version="7.2", **text), KVM)
    waiting = described(
        "compress", version="7.2", capabilities=["postcopy-ram"], **text
    )
    assert outcome(waiting, KVM).total_time_s > 2 * alone.total_time_s


def test_zero_pages_go_where_the_version_sends_them():
    idle = {"working_set_bytes": 0, "bw": 0}
    old = outcome(described("multifd", version="8.2", **idle))
    new = outcome(described("multifd", version="10.0", **idle))
    plain = described("multifd", parameters={"zero-page-detection": "none"}, **idle)
    assert new.multifd_bytes - old.multifd_bytes == pytest.approx(
        new.zero_pages * 10.5, rel=0.01
    )
    assert new.zero_pages == pytest.approx(256 * MIB / PAGE_BYTES, rel=0.01)
    assert outcome(plain).bytes_sent > 256 * MIB
