"""How near a migration is to the frontier between converging and never converging.

Plain pre-copy converges in one of two ways. Either everything that the guest ever
writes fits into what the downtime limit carries: working set <= threshold, with
threshold = bandwidth x downtime limit. Or each pass is shorter than the one before,
until what is dirtied in one fits: dirty rate < bandwidth. It fails when neither holds,
so the frontier ratio is

    min(working set / threshold, dirty rate x page size / bandwidth)

below 1 it converges, above 1 it does not. The bandwidth is the one achieved after the
first pass, the dirty rate that of the guest during pre-copy, when it competes with the
migration for CPUs.
"""

from __future__ import annotations

from migmodel.records import Scenario, Trace
from migmodel.units import PAGE_BYTES

from .dirty_curve import measured_curve

NEAR = (0.7, 1.4)


def frontier_ratio(scenario: Scenario, trace: Trace) -> float | None:
    """Where a migration lies; 1 is the frontier of convergence.

    Returns
    -------
    float or None
        None where convergence does not decide (auto-converge throttles until it
        does, pause and post-copy end it) or where the Trace has too little.
    """
    bandwidth = achieved_bandwidth(trace)
    curve = measured_curve(scenario, trace, "precopy")
    if scenario.policy.technique != "precopy" or bandwidth is None or curve is None:
        return None
    threshold_bytes = bandwidth * scenario.policy.downtime_limit_s
    dirtied = curve.rate_pps * PAGE_BYTES / bandwidth
    if not threshold_bytes:
        return dirtied
    return min(scenario.workload.working_set_bytes / threshold_bytes, dirtied)


def achieved_bandwidth(trace: Trace) -> float | None:
    """Bytes/s on the wire between the first pass and the last, which ends in the stop.

    With fewer than three passes there is nothing between: then over the first pass.
    """
    rounds = trace.rounds[1:-1] or trace.rounds[:1]
    sent = sum(one.sent_bytes for one in rounds)
    elapsed_s = sum(one.end_s - one.start_s for one in rounds)
    return sent / elapsed_s if sent > 0 and elapsed_s > 0 else None
