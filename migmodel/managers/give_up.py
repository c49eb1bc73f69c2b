"""Cancel a migration that takes too long or too many passes."""

from __future__ import annotations

from migmodel.managers.after_passes import POLL_INTERVAL_S
from migmodel.records.scenario import Limits
from migmodel.records.status import Action, Cancel, MigrationStatus

# From post-copy on there is no way back; before, also while the switch is waited for.
_CAN_BE_CANCELLED = ("setup", "active", "pre-switchover")


class GiveUp:
    """Cancel at a time or pass limit; never once post-copy has begun.

    A migration in post-copy cannot be cancelled (QEMU migration/migration.c,
    migration_cancel: the guest's memory is spread over both hosts).
    """

    def __init__(
        self, limits: Limits, poll_interval_s: float = POLL_INTERVAL_S
    ) -> None:
        self.poll_interval_s = poll_interval_s
        self.deadline_s = limits.max_time_s
        self._limits = limits
        self._done = False

    def decide(self, status: MigrationStatus) -> list[Action]:
        """Cancel once when a limit is exceeded."""
        if self._done or status.status not in _CAN_BE_CANCELLED:
            return []
        max_time_s, max_iters = self._limits.max_time_s, self._limits.max_iters
        if max_time_s is not None and status.elapsed_s >= max_time_s:
            reason = f"time limit of {max_time_s:g} s reached"
        elif max_iters is not None and status.dirty_sync_count > max_iters:
            reason = f"limit of {max_iters} passes reached"
        else:
            return []
        self._done = True
        return [Cancel(reason=reason)]
