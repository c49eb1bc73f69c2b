"""What a TCP connection between two namespaces really does: round trip, throughput."""

from __future__ import annotations

import socket
import statistics
import threading
import time

from migmodel.errors import JobError

_ROUNDS = 25
_SETTLING_ROUNDS = 5  # the first ones meet cold caches and unresolved addresses
STREAM_S = 0.3
MOST_STREAM_BYTES = 1 << 30
_CHUNK_BYTES = 256 * 1024
_SETTLED_SHARE = 0.4  # of the stream: by then a bucket is empty and a window open
_TIMEOUT_S = 20.0


def probe(
    listening: socket.socket,
    connection: socket.socket,
    stream_bytes: int = MOST_STREAM_BYTES,
) -> tuple[float, float | None]:
    """Median round trip of one byte [s], and throughput of a short stream [bytes/s].

    Parameters
    ----------
    listening : socket
        Where the connection comes in, perhaps by way of a relay.
    connection : socket
        Connected to it.
    stream_bytes : int
        Length of the stream, at most [bytes]: buffers swallow a short one at once, and
        on a slow link a long one takes its time. 0 sends none, and tells nothing.

    Raises
    ------
    JobError
        When nothing comes through.
    """
    arrivals: list[tuple[float, int]] = []
    listening.settimeout(_TIMEOUT_S)
    connection.settimeout(_TIMEOUT_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    answering = threading.Thread(
        target=_answer, args=(listening, arrivals), daemon=True
    )
    answering.start()
    try:
        rtt_s = _round_trip_s(connection)
        _send_stream(connection, stream_bytes)
        connection.shutdown(socket.SHUT_WR)
    except OSError as error:
        raise JobError(f"the link that was made carries nothing: {error}") from None
    answering.join(_TIMEOUT_S)
    return rtt_s, _throughput(arrivals) if stream_bytes else None


def _round_trip_s(connection: socket.socket) -> float:
    took_s = []
    for _ in range(_ROUNDS):
        sent_s = time.monotonic()
        connection.sendall(b"x")
        if not connection.recv(1):
            raise ConnectionResetError("the connection was closed")
        took_s.append(time.monotonic() - sent_s)
    return statistics.median(took_s[_SETTLING_ROUNDS:])


def _send_stream(connection: socket.socket, left: int) -> None:
    end_s = time.monotonic() + STREAM_S
    chunk = bytes(_CHUNK_BYTES)
    while left > 0 and time.monotonic() < end_s:
        connection.sendall(chunk[: min(left, len(chunk))])
        left -= len(chunk)


def _answer(listening: socket.socket, arrivals: list[tuple[float, int]]) -> None:
    try:
        peer, _ = listening.accept()
        with peer:
            peer.settimeout(_TIMEOUT_S)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(_ROUNDS):
                peer.sendall(peer.recv(1))
            while data := peer.recv(_CHUNK_BYTES):
                arrivals.append((time.monotonic(), len(data)))
    except OSError:
        return  # whoever asked sees it too


def _throughput(arrivals: list[tuple[float, int]]) -> float:
    total = sum(size for _, size in arrivals)
    begun_s, seen, counted = None, 0, 0
    for at_s, size in arrivals:
        if begun_s is not None:
            counted += size
        seen += size
        if begun_s is None and seen >= _SETTLED_SHARE * total:
            begun_s = at_s
    if begun_s is None or arrivals[-1][0] <= begun_s:
        raise JobError("the link that was made carries no stream")
    return counted / (arrivals[-1][0] - begun_s)
