"""Where both sides run on this host, and what the stream goes over."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from migmodel.errors import InputError
from migmodel.qemu import relay, shaping
from migmodel.qemu.binary import QemuBinary
from migmodel.qemu.cpu import ProcessCpu
from migmodel.qemu.instance import Handlers, Instance
from migmodel.qemu.namespaces import Namespace, check_namespaces
from migmodel.qemu.options import DriverOptions
from migmodel.qemu.probing import MOST_STREAM_BYTES, STREAM_S, probe
from migmodel.qemu.process import QemuProcess, tie_to_parent
from migmodel.qemu.remote import TwoHosts
from migmodel.qemu.streams import listening_port, open_stream, tcp_uri
from migmodel.records.clock import ClockOffset
from migmodel.records.link_facts import LinkFacts
from migmodel.records.measurement import HostFacts
from migmodel.records.scenario import Link, Scenario
from migmodel.units import format_bandwidth, format_duration

SOCKET_NAME = "migration.sock"  # in the run's private folder, where QEMU runs
RECOVERY_SOCKET_NAME = "recovery.sock"
LOOPBACK = "127.0.0.1"
# Small, so that a relay holds what is on the way and little beside it.
_RELAY_RECEIVE_BYTES = 64 * 1024
# More than this off, and the link is not the one that the scenario describes.
_THROUGHPUT_TOLERANCE = 0.1
_RTT_TOLERANCE_S = 0.001


class Testbed(Protocol):
    """Where source and destination run, and what joins them.

    Attributes
    ----------
    link_facts : LinkFacts or None
        What the link was found to be; None when it is but a socket.
    clock : ClockOffset or None
        The destination host's clock against ours, in the end; None when it is ours.
    """

    link_facts: LinkFacts | None
    clock: ClockOffset | None

    def start(self, side: str, argv: list[str], handlers: Handlers) -> Instance:
        """Start one QEMU."""

    async def listen(self, destination: Instance, *, again: bool = False) -> str:
        """Open the destination for the stream; answers the source's URI.

        `again`: for the recovery of a paused post-copy migration.
        """

    def helpers(self) -> dict[str, ProcessCpu]:
        """CPU clocks of other processes that take part, by name."""

    def destination_host(self, here: HostFacts) -> HostFacts | None:
        """Facts of the destination's host; None when it is this one."""


class SameHost:
    """Both on this host, joined by a UNIX socket or by TCP over the loopback."""

    link_facts: LinkFacts | None = None
    clock: ClockOffset | None = None

    def __init__(self, link: Link, folder: Path, options: DriverOptions) -> None:
        self._link = link
        self._folder = folder
        self._options = options

    def start(self, side: str, argv: list[str], handlers: Handlers) -> Instance:
        """Start one QEMU."""
        options = self._options
        process = QemuProcess(
            side,
            argv,
            self._folder,
            options.nice,
            options.hardware.cpus(side),
            self._namespace(side),
        )
        return Instance(side, process, handlers, options.reply_timeout_s)

    async def listen(self, destination: Instance, *, again: bool = False) -> str:
        """Open the destination for the stream; answers the source's URI."""
        if self._link.transport == "unix":
            uri = f"unix:{RECOVERY_SOCKET_NAME if again else SOCKET_NAME}"
            await open_stream(destination, uri, again=again)
            return uri
        port = await listening_port(destination, LOOPBACK, again=again)
        return tcp_uri(LOOPBACK, port)

    def helpers(self) -> dict[str, ProcessCpu]:
        """CPU clocks of other processes that take part: none."""
        return {}

    def destination_host(self, here: HostFacts) -> HostFacts | None:  # noqa: ARG002
        """Facts of the destination's host: it is this one."""
        return None

    def _namespace(self, side: str) -> int | None:  # noqa: ARG002
        return None


class ShapedLink(SameHost):
    """Both on this host, each in a network namespace, a shaped link between them.

    A context manager: everything ends with it, and with this process in any case.
    """

    def __init__(self, link: Link, folder: Path, options: DriverOptions) -> None:
        super().__init__(link, folder, options)
        self._namespaces: dict[str, Namespace] = {}
        self._relay: subprocess.Popen[bytes] | None = None
        self._relays = False
        self._relay_rtt_s = link.rtt_s
        self._open = ExitStack()

    def __enter__(self) -> ShapedLink:
        """Make the link and find out what it does."""
        with self._open as opening:
            for side in ("source", "destination"):
                self._namespaces[side] = Namespace()
                opening.callback(self._namespaces[side].close)
            source, destination = self._namespaces.values()
            link = self._link
            shaping.join(source, destination)
            undelayed_s = self._probe(0)[0] if link.rtt_s else None
            delayed = shaping.shape(
                (source, destination), link.bandwidth_bytes_per_s, link.rtt_s
            )
            self._relays = bool(link.rtt_s) and not delayed
            if self._relays:
                # What relaying costs in time is part of the round trip, not on top.
                added_s = self._probe(0)[0] - link.rtt_s
                self._relay_rtt_s = max(link.rtt_s - max(added_s, 0.0), 0.0)
            rtt_s, throughput = self._probe(self._stream_bytes())
            self.link_facts = LinkFacts(
                made_of="namespaces",
                delayed_by=(
                    "relay" if self._relays else "netem" if delayed else "nothing"
                ),
                rtt_s=rtt_s,
                undelayed_rtt_s=undelayed_s,
                throughput_bytes_per_s=throughput,
                relay_rtt_s=self._relay_rtt_s if self._relays else None,
                relay_window_bytes=self._window_bytes() if self._relays else None,
            )
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it all."""
        self._end_relay()
        self._open.close()

    async def listen(self, destination: Instance, *, again: bool = False) -> str:
        """Open the destination for the stream; answers the source's URI."""
        address = shaping.DESTINATION_ADDRESS
        port = await listening_port(destination, address, again=again)
        return tcp_uri(*self._way_to(address, port))

    def helpers(self) -> dict[str, ProcessCpu]:
        """CPU clock of the relay, if there is one."""
        return {} if self._relay is None else {"relay": ProcessCpu(self._relay.pid)}

    def _namespace(self, side: str) -> int | None:
        return self._namespaces[side].fd

    def _window_bytes(self) -> int:
        return shaping.window_bytes(self._link.bandwidth_bytes_per_s, self._link.rtt_s)

    def _way_to(self, address: str, port: int) -> tuple[str, int]:
        """Where the source connects to, to get to that port of the destination."""
        if not self._relays:
            return address, port
        self._end_relay()
        with self._namespaces["source"].call(_relay_socket) as listening:
            argv = [sys.executable, "-I", relay.__file__, str(listening.fileno())]
            argv += [address, str(port), f"{self._relay_rtt_s:.9f}"]
            tie = tie_to_parent(namespace_fd=self._namespaces["source"].fd)
            self._relay = subprocess.Popen(
                [*argv, str(self._window_bytes())],
                stdin=subprocess.DEVNULL,
                pass_fds=(listening.fileno(),),
                start_new_session=True,
                preexec_fn=tie,
            )
            name: tuple[str, int] = listening.getsockname()
        return name

    def _end_relay(self) -> None:
        if self._relay is not None:
            self._relay.kill()
            self._relay.wait()
            self._relay = None

    def _stream_bytes(self) -> int:
        rate = self._link.bandwidth_bytes_per_s
        return MOST_STREAM_BYTES if rate is None else int(rate * STREAM_S)

    def _probe(self, stream_bytes: int) -> tuple[float, float | None]:
        """Round trip [s] and throughput [bytes/s], just as a migration meets them."""
        source, destination = (
            self._namespaces["source"],
            self._namespaces["destination"],
        )
        address = shaping.DESTINATION_ADDRESS
        with destination.call(lambda: socket.create_server((address, 0))) as listening:
            way = self._way_to(address, listening.getsockname()[1])
            with source.call(lambda: socket.create_connection(way)) as connection:
                return probe(listening, connection, stream_bytes)


@contextmanager
def open_testbed(
    scenario: Scenario, qemu: QemuBinary, folder: Path, options: DriverOptions
) -> Iterator[Testbed]:
    """Make what a scenario and the options ask for, and remove it in the end."""
    link = scenario.link
    if options.remote is not None:
        with TwoHosts(scenario.guest, qemu, options.remote, folder, options) as hosts:
            yield hosts
    elif is_shaped(link):
        with ShapedLink(link, folder, options) as shaped:
            yield shaped
    else:
        yield SameHost(link, folder, options)


def is_shaped(link: Link) -> bool:
    """Whether a link does more than the host's own sockets do."""
    return link.bandwidth_bytes_per_s is not None or bool(link.rtt_s)


def check_link(link: Link, remote: bool) -> None:
    """Refuse a link that cannot be made here.

    Between two hosts it is what it is, and the scenario describes it.

    Raises
    ------
    InputError
        Says what is missing.
    """
    if remote:
        if link.transport != "tcp" or link.scope == "same-host":
            raise InputError(
                "between two hosts the migration goes over TCP: --transport tcp, and "
                "no --scope same-host"
            )
        return
    if link.scope == "two-hosts":
        raise InputError("--scope two-hosts needs the other one: --dst-host USER@HOST")
    if not is_shaped(link):
        return
    if link.transport != "tcp":
        raise InputError(
            f"a {link.transport} socket has no bandwidth and no round-trip time of its "
            "own: measure a shaped link with --link netns:1gbit,rtt=2ms, or limit QEMU "
            "itself with --bw"
        )
    check_namespaces()


def link_problems(link: Link, facts: LinkFacts | None) -> list[str]:
    """What a link that was made lacks of what the scenario says."""
    found: list[str] = []
    rate = link.bandwidth_bytes_per_s
    if facts is None or facts.made_of != "namespaces":
        return found
    throughput = facts.throughput_bytes_per_s
    if rate is not None and throughput is not None:
        payload = shaping.payload_bytes_per_s(rate, link.rtt_s)
        if abs(throughput - payload) > _THROUGHPUT_TOLERANCE * payload:
            found.append(
                f"the link carried {format_bandwidth(throughput)} of stream, not the "
                f"{format_bandwidth(payload)} that a link of {format_bandwidth(rate)} "
                "does: the host is too slow or too busy"
            )
    if abs(facts.rtt_s - link.rtt_s) > max(_RTT_TOLERANCE_S, 0.1 * link.rtt_s):
        found.append(
            f"the link's round trip took {format_duration(facts.rtt_s)}, not "
            f"{format_duration(link.rtt_s)}: the host is too slow or too busy"
        )
    return found


def _relay_socket() -> socket.socket:
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RELAY_RECEIVE_BYTES)
    listening.bind((LOOPBACK, 0))
    listening.listen(64)
    return listening
