"""What is known of the host: facts, free memory, load, the speed of its clock."""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path

from migmodel import __version__
from migmodel.errors import InputError
from migmodel.qemu.accel import Accel, has_hardware_virtualization
from migmodel.qemu.binary import QemuBinary
from migmodel.records.measurement import HostFacts
from migmodel.units import KIB, MIB, NS_PER_S, format_bytes

# What one QEMU needs beside its guest's RAM, firmware and TCG's code buffer included;
# 10.0 under TCG with 512 MiB of guest shows 60-120 MiB.
QEMU_OVERHEAD_BYTES = 160 * MIB
_LOAD_WINDOW_S = 0.25
_TSC_WINDOW_S = 0.05
_TSC_TRIES = 20
_MHZ = 1e6
# rdtsc; shl rdx, 32; or rax, rdx; ret
_READ_TSC = bytes.fromhex("0f31 48c1e220 4809d0 c3")


def host_facts(qemu: QemuBinary, accel: Accel) -> HostFacts:
    """Facts of this host, its load over the next quarter of a second included."""
    return HostFacts(
        cpu_model=_cpuinfo("model name") or platform.processor() or "unknown",
        cpus=usable_cpus(),
        memory_bytes=_meminfo("MemTotal"),
        kernel=platform.release(),
        qemu_version=qemu.version_text,
        accel=accel,
        load_before=busy_share(),
        migmodel_version=__version__,
        hardware_virtualization=has_hardware_virtualization(),
    )


def may_be_virtual() -> bool:
    """Whether this host may be a virtual machine itself; True when it does not say."""
    flags = _cpuinfo("flags")  # x86 alone has them
    return flags is None or "hypervisor" in flags.split()


def usable_cpus() -> int:
    """CPUs that this process may run on."""
    return len(os.sched_getaffinity(0))


def busy_share(window_s: float = _LOAD_WINDOW_S) -> float:
    """Busy share of all CPUs over a short window from now, 0 to 1."""
    busy_before, all_before = _cpu_ticks()
    time.sleep(window_s)
    busy_after, all_after = _cpu_ticks()
    return (busy_after - busy_before) / max(all_after - all_before, 1)


def check_memory(ram_bytes: int, sides: int = 2) -> None:
    """Refuse a guest that does not fit into memory as often as it runs here.

    Raises
    ------
    InputError
        States what is needed and what is free.
    """
    needed = sides * (ram_bytes + QEMU_OVERHEAD_BYTES)
    available = available_memory_bytes()
    if needed > available:
        why = ", as source and destination run on this host" if sides > 1 else ""
        raise InputError(
            f"a guest of {format_bytes(ram_bytes)} needs {format_bytes(needed)} of "
            f"memory here{why}, but only "
            f"{format_bytes(available)} are free: choose a smaller --mem"
        )


def available_memory_bytes() -> int:
    """Memory that can be had without swapping, within this process's cgroup."""
    available = _meminfo("MemAvailable")
    for folder in _cgroup_folders():
        try:
            limit = (folder / "memory.max").read_text(encoding="ascii").strip()
            used = int((folder / "memory.current").read_text(encoding="ascii"))
            cache = _inactive_file(folder)
        except (OSError, ValueError):
            continue
        if limit.isdigit():
            available = min(available, max(int(limit) - used + cache, 0))
    return available


def tsc_mhz() -> float | None:
    """Rate of this CPU's time-stamp counter [MHz]; None where it cannot be read.

    The stress guest paces itself by it. /proc/cpuinfo states the clock of the moment
    instead, so it is measured against the monotonic clock.
    """
    read = _tsc_reader()
    if read is None:
        return None
    first_ticks, first_ns = _tsc_and_clock(read)
    time.sleep(_TSC_WINDOW_S)
    last_ticks, last_ns = _tsc_and_clock(read)
    return (last_ticks - first_ticks) / ((last_ns - first_ns) / NS_PER_S) / _MHZ


def _tsc_and_clock(read: Callable[[], int]) -> tuple[int, float]:
    """Both clocks at one moment: the tightest of some tries, as we may be preempted."""
    tries = []
    for _ in range(_TSC_TRIES):
        before_ns = time.monotonic_ns()
        ticks = read()
        after_ns = time.monotonic_ns()
        tries.append((after_ns - before_ns, ticks, (before_ns + after_ns) / 2))
    _, ticks, at_ns = min(tries)
    return ticks, at_ns


def _tsc_reader() -> Callable[[], int] | None:
    if platform.machine() != "x86_64":
        return None
    protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=protection)
    except OSError:  # a host that forbids executable memory
        return None
    page.write(_READ_TSC)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    function = ctypes.CFUNCTYPE(ctypes.c_uint64)(address)

    def read(_page: mmap.mmap = page) -> int:  # keeps the page alive
        return int(function())

    return read


def _cpu_ticks() -> tuple[int, int]:
    with Path("/proc/stat").open(encoding="ascii") as stream:
        fields = [int(word) for word in stream.readline().split()[1:9]]
    idle = fields[3] + fields[4]  # idle and iowait
    return sum(fields) - idle, sum(fields)


def busy_cpu_s() -> float:
    """CPU seconds that this host has been busy since it was started."""
    return _cpu_ticks()[0] / os.sysconf("SC_CLK_TCK")


def _cpuinfo(field: str) -> str | None:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return None
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == field:
            return value.strip()
    return None


def _meminfo(field: str) -> int:
    text = Path("/proc/meminfo").read_text(encoding="ascii")
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name == field:
            return int(value.split()[0]) * KIB
    raise InputError(f"/proc/meminfo does not state {field}")


def _cgroup_folders() -> list[Path]:
    """Folders of this process's cgroup (version 2) and of those above it."""
    try:
        lines = Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    own = next((line[3:] for line in lines if line.startswith("0::")), None)
    if own is None:
        return []
    root = Path("/sys/fs/cgroup")
    here = root / own.lstrip("/")
    return [here, *(above for above in here.parents if above.is_relative_to(root))]


def _inactive_file(folder: Path) -> int:
    for line in (folder / "memory.stat").read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file":
            return int(value)
    return 0
