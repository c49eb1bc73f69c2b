"""multifd's packets: pages in them, bytes of them, and which of these are counted.

Source: QEMU 10.0 migration/multifd.h (MultiFDPacket_t, MULTIFD_PACKET_SIZE),
migration/multifd.c (multifd_send_thread), migration/multifd-zero-page.c.
"""

from __future__ import annotations

from migmodel.physics.versions import MultifdCount
from migmodel.units import PAGE_BYTES

PACKET_PAGES = 128  # 512 KiB of 4 KiB pages
PACKET_HEADER_BYTES = 320 + 8 * PACKET_PAGES  # the same for a packet of one page
HEADER_A_PAGE_BYTES = PACKET_HEADER_BYTES / PACKET_PAGES


def counted_page_bytes(data_bytes: float, counts: MultifdCount) -> float:
    """Bytes a page of a full packet that limiter, threshold and throttle see.

    Parameters
    ----------
    data_bytes : float
        What the page takes on the wire beside its share of the header; 0 for a zero
        page.
    counts : {'queued', 'data', 'wire'}
        As the version has it (`Behaviour.multifd_counts`).
    """
    if counts == "queued":
        return PAGE_BYTES + HEADER_A_PAGE_BYTES
    if counts == "data":
        return data_bytes
    return data_bytes + HEADER_A_PAGE_BYTES


def packet_share(page_bytes: float) -> float:
    """Bytes on the wire of a page, header included, as a share of a whole page's."""
    return page_bytes / (PAGE_BYTES + HEADER_A_PAGE_BYTES)


def packets_ahead(channels: int, packets_per_s: float, ready_s: float) -> float:
    """Packets handed over beyond those that the limiter counts, in the mean.

    Packets count when they are written (8.1 and later). Each other channel has one in
    hand when the packet too many is counted. The one that has become free gets the
    next, which the migration thread has waited with; unless another has become free so
    shortly before that it is still filling it: it sees the limit then at the next page,
    and keeps what it has.

    Parameters
    ----------
    channels : int
        multifd-channels.
    packets_per_s : float
        Of all channels together while they send.
    ready_s : float
        From a channel's becoming free until the next packet is full [s].
    """
    others_per_s = packets_per_s * (channels - 1) / channels
    return channels - min(others_per_s * ready_s, 1.0)
