"""What a fit compares: the same numbers of a measured and of a simulated Trace."""

from __future__ import annotations

import math
from typing import NamedTuple

from migmodel.analysis.guest_speed import phase_speeds
from migmodel.records import Policy, Trace

from .throttled import held_levels


class Scale(NamedTuple):
    """How exactly a number can be asked for: relative and absolute floor."""

    relative: float
    absolute: float


# Floors under the repeats' own spread: what clocks and counters resolve, and how finely
# the mechanism itself is quantised (a window is 100 ms, QEMU's times are whole ms).
SCALES: dict[str, Scale] = {
    "total_time_s": Scale(0.01, 0.03),
    "first_pass_s": Scale(0.01, 0.005),
    "later_bytes_per_s": Scale(0.03, 0.0),
    "passes": Scale(0.1, 2.0),
    "setup_time_s": Scale(0.1, 0.001),
    "downtime_reported_s": Scale(0.05, 0.002),
    "downtime_stop_resume_s": Scale(0.05, 0.002),
    "downtime_extra_s": Scale(0.5, 0.003),
    "bytes_sent": Scale(0.02, 1e6),
    "postcopy_requests": Scale(0.3, 20),
    "source_cpu_s": Scale(0.05, 0.01),
    "destination_cpu_s": Scale(0.05, 0.01),
    "guest_before": Scale(0.01, 0.0),
    # Against the same run's speed before: a host's other load slows a whole run.
    "slowdown_precopy": Scale(0.02, 0.0),
    "slowdown_postcopy": Scale(0.1, 0.0),
    # Of one technique each; they tell what bytes_sent has in it beside much else.
    "multifd_bytes": Scale(0.003, 2e4),
    "compression_ratio": Scale(0.003, 0.0),
    "xbzrle_bytes": Scale(0.02, 2e4),
    "xbzrle_cache_misses": Scale(0.02, 100),
    "fault_latency_p50_s": Scale(0.05, 2e-6),
    "fault_latency_p90_s": Scale(0.1, 5e-6),
}

# Of a throttled guest: whether a pass ends before a sleep or after it decides by how
# much a step takes, and such chances add up.
THROTTLED: dict[str, Scale] = {
    "total_time_s": Scale(0.05, 0.1),
    "bytes_sent": Scale(0.05, 1e6),
    "slowdown_precopy": Scale(0.05, 0.0),
    "downtime_stop_resume_s": Scale(0.05, 0.01),
    "downtime_reported_s": Scale(0.05, 0.01),
}

# Of a guest paused after so many passes: each pass lasts whole windows, and one window
# more in an early pass makes the next ones longer, and what is left at the pause.
PAUSED: dict[str, Scale] = {
    "total_time_s": Scale(0.02, 0.1),
    "downtime_stop_resume_s": Scale(0.1, 0.05),
    "multifd_bytes": Scale(0.02, 1e6),
}

# How fast passes after the first one were is told by so long of them: a window and a
# half. A manager's pause comes as a pass ends, up to so much before its sync is seen.
SHORTEST_LATER_S = 0.15
AT_A_STOP_S = 0.02

# At each level of the throttle that was held for a while; its percent follows.
LEVEL_PREFIX = "slowdown_at_"
_LEVEL_SCALE = Scale(0.02, 0.0)


def scale_of(name: str, policy: Policy) -> Scale:
    """How exactly a number can be asked for, where a guest is migrated like this."""
    if name.startswith(LEVEL_PREFIX):
        return _LEVEL_SCALE
    coarse = THROTTLED if policy.has("auto-converge") else {}
    if policy.technique == "pause":
        coarse = PAUSED
    return coarse.get(name) or SCALES[name]


# Numbers that follow the costs without steps.
SMOOTH = frozenset(
    {"source_cpu_s", "destination_cpu_s", "guest_before", "setup_time_s"}
)


def observables(trace: Trace) -> dict[str, float]:
    """Numbers of one Trace; what it does not have is absent."""
    outcome = trace.outcome
    found: dict[str, float | None] = {
        name: getattr(outcome, name)
        for name in (
            "setup_time_s",
            "downtime_reported_s",
            "downtime_stop_resume_s",
            "bytes_sent",
            "postcopy_requests",
            "source_cpu_s",
            "destination_cpu_s",
            "multifd_bytes",
            "xbzrle_bytes",
            "xbzrle_cache_misses",
            "fault_latency_p50_s",
            "fault_latency_p90_s",
        )
    }
    if outcome.multifd_bytes is None:  # which tells the same, more exactly
        found["compression_ratio"] = outcome.compression_ratio
    if outcome.verdict == "completed":
        found["total_time_s"] = outcome.total_time_s
    else:  # how far it got in its time
        found["passes"] = outcome.passes
    if trace.rounds:
        found["first_pass_s"] = trace.rounds[0].end_s
        found["later_bytes_per_s"] = _later_bytes_per_s(trace)
    gap, stop = outcome.downtime_guest_s, outcome.downtime_stop_resume_s
    if gap is not None and stop is not None:
        found["downtime_extra_s"] = gap - stop
    found.update(_guest_speeds(trace))
    return {
        name: value
        for name, value in found.items()
        if value is not None and math.isfinite(value)
    }


def simulated_observables(trace: Trace) -> dict[str, float]:
    """Numbers of a simulated Trace, to be held against those of measured ones.

    Whether it completes just before a limit or is cut off there is a step. How long it
    took until either and how far it got leads over it.
    """
    found = observables(trace)
    passes, end_s = trace.outcome.passes, trace.phases.end_s
    if passes is not None:
        found.setdefault("passes", float(passes))
    if end_s is not None:
        found.setdefault("total_time_s", end_s)
    return found


def _later_bytes_per_s(trace: Trace) -> float | None:
    """How fast whole passes after the first one were; None without any.

    The first one finds zero pages, and pages that the destination has no memory for.
    """
    stop_s = math.inf if trace.phases.stop_s is None else trace.phases.stop_s
    rounds = [it for it in trace.rounds[1:] if it.end_s < stop_s + AT_A_STOP_S]
    seconds = sum(it.end_s - it.start_s for it in rounds)
    if seconds < SHORTEST_LATER_S:
        return None
    return sum(it.sent_bytes for it in rounds) / seconds


def _guest_speeds(trace: Trace) -> dict[str, float]:
    levels = {
        f"{LEVEL_PREFIX}{percent:g}": span
        for percent, span in held_levels(trace).items()
    }
    speeds = {
        name: speed.mean_ms_per_gib
        for name, speed in phase_speeds(trace, levels).items()
    }
    before = speeds.pop("before", None)
    if before is None:
        return {}
    speeds.pop("after", None)
    relative = {
        name if name in levels else f"slowdown_{name}": speed / before
        for name, speed in speeds.items()
    }
    return {"guest_before": before, **relative}
