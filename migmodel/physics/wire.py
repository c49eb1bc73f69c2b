"""Bytes on the wire and the rate limiter's quantum.

Source: QEMU 10.0 migration/ram.c (save_page_header, save_zero_page, ram_save_iterate),
migration/qemu-file.c (MAX_IOV_SIZE, IO_BUF_SIZE), migration/migration-stats.c.
"""

from __future__ import annotations

from migmodel.units import PAGE_BYTES

PAGE_HEADER_BYTES = 8  # page offset and flags, same RAM block as the page before
NORMAL_PAGE_BYTES = PAGE_HEADER_BYTES + PAGE_BYTES
ZERO_PAGE_BYTES = PAGE_HEADER_BYTES + 1
COMPRESSED_HEADER_BYTES = PAGE_HEADER_BYTES + 4  # and the length
BUFFER_BYTES = 32 * 1024  # QEMUFile's own: what is not sent by reference
# Of an Ethernet frame of 1514 bytes TCP carries 1448 (IPv4, with timestamps).
TCP_SHARE = 1448 / 1514
TCP_BUFFER_BYTES = 4 << 20
# A writer that waits for room in a TCP socket is woken when a third of it is free
# (Linux net/core/stream.c, sk_stream_write_space).
SOCKET_REFILL_SHARE = 1 / 3
SEGMENT_BYTES = 65_536.0  # that TCP hands a link at a time (Linux GSO_MAX_SIZE)
ITERATE_BYTES = 18  # section header 5, EOS 8, footer 5 of each iterate call
FLUSH_PAGES = 32  # 64 iovecs, two a page: header and body
FLUSH_ZERO_PAGES = 3640  # 32 KiB of headers
WINDOW_S = 0.1  # BUFFER_DELAY
# The clock is in whole ms and the test is "> 50": an iterate call that is not ended by
# the rate limit runs 51 ms.
ITERATE_S = 0.051
CLOCK_PAGES = 64  # after so many pages each the call looks at the clock
WINDOWS_PER_S = 10  # XFER_LIMIT_RATIO


def window_pages(
    max_bandwidth_bytes_per_s: int,
    page_bytes: float,
    flush_pages: float,
    used_bytes: float = 0.0,
    unflushed_pages: float = 0.0,
    ahead_pages: float = 0.0,
) -> float:
    """Pages that a 100 ms window still sends before the limiter stops it.

    The limiter stops when the bytes counted exceed a tenth of the limit. Counting at
    the flush overshoots by up to one of them (32 normal pages, 131,328 bytes), counting
    each page by one.

    Parameters
    ----------
    max_bandwidth_bytes_per_s : int
        QEMU's max-bandwidth; below 10 it divides to 0, which is no limit.
    page_bytes : int
        Bytes on the wire of a page of the kind at hand.
    flush_pages : int
        Pages of that kind that are counted at a time.
    used_bytes : float
        What the window has sent already [bytes].
    unflushed_pages : float
        Pages of these that wait for the flush and are not counted yet.
    ahead_pages : float
        Pages that other threads have in hand when the limiter stops, and send.

    Returns
    -------
    float
        Pages; ``inf`` without a limit, 0 when the window is over its budget.
    """
    budget = max_bandwidth_bytes_per_s // WINDOWS_PER_S
    if budget == 0:
        return float("inf")
    left = budget - (used_bytes - unflushed_pages * page_bytes)
    if left < 0:
        return 0.0
    flushes = left // (flush_pages * page_bytes) + 1
    return float(flushes * flush_pages - unflushed_pages + ahead_pages)
