"""How a scenario is to be measured."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from migmodel.qemu.guest import GuestImage
from migmodel.qemu.target import RemoteTarget
from migmodel.records.hardware import Hardware
from migmodel.records.status import MigrationStatus

# Called with the phase (starting, settling, baseline, migrating, after) and, while
# migrating, with what QEMU says.
ProgressHandler = Callable[[str, MigrationStatus | None], None]


class DriverOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How to measure; what is measured is the Scenario.

    Parameters
    ----------
    image : GuestImage
        The stress guest.
    qemu : str or None
        QEMU's file; None finds one (`find_qemu`).
    accel : {'kvm', 'tcg'} or None
        Accelerator; None chooses (`choose_accel`).
    baseline_s, after_s : float
        How long the settled guest is watched before the migration, and on the
        destination after it [s].
    poll_interval_s : float
        Between two query-migrate, at most 0.05 [s].
    settle_timeout_s : float
        A guest that is not settled by then never will be [s].
    timeout_s : float
        A migration that runs longer is ended as failed [s].
    reply_timeout_s : float
        A QEMU that does not answer for that long hangs [s].
    nice : int
        Nice level of the QEMU processes.
    hardware : Hardware
        What of the host each side is given.
    remote : RemoteTarget or None
        The destination's host; None: both sides run on this one.
    keep_awake : bool or None
        Keep this host's CPUs from sleeping meanwhile; None: where that can be done and
        the host may be virtual (`migmodel.qemu.awake`).
    keep_raw : bool
        Keep the raw samples in the Measurement.
    trace_faults : bool
        Have the destination log every post-copy fault. The run is marked `traced`: it
        tells fault latencies and nothing else, for logging costs more than a fault.
    """

    image: GuestImage
    qemu: str | None = None
    accel: str | None = None
    baseline_s: float = 1.5
    after_s: float = 1.0
    poll_interval_s: float = 0.05
    settle_timeout_s: float = 120.0
    timeout_s: float = 600.0
    reply_timeout_s: float = 30.0
    nice: int = 0
    hardware: Hardware = Hardware()
    remote: RemoteTarget | None = None
    keep_awake: bool | None = None
    keep_raw: bool = True
    trace_faults: bool = False
