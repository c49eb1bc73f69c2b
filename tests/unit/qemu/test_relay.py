"""The relay as a link: order, delay, window, ends."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from migmodel.qemu import relay
from migmodel.qemu.relay import Flow

RTT_S = 0.04
WINDOW = 100_000


@pytest.fixture
def flow() -> Iterator[tuple[Flow, socket.socket, socket.socket]]:
    """A flow between two socket pairs, with the outer ends."""
    near, come_from = socket.socketpair()
    go_to, far = socket.socketpair()
    for end in (near, come_from, go_to, far):
        end.setblocking(False)
    yield Flow(come_from, go_to, RTT_S, WINDOW, 0.0), near, far
    for end in (near, come_from, go_to, far):
        end.close()


Ends = tuple[Flow, socket.socket, socket.socket]


def test_a_byte_arrives_half_a_round_trip_later(flow: Ends) -> None:
    it, near, far = flow
    near.send(b"abc")
    it.read(1.0)
    assert not it.writes(1.0 + RTT_S / 2 - 1e-6)
    assert it.next_s(1.0) == pytest.approx(1.0 + RTT_S / 2)
    assert it.writes(1.0 + RTT_S / 2)
    it.write(1.0 + RTT_S / 2)
    assert far.recv(10) == b"abc"


def test_nothing_is_sent_before_the_connection_stands(flow: Ends) -> None:
    it, near, _ = flow
    late = Flow(it.come_from, it.go_to, RTT_S, WINDOW, not_before_s=2.0)
    near.send(b"abc")
    late.read(1.0)
    assert late.next_s(1.0) == pytest.approx(2.0 + RTT_S / 2)


def test_the_window_is_full_until_a_round_trip_has_passed(flow: Ends) -> None:
    it, near, far = flow
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * WINDOW)
    near.send(bytes(2 * WINDOW))
    while it.reads(1.0):
        it.read(1.0)
    it.write(1.0 + RTT_S / 2)
    assert len(far.recv(2 * WINDOW)) == WINDOW
    assert not it.reads(1.0 + RTT_S - 1e-6)
    assert it.next_s(1.0 + RTT_S / 2) == pytest.approx(1.0 + RTT_S)
    assert it.reads(1.0 + RTT_S)


def test_the_end_of_the_stream_comes_last(flow: Ends) -> None:
    it, near, far = flow
    near.send(b"abc")
    near.shutdown(socket.SHUT_WR)
    it.read(1.0)
    it.read(1.0)
    assert not it.reads(9.0)
    it.write(9.0)
    assert it.ended
    assert far.recv(10) == b"abc"
    assert far.recv(10) == b""


def test_several_connections_are_relayed_both_ways_in_order() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_server(("127.0.0.1", 0)) as listening:
            argv = [sys.executable, "-I", relay.__file__, str(listening.fileno())]
            target = ["127.0.0.1", str(server.getsockname()[1])]
            process = subprocess.Popen(
                [*argv, *target, str(RTT_S), str(WINDOW)],
                pass_fds=(listening.fileno(),),
            )
            address = listening.getsockname()
        try:
            server.settimeout(20)
            data = bytes(range(256)) * 4000  # several windows
            for _ in range(2):
                begun_s = time.monotonic()
                with socket.create_connection(address, timeout=20) as near:
                    near.sendall(b"?")
                    far, _ = server.accept()
                    far.settimeout(20)
                    assert far.recv(1) == b"?"
                    # A round trip until it stands, and half of one for the byte.
                    assert time.monotonic() - begun_s > 1.5 * RTT_S
                    far.sendall(data)
                    far.close()
                    got = b""
                    while part := near.recv(1 << 20):
                        got += part
                    assert got == data
        finally:
            process.kill()
            process.wait()
