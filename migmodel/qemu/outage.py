"""A connection that breaks in post-copy, and is recovered if somebody does.

Source: QEMU 10.0 migration/migration.c (qmp_migrate_pause, qmp_migrate_recover,
postcopy_pause, migrate_prepare): both sides pause, the destination listens anew, the
source resumes, and what had not arrived is sent again.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from migmodel.errors import InputError, QemuError
from migmodel.qemu.monitor import RefusedError
from migmodel.qemu.session import SIDES, Session
from migmodel.records.scenario import UNRECOVERED, Outage, Scenario
from migmodel.records.trace import Trace

PAUSED = "postcopy-paused"
_ACTIVE = "postcopy-active"
_RECOVERING = ("postcopy-recover-setup", "postcopy-recover")  # the first from 9.1 on
_MEASURED_SINCE = (9, 0)


class Interruption:
    """Breaks the connection of a running post-copy migration, and recovers it.

    The source shuts its end down (migrate-pause): what its socket holds still arrives,
    then the destination finds the stream at its end.

    Parameters
    ----------
    session : Session
        Both sides.
    outage : Outage
        When, counted from the guest's start on the destination.
    patience_s : float
        A side that has not noticed by then never will [s].
    """

    def __init__(self, session: Session, outage: Outage, patience_s: float) -> None:
        self._session = session
        self._outage = outage
        self._patience_s = patience_s
        self._runs = asyncio.Event()
        self._active = asyncio.Event()
        self._paused = {side: asyncio.Event() for side in SIDES}
        self._recovery_comes = False
        self._source_status = ""
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Wait for post-copy in the background, and break its connection."""
        self._task = asyncio.ensure_future(self._run())

    def end(self) -> None:
        """Leave it, however far it got: the migration is over."""
        if self._task is not None:
            self._task.cancel()

    def check(self) -> None:
        """Raise what went wrong in the background.

        Raises
        ------
        QemuError
            When a side refuses, or does not notice that its connection broke.
        """
        if self._task is not None and self._task.done():
            self._task.result()

    def see(self, side: str, event: dict[str, Any]) -> None:
        """Take note of an event of one side."""
        if side == "destination" and event.get("event") == "RESUME":
            self._runs.set()
        if event.get("event") != "MIGRATION":
            return
        status = event["data"]["status"]
        if status == PAUSED:
            self._paused[side].set()
        if side == "source":
            self._source_status = status
            if status == _ACTIVE:
                self._active.set()
            elif status in _RECOVERING:
                self._recovery_comes = False

    def outlasts(self, status: str) -> bool:
        """Whether the migration goes on although the source says that.

        An answer may be older than the event that was read before it.
        """
        if status != PAUSED:
            return False
        return self._recovery_comes or self._source_status != PAUSED

    async def _run(self) -> None:
        await self._runs.wait()
        broken_s = time.monotonic() + self._outage.at_s
        # Newer sources may learn of it a window later, and cannot pause before.
        await self._active.wait()
        await asyncio.sleep(broken_s - time.monotonic())
        broken_s = time.monotonic()
        recovered_after_s = self._outage.recovered_after_s
        self._recovery_comes = recovered_after_s is not None
        source = self._session.source
        try:
            await source.execute("migrate-pause", out_of_band=True)
        except RefusedError:  # post-copy was over before
            self._recovery_comes = False
            return
        if recovered_after_s is None:
            return
        await self._until_both_pause()
        await asyncio.sleep(broken_s + recovered_after_s - time.monotonic())
        uri = await self._session.listen(again=True)
        await source.execute("migrate", {"uri": uri, "resume": True})

    async def _until_both_pause(self) -> None:
        for side, paused in self._paused.items():
            try:
                async with asyncio.timeout(self._patience_s):
                    await paused.wait()
            except TimeoutError:
                raise QemuError(
                    f"the {side} QEMU did not pause in {self._patience_s:g} s after "
                    "its connection broke"
                ) from None


def check_outage(scenario: Scenario, version: tuple[int, int]) -> None:
    """Refuse an outage that cannot be made.

    Parameters
    ----------
    scenario : Scenario
        What is to be measured.
    version : (int, int)
        Of the QEMU that was found.

    Raises
    ------
    InputError
        What is wrong, what is allowed, what to do.
    """
    outage = scenario.link.outage
    if outage is None:
        return
    if outage.since != "postcopy":
        raise InputError(
            "measure breaks connections in post-copy alone, where they can be "
            "recovered: before it the migration just fails; count the outage since "
            "postcopy or leave it out"
        )
    if version < _MEASURED_SINCE:
        raise InputError(
            f"measure does --outage with QEMU 9.0 or newer, not {version[0]}."
            f"{version[1]}: name another with --qemu-version, or leave it out"
        )
    if scenario.policy.all_capabilities.get("events") is False:
        raise InputError(
            "--outage goes by QEMU's events: leave out --cap events=off or the outage"
        )
    if outage.recovered_after_s is not None and scenario.policy.has("release-ram"):
        raise InputError(
            "QEMU cannot recover post-copy with release-ram, which forgets what was "
            "sent: leave out --cap release-ram or --recover-after"
        )


def outage_remarks(outage: Outage | None, trace: Trace) -> list[str]:
    """What a table does not tell of an outage: nobody recovers it, or it never came."""
    if trace.outcome.reason == UNRECOVERED:
        return [UNRECOVERED]
    happened = any(event.detail == PAUSED for event in trace.events)
    if outage is None or happened or trace.outcome.verdict != "completed":
        return []
    return ["the connection did not break: the migration was over before its outage"]


def paused_s(trace: Trace) -> float:
    """How long a migration stood paused before it was recovered, in all [s]."""
    total_s, since_s = 0.0, None
    for event in trace.events:
        if event.name == "MIGRATION" and event.detail == PAUSED:
            since_s = event.time_s
        elif event.name == "MIGRATION" and event.detail == _ACTIVE:
            total_s += 0.0 if since_s is None else event.time_s - since_s
            since_s = None
    return total_s
