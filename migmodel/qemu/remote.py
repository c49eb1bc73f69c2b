"""Two hosts: the destination on another one, reached over ssh."""

from __future__ import annotations

import contextlib
import shlex
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec

from migmodel.errors import InputError, QemuError
from migmodel.qemu.binary import QemuBinary
from migmodel.qemu.clocks import ROUNDS, Reading, clock_offset, read_clock
from migmodel.qemu.cpu import ProcessCpu
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.hardware import check_named, parse_numbers
from migmodel.qemu.host import QEMU_OVERHEAD_BYTES
from migmodel.qemu.instance import Handlers, Instance
from migmodel.qemu.options import DriverOptions
from migmodel.qemu.process import QemuProcess
from migmodel.qemu.remote_process import SOCKETS, RemoteProcess
from migmodel.qemu.ssh import RemoteShell, migration_address
from migmodel.qemu.streams import listening_port, tcp_uri
from migmodel.qemu.target import RemoteTarget
from migmodel.records.clock import ClockOffset
from migmodel.records.link_facts import LinkFacts
from migmodel.records.measurement import HostFacts
from migmodel.records.scenario import Guest
from migmodel.units import KIB, NS_PER_S, PAGE_BYTES, format_bytes

_VERSION = "QEMU emulator version "
_IMAGE, _KERNEL = "image", "kernel"
_FACTS = r"""
for q in {candidates}; do command -v "$q" && break; done || echo
"$(for q in {candidates}; do command -v "$q" && break; done)" --version 2>&1 | head -n 1
uname -r
grep -m 1 "^model name" /proc/cpuinfo || echo
grep -c ^processor /proc/cpuinfo
grep MemTotal /proc/meminfo
grep MemAvailable /proc/meminfo
cat /sys/devices/system/cpu/online
cat /sys/devices/system/node/has_memory || echo 0
cat /sys/kernel/mm/hugepages/hugepages-{huge_kib}kB/free_hugepages || echo none
"""


class RemoteFacts(msgspec.Struct, frozen=True):
    """What the other host says of itself."""

    qemu: str
    version: str
    kernel: str
    cpu_model: str
    cpus: int
    memory_bytes: int
    available_bytes: int
    online: set[int]
    nodes: set[int]
    free_huge_pages: int | None


class TwoHosts:
    """The source here, the destination there; a context manager.

    Attributes
    ----------
    clock : ClockOffset or None
        Its clock against ours; known in the end.
    """

    def __init__(
        self,
        guest: Guest,
        qemu: QemuBinary,
        target: RemoteTarget,
        folder: Path,
        options: DriverOptions,
    ) -> None:
        self.link_facts: LinkFacts | None = None
        self.clock: ClockOffset | None = None
        self.facts: RemoteFacts | None = None
        self._guest = guest
        self._qemu = qemu
        self._target = target
        self._folder = folder
        self._options = options
        self._sockets = {name: folder / name for name in SOCKETS}
        self._open = ExitStack()

    def __enter__(self) -> TwoHosts:
        """Connect, look at the host, copy the guest, read the clock."""
        with self._open as opening:
            self._address = migration_address(self._target)
            self._shell = opening.enter_context(
                RemoteShell(self._target, self._sockets)
            )
            facts = self.facts = self._ask_facts()
            self._check(facts)
            image = self._options.image
            self._shell.upload(image.image, _IMAGE)
            if image.kernel is not None:
                self._shell.upload(image.kernel, _KERNEL)
            self._before = read_clock(self._ask_clock)
            rtt_s = read_clock(self._ask_nothing).round_trip_s
            self.link_facts = LinkFacts(made_of="hosts", rtt_s=rtt_s)
            self._open = opening.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Read the clock again, if all went well, and leave the host as it was."""
        with self._open, contextlib.suppress(QemuError):
            if kind is None and self._shell.lost is None:
                after = read_clock(self._ask_clock)
                self.clock = clock_offset(self._before, after, 2 * ROUNDS)

    @property
    def latency_s(self) -> float:
        """How late what is said there comes here, at the least [s]."""
        return 0.0 if self.link_facts is None else self.link_facts.rtt_s / 2

    def destination_host(self, here: HostFacts) -> HostFacts:
        """Facts of the destination's host."""
        assert self.facts is not None
        facts = self.facts
        return HostFacts(
            cpu_model=facts.cpu_model,
            cpus=facts.cpus,
            memory_bytes=facts.memory_bytes,
            kernel=facts.kernel,
            qemu_version=facts.version,
            accel=here.accel,
        )

    def start(self, side: str, argv: list[str], handlers: Handlers) -> Instance:
        """Start one QEMU."""
        options = self._options
        if side == "source":
            process = QemuProcess(
                side, argv, self._folder, options.nice, options.hardware.cpus(side)
            )
            return Instance(side, process, handlers, options.reply_timeout_s)
        assert self.facts is not None
        prefix = ["nice", "-n", str(options.nice)] if options.nice else []
        cpus = options.hardware.cpus(side)
        if cpus is not None:
            prefix += ["taskset", "-c", ",".join(map(str, cpus))]
        there = RemoteProcess(
            side,
            remote_argv(argv, self.facts.qemu, options.image, self._shell.folder),
            self._shell,
            self._sockets,
            prefix,
        )
        delayed = Handlers(
            lambda at_s, event: handlers.event(at_s - self.latency_s, event),
            lambda at_s, text: handlers.line(at_s - self.latency_s, text),
        )
        return Instance(side, there, delayed, options.reply_timeout_s)

    async def listen(self, destination: Instance, *, again: bool = False) -> str:
        """Open the destination for the stream; answers the source's URI."""
        try:
            port = await listening_port(destination, self._address, again=again)
        except QemuError as error:
            raise QemuError(
                f"{self._target.host} cannot listen on {self._address}; name an "
                f"address of its own with --dst-address: {error}"
            ) from None
        return tcp_uri(self._address, port)

    def helpers(self) -> dict[str, ProcessCpu]:
        """CPU clocks of other processes that take part: none."""
        return {}

    def _ask_clock(self) -> Reading:
        return self._reading(b"clock\n")

    def _ask_nothing(self) -> Reading:
        return self._reading(b"echo\n")

    def _reading(self, request: bytes) -> Reading:
        sent_s = time.monotonic()
        answered_s, lines = self._shell.ask(request)
        there_s = 0.0
        if lines:
            if not lines[0].isdigit():
                raise QemuError(
                    f"{self._target.host} has no date that knows nanoseconds (%N)"
                )
            there_s = int(lines[0]) / NS_PER_S
        return Reading(sent_s, there_s, answered_s)

    def _ask_facts(self) -> RemoteFacts:
        named = self._target.qemu
        candidates = shlex.quote(named) if named else self._usual_qemu()
        huge_kib = self._guest.host_page_bytes // KIB
        script = _FACTS.format(candidates=candidates, huge_kib=huge_kib)
        lines = self._shell.run(script)
        try:
            qemu, version, kernel, model, cpus, total, free, online, nodes, huge = lines
            return RemoteFacts(
                qemu=qemu,
                version=version.partition(_VERSION)[2] or version,
                kernel=kernel,
                cpu_model=model.partition(":")[2].strip() or "unknown",
                cpus=int(cpus),
                memory_bytes=int(total.split()[1]) * KIB,
                available_bytes=int(free.split()[1]) * KIB,
                online=parse_numbers(online),
                nodes=parse_numbers(nodes),
                free_huge_pages=int(huge) if huge.isdigit() else None,
            )
        except (ValueError, IndexError):
            raise InputError(
                f"--dst-host {self._target.host} does not look like a Linux host: it "
                f"says {lines}"
            ) from None

    def _usual_qemu(self) -> str:
        major = self._qemu.version[0]
        cached = f'"$HOME/.cache/migmodel/qemu/{major}/qemu-system-x86_64"'
        return f"{cached} qemu-system-x86_64"

    def _check(self, facts: RemoteFacts) -> None:
        host, guest, release = self._target.host, self._guest, self._qemu.release
        if not facts.qemu:
            raise InputError(
                f"no QEMU on {host}: name one with --dst-qemu, or put "
                "qemu-system-x86_64 on its PATH"
            )
        if not facts.version.startswith(f"{release}."):
            raise InputError(
                f"QEMU here is {release}, on {host} it is '{facts.version}': name one "
                "like ours with --dst-qemu"
            )
        needed = guest.ram_bytes + QEMU_OVERHEAD_BYTES
        if needed > facts.available_bytes:
            raise InputError(
                f"a guest of {format_bytes(guest.ram_bytes)} needs "
                f"{format_bytes(needed)} of memory on {host}, but only "
                f"{format_bytes(facts.available_bytes)} are free"
            )
        hardware = self._options.hardware
        check_named(f"CPU on {host}", hardware.destination_cpus, facts.online)
        check_named(
            f"memory node on {host}", hardware.destination_memory_nodes, facts.nodes
        )
        if guest.host_page_bytes != PAGE_BYTES:
            pages = guest.ram_bytes // guest.host_page_bytes
            if (facts.free_huge_pages or 0) < pages:
                raise InputError(
                    f"--host-page: {pages} pages of "
                    f"{format_bytes(guest.host_page_bytes)} are needed on {host}, "
                    f"{facts.free_huge_pages or 0} are free"
                )


def remote_argv(
    argv: list[str], qemu: str, image: GuestImage, folder: str
) -> list[str]:
    """Our command line with the files of the other host."""
    names = {str(image.image.absolute()): f"{folder}/{_IMAGE}"}
    if image.kernel is not None:
        names[str(image.kernel.absolute())] = f"{folder}/{_KERNEL}"
    return [qemu, *(names.get(word, word) for word in argv[1:])]
