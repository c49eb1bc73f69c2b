"""The commands that make a shaped link of two namespaces: veth, tbf, netem."""

from __future__ import annotations

import math
from pathlib import Path

from migmodel.errors import JobError
from migmodel.qemu.namespaces import CommandError, Namespace
from migmodel.units import BITS_PER_BYTE, KIB, MIB

DEVICE = "migmodel0"  # in both namespaces, where there is nothing else but lo
# Addresses for documentation (RFC 5737): nobody's, should anything ever leak.
SOURCE_ADDRESS, DESTINATION_ADDRESS = "192.0.2.1", "192.0.2.2"
_PREFIX = 30
_MTU = 1500
# Of a full Ethernet frame of 1514 bytes, IPv4, TCP and its time stamps leave the stream
# 1448 (RFC 791, 9293, 7323); tbf counts the frame.
_PAYLOAD_SHARE = 1448 / 1514

# tbf: a bucket of 2 ms lets whole 64 KiB segments pass at 1 Gbit/s; at low rates the
# kernel cuts them up, which costs little there. It must hold one packet.
_BURST_S = 0.002
_LEAST_BURST_BYTES = 16 * KIB
# tbf's queue: above what TCP keeps in a device's queue by itself (small queues), so
# that, as in a sender's own network card, nothing is dropped.
_QUEUE_S = 0.1
_LEAST_QUEUE_BYTES = 8 * MIB
_TCP_WMEM = Path("/proc/sys/net/ipv4/tcp_wmem")
_TCP_WMEM_DEFAULT_BYTES = 4 * MIB  # Documentation/networking/ip-sysctl.rst
_LEAST_WINDOW_BYTES = 64 * KIB


def join(source: Namespace, destination: Namespace) -> None:
    """Join two namespaces by a veth pair, with an address at each end."""
    there = f"/proc/self/fd/{destination.fd}"
    pair = ["ip", "link", "add", DEVICE, "type", "veth", "peer", "name", DEVICE]
    ends = ((source, SOURCE_ADDRESS), (destination, DESTINATION_ADDRESS))
    try:
        source.run([*pair, "netns", there], pass_fds=(destination.fd,))
        for end, address in ends:
            end.run(["ip", "link", "set", "lo", "up"])
            end.run(["ip", "address", "add", f"{address}/{_PREFIX}", "dev", DEVICE])
            end.run(["ip", "link", "set", DEVICE, "up"])
    except CommandError as error:
        raise JobError(f"cannot make the link between namespaces: {error}") from None


def shape(
    ends: tuple[Namespace, ...], bandwidth_bytes_per_s: float | None, rtt_s: float
) -> bool:
    """Give both ends of the link its bandwidth and half its round trip each.

    Returns
    -------
    bool
        Whether the delay is in it. False where the kernel has no netem: then the
        bandwidth alone is, and something else must delay.

    Raises
    ------
    JobError
        When the kernel has no tbf.
    """
    delayed = False
    if rtt_s:
        delayed = all(
            _try(end, delay_argv(bandwidth_bytes_per_s, rtt_s)) for end in ends
        )
    if bandwidth_bytes_per_s is None:
        return delayed
    argv = rate_argv(bandwidth_bytes_per_s, rtt_s if delayed else None)
    try:
        for end in ends:
            end.run(argv)
    except CommandError as error:
        raise JobError(f"this kernel cannot shape a link with tbf: {error}") from None
    return delayed


def rate_argv(bandwidth_bytes_per_s: float, below_delay_s: float | None) -> list[str]:
    """`tc` for the bandwidth: at the root, or below netem when it delays."""
    rate = bandwidth_bytes_per_s
    burst = max(math.ceil(rate * _BURST_S), _LEAST_BURST_BYTES)
    if below_delay_s is None:
        where = ["root"]
        queue_s, least_bytes = _QUEUE_S, _LEAST_QUEUE_BYTES
    else:
        # netem disowns what it delays, TCP's small queues no longer bound it: a queue
        # of one bandwidth-delay product, as routers have.
        where = ["parent", "1:1", "handle", "10:"]
        queue_s, least_bytes = below_delay_s, MIB
    queue = max(math.ceil(rate * queue_s), least_bytes) + burst
    argv = ["tc", "qdisc", "add", "dev", DEVICE, *where, "tbf"]
    argv += ["rate", f"{round(rate * BITS_PER_BYTE)}bit"]
    return [*argv, "burst", str(burst), "limit", str(queue)]


def delay_argv(bandwidth_bytes_per_s: float | None, rtt_s: float) -> list[str]:
    """`tc` for half the round trip, by netem, with room for all that is on the way."""
    on_the_way = window_bytes(bandwidth_bytes_per_s, rtt_s)
    packets = max(1000, 4 * math.ceil(on_the_way / _MTU))
    argv = ["tc", "qdisc", "add", "dev", DEVICE, "root", "handle", "1:", "netem"]
    return [*argv, "delay", f"{round(rtt_s / 2 * 1e6)}us", "limit", str(packets)]


def window_bytes(bandwidth_bytes_per_s: float | None, rtt_s: float) -> int:
    """Most bytes to be unacknowledged on such a link [bytes].

    The bandwidth-delay product and some more, lest the link runs dry, but no more than
    the kernel lets a sender have (tcp_wmem).
    """
    most = _largest_send_buffer_bytes()
    if bandwidth_bytes_per_s is None:
        return most
    product = bandwidth_bytes_per_s * rtt_s
    return min(math.ceil(1.25 * product) + _LEAST_WINDOW_BYTES, most)


def payload_bytes_per_s(bandwidth_bytes_per_s: float, rtt_s: float) -> float:
    """Most of a stream that one TCP connection gets over such a link [bytes/s]."""
    payload = bandwidth_bytes_per_s * _PAYLOAD_SHARE
    return min(payload, _largest_send_buffer_bytes() / rtt_s) if rtt_s else payload


def _largest_send_buffer_bytes() -> int:
    try:
        return int(_TCP_WMEM.read_text(encoding="ascii").split()[2])
    except (OSError, ValueError, IndexError):
        return _TCP_WMEM_DEFAULT_BYTES


def _try(end: Namespace, argv: list[str]) -> bool:
    try:
        end.run(argv)
    except CommandError:
        return False
    return True
