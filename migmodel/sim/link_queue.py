"""What a link's sockets hold: sent as QEMU counts it, not yet at the destination.

A sender's TCP keeps all that is not acknowledged in its send buffer, which Linux lets
grow to tcp_wmem's third value by itself (man 7 tcp; Documentation/networking/
ip-sysctl.rst). A writer that has filled it is woken when a third of it is free again
(Linux 6.18 include/net/sock.h, sk_stream_min_wspace), so that a link that is the
narrowest part of the way finds it between two thirds and full.
"""

from __future__ import annotations

import math

from migmodel.physics import wire
from migmodel.records import Link
from migmodel.sim.host import Host
from migmodel.sim.plan import EPSILON

LEAST_SHARE = 1 - wire.SOCKET_REFILL_SHARE  # of it, where a waiting writer goes on


def link_bytes_per_s(link: Link, host: Host, connections: int = 1) -> float:
    """What the link carries for the stream: RAM's bytes, without headers [bytes/s].

    One TCP connection has at most its buffers in flight a round trip; Linux lets these
    grow to 4 MiB by itself (tcp(7), tcp_wmem).
    """
    given = link.bandwidth_bytes_per_s
    rate = host["link_bytes_per_s"] if given is None else given
    if link.transport == "tcp" and given is not None:
        rate *= wire.TCP_SHARE
    if link.transport == "tcp" and link.rtt_s > 0:
        rate = min(rate, connections * tcp_buffer_bytes(link) / link.rtt_s)
    return min(rate, host["link_bytes_per_s"])


def tcp_buffer_bytes(link: Link) -> float:
    """What a TCP connection's send buffer grows to [bytes]."""
    return link.socket_buffer_bytes or wire.TCP_BUFFER_BYTES


class LinkQueue:
    """Filled by the stream as fast as the CPUs go, drained at the link's rate.

    Parameters
    ----------
    buffer_bytes : float
        What the send buffers of all connections hold together.
    fill : float
        Where between `LEAST_SHARE` (0) and full (1) the writers stand.
    refill_bytes : float or None
        What becomes free of one connection's until its writer is woken; None: a third
        of all.

    Attributes
    ----------
    held_bytes, capacity_bytes : float
        In it, and when it is full.
    refill_bytes : float
        What a writer that was waiting finds free.
    """

    def __init__(
        self, buffer_bytes: float, fill: float, refill_bytes: float | None = None
    ) -> None:
        share = LEAST_SHARE + (1 - LEAST_SHARE) * fill
        if refill_bytes is None:
            refill_bytes = buffer_bytes * wire.SOCKET_REFILL_SHARE
        self.refill_bytes = refill_bytes
        self.capacity_bytes = buffer_bytes * share
        self.held_bytes = 0.0
        self._time_s = 0.0

    def advance(self, now_s: float, entered_bytes: float, rate: float) -> None:
        """So much has entered since it was last looked at; the link drains `rate`."""
        left = self.held_bytes + entered_bytes - rate * (now_s - self._time_s)
        self.held_bytes = min(max(left, 0.0), self.capacity_bytes)
        self._time_s = now_s

    @property
    def full(self) -> bool:
        """Writers wait for it."""
        return self.capacity_bytes - self.held_bytes <= EPSILON * self.capacity_bytes

    def fills_in_s(self, bytes_per_s: float, rate: float) -> float:
        """Time in which a stream of so many bytes/s fills it [s]; 0: it is full."""
        if self.full:
            return 0.0
        if bytes_per_s <= rate * (1 + EPSILON):
            return float("inf")
        return (self.capacity_bytes - self.held_bytes) / (bytes_per_s - rate)

    def woken_in_s(self, seconds: float, rate: float) -> float:
        """When a writer that waits is first woken after so long [s].

        It waits from now on, until the link has drained a third of its buffer, which it
        fills again at once. Of several connections each has its share of the link: one
        of them is woken as often as one alone would be.
        """
        every_s = self.refill_bytes / rate
        return math.ceil(seconds / every_s - EPSILON) * every_s


def queue_of(link: Link, host: Host, connections: int = 1) -> LinkQueue | None:
    """What a link of its own has in its sockets; None where nothing drains them slowly.

    A socket on one host that nobody shapes holds about a flush.
    """
    shaped = link.bandwidth_bytes_per_s is not None or not host.same_host
    if link.transport != "tcp" or not shaped:
        return None
    buffer_bytes = tcp_buffer_bytes(link)
    # What is on the way lies in the send buffer too, but waits for nobody.
    on_the_way = link_bytes_per_s(link, host, connections) * link.rtt_s
    return LinkQueue(
        max(connections * buffer_bytes - on_the_way, 0.0),
        host.noise.phase(),
        buffer_bytes * wire.SOCKET_REFILL_SHARE,
    )
