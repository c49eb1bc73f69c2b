"""XBZRLE: what encoding the change of a page gives.

Source: QEMU 10.0 migration/xbzrle.c (xbzrle_encode_buffer) and migration/ram.c
(save_xbzrle_page): runs of equal and of changed bytes in turn, each with its length in
ULEB128; the equal run at the end is left out. More than a page is an overflow, and the
page is sent as it is.
"""

from __future__ import annotations

from migmodel.physics.wire import PAGE_HEADER_BYTES
from migmodel.units import PAGE_BYTES

FRAME_BYTES = PAGE_HEADER_BYTES + 1 + 2  # header, encoding flag, length
COUNTED_FRAME_BYTES = 3  # xbzrle-cache's bytes leave the header out
GENERATIONS = 2  # a slot's page is fresh for so many bitmap syncs
_ULEB_LIMIT = 128  # below it a length takes one byte
# Two keys' bytes are equal by chance: each such byte ends a run and begins a new one.
_EQUAL_BYTE = 1 / 256


def uleb_bytes(length: int) -> int:
    """Bytes of a run's length."""
    return 1 if length < _ULEB_LIMIT else 2


def run_bytes(start: int, length: int) -> int:
    """Encoded length of a page of which one run of bytes has changed [bytes].

    Parameters
    ----------
    start : int
        Bytes before the run.
    length : int
        Bytes of it, all of them changed.
    """
    return uleb_bytes(start) + uleb_bytes(length) + length


def overflows(changed_bytes: int) -> bool:
    """Whether so many changed bytes, at a page's begin, encode to more than a page.

    A page that is rewritten with random bytes keeps one in 256 by chance: each saves
    itself and costs two lengths.
    """
    splits = changed_bytes * _EQUAL_BYTE
    return run_bytes(0, changed_bytes) + splits > PAGE_BYTES
