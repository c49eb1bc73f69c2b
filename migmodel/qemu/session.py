"""Source and destination together: started, recorded, watched, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from migmodel.errors import QemuError
from migmodel.qemu.instance import Handlers, Instance
from migmodel.qemu.monitor import GoneError
from migmodel.qemu.options import DriverOptions
from migmodel.qemu.recording import Recording

SIDES = ("source", "destination")
_CPU_INTERVAL_S = 0.2
# How long the kernel may take to tell that a process ended, after its socket closed.
_DEATH_NOTICE_S = 1.0

SideEventHandler = Callable[[str, dict[str, Any]], None]


class Session:
    """Two QEMUs on this host, and everything that they say.

    Parameters
    ----------
    argv : dict
        Command line by side; afterwards with monitor and console, as it was run.
    folder : Path
        A private folder of this run.
    """

    def __init__(
        self,
        argv: dict[str, list[str]],
        folder: Path,
        options: DriverOptions,
        recording: Recording,
    ) -> None:
        self.argv = argv
        self.recording = recording
        self.on_event: SideEventHandler | None = None
        self.may_end: set[str] = set()  # sides that are no longer needed
        self._folder = folder
        self._options = options
        self._instances: dict[str, Instance] = {}
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @property
    def source(self) -> Instance:
        """The QEMU that the guest leaves."""
        return self._instances["source"]

    @property
    def destination(self) -> Instance:
        """The QEMU that the guest goes to."""
        return self._instances["destination"]

    @property
    def stderr_tail(self) -> str:
        """The last of what both QEMUs complained of."""
        said = ((side, it.process.stderr_tail) for side, it in self._instances.items())
        return "\n".join(f"{side}: {text}" for side, text in said if text)

    async def conduct(self, work: Coroutine[Any, Any, None]) -> None:
        """Do the work with both QEMUs running; break off when one of them ends.

        Raises
        ------
        QemuError
            When a QEMU dies, hangs or refuses. Nothing of it is left, whatever happens.
        """
        task = asyncio.ensure_future(self._connected(work))
        try:
            await asyncio.wait(
                {task, self._broken}, return_when=asyncio.FIRST_COMPLETED
            )
            if task.done() and isinstance(task.exception(), GoneError):
                # Its socket may have told before its process did: the latter says why.
                await asyncio.wait({self._broken}, timeout=_DEATH_NOTICE_S)
            if self._broken.done():
                self._broken.result()
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            work.close()
            await self._end()

    def sample_cpu(self) -> None:
        """Read all CPU clocks now."""
        clocks = {side: instance.cpu for side, instance in self._instances.items()}
        self.recording.sample_cpu(clocks)

    async def _connected(self, work: Coroutine[Any, Any, None]) -> None:
        for side in SIDES:
            self._start(side)
        for instance in self._instances.values():
            await instance.connect()
        sampler = asyncio.ensure_future(self._keep_sampling())
        try:
            await work
        finally:
            sampler.cancel()

    def _start(self, side: str) -> None:
        options = self._options

        def event(time_s: float, event: dict[str, Any]) -> None:
            self.recording.events.append([time_s, side, event])
            if self.on_event is not None:
                self.on_event(side, event)

        def line(time_s: float, text: str) -> None:
            self.recording.consoles[side].append([time_s, text])

        instance = Instance(
            side,
            self.argv[side],
            self._folder,
            Handlers(event, line),
            options.nice,
            options.reply_timeout_s,
        )
        self._instances[side] = instance
        self.argv[side] = instance.process.argv
        instance.process.watch(lambda reason: self._break_off(side, reason))

    def _break_off(self, side: str, reason: str) -> None:
        if side not in self.may_end and not self._broken.done():
            self._broken.set_exception(QemuError(reason))

    async def _keep_sampling(self) -> None:
        while True:
            self.sample_cpu()
            await asyncio.sleep(_CPU_INTERVAL_S)

    async def _end(self) -> None:
        # Both are killed before anything is waited for: a second Ctrl-C comes too late.
        for instance in self._instances.values():
            instance.kill()
        for instance in self._instances.values():
            await instance.close()
        if self._broken.done():
            self._broken.exception()  # it has been seen
