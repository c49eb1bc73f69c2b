"""What is migrated, over what, and how: the input of both executors."""

from __future__ import annotations

from typing import Literal

from migmodel.records.base import Record
from migmodel.records.capabilities import check_capabilities, idle_settings
from migmodel.records.checks import (
    require,
    require_not_negative,
    require_positive,
)
from migmodel.records.parameters import (
    DEFAULT_QEMU,
    SUPPORTED_QEMU,
    Version,
    check_parameters,
    parse_version,
)
from migmodel.records.policy import Policy
from migmodel.units import GIB, MIB, PAGE_BYTES, TIB, format_bytes

SCENARIO_SCHEMA = 1

GuestKind = Literal["bare", "linux"]
Touch = Literal["sweep", "study", "page", "read"]
Pattern = Literal["sweep", "random"]
Content = Literal["random", "text", "zero", "delta"]
Transport = Literal["unix", "tcp", "rdma"]
Scope = Literal["same-host", "two-hosts"]
MAX_VCPUS = 1024
MAX_RAM_BYTES = 256 * TIB
HOST_PAGES = (PAGE_BYTES, 2 * MIB, GIB)
LINE_BYTES = 64  # of text content; its repeated part is whole words of 8 bytes
WORD_BYTES = 8
_RING_ENTRIES = (1024, 65536)  # KVM's, of 16 bytes in at most 1 MiB
_RING_SINCE: Version = (6, 1)
# The bare guest's code, stacks and page tables, and the firmware's copy.
BARE_OWN_PAGES = 51.0
# A Linux guest's own pages that are not zero: the kernel, its tables and caches, and 64
# bytes of struct page for each page of RAM (include/linux/mm_types.h). Seen with the
# Linux stress guest, Debian's 6.1, doing nothing: 14,230 normal pages in the first pass
# with 512 MiB, 16,430 with 1 GiB, firmware's and the like included. The structs were
# the last pages of RAM, as memory that is given out at boot is taken from the top.
LINUX_OWN_PAGES = 12_060.0
LINUX_STRUCT_BYTES = 64
# How a migration ended whose outage nobody recovers, predicted and measured alike.
UNRECOVERED = (
    "the connection broke in post-copy: the guest stands still until somebody recovers "
    "it"
)


class Guest(Record, frozen=True, kw_only=True):
    """The virtual machine.

    Parameters
    ----------
    ram_bytes : int
        Guest RAM [bytes], a multiple of 1 MiB, as QEMU's ``-m``.
    vcpus : int
        Number of virtual CPUs.
    kind : {'bare', 'linux'}
        Which stress guest runs in it, or which one it resembles: `bare` leaves all
        RAM but its working set zero, `linux` brings a kernel's own pages.
    host_page_bytes : int
        Pages that back the RAM on both hosts: 4 KiB, 2 MiB or 1 GiB. Transparent huge
        pages count as 4 KiB.
    dirty_ring_size : int or None
        Entries of KVM's dirty ring a vCPU (``-accel kvm,dirty-ring-size=``); None: KVM
        or TCG logs in a bitmap.
    """

    ram_bytes: int
    vcpus: int = 1
    kind: GuestKind = "bare"
    host_page_bytes: int = PAGE_BYTES
    dirty_ring_size: int | None = None

    def __post_init__(self) -> None:
        require_positive("guest RAM", self.ram_bytes)
        require(
            self.ram_bytes <= MAX_RAM_BYTES,
            f"guest RAM must be at most {MAX_RAM_BYTES // TIB} TiB, not "
            f"{self.ram_bytes / TIB:.3g} TiB",
        )
        require(
            self.ram_bytes % MIB == 0,
            f"guest RAM must be a multiple of 1 MiB, not {self.ram_bytes} bytes",
        )
        require(
            1 <= self.vcpus <= MAX_VCPUS,
            f"vCPUs must be between 1 and {MAX_VCPUS}, not {self.vcpus}",
        )
        require(
            self.host_page_bytes in HOST_PAGES,
            f"host pages have 4 KiB, 2 MiB or 1 GiB, not {self.host_page_bytes} bytes",
        )
        require(
            self.ram_bytes % self.host_page_bytes == 0,
            f"guest RAM must be whole host pages of {self.host_page_bytes} bytes",
        )
        ring = self.dirty_ring_size
        least, most = _RING_ENTRIES
        require(
            ring is None or (least <= ring <= most and not ring & (ring - 1)),
            f"the dirty ring has a power of two of entries, {least} to {most}, "
            f"not {ring}",
        )

    @property
    def own_pages(self) -> float:
        """Pages of its own with data in them, but for `struct_pages`."""
        return LINUX_OWN_PAGES if self.kind == "linux" else BARE_OWN_PAGES

    @property
    def struct_pages(self) -> float:
        """Pages at the end of RAM in which its kernel keeps account of all others."""
        if self.kind == "bare":
            return 0.0
        return self.ram_bytes / PAGE_BYTES * LINUX_STRUCT_BYTES / PAGE_BYTES


class Workload(Record, frozen=True, kw_only=True):
    """What the guest writes: one thread a vCPU goes over its share, for ever.

    Parameters
    ----------
    working_set_bytes : int
        Memory rewritten by all threads together [bytes]; 0 is an idle guest.
    rate_pps : float or None
        Pages written per second by all threads together; None is full speed.
    still_bytes : int
        Memory beside the working set that holds data too, and is never written [bytes].
        What a Linux guest has of its own comes on top.
    touch : {'sweep', 'study', 'page', 'read'}
        `sweep` rewrites every byte with a new key each time, `study` XORs with one
        fixed array (contents alternate between two), `page` writes one word a page,
        `read` writes nothing.
    pattern : {'sweep', 'random'}
        Which page of its share a thread touches next: the next in order of address, or
        any, all equally likely.
    phase : float or None
        Where in its share each thread is when the migration begins, 0 to below 1; None:
        unknown, and it is drawn. It matters where a sweep takes longer than a pass.
    content : {'random', 'text', 'zero', 'delta'}
        What a page holds, before and after each touch. `random`: no two bytes are
        related. `text`: in each line of 64 bytes the first ``64 * compressibility``
        bytes are the same in all lines of all pages swept equally often (a touch
        changes them all alike), the rest is random. `zero`: all bytes are zero, also
        after a touch, which writes zeros. `delta`: random, and a touch changes only the
        first `delta_bytes` bytes, every one of them.
    compressibility : float or None
        Of `text`: the repeated share of each line, a multiple of 1/8 below 1.
    delta_bytes : int or None
        Of `delta`: bytes that a touch changes, a multiple of 8 up to 4096.
    """

    working_set_bytes: int
    rate_pps: float | None = None
    still_bytes: int = 0
    touch: Touch = "sweep"
    pattern: Pattern = "sweep"
    phase: float | None = None
    content: Content = "random"
    compressibility: float | None = None
    delta_bytes: int | None = None

    def __post_init__(self) -> None:
        self._check_content()
        require(
            self.phase is None or 0 <= self.phase < 1,
            f"the phase is a fraction of a sweep, 0 to below 1, not {self.phase}",
        )
        require(
            self.phase is None or self.rate_pps is not None,
            "a phase needs a paced guest: give a rate",
        )
        require(
            self.pattern == "sweep" or self.phase is None,
            "a phase is a place in a sweep: not with pattern random",
        )
        require(
            self.pattern == "sweep" or self.touch != "study",
            "the study's guest sweeps: choose another touch for pattern random",
        )
        require_not_negative("working set", self.working_set_bytes)
        require_not_negative("memory left still", self.still_bytes)
        require_positive("write rate", self.rate_pps, " pages/s")

    def _check_content(self) -> None:
        for name, value, owner in (
            ("compressibility", self.compressibility, "text"),
            ("delta bytes", self.delta_bytes, "delta"),
        ):
            if self.content == owner:
                require(value is not None, f"content {owner} needs its {name}")
            else:
                require(value is None, f"{name} belong to content {owner} alone")
        share, delta = self.compressibility, self.delta_bytes
        words = LINE_BYTES // WORD_BYTES
        require(
            share is None or (0 <= share < 1 and (share * words).is_integer()),
            f"the compressibility is a multiple of 1/{words} from 0 to below 1, not "
            f"{share}",
        )
        require(
            delta is None or (0 < delta <= PAGE_BYTES and delta % WORD_BYTES == 0),
            f"delta bytes are a multiple of {WORD_BYTES} from {WORD_BYTES} to "
            f"{PAGE_BYTES}, not {delta}",
        )
        require(
            self.content in ("random", "text") or self.touch != "page",
            f"touch page writes a random word: not with content {self.content}",
        )

    @property
    def pages(self) -> int:
        """Pages in the working set."""
        return self.working_set_bytes // PAGE_BYTES

    @property
    def still_pages(self) -> int:
        """Pages with data that are never written."""
        return self.still_bytes // PAGE_BYTES


class Outage(Record, frozen=True, kw_only=True):
    """The connection breaks for good; post-copy can be recovered over a new one.

    Parameters
    ----------
    at_s : float
        When it breaks [s], counted as `since` says.
    since : {'migrate', 'postcopy'}
        From the migrate command, or from the guest's start on the destination (then it
        never breaks if post-copy does not begin).
    recovered_after_s : float or None
        Time from the break until somebody recovers a paused post-copy migration [s];
        None: nobody does.
    """

    at_s: float
    since: Literal["migrate", "postcopy"] = "postcopy"
    recovered_after_s: float | None = None

    def __post_init__(self) -> None:
        require_not_negative("time of the outage", self.at_s)
        require_not_negative("time until recovery", self.recovered_after_s)


class Link(Record, frozen=True, kw_only=True):
    """The connection between source and destination.

    Parameters
    ----------
    transport : {'unix', 'tcp', 'rdma'}
        Socket kind, or RDMA.
    bandwidth_bytes_per_s : float or None
        What the link itself carries [bytes/s]; None: as much as the two hosts can
        push through it. Not QEMU's max-bandwidth, which is a policy parameter.
    rtt_s : float
        Round-trip time [s] added by the link.
    socket_buffer_bytes : int or None
        What the sockets hold of one connection [bytes]; None: as the host profile has
        it.
    scope : {'same-host', 'two-hosts'} or None
        Whether both sides share one host's CPUs; None: as the host profile has it.
    outage : Outage or None
        When it breaks; None: never.
    """

    transport: Transport = "unix"
    bandwidth_bytes_per_s: float | None = None
    rtt_s: float = 0.0
    socket_buffer_bytes: int | None = None
    scope: Scope | None = None
    outage: Outage | None = None

    def __post_init__(self) -> None:
        require_positive("link bandwidth", self.bandwidth_bytes_per_s, " bytes/s")
        require_not_negative("round-trip time", self.rtt_s)
        require_positive("socket buffer", self.socket_buffer_bytes, " bytes")
        require(
            self.transport != "unix" or self.scope != "two-hosts",
            "a unix socket ends on its host: use tcp or rdma between two hosts",
        )


class Limits(Record, frozen=True, kw_only=True):
    """When whoever runs the migration gives up and cancels it.

    Parameters
    ----------
    max_time_s : float or None
        Longest time [s].
    max_iters : int or None
        Most passes (dirty-sync-count).
    """

    max_time_s: float | None = None
    max_iters: int | None = None

    def __post_init__(self) -> None:
        require_positive("--max-time", self.max_time_s, " seconds")
        require_positive("--max-iters", self.max_iters)


class Scenario(Record, frozen=True, kw_only=True):
    """One migration, described; given to the simulator or to real QEMU.

    Raises
    ------
    InputError
        When the parts contradict each other.
    """

    guest: Guest
    workload: Workload
    link: Link = Link()
    policy: Policy = Policy()
    limits: Limits = Limits()
    qemu_version: str = DEFAULT_QEMU
    name: str = ""
    schema: int = SCENARIO_SCHEMA

    @property
    def version(self) -> tuple[int, int]:
        """QEMU's version as a pair that compares."""
        return parse_version(self.qemu_version)

    def __post_init__(self) -> None:
        require(
            self.schema == SCENARIO_SCHEMA,
            f"scenario has schema {self.schema}, this program reads {SCENARIO_SCHEMA}",
        )
        require(
            self.workload.working_set_bytes <= self.guest.ram_bytes,
            f"the working set ({_size(self.workload.working_set_bytes)}) is larger "
            f"than the guest's RAM ({_size(self.guest.ram_bytes)})",
        )
        require(
            self.workload.still_bytes
            <= self.guest.ram_bytes - self.workload.working_set_bytes,
            f"the working set ({_size(self.workload.working_set_bytes)}) and the "
            f"memory left still ({_size(self.workload.still_bytes)}) are larger than "
            f"the guest's RAM ({_size(self.guest.ram_bytes)})",
        )
        version = ".".join(map(str, self.version))
        require(
            version in SUPPORTED_QEMU,
            f"QEMU {self.qemu_version} is not modelled; supported are "
            + ", ".join(SUPPORTED_QEMU),
        )
        check_parameters(self.policy.all_parameters, self.version)
        ring = self.guest.dirty_ring_size is not None
        require(
            not ring or self.version >= _RING_SINCE,
            f"QEMU {version} has no dirty ring: it needs 6.1 or newer",
        )
        check_capabilities(
            self.policy.all_capabilities,
            self.policy.all_parameters,
            self.version,
            self.link.transport,
            ring,
        )

    @property
    def idle_settings(self) -> list[str]:
        """What QEMU accepts although it changes nothing, a line each."""
        return idle_settings(
            self.policy.all_capabilities,
            self.policy.all_parameters,
            self.version,
            self.link.transport,
        )


def _size(size_bytes: int) -> str:
    """A size for people, and to the byte, as two may differ by a page."""
    return f"{format_bytes(size_bytes)}, {size_bytes} bytes"
