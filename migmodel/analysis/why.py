"""Why a migration ends as it does, in one sentence."""

from __future__ import annotations

from migmodel.managers import DEFAULT_AFTER_PASSES
from migmodel.records.policy import TUNED
from migmodel.records.prediction import Prediction
from migmodel.records.trace import Round, Trace
from migmodel.units import format_bandwidth, format_bytes, format_duration


def why(prediction: Prediction) -> str:
    """Explain the verdict of the nominal run; empty where nothing explains it."""
    outcome = prediction.trace.outcome
    if outcome.reason:
        return outcome.reason
    if outcome.verdict == "never":
        return _why_never(prediction)
    if outcome.verdict == "completed":
        return _why_completed(prediction)
    return ""


def _why_never(prediction: Prediction) -> str:
    trace = prediction.trace
    if not trace.rounds:
        return ""
    last = trace.rounds[-1]
    bandwidth = _bandwidth(last)
    limit_s = prediction.scenario.policy.downtime_limit_s
    throttle = trace.outcome.peak_throttle_percent
    even = f"even throttled by {throttle:.0f} %, " if throttle else ""
    return (
        f"{even}the guest leaves {format_bytes(last.pending_bytes)} to send again in "
        f"every pass, of which {format_bandwidth(bandwidth)} carries "
        f"{format_bytes(bandwidth * limit_s)} within the downtime limit of "
        f"{format_duration(limit_s)}"
    )


def _bandwidth(last: Round) -> float:
    return last.sent_bytes / (last.end_s - last.start_s)


def _why_completed(prediction: Prediction) -> str:
    policy, trace = prediction.scenario.policy, prediction.trace
    throttle = trace.outcome.peak_throttle_percent
    after = policy.after_passes
    after = DEFAULT_AFTER_PASSES if after is None else after
    limit = format_duration(policy.downtime_limit_s)
    fits = f"what is left fits the downtime limit of {limit}"
    match policy.technique:
        case "postcopy" if trace.outcome.postcopy_requests is not None:
            return f"after {after} passes the guest moves and its memory follows"
        case "pause" if _was_paused(trace):
            return f"after {after} passes the guest is paused and the rest follows"
        case technique if not policy.downtime_limit_s and technique not in TUNED:
            # QEMU does not look again at what the guest wrote before it counts 0 left.
            return (
                "with a downtime limit of 0 QEMU stops the guest at the end of a pass, "
                "whatever it wrote meanwhile"
            )
        case "autoconverge" if throttle:
            return f"the throttle rises to {throttle:.0f} %, until {fits}"
        case "dirtylimit" if _slowed(prediction):
            return f"vCPUs sleep at full dirty rings, until {fits}"
        case "downtime-tuning":
            raised = "what is left fits the downtime limit as raised by then"
            return raised if policy.tuned_at(_end_s(trace)) else fits
        case "bandwidth-tuning" if policy.tuned_at(_end_s(trace)):
            return f"max-bandwidth is raised, until {fits}"
        case "autoconverge" | "postcopy" | "pause" | "dirtylimit" | "bandwidth-tuning":
            return f"{fits} without {policy.technique}"
    return fits


def _end_s(trace: Trace) -> float:
    """When pre-copy ended [s]."""
    stop_s = trace.phases.stop_s
    return trace.phases.end_s if stop_s is None else stop_s


def _slowed(prediction: Prediction) -> bool:
    """Whether the guest ran at less than half its speed at its worst."""
    before = prediction.quantities.get("guest_before_ms_per_gib")
    worst = prediction.quantities.get("guest_worst_ms_per_gib")
    if before is None or worst is None:
        return False
    if before.nominal is None or worst.nominal is None:
        return False
    return worst.nominal > 2 * before.nominal


def _was_paused(trace: Trace) -> bool:
    """Whether the guest stopped before the last pass: not by QEMU's own decision."""
    stop_s = trace.phases.stop_s
    if stop_s is None or not trace.rounds:
        return False
    return stop_s < trace.rounds[-1].end_s
