"""From the raw recording of a migration to its Trace."""

from __future__ import annotations

from typing import Any

from migmodel.managers.passes import counts_iterates
from migmodel.qemu.counters import counters
from migmodel.qemu.load import CpuUse, cpu_use, host_load
from migmodel.qemu.rounds import rounds
from migmodel.qemu.speed import guest_story
from migmodel.qemu.story import Story
from migmodel.records.measurement import Raw
from migmodel.records.policy import Policy
from migmodel.records.scenario import UNRECOVERED, Outage, Scenario
from migmodel.records.trace import Outcome, Phases, Progress, Trace, Verdict
from migmodel.units import MS_PER_S

# States in which the figures of query-migrate are those of the running migration.
RUNNING = ("active", "pre-switchover", "device", "postcopy-device", "postcopy-active")


def build_trace(raw: Raw, scenario: Scenario, failure: str | None = None) -> Trace:
    """Make a Trace of what was recorded.

    Parameters
    ----------
    raw : Raw
        The recording; may be cut short.
    scenario : Scenario
        What was executed.
    failure : str or None
        Why the run broke off, if it did.
    """
    policy, version = scenario.policy, scenario.version
    story = Story(raw, counts_iterates(version, policy.has("postcopy-ram")))
    phases = story.phases()
    guest = guest_story(raw, story)
    source, destination = (cpu_use(raw, side) for side in ("source", "destination"))
    progress = _progress(story)
    verdict, reason = _verdict(story, failure, scenario.link.outage)
    ram = story.last_reply.get("ram", {})
    vcpu_cpu_s, source_cpu_s = _cpu(source, phases, story)
    _, destination_cpu_s = _cpu(destination, phases, story)
    requests = ram.get("postcopy-requests") if policy.has("postcopy-ram") else None
    outcome = Outcome(
        verdict=verdict,
        reason=reason,
        total_time_s=_total_time_s(story, verdict, reason, phases),
        setup_time_s=_seconds(story.last_reply.get("setup-time")),
        downtime_reported_s=(
            _seconds(story.last_reply.get("downtime"))
            if verdict == "completed" or reason == UNRECOVERED
            else None
        ),
        downtime_stop_resume_s=(
            None
            if phases.stop_s is None or phases.resume_s is None
            else phases.resume_s - phases.stop_s
        ),
        downtime_guest_s=guest.downtime_s,
        passes=_passes(story),
        peak_throttle_percent=_peak_throttle(progress, policy),
        bytes_sent=ram.get("transferred"),
        postcopy_requests=requests,
        source_cpu_s=source_cpu_s,
        destination_cpu_s=destination_cpu_s,
        vcpu_cpu_s=vcpu_cpu_s,
        **counters(raw, story.last_reply, policy, version),
    )
    return Trace(
        outcome=outcome,
        phases=phases,
        progress=progress,
        rounds=rounds(story, phases, progress),
        guest=guest.speed,
        events=story.events(),
        load=host_load(source, destination),
    )


def only_faults(trace: Trace) -> Trace:
    """What counts of a run whose faults were traced: how they waited, nothing else.

    The guest's own gaps stay, to set against them.
    """
    outcome = trace.outcome
    return Trace(
        outcome=Outcome(
            verdict=outcome.verdict,
            reason=outcome.reason,
            postcopy_requests=outcome.postcopy_requests,
            fault_latency_mean_s=outcome.fault_latency_mean_s,
            fault_latency_p50_s=outcome.fault_latency_p50_s,
            fault_latency_p90_s=outcome.fault_latency_p90_s,
            fault_latency_p99_s=outcome.fault_latency_p99_s,
            fault_latency_histogram=outcome.fault_latency_histogram,
            postcopy_blocktime_s=outcome.postcopy_blocktime_s,
            postcopy_vcpu_blocktime_s=outcome.postcopy_vcpu_blocktime_s,
        ),
        phases=trace.phases,
        guest=trace.guest,
        events=trace.events,
    )


def _verdict(
    story: Story, failure: str | None, outage: Outage | None
) -> tuple[Verdict, str]:
    if failure is not None:
        return "failed", failure
    if story.status == "completed":
        return "completed", ""
    if story.status == "cancelled":
        cancel = story.cancel
        return "cancelled", "" if cancel is None else str(cancel.data["reason"])
    unrecovered = outage is not None and outage.recovered_after_s is None
    if story.status == "postcopy-paused" and unrecovered:
        return "failed", UNRECOVERED
    said = story.last_reply.get("error-desc")
    status = story.status or "no status"
    return "failed", f"QEMU reports {status}" + (f": {said}" if said else "")


def _total_time_s(
    story: Story, verdict: Verdict, reason: str, phases: Phases
) -> float | None:
    if verdict == "completed":
        return _seconds(story.last_reply.get("total-time"))
    ended = verdict == "cancelled" or reason == UNRECOVERED
    return phases.end_s if ended else None


def _seconds(milliseconds: Any) -> float | None:
    return None if milliseconds is None else float(milliseconds) / MS_PER_S


def _passes(story: Story) -> int | None:
    """dirty-sync-count at the end: the reply of a failed migration may lack it."""
    counts = [*story.pass_numbers, *(count for count, _ in story.passes)]
    return max(counts, default=None)


def _peak_throttle(progress: Progress, policy: Policy) -> float | None:
    if not policy.has("auto-converge"):
        return None
    return max(progress.throttle_percent, default=None)


def _cpu(
    use: CpuUse, phases: Phases, story: Story
) -> tuple[float | None, float | None]:
    if story.status is None:
        return None, None
    return use.between(0.0, phases.end_s) or (None, None)


def _progress(story: Story) -> Progress:
    progress = Progress()
    for (time_s, reply), number in zip(story.samples, story.pass_numbers, strict=True):
        if reply["status"] not in RUNNING:
            continue
        ram = reply["ram"]
        progress.time_s.append(time_s)
        progress.remaining_bytes.append(ram["remaining"])
        progress.transferred_bytes.append(ram["transferred"])
        progress.throttle_percent.append(reply.get("cpu-throttle-percentage", 0))
        progress.dirty_sync_count.append(number)
        progress.dirty_pages_rate_pps.append(ram["dirty-pages-rate"])
    return progress
