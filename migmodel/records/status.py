"""What a manager is shown, and what it may answer."""

from __future__ import annotations

import msgspec

from migmodel.records.parameters import ParameterValue


class MigrationStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of query-migrate that management layers act on.

    Parameters
    ----------
    status : str
        QEMU's own word: setup, active, postcopy-active, completed, ...
    elapsed_s : float
        Since the migrate command [s].
    dirty_sync_count : int
        1 in the first pass.
    remaining_bytes, total_bytes, transferred_bytes : float
        As QEMU reports them; 0 before the ram section appears is 0 in QEMU too.
    """

    status: str
    elapsed_s: float
    dirty_sync_count: int = 0
    remaining_bytes: float = 0.0
    total_bytes: float = 0.0
    transferred_bytes: float = 0.0
    throttle_percent: float | None = None
    expected_downtime_s: float | None = None


class SetParameters(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """migrate-set-parameters on the source."""

    parameters: dict[str, ParameterValue]


class StartPostcopy(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """migrate-start-postcopy."""


class PauseGuest(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """stop: pause the guest, so that the rest converges."""


class Cancel(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """migrate_cancel, with the reason for the record."""

    reason: str


Action = SetParameters | StartPostcopy | PauseGuest | Cancel
