"""Measurements and Predictions as guestperf reports.

Made so that QEMU's guestperf-plot opens them: all fields are there, each list has an
entry, and the first CPU sample is before the guest's first line (its plot.py stops with
a NameError, a mistyped name, where it is not).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from migmodel.guestperf.hardware import with_given
from migmodel.guestperf.reading import GIB_PAGES, OURS
from migmodel.guestperf.report import (
    ProgressEntry,
    Ram,
    Report,
    Result,
    TimingRecord,
)
from migmodel.guestperf.scenarios import LOCALHOST, described
from migmodel.records import GuestSpeed, HostLoad, Measurement, Prediction, Trace
from migmodel.units import BITS_PER_BYTE, MS_PER_S, PAGE_BYTES

QEMU_TID = 1
FIRST_VCPU_TID = 2
SAMPLE_S = 1.0  # guestperf's own interval of CPU samples
WATCHED_S = 15.0  # and its sleep
NAMELESS = "destination"  # the other host, where nobody named it
_ENDED = {"completed": "completed", "cancelled": "cancelled", "never": "cancelled"}


def report_of(
    record: Measurement | Prediction, other_host: str | None = None
) -> Report:
    """Make a guestperf report of a Measurement, or of a Prediction's nominal run.

    A Prediction has no date; its migration begins at 0.

    Parameters
    ----------
    record : Measurement or Prediction
        What to write.
    other_host : str or None
        Name of the destination's host, if that is another one; a record has none.
    """
    trace = record.trace
    started_s, binary = 0.0, "migmodel (predicted)"
    if isinstance(record, Measurement):
        started_s = datetime.fromisoformat(record.started_at).timestamp()
        binary = f"qemu-system-x86_64 {record.host.qemu_version}".strip()
    hardware, scenario = described(record.scenario)
    if isinstance(record, Measurement):
        hardware = with_given(hardware, record.hardware, record.scenario.guest)
    guest = guest_lines(trace.guest, started_s)
    first_s = min([started_s - SAMPLE_S, *(it.timestamp - SAMPLE_S for it in guest)])
    qemu, vcpu = _cpu_timings(
        trace.load, record.scenario.guest.vcpus, started_s, first_s
    )
    return Report(
        hardware=hardware,
        scenario=scenario,
        progress_history=_history(trace, started_s),
        guest_timings=guest or [_no_line(started_s)],
        qemu_timings=qemu,
        vcpu_timings=vcpu,
        binary=binary,
        dst_host=(other_host or NAMELESS) if _between_hosts(record) else LOCALHOST,
        transport=record.scenario.link.transport,
        sleep=WATCHED_S,
        result=Result(success=trace.outcome.verdict == "completed"),
        migmodel={OURS: msgspec.to_builtins(record.scenario)},
    )


def _between_hosts(record: Measurement | Prediction) -> bool:
    if isinstance(record, Measurement) and record.destination_host is not None:
        return True
    return record.scenario.link.scope == "two-hosts"


def _no_line(started_s: float) -> TimingRecord:
    """Of an idle guest, which rewrites nothing: guestperf-plot needs a line."""
    return TimingRecord(tid=FIRST_VCPU_TID, timestamp=started_s, value=0)


def _history(trace: Trace, started_s: float) -> list[ProgressEntry]:
    progress, outcome = trace.progress, trace.outcome
    total = trace.rounds[0].pending_bytes if trace.rounds else 0.0
    total = max([total, *progress.remaining_bytes])
    entries: list[ProgressEntry] = []
    switched_s = _switched_s(trace)
    setup_ms = round((outcome.setup_time_s or 0) * MS_PER_S)
    counts = progress.dirty_sync_count
    for row, count in enumerate(counts):
        time_s = progress.time_s[row]
        postcopy = switched_s is not None and time_s >= switched_s
        status = "postcopy-active" if postcopy else "active"
        new = not entries or count > entries[-1].ram.iterations
        if not new and status == entries[-1].status:
            continue
        sent = progress.transferred_bytes[row]
        throttles = progress.throttle_percent
        rates = progress.dirty_pages_rate_pps
        entries.append(
            ProgressEntry(
                status=status,
                ram=_ram(
                    sent,
                    progress.remaining_bytes[row],
                    total,
                    count,
                    rates[row] if row < len(rates) else 0.0,
                    time_s,
                ),
                now=started_s + time_s,
                duration=round(time_s * MS_PER_S),
                setup_time=setup_ms,
                throttle_pcent=round(throttles[row]) if row < len(throttles) else 0,
            )
        )
    if switched_s is not None and entries and entries[-1].status == "active":
        # A post-copy phase too short for a sample.
        entries.append(
            msgspec.structs.replace(
                entries[-1],
                status="postcopy-active",
                now=started_s + switched_s,
                duration=round(switched_s * MS_PER_S),
            )
        )
    end_s = trace.phases.end_s
    completed = outcome.verdict == "completed"
    remaining = 0.0 if completed else (progress.remaining_bytes or [total])[-1]
    passes = outcome.passes or (counts[-1] if counts else 1)
    sent = outcome.bytes_sent or 0.0
    entries.append(
        ProgressEntry(
            status=_ENDED.get(outcome.verdict, "failed"),
            ram=_ram(sent, remaining, total, passes, 0.0, end_s),
            now=started_s + end_s,
            duration=round(end_s * MS_PER_S),
            downtime=round((outcome.downtime_reported_s or 0.0) * MS_PER_S),
            setup_time=setup_ms,
        )
    )
    return entries


def _switched_s(trace: Trace) -> float | None:
    for event in trace.events:
        if event.name == "MIGRATION" and event.detail == "postcopy-active":
            return event.time_s
    return None


def _ram(
    sent: float,
    remaining: float,
    total: float,
    iterations: int,
    rate_pps: float,
    time_s: float,
) -> Ram:
    return Ram(
        transferred_bytes=round(sent),
        remaining_bytes=round(remaining),
        total_bytes=round(total),
        # Whole pages of the bytes sent; zero pages are too small to tell.
        normal_pages=int(sent // (PAGE_BYTES + 8)),
        normal_bytes=int(sent // (PAGE_BYTES + 8)) * PAGE_BYTES,
        dirty_rate_pps=round(rate_pps),
        transfer_rate_mbs=sent * BITS_PER_BYTE / 1e6 / time_s if time_s > 0 else 0.0,
        iterations=iterations,
    )


def guest_lines(guest: GuestSpeed, started_s: float = 0.0) -> list[TimingRecord]:
    """Lines as stress.c prints them: one whenever a thread has rewritten a GiB.

    Parameters
    ----------
    guest : GuestSpeed
        Units of work, of any length.
    started_s : float
        Real time at which the Trace's clock began [s].
    """
    lines: list[TimingRecord] = []
    rows = sorted(zip(guest.vcpu, guest.start_s, guest.end_s, guest.pages, strict=True))
    for vcpu in sorted(set(guest.vcpu)):
        units = [(start, end, pages) for k, start, end, pages in rows if k == vcpu]
        done, used_s = 0.0, 0.0
        for start, end, pages in units:
            at, left = start, pages
            while pages > 0 and done + left >= GIB_PAGES:
                step_s = (GIB_PAGES - done) / pages * (end - start)
                at, left = at + step_s, left - (GIB_PAGES - done)
                used_s += step_s
                lines.append(
                    TimingRecord(
                        tid=FIRST_VCPU_TID + vcpu,
                        timestamp=started_s + at,
                        value=round(used_s * MS_PER_S),
                    )
                )
                done, used_s = 0.0, 0.0
            done += left
            used_s += end - at
    return sorted(lines, key=lambda line: line.timestamp)


def _cpu_timings(
    load: HostLoad, vcpus: int, started_s: float, first_s: float
) -> tuple[list[TimingRecord], list[TimingRecord]]:
    """CPU time so far, of the source's process and of each vCPU thread, every second.

    A Trace has the vCPUs' sum; each is given its share.
    """
    before_s = first_s - started_s
    times = np.array([before_s, *load.time_s])
    spans = np.diff(times, prepend=times[0])
    vcpu_s = np.cumsum(spans * [0.0, *load.vcpu_cores])
    source_s = np.cumsum(spans * [0.0, *load.source_cores])
    last_s = float(times[-1])
    at = np.append(np.arange(before_s, last_s, SAMPLE_S), last_s)
    qemu: list[TimingRecord] = []
    threads: list[TimingRecord] = []
    for time_s in dict.fromkeys(at.tolist()):
        vcpu_ms = float(np.interp(time_s, times, vcpu_s)) * MS_PER_S
        source_ms = float(np.interp(time_s, times, source_s)) * MS_PER_S
        stamp: dict[str, Any] = {"timestamp": started_s + time_s}
        qemu.append(TimingRecord(tid=QEMU_TID, value=vcpu_ms + source_ms, **stamp))
        threads += [
            TimingRecord(tid=FIRST_VCPU_TID + vcpu, value=vcpu_ms / vcpus, **stamp)
            for vcpu in range(vcpus)
        ]
    return qemu, threads
