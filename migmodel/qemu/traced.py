"""Fault latency on a QEMU that reports none: traced, corrected, and nothing else."""

from __future__ import annotations

import msgspec

from migmodel.qemu.binary import find_qemu
from migmodel.qemu.counters import latency_fields
from migmodel.qemu.driver import measure
from migmodel.qemu.faults import correction, reported_latency, traced_latency
from migmodel.qemu.options import DriverOptions, ProgressHandler
from migmodel.records.measurement import Measurement
from migmodel.records.scenario import Scenario

REPORTS_LATENCY_SINCE = (10, 1)
_REFERENCE = (11, 1)  # reports latencies, and can trace them too


def measure_faults(
    scenario: Scenario,
    options: DriverOptions,
    *,
    repeat: int = 0,
    on_progress: ProgressHandler | None = None,
) -> Measurement:
    """Measure a post-copy migration with each fault traced.

    What tracing adds is taken from two more runs, on QEMU 11.1, which reports latencies
    itself: one traced and one not. Where that is not set up, or QEMU reports
    latencies itself, nothing is corrected.

    Returns
    -------
    Measurement
        A traced one; `problems` says how it was corrected, or why it was not.
    """
    traced = msgspec.structs.replace(options, trace_faults=True)
    run = measure(scenario, traced, repeat=repeat, on_progress=on_progress)
    latencies_s = run.trace.outcome.fault_latency_histogram
    if not run.valid or latencies_s is None or run.raw is None:
        return run
    if run.scenario.version >= REPORTS_LATENCY_SINCE:
        return _remarked(run, "traced; this QEMU reports latencies itself untraced")
    reference = find_qemu(wanted=_REFERENCE)
    if reference.version != _REFERENCE:
        return _remarked(
            run,
            "traced, and not corrected: that needs QEMU 11.1 (./dev setup qemu-11)",
        )
    again = msgspec.structs.replace(scenario, qemu_version=reference.release)
    slowed, untouched = (
        measure(
            again,
            msgspec.structs.replace(
                options, qemu=str(reference.path), trace_faults=is_traced
            ),
            on_progress=on_progress,
        )
        for is_traced in (True, False)
    )
    return corrected(run, slowed, untouched)


def corrected(
    run: Measurement, slowed: Measurement, untouched: Measurement
) -> Measurement:
    """Undo what tracing adds.

    Parameters
    ----------
    run : Measurement
        The traced run, with its raw samples.
    slowed, untouched : Measurement
        The same on a QEMU that reports latencies, traced and untraced.
    """
    seen = slowed.raw.fault_latencies_s if slowed.raw else []
    replies = untouched.raw.destination_queries if untouched.raw else []
    reported = reported_latency(replies[-1][2]) if replies else None
    assert run.raw is not None
    before = traced_latency(run.raw.fault_latencies_s)
    if before is None or not seen or reported is None:
        return _remarked(
            run, "traced, and not corrected: no faults where tracing's cost is seen"
        )
    correct = correction(seen, reported)
    latency = traced_latency([correct(value) for value in run.raw.fault_latencies_s])
    assert latency is not None
    outcome = msgspec.structs.replace(run.trace.outcome, **latency_fields(latency))
    factor = latency.quantiles_s[0] / before.quantiles_s[0]
    run = msgspec.structs.replace(
        run, trace=msgspec.structs.replace(run.trace, outcome=outcome)
    )
    return _remarked(
        run,
        f"traced; corrected by what tracing adds on QEMU {slowed.scenario.qemu_version}"
        f": median times {factor:.2f}",
    )


def _remarked(run: Measurement, remark: str) -> Measurement:
    return msgspec.structs.replace(run, problems=[*run.problems, remark])
