"""A host's numbers that only some techniques need; each has a documented default.

The defaults of the codecs are those of zlib 1.2.13 and zstd 1.5.4 on one core of an
x86-64 server of about 3 GHz, over the stress guest's contents, decoded into memory that
no cache holds; calibration fits them.
"Zero" is what text tends to as all of it repeats: pages that are zero are kept from
codecs by default.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """One parameter of a `HostProfile`: what it means and where it can lie.

    `default` is what a profile that lacks it means: a number, or the name of the
    parameter that it equals; None: a profile must have it.
    """

    meaning: str
    lower: float
    upper: float
    default: float | str | None = None


def _codec(
    codec: str, level: str, values: tuple[float, float, float]
) -> dict[str, ParameterSpec]:
    shown = f"{codec} {level}".replace("_", " ")
    return {
        f"{codec}_{level}_{content}_s": ParameterSpec(
            f"CPU time of {shown} for a page of {content} content", 1e-9, 1e-1, value
        )
        for content, value in zip(("random", "text", "zero"), values, strict=True)
    }


TECHNIQUE_PARAMETERS: dict[str, ParameterSpec] = {
    "tcp_page_source_s": ParameterSpec(
        "CPU time of the migration thread for a normal page over TCP",
        1e-8,
        1e-4,
        "page_source_s",
    ),
    "tcp_page_destination_s": ParameterSpec(
        "CPU time of the destination for a normal page over TCP",
        1e-8,
        1e-4,
        "page_destination_s",
    ),
    "multifd_queue_s": ParameterSpec(
        "CPU time of the migration thread to hand a page to a channel",
        1e-9,
        1e-4,
        2e-7,
    ),
    "multifd_page_source_s": ParameterSpec(
        "CPU time of a channel to look at a page and send it",
        1e-8,
        1e-4,
        "page_source_s",
    ),
    "multifd_page_destination_s": ParameterSpec(
        "CPU time of a channel's destination for a page",
        1e-8,
        1e-4,
        "page_destination_s",
    ),
    "multifd_fresh_page_s": ParameterSpec(
        "more of it for a page that the destination holds no memory for yet",
        0,
        1e-3,
        "fresh_page_s",
    ),
    "multifd_packet_s": ParameterSpec(
        "time in which neither side of a channel works, at each packet", 0, 1e-2, 2e-5
    ),
    "multifd_wakeup_s": ParameterSpec(
        "until the migration thread runs when a channel has become free",
        0,
        1e-3,
        5e-5,
    ),
    "multifd_sync_s": ParameterSpec(
        "time to drain all channels and begin again", 0, 1e-1, 5e-4
    ),
    "compress_page_s": ParameterSpec(
        "CPU time of either thread when the migration thread hands a page to one that "
        "compresses",
        1e-8,
        1e-3,
        3.2e-6,
    ),
    "compress_random_s": ParameterSpec(
        "CPU time of zlib for a page of random content alone, at any level",
        1e-8,
        1e-2,
        4.5e-5,
    ),
    "compress_block_s": ParameterSpec(
        "what zlib takes longer for a page of text alone, with a block of its own",
        1e-9,
        1e-3,
        2e-5,
    ),
    "compress_page_bytes": ParameterSpec(
        "what a page compressed alone takes beside its matches and random bytes",
        0,
        4096,
        70.0,
    ),
    **_codec("zlib", "1", (7.4e-5, 4.2e-5, 4.8e-6)),
    **_codec("zlib", "6", (7.7e-5, 5.5e-5, 1.8e-5)),
    **_codec("zlib", "9", (7.6e-5, 1.34e-4, 1.0e-4)),
    **_codec("zlib", "decode", (1.3e-6, 7.8e-6, 3e-6)),
    "zlib_match_bytes": ParameterSpec(
        "what zlib writes for the repeated part of a line", 0, 64, 2.1
    ),
    **_codec("zstd", "1", (1.0e-6, 4.0e-6, 2.1e-6)),
    **_codec("zstd", "3", (1.2e-6, 1.7e-5, 5.0e-6)),
    **_codec("zstd", "6", (3.9e-6, 2.75e-5, 9.8e-6)),
    **_codec("zstd", "9", (9.9e-6, 3.8e-5, 1.64e-5)),
    **_codec("zstd", "19", (2.0e-4, 7.5e-4, 1.2e-3)),
    **_codec("zstd", "decode", (6.7e-7, 1.03e-6, 1.0e-6)),
    "zstd_match_bytes": ParameterSpec(
        "what zstd writes for the repeated part of a line", 0, 64, 0.4
    ),
    "qatzip_page_s": ParameterSpec(
        "CPU time of QAT on either side for a page; not measured on such hardware",
        1e-9,
        1e-2,
        1.5e-6,
    ),
    "qatzip_ratio": ParameterSpec("its ratio on text of which half repeats", 1, 2, 1.9),
    "qpl_page_s": ParameterSpec(
        "CPU time of IAA on either side for a page; not measured on such hardware",
        1e-9,
        1e-2,
        1.5e-6,
    ),
    "qpl_ratio": ParameterSpec("its ratio on text of which half repeats", 1, 2, 1.9),
    "uadk_page_s": ParameterSpec(
        "CPU time of UADK on either side for a page; not measured on such hardware",
        1e-9,
        1e-2,
        2e-6,
    ),
    "uadk_ratio": ParameterSpec("its ratio on text of which half repeats", 1, 2, 1.9),
    "xbzrle_compare_s": ParameterSpec(
        "CPU time to copy a page found in the cache and compare it", 1e-9, 1e-4, 7e-7
    ),
    "xbzrle_byte_s": ParameterSpec(
        "CPU time to encode a changed byte", 1e-12, 1e-6, 1e-9
    ),
    "xbzrle_insert_s": ParameterSpec(
        "CPU time to copy a page into the cache", 1e-9, 1e-4, 5e-7
    ),
    "xbzrle_decode_s": ParameterSpec(
        "CPU time of the destination to apply an encoded page", 1e-9, 1e-4, 1e-6
    ),
    "preempt_wakeup_s": ParameterSpec(
        "how much longer a vCPU stands still for a fault with preempt than QEMU says",
        0,
        1e-2,
        2e-6,
    ),
    "preempt_fault_s": ParameterSpec(
        "stall of a post-copy fault with preempt, beside the page's transfer",
        0,
        1,
        3.4e-5,
    ),
    "request_source_s": ParameterSpec(
        "CPU time of the source to read and answer a post-copy request, beside the "
        "page's own",
        0,
        1e-3,
        1e-5,
    ),
    "request_destination_s": ParameterSpec(
        "CPU time of the destination to see a fault, ask and wake the vCPU, beside the "
        "page's own",
        0,
        1e-3,
        1e-5,
    ),
    "fault_jitter_sd": ParameterSpec(
        "spread of the logarithm of fault latencies of one kind", 0, 3, 0.6
    ),
    "recover_s": ParameterSpec(
        "recovering post-copy until pages flow again, beside the bitmaps", 0, 60, 0.05
    ),
    "ring_entry_s": ParameterSpec(
        "CPU time to reap an entry of a dirty ring", 0, 1e-4, 2e-7
    ),
    "ring_full_s": ParameterSpec(
        "stall of a vCPU whose dirty ring is full, beside the reaping", 0, 1e-1, 5e-5
    ),
    "protect_page_s": ParameterSpec(
        "time to write-protect a dirty page in a sync without manual protection",
        0,
        1e-4,
        1e-7,
    ),
    "rdma_page_source_s": ParameterSpec(
        "CPU time of the migration thread to post a page to RDMA", 1e-9, 1e-4, 5e-7
    ),
    "rdma_page_destination_s": ParameterSpec(
        "CPU time of the destination for a page by RDMA", 1e-9, 1e-4, 5e-8
    ),
    "rdma_pin_page_s": ParameterSpec(
        "setup with rdma-pin-all, a page of RAM on each side", 0, 1e-4, 1e-7
    ),
    "huge_place_page_s": ParameterSpec(
        "CPU time of the destination to place a 4 KiB piece of a huge page",
        1e-9,
        1e-3,
        5e-7,
    ),
}
