"""Fault latency of QEMUs that report none: runs of their own, with each fault traced.

Tracing a page costs more than what is measured, so these runs lie in a folder of their
own and count for nothing else. What tracing adds is taken from each scenario's twin on
a QEMU that reports latencies itself: that is traced, too, and set against its run in
the suite.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from migmodel.analysis.campaign import is_done, stored_runs
from migmodel.qemu.traced import REPORTS_LATENCY_SINCE, corrected
from migmodel.records import Measurement, Scenario, Trace
from migmodel.records.measurement import SAME_HOST
from migmodel.units import format_duration

from .compare import check_same_host
from .full_suite import on_newer

TRACED = "traced"  # holds runs and their table as the folder of the suite does
REPEAT = 0  # one is enough: a run has thousands of faults, and this is no noise ratio


@dataclass(frozen=True, slots=True)
class TracedFaults:
    """What became of a scenario's traced run.

    Attributes
    ----------
    trace : Trace or None
        Its latencies, corrected; None where they could not be.
    hosts : tuple of Measurement
        The runs that it is made of, which must be of the suite's host.
    note : str
        How it was corrected, or why it was not.
    """

    trace: Trace | None
    hosts: tuple[Measurement, ...]
    note: str


def traceable(scenarios: Sequence[Scenario], out: Path) -> list[Scenario]:
    """Post-copy scenarios whose QEMU reports no latencies and whose twin does.

    Parameters
    ----------
    scenarios : sequence of Scenario
        All that are to be run.
    out : Path
        Where a twin that is not among them may have been run before.
    """
    names = {it.name for it in scenarios}
    found = []
    for it in scenarios:
        if _reports_none(it):
            twin = on_newer(it)
            if twin.name in names or is_done(twin, REPEAT, out):
                found.append(it)
    return found


def with_twin(scenario: Scenario) -> tuple[Scenario, Scenario]:
    """What has to be traced for a scenario's fault latency."""
    return scenario, on_newer(scenario)


def open_traced(scenarios: Sequence[Scenario], out: Path) -> list[Scenario]:
    """Those of the scenarios and of their twins that have not been traced yet."""
    both = [run for it in scenarios for run in with_twin(it)]
    return [it for it in both if not is_done(it, REPEAT, out / TRACED)]


def traced_faults(scenario: Scenario, out: Path) -> TracedFaults | None:
    """A scenario's traced latencies, corrected as `measure_faults` does.

    Returns
    -------
    TracedFaults or None
        None where it was never traced.

    Raises
    ------
    InputError
        When the three runs are not of one host, or the twin's of two QEMUs.
    """
    if not _reports_none(scenario):
        return None
    attempts = _stored(scenario, out / TRACED)
    if not attempts:
        return None
    twin = on_newer(scenario)
    run = _with_faults(attempts)
    slowed = _with_faults(_stored(twin, out / TRACED))
    untouched = _reporting(_stored(twin, out))
    hosts = tuple(it for it in (run, slowed, untouched) if it is not None)
    if run is None:
        why = "; ".join(dict.fromkeys(p for it in attempts for p in it.problems))
        note = f"traced in vain: {why or 'no fault was logged'}"
        return TracedFaults(None, hosts, note)
    if slowed is None or untouched is None:
        lacking = "traced" if slowed is None else "untraced"
        note = f"traced, and not corrected: no {lacking} run of {twin.name} has faults"
        return TracedFaults(None, hosts, note)
    check_same_host(hosts, SAME_HOST)
    check_same_host([slowed, untouched])
    done = corrected(run, slowed, untouched)
    note = f"{done.problems[-1]}; {_cross_check(run)}"
    return TracedFaults(done.trace, hosts, note)


def _reports_none(scenario: Scenario) -> bool:
    return (
        scenario.policy.has("postcopy-ram") and scenario.version < REPORTS_LATENCY_SINCE
    )


def _stored(scenario: Scenario, out: Path) -> list[Measurement]:
    return [it for _, it in stored_runs([scenario], out, with_raw=True)]


def _with_faults(runs: Sequence[Measurement]) -> Measurement | None:
    """The first valid run of which single latencies are known."""
    known = (it for it in runs if it.valid and it.raw and it.raw.fault_latencies_s)
    return next(known, None)


def _reporting(runs: Sequence[Measurement]) -> Measurement | None:
    """The first valid run whose QEMU reports latencies."""
    known = (it for it in runs if it.valid and it.raw and it.raw.destination_queries)
    return next((it for it in known if it.trace.outcome.fault_latency_histogram), None)


def _cross_check(run: Measurement) -> str:
    """What a traced run says of the same in other ways, uncorrected all of it.

    One vCPU stands still as long as its faults wait together, and its longest gap holds
    its longest wait.
    """
    assert run.raw is not None
    waits_s = sorted(run.raw.fault_latencies_s)
    text = (
        f"as traced, {len(waits_s)} faults waited {format_duration(sum(waits_s))} "
        f"together, 99 % of them up to {format_duration(_p99(waits_s))}"
    )
    blocktime_s = run.trace.outcome.postcopy_blocktime_s
    if blocktime_s is not None:
        text += f"; blocktime {format_duration(blocktime_s)}"
    guest, resume_s = run.trace.guest, run.trace.phases.resume_s
    gaps_s = [
        gap
        for gap, end_s in zip(guest.gap_s, guest.end_s, strict=False)
        if resume_s is not None and end_s > resume_s
    ]
    if gaps_s:
        text += f", the guest's longest gap {format_duration(max(gaps_s))}"
    return text


def _p99(ordered: Sequence[float]) -> float:
    return ordered[-1 - len(ordered) // 100]
