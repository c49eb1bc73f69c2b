"""A guestperf report as a Measurement: what it says, and no more.

guestperf notes one entry an iteration, seen by a poll every 50 ms: passes begin up to
that much earlier. Its times are real time, the guest's lines in the guest's own: after
a blackout they are behind by its length.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from migmodel.guestperf.hardware import given_of
from migmodel.guestperf.report import (
    ProgressEntry,
    Report,
    TimingRecord,
    read_report,
)
from migmodel.guestperf.scenarios import reported_scenario
from migmodel.records import (
    DEFAULT_QEMU,
    Event,
    GuestSpeed,
    HostFacts,
    HostLoad,
    Measurement,
    Outcome,
    Phases,
    Progress,
    Round,
    Scenario,
    Trace,
)
from migmodel.records.trace import Verdict
from migmodel.units import GIB, MS_PER_S, PAGE_BYTES

GIB_PAGES = GIB // PAGE_BYTES
OURS = "scenario"  # key of a report that migmodel wrote, with the whole scenario
_RUNNING = ("active", "postcopy-active", "device", "pre-switchover")
Array = NDArray[np.float64]


def read_measurement(
    path: Path, host: HostFacts, qemu_version: str = DEFAULT_QEMU
) -> Measurement:
    """Read a guestperf report as a Measurement.

    Parameters
    ----------
    path : Path
        The report.
    host : HostFacts
        Where it was made, the destination's host too where it was another one; the
        report does not say.
    qemu_version : str
        QEMU on both sides; the report does not say.

    Raises
    ------
    RecordError
        When it is no report.
    InputError
        When migmodel does not model what was tried.
    """
    return measurement_of(read_report(path), host, qemu_version)


def measurement_of(
    report: Report, host: HostFacts, qemu_version: str = DEFAULT_QEMU
) -> Measurement:
    """Make a Measurement of a report; see `read_measurement`."""
    scenario = _scenario(report, qemu_version)
    trace = _trace(report, scenario)
    problems = []
    if trace.outcome.verdict == "failed":
        problems.append("the migration failed")
    if not report.guest_timings:
        problems.append("the guest printed nothing")
    return Measurement(
        scenario=scenario,
        trace=trace,
        host=host,
        destination_host=host if scenario.link.scope == "two-hosts" else None,
        hardware=given_of(report.hardware),
        started_at=datetime.fromtimestamp(_started_s(report), UTC).isoformat(),
        valid=not problems,
        problems=problems,
    )


def _scenario(report: Report, qemu_version: str) -> Scenario:
    ours = report.migmodel.get(OURS)
    if ours is not None:
        return msgspec.convert(ours, Scenario)
    return reported_scenario(report, qemu_version)


def _started_s(report: Report) -> float:
    """Real time of the migrate command: QEMU's own duration leads back to it."""
    first = report.progress_history[0]
    return first.now - first.duration / MS_PER_S


def _trace(report: Report, scenario: Scenario) -> Trace:
    history = report.progress_history
    last = history[-1]
    zero_s = _started_s(report)
    verdict = _verdict(last.status)
    end_s = last.duration / MS_PER_S if last.duration else last.now - zero_s
    completed = verdict == "completed"
    phases = _phases(report, scenario, end_s, completed)
    paused = completed and scenario.policy.technique == "pause"
    throttles = scenario.policy.all_capabilities.get("auto-converge", False)
    source_cpu_s, vcpu_cpu_s = _cpu(report, zero_s, end_s)
    outcome = Outcome(
        verdict=verdict,
        reason=_reason(verdict, scenario, history[-1].ram.iterations),
        total_time_s=None if verdict == "failed" else end_s,
        setup_time_s=last.setup_time / MS_PER_S if completed else None,
        downtime_reported_s=last.downtime / MS_PER_S if completed else None,
        downtime_stop_resume_s=(
            phases.resume_s - phases.stop_s
            if paused and phases.resume_s is not None and phases.stop_s is not None
            else None
        ),
        passes=max(entry.ram.iterations for entry in history),
        peak_throttle_percent=(
            max(entry.throttle_pcent for entry in history) if throttles else None
        ),
        bytes_sent=max(entry.ram.transferred_bytes for entry in history),
        source_cpu_s=source_cpu_s,
        vcpu_cpu_s=vcpu_cpu_s,
    )
    return Trace(
        outcome=outcome,
        phases=phases,
        progress=_progress(report, zero_s),
        rounds=_rounds(report, zero_s, end_s),
        guest=_guest(report.guest_timings, zero_s),
        events=[
            Event(time_s=entry.now - zero_s, name="MIGRATION", detail=entry.status)
            for entry, before in zip(history, [None, *history], strict=False)
            if before is None or entry.status != before.status
        ],
        load=_load(report, zero_s),
    )


def _verdict(status: str) -> Verdict:
    if status == "completed":
        return "completed"
    # It stops looking when its own cancel has been carried out.
    return "cancelled" if status in ("cancelled", "cancelling") else "failed"


def _reason(verdict: Verdict, scenario: Scenario, iterations: int) -> str:
    if verdict != "cancelled":
        return ""
    limits = scenario.limits
    if limits.max_iters is not None and iterations > limits.max_iters:
        return f"limit of {limits.max_iters} passes reached"
    return f"time limit of {limits.max_time_s:g} s reached"


def _phases(
    report: Report, scenario: Scenario, end_s: float, completed: bool
) -> Phases:
    """When the guest stopped and ran again, as far as polls and counters tell."""
    if not completed:
        return Phases(end_s=end_s)
    history = report.progress_history
    zero_s = _started_s(report)
    downtime_s = history[-1].downtime / MS_PER_S
    technique = scenario.policy.technique
    if technique == "pause":
        wanted = report.scenario.pause_iters
        seen = [entry.now for entry in history if entry.ram.iterations >= wanted]
        # It pauses at the poll that sees the iteration, continues at the last one.
        if seen and seen[0] < history[-1].now:
            return Phases(
                stop_s=seen[0] - zero_s,
                resume_s=history[-1].now - zero_s,
                end_s=end_s,
            )
    if technique == "postcopy":
        switched = [
            entry.now - zero_s
            for entry in history
            if entry.status.startswith("postcopy")
        ]
        if switched:
            stop_s = max(switched[0] - downtime_s, 0.0)
            return Phases(stop_s=stop_s, resume_s=switched[0], end_s=end_s)
    return Phases(stop_s=max(end_s - downtime_s, 0.0), resume_s=end_s, end_s=end_s)


def _progress(report: Report, zero_s: float) -> Progress:
    progress = Progress()
    for entry in report.progress_history:
        if entry.status not in _RUNNING:
            continue
        progress.time_s.append(entry.now - zero_s)
        progress.remaining_bytes.append(entry.ram.remaining_bytes)
        progress.transferred_bytes.append(entry.ram.transferred_bytes)
        progress.throttle_percent.append(entry.throttle_pcent)
        progress.dirty_sync_count.append(entry.ram.iterations)
        progress.dirty_pages_rate_pps.append(entry.ram.dirty_rate_pps)
    return progress


def _rounds(report: Report, zero_s: float, end_s: float) -> list[Round]:
    begun: list[ProgressEntry] = []
    for entry in report.progress_history:
        if not begun or entry.ram.iterations > begun[-1].ram.iterations:
            begun.append(entry)
    ends = [entry.now - zero_s for entry in begun[1:]] + [end_s]
    sent = [0.0, *(entry.ram.transferred_bytes for entry in begun[1:])]
    sent.append(report.progress_history[-1].ram.transferred_bytes)
    found = []
    for number, (entry, ended_s) in enumerate(zip(begun, ends, strict=True)):
        start_s = 0.0 if number == 0 else entry.now - zero_s
        first = number == 0
        found.append(
            Round(
                index=entry.ram.iterations,
                start_s=min(start_s, ended_s),
                end_s=ended_s,
                pending_bytes=(
                    entry.ram.total_bytes if first else entry.ram.remaining_bytes
                ),
                sent_bytes=max(sent[number + 1] - sent[number], 0.0),
            )
        )
    return found


def _guest(records: Sequence[TimingRecord], zero_s: float) -> GuestSpeed:
    """Each line is a GiB that one thread has rewritten in so many ms."""
    speed = GuestSpeed()
    vcpus: dict[int, int] = {}
    for record in records:
        vcpu = vcpus.setdefault(record.tid, len(vcpus))
        end_s = record.timestamp - zero_s
        speed.vcpu.append(vcpu)
        speed.start_s.append(end_s - record.value / MS_PER_S)
        speed.end_s.append(end_s)
        speed.pages.append(float(GIB_PAGES))
        speed.gap_s.append(0.0)
    return speed


def _series(records: Sequence[TimingRecord], zero_s: float) -> tuple[Array, Array]:
    """CPU seconds so far over the Trace's clock, summed over threads."""
    threads: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for record in records:
        threads[record.tid].append((record.timestamp - zero_s, record.value / MS_PER_S))
    if not threads:
        return np.empty(0), np.empty(0)
    columns = [np.array(rows).T for rows in threads.values()]
    time_s = columns[0][0]
    total = sum(np.interp(time_s, times, used) for times, used in columns)
    return time_s, np.asarray(total, dtype=np.float64)


def _cpu(
    report: Report, zero_s: float, end_s: float
) -> tuple[float | None, float | None]:
    """CPU seconds of QEMU without its vCPUs, and of these, during the migration."""
    process = _series(report.qemu_timings, zero_s)
    vcpus = _series(report.vcpu_timings, zero_s)
    if len(process[0]) < 2 or len(vcpus[0]) < 2:
        return None, None
    span = [0.0, end_s]
    process_s, vcpu_s = (
        float(np.diff(np.interp(span, *column))[0]) for column in (process, vcpus)
    )
    return max(process_s - vcpu_s, 0.0), vcpu_s


def _load(report: Report, zero_s: float) -> HostLoad:
    """Busy cores of the source between samples; it has none of the destination."""
    time_s, process_s = _series(report.qemu_timings, zero_s)
    vcpu_times, vcpu_s = _series(report.vcpu_timings, zero_s)
    load = HostLoad()
    if len(time_s) < 2 or len(vcpu_times) < 2:
        return load
    vcpu_at = np.interp(time_s, vcpu_times, vcpu_s)
    spans = np.diff(time_s)
    for row in np.flatnonzero(spans > 0):
        vcpu_cores = float((vcpu_at[row + 1] - vcpu_at[row]) / spans[row])
        all_cores = float((process_s[row + 1] - process_s[row]) / spans[row])
        load.time_s.append(float(time_s[row + 1]))
        load.vcpu_cores.append(vcpu_cores)
        load.source_cores.append(max(all_cores - vcpu_cores, 0.0))
    return load
