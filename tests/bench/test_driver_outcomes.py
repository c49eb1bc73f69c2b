"""What becomes of a migration that ends as migrations do."""

from __future__ import annotations

from typing import Any

import pytest

from migmodel.qemu.trace import build_trace
from migmodel.records import Limits


def test_a_plain_migration_is_recorded(bench: Any, check_trace: Any) -> None:
    measurement = bench.measure()
    outcome, phases = measurement.trace.outcome, measurement.trace.phases
    assert measurement.problems == []
    assert measurement.valid
    assert outcome.verdict == "completed"
    # The first answers after completion say 0: the final value must be waited for.
    assert outcome.total_time_s == 1.234
    assert outcome.downtime_reported_s == 0.007
    assert outcome.passes == 3
    assert outcome.peak_throttle_percent is None
    assert outcome.postcopy_requests is None
    assert [part.index for part in measurement.trace.rounds] == [1, 2, 3]
    assert phases.stop_s is not None
    assert phases.resume_s is not None
    # The guest's clock stood still: its gap is the blackout and what it saw itself.
    assert outcome.downtime_stop_resume_s is not None
    assert outcome.downtime_guest_s is not None
    assert outcome.downtime_guest_s >= 50e-6
    check_trace(measurement.trace, measurement.scenario)
    assert measurement.raw is not None
    assert build_trace(measurement.raw, measurement.scenario) == measurement.trace


def test_both_sides_get_capabilities_and_parameters(bench: Any) -> None:
    bench.measure(bench.scenario(parameters={"downtime-limit": 100}))
    for side in ("source", "destination"):
        commands = bench.commands(side)
        assert "migrate-set-capabilities" in commands
        assert "migrate-set-parameters" in commands
    assert bench.commands("destination").index("migrate-set-parameters") < (
        bench.commands("destination").index("migrate-incoming")
    )


@pytest.mark.parametrize("transport", ["unix", "tcp"])
def test_a_paused_guest_is_continued_at_its_destination(
    bench: Any, transport: str
) -> None:
    bench.script(polls=8)
    scenario = bench.scenario(technique="pause", after_passes=0, transport=transport)
    measurement = bench.measure(scenario)
    outcome, phases = measurement.trace.outcome, measurement.trace.phases
    assert measurement.valid, measurement.problems
    assert bench.commands("destination").count("cont") == 1
    assert "cont" not in bench.commands("source")
    names = [event.name for event in measurement.trace.events]
    assert names.index("MANAGER") < names.index("STOP") < names.index("RESUME")
    # The blackout begins with the pause, not with QEMU's own downtime.
    assert outcome.downtime_stop_resume_s == phases.resume_s - phases.stop_s
    assert outcome.downtime_stop_resume_s > 0.2
    assert outcome.downtime_guest_s > 0.5 * outcome.downtime_stop_resume_s


def test_a_limit_cancels(bench: Any, check_trace: Any) -> None:
    bench.script(polls=10_000)
    measurement = bench.measure(bench.scenario(limits=Limits(max_time_s=0.4)))
    outcome = measurement.trace.outcome
    assert outcome.verdict == "cancelled"
    assert "time limit of 0.4 s" in outcome.reason
    assert outcome.total_time_s >= 0.4
    assert outcome.downtime_reported_s is None
    assert outcome.downtime_stop_resume_s is None
    # Its destination ends itself, as QEMU does when the stream breaks off.
    assert measurement.valid, measurement.problems
    check_trace(measurement.trace, measurement.scenario)


def test_a_paused_guest_runs_again_when_its_migration_is_cancelled(bench: Any) -> None:
    bench.script(polls=10_000)
    scenario = bench.scenario(
        technique="pause", after_passes=0, limits=Limits(max_time_s=0.4)
    )
    measurement = bench.measure(scenario)
    assert measurement.trace.outcome.verdict == "cancelled"
    assert bench.commands("source")[-1] == "cont"
    assert max(measurement.trace.guest.end_s) > 0.4


def test_post_copy_is_started_after_the_named_passes(bench: Any) -> None:
    measurement = bench.measure(bench.scenario(technique="postcopy", after_passes=0))
    assert bench.commands("source").count("migrate-start-postcopy") == 1
    assert measurement.trace.outcome.postcopy_requests == 0


def test_a_migration_that_qemu_fails_says_so(bench: Any) -> None:
    bench.script(migration_fails=True)
    measurement = bench.measure()
    assert measurement.trace.outcome.verdict == "failed"
    assert "failed" in measurement.trace.outcome.reason
    assert not measurement.valid


def test_late_answers_are_only_late(bench: Any) -> None:
    bench.script(source={"query-migrate": {"at": 2, "what": "late", "s": 0.3}})
    measurement = bench.measure()
    assert measurement.valid, measurement.problems
    waits = [answered - sent for sent, answered, _ in measurement.raw.queries]
    assert max(waits) > 0.29


def test_raw_samples_can_be_left_out(bench: Any) -> None:
    measurement = bench.measure(keep_raw=False)
    assert measurement.raw is None
    assert measurement.trace.progress.time_s


def test_the_real_version_is_recorded(bench: Any) -> None:
    bench.script(version="9.2.1")
    measurement = bench.measure()
    assert measurement.scenario.qemu_version == "9.2"
    assert measurement.host.qemu_version == "9.2.1 (Scripted 1)"


def test_a_version_that_is_not_modelled_is_remarked(bench: Any) -> None:
    bench.script(version="42.1.0")
    measurement = bench.measure()
    assert measurement.valid
    assert "QEMU 42.1, which is not modelled" in measurement.problems[0]
