"""A QEMU that dies, hangs or refuses, and a guest that is of no use."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    "command", ["start", "migrate-set-capabilities", "query-migrate"]
)
def test_a_qemu_that_dies_is_named(bench: Any, side: str, command: str) -> None:
    transport = "tcp" if side == "destination" else "unix"  # there it is asked, too
    bench.script(**{side: {command: {"what": "die"}}})
    measurement = bench.measure(bench.scenario(transport=transport))
    assert measurement.trace.outcome.verdict == "failed"
    assert not measurement.valid
    reason = measurement.trace.outcome.reason
    assert f"the {side} QEMU was killed by signal 9 (SIGKILL)" in reason
    assert measurement.problems[0] == reason


def test_the_source_is_the_culprit_when_its_destination_ends_first(bench: Any) -> None:
    bench.script(source={"query-migrate": {"at": 3, "what": "break off"}})
    measurement = bench.measure()
    assert measurement.trace.outcome.reason == (
        "the source QEMU was killed by signal 9 (SIGKILL)"
    )
    # What the destination said of it is kept.
    assert "destination: load of migration failed" in measurement.stderr_tail


def test_a_destination_that_ends_alone_is_the_culprit(bench: Any) -> None:
    wrong = {"what": "exit", "text": "Unknown savevm section"}
    bench.script(destination={"migrate-incoming": wrong})
    measurement = bench.measure()
    assert measurement.trace.outcome.reason == (
        "the destination QEMU ended with exit status 1: "
        "qemu-system-x86_64: Unknown savevm section"
    )


def test_what_a_dying_qemu_said_is_kept(bench: Any) -> None:
    text = "kvm run failed Bad address"
    bench.script(source={"query-migrate": {"at": 3, "what": "exit", "text": text}})
    measurement = bench.measure()
    assert text in measurement.trace.outcome.reason
    assert "exit status 1" in measurement.trace.outcome.reason
    assert text in measurement.stderr_tail
    # What was seen until then is there.
    assert len(measurement.raw.queries) == 2
    assert measurement.trace.progress.time_s


@pytest.mark.parametrize(
    ("side", "command"),
    [
        ("source", "start"),
        ("source", "query-migrate"),
        ("destination", "migrate-incoming"),
    ],
)
def test_a_qemu_that_hangs_is_given_up(bench: Any, side: str, command: str) -> None:
    bench.script(**{side: {command: {"what": "freeze"}}})
    measurement = bench.measure(reply_timeout_s=0.5)
    assert measurement.trace.outcome.verdict == "failed"
    assert f"the {side} QEMU hangs: no answer to" in measurement.trace.outcome.reason


def test_a_refusal_is_quoted(bench: Any) -> None:
    text = "Postcopy is not supported: Userfaultfd not available"
    wrong = {"what": "refuse", "text": text}
    bench.script(destination={"migrate-set-capabilities": wrong})
    measurement = bench.measure(bench.scenario(technique="postcopy"))
    assert measurement.trace.outcome.reason == (
        f"the destination QEMU refused migrate-set-capabilities: {text}"
    )


def test_a_cancel_that_comes_too_late_is_no_failure(bench: Any) -> None:
    from migmodel.records import Limits

    wrong = {"what": "refuse", "text": "Postcopy has begun"}
    bench.script(polls=12, source={"migrate_cancel": wrong})
    measurement = bench.measure(bench.scenario(limits=Limits(max_time_s=0.2)))
    assert measurement.trace.outcome.verdict == "completed"


def test_a_migration_without_end_is_given_up(bench: Any) -> None:
    bench.script(polls=10_000)
    measurement = bench.measure(timeout_s=0.3)
    assert measurement.trace.outcome.verdict == "failed"
    assert "had not ended after 0.3 s" in measurement.trace.outcome.reason


def test_a_destination_that_never_runs_is_a_failure(bench: Any) -> None:
    bench.script(destination={"cont": {"what": "silent"}})
    scenario = bench.scenario(technique="pause", after_passes=0)
    measurement = bench.measure(scenario, reply_timeout_s=0.5)
    assert measurement.trace.outcome.verdict == "failed"


def test_a_guest_that_cannot_run_is_quoted(bench: Any) -> None:
    bench.script(guest={"error": "too little memory"})
    measurement = bench.measure()
    assert measurement.trace.outcome.verdict == "failed"
    assert measurement.trace.outcome.reason == "the guest cannot run: too little memory"


@pytest.mark.parametrize(
    ("guest", "why"),
    [({"slows": True}, "its pace still varies"), ({"mute": "source"}, "too few")],
)
def test_a_guest_that_does_not_settle_is_not_migrated(
    bench: Any, guest: dict[str, Any], why: str
) -> None:
    bench.script(guest=guest)
    measurement = bench.measure(settle_timeout_s=2.5)
    assert measurement.trace.outcome.verdict == "failed"
    assert "had not settled" in measurement.trace.outcome.reason
    assert why in measurement.trace.outcome.reason
    assert "migrate" not in bench.commands("source")


def test_corrupted_pages_make_a_run_useless(bench: Any) -> None:
    bench.script(guest={"bad": 3})
    measurement = bench.measure()
    assert measurement.trace.outcome.verdict == "completed"
    assert not measurement.valid
    assert "3 pages" in measurement.problems[0]


def test_a_guest_that_falls_silent_makes_a_run_useless(bench: Any) -> None:
    bench.script(polls=30, guest={"mute": "migrating"})
    measurement = bench.measure()
    assert not measurement.valid
    assert "stopped printing on the source" in measurement.problems[0]


def test_a_guest_that_never_arrives_makes_a_run_useless(bench: Any) -> None:
    bench.script(guest={"mute": "destination"})
    measurement = bench.measure()
    assert measurement.trace.outcome.verdict == "completed"
    assert measurement.problems == ["the guest never printed on the destination"]
