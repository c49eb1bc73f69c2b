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
