"""A TCP relay that delays: the round trip of a link where the kernel has no netem.

Run as a file of its own, with the standard library alone, so that it is up at once:
``relay.py LISTENING_FD HOST PORT RTT_S WINDOW_BYTES``. It serves until it is killed.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
import time
from collections import deque

CHUNK_BYTES = 128 * 1024
# What waits to be sent waits with the sender, as without a relay: this is to keep the
# link busy, no more.
SEND_BYTES = 128 * 1024


class Flow:
    """One direction of one connection.

    As with TCP over a real link, a byte arrives half a round trip after it was sent and
    is acknowledged a whole one after; no more than the window is unacknowledged.

    Parameters
    ----------
    come_from, go_to : socket
        Its ends, not blocking.
    rtt_s : float
        Round-trip time [s].
    window_bytes : int
        Most bytes on the way.
    not_before_s : float
        Monotonic time at which the first byte can be sent: when the connection stands.
    """

    def __init__(
        self,
        come_from: socket.socket,
        go_to: socket.socket,
        rtt_s: float,
        window_bytes: int,
        not_before_s: float,
    ) -> None:
        self.come_from, self.go_to = come_from, go_to
        self.ended = False  # all was handed on, the end of the stream too
        self._rtt_s = rtt_s
        self._window_bytes = window_bytes
        self._not_before_s = not_before_s
        self._eof = False
        self._on_the_way: deque[tuple[float, memoryview]] = deque()
        self._unacknowledged: deque[tuple[float, int]] = deque()
        self._occupied_bytes = 0

    def reads(self, now_s: float) -> bool:
        """Whether there is room in the window."""
        while self._unacknowledged and self._unacknowledged[0][0] <= now_s:
            self._occupied_bytes -= self._unacknowledged.popleft()[1]
        return not self._eof and self._occupied_bytes < self._window_bytes

    def writes(self, now_s: float) -> bool:
        """Whether something has arrived."""
        return bool(self._on_the_way) and self._on_the_way[0][0] <= now_s

    def next_s(self, now_s: float) -> float | None:
        """When something changes by itself; None when nothing will."""
        times = [self._on_the_way[0][0]] if self._on_the_way else []
        if self._unacknowledged and self._occupied_bytes >= self._window_bytes:
            times.append(self._unacknowledged[0][0])
        return min((at for at in times if at > now_s), default=None)

    def read(self, now_s: float) -> None:
        """Take in what has been sent."""
        room = min(CHUNK_BYTES, self._window_bytes - self._occupied_bytes)
        data = self.come_from.recv(room)
        self._eof = not data
        self._occupied_bytes += len(data)
        sent_s = max(now_s, self._not_before_s)
        self._on_the_way.append((sent_s + self._rtt_s / 2, memoryview(data)))

    def write(self, now_s: float) -> None:
        """Hand on what has arrived, as much as is taken."""
        while self.writes(now_s):
            due_s, data = self._on_the_way[0]
            if not data:
                self.go_to.shutdown(socket.SHUT_WR)
                self.ended = True
                self._on_the_way.clear()
                return
            taken = self.go_to.send(data)
            acknowledged_s = max(now_s, due_s) + self._rtt_s / 2
            self._unacknowledged.append((acknowledged_s, taken))
            if taken < len(data):
                self._on_the_way[0] = (due_s, data[taken:])
                return
            self._on_the_way.popleft()


def serve(
    listening: socket.socket, target: tuple[str, int], rtt_s: float, window_bytes: int
) -> None:
    """Relay every connection to the target, for ever."""
    flows: list[Flow] = []
    while True:
        now_s = time.monotonic()
        readers = [flow for flow in flows if flow.reads(now_s)]
        writers = [flow for flow in flows if flow.writes(now_s)]
        times = [at for at in (flow.next_s(now_s) for flow in flows) if at is not None]
        readable, _, _ = select.select(
            [listening, *(flow.come_from for flow in readers)],
            [flow.go_to for flow in writers],
            [],
            min(times) - now_s if times else None,
        )
        now_s = time.monotonic()
        if listening in readable:
            flows += _pair(listening.accept()[0], target, rtt_s, window_bytes, now_s)
        broken = []
        for flow in flows:
            try:
                if flow.come_from in readable and flow in readers:
                    flow.read(now_s)
                flow.write(now_s)
            except BlockingIOError:  # its other end is full: select tells when not
                continue
            except OSError:
                broken.append(flow)
        flows = _without_ended(flows, broken)


def _pair(
    near: socket.socket,
    target: tuple[str, int],
    rtt_s: float,
    window_bytes: int,
    now_s: float,
) -> list[Flow]:
    try:
        far = socket.socket(near.family)
        far.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BYTES)
        far.connect(target)
    except OSError:
        near.close()
        return []
    for end in (near, far):
        end.setblocking(False)
        end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return [
        Flow(near, far, rtt_s, window_bytes, now_s + rtt_s),
        Flow(far, near, rtt_s, window_bytes, now_s),
    ]


def _without_ended(flows: list[Flow], broken: list[Flow]) -> list[Flow]:
    """Close connections that broke, or whose both directions have ended."""
    left = []
    for there, back in zip(flows[::2], flows[1::2], strict=True):
        if there in broken or back in broken or (there.ended and back.ended):
            there.come_from.close()
            there.go_to.close()
        else:
            left += [there, back]
    return left


def main() -> None:
    """Serve as the command line says."""
    fd, host, port, rtt_s, window_bytes = sys.argv[1:]
    listening = socket.socket(fileno=int(fd))
    with contextlib.suppress(KeyboardInterrupt):
        serve(listening, (host, int(port)), float(rtt_s), int(window_bytes))


if __name__ == "__main__":
    main()
