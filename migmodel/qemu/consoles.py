"""The guest's console: lines with the time of their arrival."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable

# The guest prints in bursts of characters: waking up once a line, not once a
# character, keeps our own CPU use from disturbing what is measured.
_BURST_S = 0.005
_READ_BYTES = 1 << 20

LineHandler = Callable[[float, str], None]


class Console:
    """Reads one guest's serial port.

    A line's time is never earlier than its first character was printed; it is that
    moment itself, but for the wake-up, when the guest had been silent before. The
    smallest distance between guest time and line time is therefore a sharp bound.

    Parameters
    ----------
    fd : int
        Read end of the console's pipe, not blocking.
    on_line : callable
        Called with the host's monotonic time [s] and the line.
    """

    def __init__(self, fd: int, on_line: LineHandler) -> None:
        self._fd = fd
        self._on_line = on_line
        self._rest = b""
        self._rest_since_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(fd, self._awake)

    def _awake(self) -> None:
        self._loop.remove_reader(self._fd)
        first_s = time.monotonic()
        self._timer = self._loop.call_later(_BURST_S, self._drain, first_s)

    def _drain(self, first_s: float) -> None:
        self._timer = None
        if self._read(first_s):
            self._loop.add_reader(self._fd, self._awake)

    def _read(self, first_s: float) -> bool:
        """Read what is there; False at the end of the stream."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return True
        except ConnectionResetError:  # it was forwarded, and its host is gone
            data = b""
        now_s = time.monotonic()
        since_s = self._rest_since_s if self._rest else first_s
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._emit(since_s, line)
            since_s = now_s  # it began in the burst: later is safe, earlier is not
        self._rest_since_s = since_s
        return bool(data)

    def _emit(self, since_s: float, line: bytes) -> None:
        text = line.decode(errors="replace").strip("\r")
        if text.strip():
            self._on_line(since_s, text)

    def close(self) -> None:
        """Read what is left, hand on a torn last line, and stop reading."""
        self._loop.remove_reader(self._fd)
        if self._timer is not None:
            self._timer.cancel()
        self._read(time.monotonic())
        self._emit(self._rest_since_s, self._rest)
        self._rest = b""
