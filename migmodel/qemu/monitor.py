"""A QMP connection with time-outs; the only importer of qemu.qmp."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable
from typing import Any

from qemu.qmp import EventListener, ExecuteError, Message, QMPClient, QMPError

from migmodel.errors import QemuError

EventHandler = Callable[[float, dict[str, Any]], None]


class RefusedError(QemuError):
    """QEMU answered a command with an error."""


class GoneError(QemuError):
    """QEMU closed the connection: it has died, or is about to."""


class _Handler(EventListener):
    """Hands each event on when it arrives, and keeps none."""

    def __init__(self, handle: EventHandler) -> None:
        super().__init__()
        self._handle = handle

    async def put(self, event: Message) -> None:
        self._handle(time.monotonic(), dict(event))


class Monitor:
    """The monitor of one QEMU.

    Parameters
    ----------
    side : str
        Whose it is, for error messages: source or destination.
    on_event : callable
        Called with the host's monotonic time [s] and the event as QEMU sent it.
    reply_timeout_s : float
        A QEMU that does not answer for that long counts as hung [s].
    """

    def __init__(
        self, side: str, on_event: EventHandler, reply_timeout_s: float
    ) -> None:
        self.side = side
        self._reply_timeout_s = reply_timeout_s
        self._client = QMPClient(side)
        self._client.register_listener(_Handler(on_event))

    async def connect(self, peer: socket.socket) -> None:
        """Greet QEMU over one end of a socket pair, whose other end it has.

        Raises
        ------
        QemuError
            When QEMU ends or keeps silent.
        """
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                await self._client.connect(peer)
        except TimeoutError:
            raise self._hung("its greeting") from None
        except (QMPError, OSError) as error:
            raise GoneError(f"the {self.side} QEMU did not start: {error}") from None

    async def execute(
        self,
        command: str,
        arguments: dict[str, Any] | None = None,
        *,
        out_of_band: bool = False,
    ) -> Any:
        """Execute one command and return its answer.

        `out_of_band`: in the monitor's own thread, past QEMU's main loop and the
        commands that wait for it; few commands can.

        Raises
        ------
        QemuError
            When QEMU refuses it, hangs or dies.
        """
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                return await self._client.execute(command, arguments, out_of_band)
        except TimeoutError:
            raise self._hung(command) from None
        except ExecuteError as error:
            raise RefusedError(
                f"the {self.side} QEMU refused {command}: {error.error.error.desc}"
            ) from None
        except (QMPError, OSError) as error:
            raise GoneError(
                f"the {self.side} QEMU went away during {command}: {error}"
            ) from None

    async def close(self) -> None:
        """Close the connection, whatever state it is in."""
        try:
            async with asyncio.timeout(self._reply_timeout_s):
                await self._client.disconnect()
        except (QMPError, OSError, TimeoutError, EOFError):
            pass  # QEMU has been ended before: its end of the line is gone

    def _hung(self, command: str) -> QemuError:
        return QemuError(
            f"the {self.side} QEMU hangs: no answer to {command} in "
            f"{self._reply_timeout_s:g} s"
        )
