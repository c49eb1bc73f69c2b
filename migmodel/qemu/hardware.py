"""Hardware options on this host: refused with the reason, or put into command lines."""

from __future__ import annotations

import json
import os
import resource
from pathlib import Path
from typing import Any

from migmodel.errors import InputError
from migmodel.qemu.accel import Accel
from migmodel.records.hardware import Hardware, Numbers
from migmodel.records.scenario import Guest
from migmodel.units import KIB, PAGE_BYTES, format_bytes

_RAM = "ram"
_NODES = Path("/sys/devices/system/node")
_HUGE_PAGES = Path("/sys/kernel/mm/hugepages")
_STATUS = Path("/proc/self/status")
_CAP_IPC_LOCK = 14  # linux/include/uapi/linux/capability.h


def memory_argv(hardware: Hardware, guest: Guest, side: str) -> list[str]:
    """QEMU's arguments for the guest's RAM.

    Both sides have the same kind of memory object, bound or not: QEMU names the RAM
    that it migrates after it.
    """
    argv = ["-overcommit", "mem-lock=on"] if hardware.locked else []
    huge = guest.host_page_bytes != PAGE_BYTES
    if not (huge or hardware.prealloc or hardware.binds_memory):
        return argv
    memory: dict[str, Any] = {"qom-type": "memory-backend-ram", "id": _RAM}
    memory["size"] = guest.ram_bytes
    if huge:
        memory |= {"qom-type": "memory-backend-memfd", "hugetlb": True}
        memory["hugetlbsize"] = guest.host_page_bytes
    nodes = hardware.memory_nodes(side)
    if nodes is not None:
        memory |= {"host-nodes": list(nodes), "policy": "bind"}
    if hardware.prealloc:
        memory["prealloc"] = True
    return [*argv, "-object", json.dumps(memory), "-machine", f"memory-backend={_RAM}"]


def check_accel(guest: Guest, accel: Accel) -> None:
    """Refuse a dirty ring without KVM.

    Raises
    ------
    InputError
        Says so.
    """
    if guest.dirty_ring_size is not None and accel != "kvm":
        raise InputError(
            f"the dirty ring is KVM's, the accelerator here is {accel}: leave out "
            "--dirty-ring"
        )


def check_here(hardware: Hardware, guest: Guest, sides: tuple[str, ...]) -> None:
    """Refuse what this host cannot give to these sides.

    Raises
    ------
    InputError
        Names what it lacks and what it has.
    """
    usable = os.sched_getaffinity(0)
    for side in sides:
        check_named("CPU", hardware.cpus(side), usable)
        check_named("memory node", hardware.memory_nodes(side), _memory_nodes())
    if hardware.locked:
        _check_locking(guest, len(sides))
    if guest.host_page_bytes != PAGE_BYTES:
        _check_huge_pages(guest, len(sides))


def check_named(what: str, numbers: Numbers | None, there: set[int]) -> None:
    """Refuse numbers of CPUs or memory nodes that are not there.

    Raises
    ------
    InputError
        Names one, and what there is.
    """
    missing = sorted(set(numbers or ()) - there)
    if missing:
        raise InputError(
            f"no {what} {missing[0]} to bind to: there is "
            + ", ".join(map(str, sorted(there)))
        )


def _memory_nodes() -> set[int]:
    try:
        text = (_NODES / "has_memory").read_text(encoding="ascii").strip()
    except OSError:
        return set()
    return parse_numbers(text)


def parse_numbers(text: str) -> set[int]:
    """Read the kernel's lists of numbers: ``0-3,8``.

    Raises
    ------
    ValueError
        When it is none.
    """
    found: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _check_locking(guest: Guest, sides: int) -> None:
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or _may_lock():
        return
    if soft < sides * guest.ram_bytes:
        raise InputError(
            f"--locked-pages: this user may lock {format_bytes(soft)} of memory, the "
            "guests alone have more: run as root, or raise the limit (ulimit -l)"
        )


def _may_lock() -> bool:
    try:
        lines = _STATUS.read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    effective = next((it for it in lines if it.startswith("CapEff:")), "CapEff: 0")
    return bool(int(effective.split()[1], 16) >> _CAP_IPC_LOCK & 1)


def _check_huge_pages(guest: Guest, sides: int) -> None:
    page_bytes = guest.host_page_bytes
    folder = _HUGE_PAGES / f"hugepages-{page_bytes // KIB}kB"
    needed = sides * guest.ram_bytes // page_bytes
    try:
        free = int((folder / "free_hugepages").read_text(encoding="ascii"))
    except OSError:
        raise InputError(
            f"--host-page: this host has no pages of {format_bytes(page_bytes)}"
        ) from None
    # a guest's pages are taken as it touches them: they must be there when it does
    if free < needed:
        raise InputError(
            f"--host-page: {needed} pages of {format_bytes(page_bytes)} are needed, "
            f"{free} are free: as root, write how many there shall be into "
            f"{folder / 'nr_hugepages'}"
        )
