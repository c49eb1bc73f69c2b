"""A connection that breaks in post-copy."""

from __future__ import annotations

from typing import Any

import pytest

from migmodel.errors import InputError
from migmodel.records import Outage
from migmodel.records.scenario import UNRECOVERED

LONG = 10_000  # polls: what is not ended goes on


def scenario(bench: Any, **outage: Any) -> Any:
    return bench.scenario(
        technique="postcopy",
        after_passes=0,
        transport=outage.pop("transport", "unix"),
        capabilities=outage.pop("capabilities", {}),
        outage=Outage(**{"at_s": 0.1, **outage}),
    )


def statuses(measurement: Any) -> list[str]:
    events = measurement.trace.events
    return [event.detail for event in events if event.name == "MIGRATION"]


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_a_broken_connection_is_recovered(
    bench: Any, check_trace: Any, transport: str
) -> None:
    bench.script(switches=True, polls=8)
    measurement = bench.measure(
        scenario(bench, recovered_after_s=0.3, transport=transport)
    )
    trace = measurement.trace
    assert measurement.problems == []
    assert trace.outcome.verdict == "completed"
    assert statuses(measurement) == [
        "setup",
        "active",
        "postcopy-active",
        "postcopy-paused",
        "postcopy-recover-setup",
        "postcopy-recover",
        "postcopy-active",
        "completed",
    ]
    at = {event.detail: event.time_s for event in trace.events}
    broken_s = at["postcopy-paused"]
    # Never sooner; later by what a busy host takes to get to it.
    assert 0.09 < broken_s - trace.phases.resume_s < 0.8
    assert 0.29 < at["postcopy-recover"] - broken_s < 1.0
    first, again = bench.arguments("source", "migrate")
    (reopened,) = bench.arguments("destination", "migrate-recover")
    assert again["resume"] is True
    if transport == "unix":
        assert again["uri"] == reopened["uri"] != first["uri"]
    else:
        assert reopened["uri"] == "tcp:127.0.0.1:0"  # whichever port is free
        assert again["uri"] == "tcp:127.0.0.1:1"  # what the destination answers
    check_trace(trace, measurement.scenario)


def test_what_nobody_recovers_ends_as_it_is_predicted_to(
    bench: Any, check_trace: Any
) -> None:
    bench.script(switches=True, polls=LONG)
    measurement = bench.measure(scenario(bench))
    outcome, phases = measurement.trace.outcome, measurement.trace.phases
    assert outcome.verdict == "failed"
    assert outcome.reason == UNRECOVERED
    assert outcome.total_time_s == phases.end_s
    assert phases.end_s == measurement.trace.events[-1].time_s
    assert phases.resume_s - phases.stop_s == outcome.downtime_stop_resume_s
    assert outcome.downtime_guest_s is not None
    # It is what the scenario describes, not a run that went wrong.
    assert measurement.valid
    assert measurement.problems == [UNRECOVERED]
    assert "migrate-recover" not in bench.commands("destination")
    check_trace(measurement.trace, measurement.scenario)


def test_a_migration_that_is_over_by_then_is_told_apart(bench: Any) -> None:
    bench.script(switches=True, polls=2)
    measurement = bench.measure(scenario(bench, at_s=5.0, recovered_after_s=0.1))
    assert measurement.trace.outcome.verdict == "completed"
    assert measurement.valid
    assert "the connection did not break" in measurement.problems[0]
    assert "migrate-pause" not in bench.commands("source")


def test_a_pause_that_comes_too_late_is_no_failure(bench: Any) -> None:
    wrong = {"what": "refuse", "text": "only during postcopy-active"}
    bench.script(switches=True, source={"migrate-pause": wrong})
    measurement = bench.measure(scenario(bench, at_s=0.0, recovered_after_s=0.1))
    assert measurement.trace.outcome.verdict == "completed"
    assert "the connection did not break" in measurement.problems[0]


def test_a_recovery_that_fails_is_the_end(bench: Any) -> None:
    bench.script(switches=True, polls=LONG, recovery_fails=True)
    measurement = bench.measure(scenario(bench, recovered_after_s=0.1))
    assert measurement.trace.outcome.verdict == "failed"
    assert measurement.trace.outcome.reason == "QEMU reports postcopy-paused"
    assert not measurement.valid


def test_a_recovery_that_is_refused_is_quoted(bench: Any) -> None:
    wrong = {"what": "refuse", "text": "Address already in use"}
    bench.script(switches=True, polls=LONG, destination={"migrate-recover": wrong})
    measurement = bench.measure(scenario(bench, recovered_after_s=0.1))
    assert measurement.trace.outcome.reason == (
        "the destination QEMU refused migrate-recover: Address already in use"
    )


def test_a_side_that_does_not_notice_is_named(bench: Any) -> None:
    bench.script(switches=True, polls=LONG, does_not_notice=True)
    measurement = bench.measure(
        scenario(bench, recovered_after_s=0.1), reply_timeout_s=0.5
    )
    assert measurement.trace.outcome.reason == (
        "the destination QEMU did not pause in 0.5 s after its connection broke"
    )


@pytest.mark.parametrize(
    ("outage", "version", "why"),
    [
        ({"since": "migrate"}, "10.0.2", "in post-copy alone"),
        ({}, "8.2.1", "9.0 or newer, not 8.2"),
        ({"capabilities": {"events": False}}, "10.0.2", "--cap events=off"),
        (
            {"capabilities": {"release-ram": True}, "recovered_after_s": 1.0},
            "10.0.2",
            "--cap release-ram",
        ),
    ],
)
def test_an_outage_that_cannot_be_made_is_refused(
    bench: Any, outage: dict[str, Any], version: str, why: str
) -> None:
    bench.script(version=version)
    with pytest.raises(InputError, match=why):
        bench.measure(scenario(bench, **outage))
