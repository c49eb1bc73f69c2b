"""Pause the guest, or switch to post-copy, when N passes over RAM are complete."""

from __future__ import annotations

from migmodel.records.status import (
    Action,
    MigrationStatus,
    PauseGuest,
    StartPostcopy,
)

# guestperf looks every 50 ms (QEMU tests/migration-stress/guestperf/engine.py)
POLL_INTERVAL_S = 0.05


class AfterPasses:
    """Act once, at the first poll that sees `after_passes` complete passes.

    Parameters
    ----------
    after_passes : int
        dirty-sync-count is 1 in the first pass, so N passes are complete when it
        exceeds N; 0 acts as soon as the migration is active.
    action : PauseGuest or StartPostcopy
        What to do.
    """

    deadline_s: float | None = None

    def __init__(
        self,
        after_passes: int,
        action: PauseGuest | StartPostcopy,
        poll_interval_s: float = POLL_INTERVAL_S,
    ) -> None:
        self.after_passes = after_passes
        self.poll_interval_s = poll_interval_s
        self._action: PauseGuest | StartPostcopy = action
        self._done = False

    def decide(self, status: MigrationStatus) -> list[Action]:
        """Act once when the count of complete passes is reached."""
        if self._done or status.status != "active":
            return []
        if status.dirty_sync_count <= self.after_passes:
            return []
        self._done = True
        return [self._action]
