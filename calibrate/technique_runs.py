"""The runs that tell what each technique costs a host beyond the basic ones.

What encoding takes is told by pages that are sent once: a cold guest with a working set
small enough that compressing it takes a second or two. Decoding is not: it costs the
destination a microsecond of zstd, or ten of zlib, while memory for a new page costs it
half a microsecond or ten, by what the layer below a virtual host has taken back. It is
told by pages that are sent over and over. Text of which seven eighths repeat stands for
zero content, which multifd keeps from its codecs. What a technique builds on comes
before it.
"""

from __future__ import annotations

from migmodel.records.policy import Technique
from migmodel.records.scenario import Content

from .recipe import COLD_PPS, Recipe

# Working set, of the guest's RAM, for a second or two of each codec's work: in the
# first half second the scheduler has not yet found how threads share the CPUs.
_ZLIB = ((1, 0.4), (6, 0.3), (9, 0.12))
_ZSTD = ((1, 0.9), (3, 0.9), (6, 0.5), (9, 0.3), (19, 0.03))
# The same for several passes at level 1.
_PASSES = 8
_AGAIN = {"zlib": 0.07, "zstd": 0.6}
# Two runs tell a cost that differs by a hundredth, not those that hang on what others
# leave of a cache, or on which CPU a thread was put.
REPEATS = 2
MORE_REPEATS = {"multifd": 3, "zstd": 3, "compress": 3}
_CONTENTS: tuple[tuple[str, Content, float | None], ...] = (
    ("random", "random", None),
    ("text", "text", 0.5),
    ("zero", "text", 0.875),
)


def _codec(
    codec: str, technique: Technique, levels: tuple[tuple[int, float], ...]
) -> tuple[Recipe, ...]:
    return tuple(
        Recipe(
            f"{codec}-{level}-{stands_for}",
            f"{codec} at level {level} on {content} content"
            + (f" of which {100 * repeats:g}% repeat" if repeats else ""),
            (
                f"{codec}_{level}_{stands_for}_s",
                *([f"{codec}_match_bytes"] if repeats else []),
            ),
            share=share,
            rate_pps=COLD_PPS,
            content=content,
            compressibility=repeats,
            technique=technique,
            parameters=((f"multifd-{codec}-level", level),),
            downtime_ms=20,
            expected_s=2.0,
        )
        for level, share in levels
        for stands_for, content, repeats in _CONTENTS
    )


def _again(codec: str) -> tuple[Recipe, ...]:
    """Over pages that the destination has: what it does then is receive and decode."""
    return tuple(
        Recipe(
            f"{codec}-again-{stands_for}",
            f"{codec} on {content} content, over pages that the destination has",
            (f"{codec}_1_{stands_for}_s", f"{codec}_decode_{stands_for}_s"),
            share=_AGAIN[codec],
            touch="page",  # quick enough to rewrite all of it in a pass
            content=content,
            compressibility=repeats,
            downtime_ms=1,
            technique="pause",
            after=_PASSES,
            capabilities=("multifd",),
            parameters=(("multifd-compression", codec), (f"multifd-{codec}-level", 1)),
            expected_s=1.5,
        )
        for stands_for, content, repeats in _CONTENTS
    )


TCP = (
    Recipe(
        "tcp-paced",
        "CPU cost of a page over TCP",
        ("tcp_page_source_s", "tcp_page_destination_s"),
        share=0.5,
        rate_pps=9000,
        bandwidth=55_000_000,
        downtime_ms=100,
        transport="tcp",
        expected_s=6.0,
    ),
    Recipe(
        "tcp-free",
        "TCP without a limit, over pages that the destination has",
        ("tcp_page_source_s", "tcp_page_destination_s"),
        share=0.6,
        touch="page",  # quick enough to rewrite all of it in a pass
        downtime_ms=1,
        technique="pause",
        after=4,
        transport="tcp",
        expected_s=1.5,
    ),
)
MULTIFD = (
    Recipe(
        "multifd-paced",
        "CPU cost of a page in the channels",
        (
            *("multifd_queue_s", "multifd_wakeup_s"),
            *("multifd_page_source_s", "multifd_page_destination_s"),
        ),
        share=0.5,
        rate_pps=9000,
        bandwidth=55_000_000,
        downtime_ms=100,
        technique="multifd",
        expected_s=6.0,
    ),
    Recipe(
        "multifd-zeros",
        "nearly all pages are zero: what the migration thread has to do for each",
        ("multifd_queue_s",),
        share=0.02,
        largest=True,
        rate_pps=COLD_PPS,
        downtime_ms=20,
        technique="multifd",
        expected_s=0.1,
    ),
    # One pass, timed to a few ms; those below are ended some passes sooner or later.
    *(
        Recipe(
            f"multifd-cold-{channels}",
            f"{channels} of its channels without a limit, pages the destination has no "
            "memory for",
            ("multifd_fresh_page_s", "multifd_page_source_s", "multifd_packet_s"),
            share=0.95,
            rate_pps=COLD_PPS,
            largest=True,
            downtime_ms=20,
            technique="multifd",
            parameters=(("multifd-channels", channels),),
            expected_s=0.4,
        )
        for channels in (1, 2)
    ),
    Recipe(
        "multifd-free",
        "two channels without a limit, over pages that the destination has",
        (
            "multifd_queue_s",
            "multifd_page_source_s",
            "multifd_fresh_page_s",
            "multifd_packet_s",
        ),
        share=0.6,
        touch="page",  # quick enough to rewrite all of it in a pass
        downtime_ms=1,
        technique="pause",
        after=4,
        capabilities=("multifd",),
        expected_s=1.5,
    ),
    Recipe(
        "multifd-single",
        "one channel without a limit, over pages that the destination has",
        ("multifd_page_source_s", "multifd_fresh_page_s", "multifd_packet_s"),
        share=0.6,
        touch="page",  # quick enough to rewrite all of it in a pass
        downtime_ms=1,
        technique="pause",
        after=4,
        capabilities=("multifd",),
        parameters=(("multifd-channels", 1),),
        expected_s=1.5,
    ),
)
# A first pass of less than a window would end it: nothing would be in the cache yet.
_SLOW_START = 250_000_000
XBZRLE = (
    Recipe(
        "xbzrle-little",
        "pages found in the cache, of which little has changed",
        ("xbzrle_compare_s", "xbzrle_decode_s"),
        share=0.15,
        content="delta",
        delta_bytes=32,
        bandwidth=_SLOW_START,
        downtime_ms=1,
        technique="xbzrle",
        max_time_s=4.0,
        expected_s=4.0,
    ),
    Recipe(
        "xbzrle-half",
        "pages of which half has changed",
        ("xbzrle_byte_s", "xbzrle_decode_s"),
        share=0.15,
        content="delta",
        delta_bytes=2048,
        bandwidth=_SLOW_START,
        downtime_ms=1,
        technique="xbzrle",
        max_time_s=4.0,
        expected_s=4.0,
    ),
    Recipe(
        "xbzrle-missed",
        "pages that the cache does not hold",
        ("xbzrle_insert_s",),
        share=0.6,
        rate_pps=20_000,
        content="delta",
        delta_bytes=32,
        bandwidth=90_000_000,
        downtime_ms=1,
        technique="xbzrle",
        parameters=(("xbzrle-cache-size", 16 << 20),),
        max_time_s=8.0,
        expected_s=8.0,
    ),
)
_COMPRESSORS = (("compress-threads", 2), ("decompress-threads", 2))
COMPRESS = (
    Recipe(
        "compress-zeros",
        "hand-over to the threads that compress: nearly all pages are zero",
        ("compress_page_s",),
        share=0.02,
        largest=True,
        touch="read",
        technique="compress",
        parameters=_COMPRESSORS,
        downtime_ms=20,
        qemu="7.2",
        expected_s=1.3,
    ),
    *(
        Recipe(
            f"compress-{stands_for}",
            f"multi-thread compression of {content} content, page by page",
            (
                *("compress_page_s", "compress_page_bytes"),
                "compress_block_s" if repeats else "compress_random_s",
            ),
            share=0.13,
            touch="read",
            content=content,
            compressibility=repeats,
            technique="compress",
            parameters=_COMPRESSORS,
            downtime_ms=20,
            qemu="7.2",
            expected_s=2.0,
        )
        for stands_for, content, repeats in _CONTENTS[:2]
    ),
)
PREEMPT = (
    Recipe(
        "preempt-page",
        "faults on a channel of their own",
        (
            *("preempt_fault_s", "preempt_wakeup_s"),
            *("request_source_s", "request_destination_s"),
        ),
        share=0.6,
        touch="page",
        bandwidth=180_000_000,
        technique="postcopy",
        after=1,
        parameters=(("max-postcopy-bandwidth", 40_000_000),),
        capabilities=("postcopy-preempt",),
        expected_s=4.0,
    ),
    Recipe(
        "preempt-sweep",
        "the same of a guest that works between its faults",
        (
            *("preempt_fault_s", "preempt_wakeup_s"),
            *("request_source_s", "request_destination_s"),
        ),
        share=0.6,
        bandwidth=180_000_000,
        technique="postcopy",
        after=1,
        parameters=(("max-postcopy-bandwidth", 40_000_000),),
        capabilities=("postcopy-preempt",),
        expected_s=4.0,
    ),
    # The first QEMU that reports the distribution itself and can be set up.
    Recipe(
        "preempt-spread",
        "spread of fault latencies",
        ("preempt_fault_s", "fault_jitter_sd"),
        share=0.6,
        bandwidth=180_000_000,
        technique="postcopy",
        after=1,
        parameters=(("max-postcopy-bandwidth", 40_000_000),),
        capabilities=("postcopy-preempt",),
        qemu="11.1",
        expected_s=4.0,
    ),
)
# In this order they are fitted, each on what those before it have told.
TECHNIQUE_RUNS: dict[str, tuple[Recipe, ...]] = {
    "tcp": TCP,
    "multifd": MULTIFD,
    "zlib": (*_codec("zlib", "multifd-zlib", _ZLIB), *_again("zlib")),
    "zstd": (*_codec("zstd", "multifd-zstd", _ZSTD), *_again("zstd")),
    "xbzrle": XBZRLE,
    "compress": COMPRESS,
    "preempt": PREEMPT,
}
# Whose costs a technique's runs also contain.
NEEDS: dict[str, tuple[str, ...]] = {
    "zlib": ("multifd",),
    "zstd": ("multifd",),
    "compress": ("multifd", "zlib"),
}
