"""What came out of a migration, predicted or measured alike."""

from __future__ import annotations

from typing import Literal

from migmodel.records.base import Record

TRACE_SCHEMA = 1
LATENCY_BUCKETS = 24

Verdict = Literal["completed", "cancelled", "never", "failed"]


class Outcome(Record, frozen=True, kw_only=True):
    """How it ended, in numbers. A number that is not known is None, never 0.

    Parameters
    ----------
    verdict : {'completed', 'cancelled', 'never', 'failed'}
        `cancelled`: a limit or a manager ended it; `never`: only a prediction says
        so, when it is certain that no pass will ever be the last one.
    reason : str
        One line for a person: why.
    total_time_s : float or None
        From the migrate command to completion, or to the cancel [s].
    setup_time_s : float or None
        QEMU's setup-time [s].
    downtime_reported_s : float or None
        What query-migrate calls downtime [s]; what it covers depends on the version
        and the return path.
    downtime_stop_resume_s : float or None
        Source STOP to destination RESUME [s], or, if a manager paused the guest, from
        that pause to the destination running again.
    downtime_guest_s : float or None
        The longest gap that the guest itself saw around the switch [s].
    passes : int or None
        dirty-sync-count at the end.
    peak_throttle_percent : float or None
        Highest cpu-throttle-percentage; None where the technique never throttles.
    bytes_sent : float or None
        Bytes on the wire (ram.transferred).
    postcopy_requests : int or None
        Page requests of the destination.
    source_cpu_s, destination_cpu_s : float or None
        CPU seconds of the QEMU process during the migration, vCPU threads apart.
    vcpu_cpu_s : float or None
        CPU seconds of the source's vCPU threads during the migration.
    source_extra_memory_bytes, destination_extra_memory_bytes : float or None
        Memory that the migration itself needs on each side (bitmaps, buffers).
    fault_latency_mean_s : float or None
        Mean time from a post-copy page request to the page's placement [s].
    fault_latency_p50_s, fault_latency_p90_s, fault_latency_p99_s : float or None
        Percentiles of it [s].
    fault_latency_histogram : list of float or None
        Page requests by latency, 24 buckets of microseconds: bucket N counts from 2^N
        to below 2^(N+1), the first also what is shorter, the last what is longer (as
        postcopy-latency-dist of QEMU 10.1).
    postcopy_blocktime_s : float or None
        Time in which all vCPUs stood still at missing pages (postcopy-blocktime) [s].
    postcopy_vcpu_blocktime_s : list of float or None
        The same of each vCPU for itself, in their order (postcopy-vcpu-blocktime) [s].
    zero_pages : float or None
        Pages sent as zero (ram.duplicate).
    xbzrle_cache_misses, xbzrle_overflows, xbzrle_pages, xbzrle_bytes : float or None
        As query-migrate's xbzrle-cache has them: pages not found in the cache, encoded
        to more than a page, found, and the bytes that these became [bytes].
    compression_ratio : float or None
        Bytes of the pages that went through a codec / bytes that it made of them.
    multifd_bytes : float or None
        Bytes on multifd's channels, as the version counts them (ram.multifd-bytes).
    """

    verdict: Verdict
    reason: str = ""
    total_time_s: float | None = None
    setup_time_s: float | None = None
    downtime_reported_s: float | None = None
    downtime_stop_resume_s: float | None = None
    downtime_guest_s: float | None = None
    passes: int | None = None
    peak_throttle_percent: float | None = None
    bytes_sent: float | None = None
    postcopy_requests: int | None = None
    source_cpu_s: float | None = None
    destination_cpu_s: float | None = None
    vcpu_cpu_s: float | None = None
    source_extra_memory_bytes: float | None = None
    destination_extra_memory_bytes: float | None = None
    fault_latency_mean_s: float | None = None
    fault_latency_p50_s: float | None = None
    fault_latency_p90_s: float | None = None
    fault_latency_p99_s: float | None = None
    fault_latency_histogram: list[float] | None = None
    postcopy_blocktime_s: float | None = None
    postcopy_vcpu_blocktime_s: list[float] | None = None
    zero_pages: float | None = None
    xbzrle_cache_misses: float | None = None
    xbzrle_overflows: float | None = None
    xbzrle_pages: float | None = None
    xbzrle_bytes: float | None = None
    compression_ratio: float | None = None
    multifd_bytes: float | None = None


class Progress(Record, frozen=True, kw_only=True):
    """query-migrate over time, as columns of equal length.

    `time_s` counts from the migrate command. Columns may be None where a source
    cannot tell.
    """

    time_s: list[float] = []
    remaining_bytes: list[float] = []
    transferred_bytes: list[float] = []
    throttle_percent: list[float] = []
    dirty_sync_count: list[int] = []
    dirty_pages_rate_pps: list[float] = []


class GuestSpeed(Record, frozen=True, kw_only=True):
    """The guest's own speed, as columns: one row a unit of work and vCPU.

    Parameters
    ----------
    vcpu : list of int
        Which vCPU.
    start_s, end_s : list of float
        The unit's time on the Trace's clock [s]; negative before the migration.
    pages : list of float
        Pages touched in the unit.
    gap_s : list of float
        Longest gap between two touches inside the unit [s].
    """

    vcpu: list[int] = []
    start_s: list[float] = []
    end_s: list[float] = []
    pages: list[float] = []
    gap_s: list[float] = []


class Round(Record, frozen=True, kw_only=True):
    """One pass: from one bitmap sync to the next.

    Parameters
    ----------
    index : int
        dirty-sync-count while it ran; 1 is the first pass.
    start_s, end_s : float
        On the Trace's clock [s].
    pending_bytes : float
        Pending right after the sync that began it [bytes].
    sent_bytes : float
        Bytes put on the wire in it.
    """

    index: int
    start_s: float
    end_s: float
    pending_bytes: float
    sent_bytes: float


class Event(Record, frozen=True, kw_only=True):
    """Something that happened: STOP, RESUME, MIGRATION active, postcopy, ..."""

    time_s: float
    name: str
    detail: str = ""


class HostLoad(Record, frozen=True, kw_only=True):
    """Busy CPUs over time, as columns; each row covers the time up to `time_s`."""

    time_s: list[float] = []
    vcpu_cores: list[float] = []
    source_cores: list[float] = []
    destination_cores: list[float] = []


class Phases(Record, frozen=True, kw_only=True):
    """When which phase of the migration began, on the Trace's clock [s].

    Parameters
    ----------
    before_s : float or None
        From here on only the guest ran before the migration began; what was seen of its
        speed earlier is that beside preparations. None: nothing was prepared.
    stop_s : float or None
        The guest stopped for good on the source (STOP, or a manager's pause).
    resume_s : float or None
        The guest ran on the destination.
    end_s : float
        Completed, cancelled or failed.
    """

    before_s: float | None = None
    stop_s: float | None = None
    resume_s: float | None = None
    end_s: float


class Trace(Record, frozen=True, kw_only=True):
    """One migration's story; the same record from the simulator and from QEMU."""

    outcome: Outcome
    phases: Phases
    progress: Progress = Progress()
    rounds: list[Round] = []
    guest: GuestSpeed = GuestSpeed()
    events: list[Event] = []
    load: HostLoad = HostLoad()
    schema: int = TRACE_SCHEMA

    @property
    def went_postcopy(self) -> bool:
        """Whether it switched: it was asked for pages, or an event says so.

        A guestperf report knows no requests, a Trace without details no events.
        """
        return bool(self.outcome.postcopy_requests) or any(
            event.name == "MIGRATION" and event.detail == "postcopy-active"
            for event in self.events
        )
