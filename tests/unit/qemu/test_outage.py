from __future__ import annotations

import msgspec
import pytest

from migmodel.qemu.outage import outage_remarks, paused_s
from migmodel.qemu.trace import build_trace
from migmodel.qemu.validity import problems
from migmodel.records import Link, Outage, Raw, Scenario, Trace
from migmodel.records.scenario import UNRECOVERED

from .recorded import STARTED_S, completed, event, query, scenario, unit

PAUSED_S = 3.0


def interrupted(recovered_after_s: float | None) -> Scenario:
    outage = Outage(at_s=0.2, recovered_after_s=recovered_after_s)
    plain = scenario(technique="postcopy", after_passes=0)
    return msgspec.structs.replace(plain, link=Link(outage=outage))


def recovered() -> Raw:
    """Running again at 2.25 s, broken from 2.5 to 5.5 s; silent all that time."""
    plain = completed()
    events = [it for it in plain.events if it[2]["data"].get("status") != "completed"]
    statuses = [
        (2.1, "postcopy-active"),
        (2.5, "postcopy-paused"),
        (5.4, "postcopy-recover"),
        (5.5, "postcopy-active"),
        (7.0, "completed"),
    ]
    events += [event(at, "source", "MIGRATION", status=it) for at, it in statuses]
    return completed(
        events=events,
        queries=[*plain.queries[:3], query(7.01, "completed", transferred=80e6)],
        destination_console=[unit(at, 0.25) for at in (2.35, 2.45, 5.6, 5.7, 5.8)],
    )


def broken() -> Raw:
    raw = recovered()
    end_s = STARTED_S + 2.6
    return msgspec.structs.replace(
        raw,
        events=[it for it in raw.events if it[0] < end_s],
        queries=[*raw.queries[:3], query(2.55, "postcopy-paused", downtime=180)],
        destination_console=[],
    )


def build(raw: Raw, recovered_after_s: float | None) -> Trace:
    return build_trace(raw, interrupted(recovered_after_s))


def test_a_guest_may_be_silent_as_long_as_its_connection_is_broken() -> None:
    trace = build(recovered(), PAUSED_S)
    assert paused_s(trace) == pytest.approx(PAUSED_S, abs=1e-5)
    assert problems(recovered(), trace) == []
    unbroken = msgspec.structs.replace(trace, events=trace.events[:-4])
    assert "stopped printing on the destination" in problems(recovered(), unbroken)[0]


def test_nobody_recovers_and_all_that_is_known_is_told() -> None:
    trace = build(broken(), None)
    outcome = trace.outcome
    assert outcome.verdict == "failed"
    assert outcome.reason == UNRECOVERED
    assert outcome.total_time_s == pytest.approx(2.5, abs=1e-5)
    assert outcome.downtime_reported_s == 0.18
    assert outcome.downtime_stop_resume_s == pytest.approx(0.25, abs=1e-5)
    # It may have run too shortly to say anything, and that was to be expected.
    assert problems(broken(), trace) == []


def test_a_pause_that_was_to_be_recovered_is_a_failure() -> None:
    trace = build(broken(), PAUSED_S)
    assert trace.outcome.reason == "QEMU reports postcopy-paused"
    assert trace.outcome.total_time_s is None
    assert problems(broken(), trace)[0] == trace.outcome.reason


def test_what_is_to_be_known_of_an_outage_is_remarked() -> None:
    outage = Outage(at_s=9.0)
    assert outage_remarks(outage, build(completed(), None))
    assert outage_remarks(outage, build(recovered(), PAUSED_S)) == []
    assert outage_remarks(outage, build(broken(), None)) == [UNRECOVERED]
    assert outage_remarks(None, build(completed(), None)) == []
