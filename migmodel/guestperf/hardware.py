"""What of the hosts each side was given: guestperf's words, and ours.

guestperf hands the bindings to numactl as they are; its own huge_pages does nothing.
"""

from __future__ import annotations

import msgspec

from migmodel.guestperf.report import Hardware
from migmodel.records.hardware import Hardware as Given
from migmodel.records.hardware import Numbers
from migmodel.records.scenario import Guest
from migmodel.units import PAGE_BYTES

_MOST = 1 << 16  # no kernel counts CPUs or memory nodes farther


def given_of(hardware: Hardware) -> Given:
    """Make ours of a report's block.

    A binding that is not by plain numbers (numactl's ``all``, ``+0``, ``netdev:eth0``)
    is left open: which CPUs or nodes it stood for, the report does not say.
    """
    return Given(
        source_cpus=_numbers(hardware.src_cpu_bind),
        destination_cpus=_numbers(hardware.dst_cpu_bind),
        source_memory_nodes=_numbers(hardware.src_mem_bind),
        destination_memory_nodes=_numbers(hardware.dst_mem_bind),
        prealloc=bool(hardware.prealloc_pages),
        locked=bool(hardware.locked_pages),
    )


def with_given(hardware: Hardware, given: Given, guest: Guest) -> Hardware:
    """Put ours into a report's block."""
    return msgspec.structs.replace(
        hardware,
        src_cpu_bind=_words(given.source_cpus),
        dst_cpu_bind=_words(given.destination_cpus),
        src_mem_bind=_words(given.source_memory_nodes),
        dst_mem_bind=_words(given.destination_memory_nodes),
        prealloc_pages=given.prealloc,
        huge_pages=guest.host_page_bytes != PAGE_BYTES,
        locked_pages=given.locked,
    )


def _words(numbers: Numbers | None) -> list[str]:
    return [str(number) for number in numbers or ()]


def _numbers(words: list[str] | None) -> Numbers | None:
    """Read a list like ``0-3``, ``8``; None where it is none of plain numbers."""
    found: list[int] = []
    for word in words or ():
        first, dash, last = word.partition("-")
        ends = [first, last if dash else first]
        if not all(it.isascii() and it.isdecimal() for it in ends):
            return None
        begin, end = map(int, ends)
        if end >= _MOST:
            return None
        found += range(begin, end + 1)
    return tuple(dict.fromkeys(found)) or None
