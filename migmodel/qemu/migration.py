"""The migration itself: set up both sides, start it, watch it, let managers act."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from migmodel.errors import QemuError
from migmodel.managers import Manager, managers_for
from migmodel.managers.passes import PassCounter, counts_iterates
from migmodel.qemu.monitor import RefusedError
from migmodel.qemu.options import DriverOptions, ProgressHandler
from migmodel.qemu.outage import Interruption
from migmodel.qemu.session import Session
from migmodel.qemu.story import see_passes
from migmodel.records.scenario import Scenario
from migmodel.records.status import (
    Action,
    Cancel,
    MigrationStatus,
    PauseGuest,
    SetParameters,
    StartPostcopy,
)
from migmodel.units import MS_PER_S

FINAL = ("completed", "failed", "cancelled", "postcopy-paused")
PRE_SWITCHOVER = "pre-switchover"
_SETTLED_VALUES_S = 2.0  # total-time may be 0 just after completion
_SETTLED_VALUES_POLL_S = 0.01


class Migration:
    """One migration over a session."""

    def __init__(
        self,
        session: Session,
        scenario: Scenario,
        options: DriverOptions,
        on_progress: ProgressHandler,
    ) -> None:
        self._session = session
        self._scenario = scenario
        self._options = options
        self._on_progress = on_progress
        self._uri = ""
        self._paused = False
        postcopy = scenario.policy.has("postcopy-ram")
        counts = counts_iterates(scenario.version, postcopy)
        self._passes = PassCounter() if counts else None
        self._source_ended = asyncio.Event()
        self._source_waits = asyncio.Event()
        self._destination_completed = asyncio.Event()
        self._destination_runs = asyncio.Event()
        self._interruption: Interruption | None = None
        if scenario.link.outage is not None:
            self._interruption = Interruption(
                session, scenario.link.outage, options.reply_timeout_s
            )
        session.on_event = self._see

    async def prepare(self) -> None:
        """Set capabilities and parameters on both sides and open the destination."""
        policy = self._scenario.policy
        destination = self._session.destination
        for side in (self._session.source, destination):
            wanted = {"events": True, **policy.all_capabilities}
            if side is destination and policy.has("postcopy-ram"):
                # Its figures cost next to nothing, and nothing on the source.
                wanted.setdefault("postcopy-blocktime", True)
            capabilities = [
                {"capability": name, "state": state} for name, state in wanted.items()
            ]
            await side.execute(
                "migrate-set-capabilities", {"capabilities": capabilities}
            )
            if policy.all_parameters:
                parameters = policy.all_parameters
                await side.execute("migrate-set-parameters", {**parameters})
        self._uri = await self._session.listen()

    async def run(self) -> None:
        """Migrate, to whatever end, and watch the guest for a while after it.

        Raises
        ------
        QemuError
            When a QEMU hangs, refuses, or the time-out passes.
        """
        self._session.sample_cpu()
        self._session.recording.start()
        await self._session.source.execute("migrate", {"uri": self._uri})
        continuing = asyncio.ensure_future(self._continue_destination())
        switching = asyncio.ensure_future(self._continue_source())
        if self._interruption:
            self._interruption.begin()
        try:
            status = await self._watch()
            self._session.sample_cpu()
            if status == "completed":
                await self._final_values()
                await self._until_destination_runs(continuing)
            elif status == "cancelled" and self._paused:
                await self._session.source.execute("cont")
        finally:
            continuing.cancel()
            switching.cancel()
            if self._interruption:
                self._interruption.end()
        self._on_progress("after", None)
        await asyncio.sleep(self._options.after_s)
        if status == "completed":
            await self._ask_destination()

    async def _ask_destination(self) -> None:
        """Record the destination's own figures, as of post-copy."""
        sent_s = time.monotonic()
        reply = await self._session.destination.execute("query-migrate")
        self._session.recording.destination_queries.append(
            [sent_s, time.monotonic(), reply]
        )

    def _see(self, side: str, event: dict[str, Any]) -> None:
        if self._interruption:
            self._interruption.see(side, event)
        name, status = event.get("event"), event.get("data", {}).get("status")
        if side == "source" and name == "MIGRATION" and self._has_ended(status):
            self._session.sample_cpu()  # before the migration's threads are forgotten
            self._source_ended.set()
        elif side == "source" and name == "MIGRATION" and status == PRE_SWITCHOVER:
            self._source_waits.set()
        elif side == "destination" and name == "RESUME":
            self._destination_runs.set()
        elif side == "destination" and name == "MIGRATION" and status == "completed":
            self._destination_completed.set()

    async def _watch(self) -> str:
        """Poll and let the managers act until it has ended; answers its status."""
        started_s = time.monotonic()
        due = [(started_s, manager) for manager in managers_for(self._scenario)]
        next_s = started_s
        while True:
            status = await self._query()
            self._on_progress("migrating", status)
            if self._has_ended(status.status):
                return status.status
            if self._interruption:
                self._interruption.check()
            due = [await self._ask(manager, at, status) for at, manager in due]
            now_s = time.monotonic()
            if now_s - started_s > self._options.timeout_s:
                raise QemuError(
                    f"the migration had not ended after {self._options.timeout_s:g} s "
                    "(--timeout)"
                )
            next_s = max(next_s + self._options.poll_interval_s, now_s)
            await self._sleep_until(next_s)

    def _has_ended(self, status: str) -> bool:
        """Whether that is the end; a broken connection may be recovered yet."""
        if self._interruption and self._interruption.outlasts(status):
            return False
        return status in FINAL

    async def _sleep_until(self, at_s: float) -> None:
        """Sleep, but wake up when the migration ends."""
        pause_s = at_s - time.monotonic()
        if self._source_ended.is_set():
            await asyncio.sleep(min(pause_s, _SETTLED_VALUES_POLL_S))
            return
        try:
            async with asyncio.timeout(pause_s):
                await self._source_ended.wait()
        except TimeoutError:
            pass

    async def _query(self) -> MigrationStatus:
        sent_s = time.monotonic()
        reply = await self._session.source.execute("query-migrate")
        answered_s = time.monotonic()
        recording = self._session.recording
        recording.queries.append([sent_s, answered_s, reply])
        if reply.get("status") == PRE_SWITCHOVER:  # the event may be late
            self._source_waits.set()
        elapsed_s = answered_s - (recording.started_s or sent_s)
        return status_of(reply, elapsed_s, self._passes)

    async def _ask(
        self, manager: Manager, due_s: float, status: MigrationStatus
    ) -> tuple[float, Manager]:
        now_s = time.monotonic()
        if now_s < due_s:
            return due_s, manager
        for action in manager.decide(status):
            self._session.recording.action(action)
            await self._act(action)
        return max(due_s + manager.poll_interval_s, now_s), manager

    async def _act(self, action: Action) -> None:
        source = self._session.source
        if isinstance(action, SetParameters):
            await source.execute("migrate-set-parameters", dict(action.parameters))
        elif isinstance(action, StartPostcopy):
            await source.execute("migrate-start-postcopy")
        elif isinstance(action, PauseGuest):
            await source.execute("stop")
            self._paused = True
        elif isinstance(action, Cancel):
            # A destination whose stream breaks off ends itself.
            self._session.may_end.add("destination")
            try:
                await source.execute("migrate_cancel")
            except RefusedError:  # post-copy has begun since the last poll
                self._session.may_end.clear()

    async def _continue_source(self) -> None:
        """End the wait of pause-before-switchover at once, as quickly as a pause's.

        The guest stands still meanwhile; nobody here has anything to prepare.
        """
        await self._source_waits.wait()
        # Cancelled meanwhile, or QEMU is gone: whoever watches sees it, too.
        with contextlib.suppress(QemuError):
            await self._session.source.execute(
                "migrate-continue", {"state": PRE_SWITCHOVER}
            )

    async def _continue_destination(self) -> None:
        """Start the guest where it came to: paused before, it arrives paused."""
        await self._destination_completed.wait()
        if self._paused:
            await self._session.destination.execute("cont")

    async def _final_values(self) -> None:
        """Query until the figures of the whole migration are there."""
        give_up_s = time.monotonic() + _SETTLED_VALUES_S
        while time.monotonic() < give_up_s:
            reply = self._session.recording.queries[-1][2]
            if reply.get("total-time") and "downtime" in reply:
                return
            await asyncio.sleep(_SETTLED_VALUES_POLL_S)
            await self._query()

    async def _until_destination_runs(self, continuing: asyncio.Future[None]) -> None:
        try:
            async with asyncio.timeout(self._options.reply_timeout_s):
                await continuing
                await self._destination_runs.wait()
        except TimeoutError:
            raise QemuError(
                "the migration completed, but the destination's guest never ran"
            ) from None


def status_of(
    reply: dict[str, Any], elapsed_s: float, passes: PassCounter | None = None
) -> MigrationStatus:
    """What managers are shown, from an answer to query-migrate.

    Parameters
    ----------
    reply : dict
        QEMU's answer.
    elapsed_s : float
        Since the migrate command [s].
    passes : PassCounter or None
        Counts passes where QEMU counts something else.
    """
    ram = reply.get("ram", {})
    expected_ms = reply.get("expected-downtime")
    count = ram.get("dirty-sync-count", 0)
    if passes is not None and ram and reply["status"] == "active":
        count = see_passes(passes, ram)
    return MigrationStatus(
        status=reply.get("status", "none"),
        elapsed_s=elapsed_s,
        dirty_sync_count=count,
        remaining_bytes=ram.get("remaining", 0),
        total_bytes=ram.get("total", 0),
        transferred_bytes=ram.get("transferred", 0),
        throttle_percent=reply.get("cpu-throttle-percentage"),
        expected_downtime_s=None if expected_ms is None else expected_ms / MS_PER_S,
    )
