"""Source and destination together: started, recorded, watched, ended."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from migmodel.errors import QemuError
from migmodel.qemu.instance import Handlers, Instance
from migmodel.qemu.monitor import GoneError
from migmodel.qemu.recording import Recording
from migmodel.qemu.testbed import Testbed

SIDES = ("source", "destination")
_CPU_INTERVAL_S = 0.2
# How long the kernel may take to tell that a process ended, after its socket closed.
_DEATH_NOTICE_S = 1.0

SideEventHandler = Callable[[str, dict[str, Any]], None]


class Session:
    """Two QEMUs, and everything that they say.

    Parameters
    ----------
    argv : dict
        Command line by side; afterwards with monitor and console, as it was run.
    testbed : Testbed
        Where they run.
    """

    def __init__(
        self,
        argv: dict[str, list[str]],
        testbed: Testbed,
        recording: Recording,
    ) -> None:
        self.argv = argv
        self.recording = recording
        self.on_event: SideEventHandler | None = None
        self.may_end: set[str] = set()  # sides that are no longer needed
        self._testbed = testbed
        self._instances: dict[str, Instance] = {}
        # How each side ended, when it does so by itself.
        self._ends: dict[str, asyncio.Future[str]] = {
            side: asyncio.get_running_loop().create_future() for side in SIDES
        }

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
            ends = list(self._ends.values())
            either: list[asyncio.Future[Any]] = [task, *ends]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if task.done() and isinstance(task.exception(), GoneError):
                # Its socket may have told before its process did: the latter says why.
                await asyncio.wait(
                    ends, timeout=_DEATH_NOTICE_S, return_when=asyncio.FIRST_COMPLETED
                )
            if any(end.done() for end in ends):
                raise QemuError(await self._why_it_ended())
            task.result()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            work.close()
            await self._end()

    def sample_cpu(self) -> None:
        """Read all CPU clocks now."""
        for side, instance in self._instances.items():
            instance.process.sample_cpu(partial(self._note_cpu, side))
        for name, clock in self._testbed.helpers().items():
            self.recording.cpu(time.monotonic(), name, clock.sample())
        self.recording.sample_own_cpu()

    async def listen(self, *, again: bool = False) -> str:
        """Open the destination for the stream; answers the source's URI.

        `again`: for the recovery of a paused post-copy migration.
        """
        return await self._testbed.listen(self.destination, again=again)

    def _note_cpu(self, side: str, time_s: float, used: dict[str, float]) -> None:
        self.recording.cpu(time_s, side, used)

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
        def event(time_s: float, event: dict[str, Any]) -> None:
            self.recording.events.append([time_s, side, event])
            if self.on_event is not None:
                self.on_event(side, event)

        def line(time_s: float, text: str) -> None:
            self.recording.consoles[side].append([time_s, text])

        instance = self._testbed.start(side, self.argv[side], Handlers(event, line))
        self._instances[side] = instance
        self.argv[side] = instance.process.argv
        instance.process.watch(lambda reason: self._break_off(side, reason))

    def _break_off(self, side: str, reason: str) -> None:
        if side not in self.may_end:
            self._ends[side].set_result(reason)

    async def _why_it_ended(self) -> str:
        """What to say when a QEMU, or both, ended by themselves.

        A destination ends itself when its stream breaks off, and may be seen to before
        the source, whose end is the cause.
        """
        source, destination = (self._ends[side] for side in SIDES)
        if destination.done() and not self.destination.process.was_killed:
            await asyncio.wait({source}, timeout=_DEATH_NOTICE_S)
            if source.done():
                return source.result()
        return "; ".join(end.result() for end in (source, destination) if end.done())

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
