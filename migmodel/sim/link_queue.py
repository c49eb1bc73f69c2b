"""What a link's sockets hold: sent as QEMU counts it, not yet at the destination.

A sender's TCP keeps all that is not acknowledged in its send buffer, which Linux lets
grow to tcp_wmem's third value by itself (man 7 tcp; Documentation/networking/
ip-sysctl.rst). A writer that has filled it is woken when a third of it is free again
(Linux 6.18 include/net/sock.h, sk_stream_min_wspace), so that a link that is the
narrowest part of the way finds it between two thirds and full.
"""

from __future__ import annotations

from migmodel.sim.plan import EPSILON

LEAST_SHARE = 2 / 3  # of it, at which a waiting writer goes on


class LinkQueue:
    """Filled by the stream as fast as the CPUs go, drained at the link's rate.

    Parameters
    ----------
    buffer_bytes : float
        What the send buffers of all connections hold together.
    fill : float
        Where between `LEAST_SHARE` (0) and full (1) the writers stand.

    Attributes
    ----------
    held_bytes : float
        In it.
    """

    def __init__(self, buffer_bytes: float, fill: float) -> None:
        share = LEAST_SHARE + (1 - LEAST_SHARE) * fill
        self.capacity_bytes = buffer_bytes * share
        self.held_bytes = 0.0
        self._time_s = 0.0

    def advance(self, now_s: float, entered_bytes: float, rate: float) -> None:
        """So much has entered since it was last looked at; the link drains `rate`."""
        left = self.held_bytes + entered_bytes - rate * (now_s - self._time_s)
        self.held_bytes = min(max(left, 0.0), self.capacity_bytes)
        self._time_s = now_s

    def fills_in_s(self, bytes_per_s: float, rate: float) -> float:
        """Time in which a stream of so many bytes/s fills it [s]; 0: it is full."""
        room = self.capacity_bytes - self.held_bytes
        if room <= EPSILON * self.capacity_bytes:
            return 0.0
        if bytes_per_s <= rate * (1 + EPSILON):
            return float("inf")
        return room / (bytes_per_s - rate)
