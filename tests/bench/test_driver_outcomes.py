"""What becomes of a migration that ends as migrations do."""

from __future__ import annotations

from typing import Any

import pytest

from migmodel.errors import InputError
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


@pytest.mark.parametrize(
    ("policy", "capabilities", "parameters"),
    [
        (
            {"technique": "xbzrle", "parameters": {"xbzrle-cache-size": 1 << 20}},
            {"xbzrle"},
            {"xbzrle-cache-size": 1 << 20},
        ),
        (
            {"technique": "multifd-zstd", "parameters": {"multifd-channels": 4}},
            {"multifd"},
            {"multifd-compression": "zstd", "multifd-channels": 4},
        ),
        (
            {"technique": "postcopy", "capabilities": {"postcopy-preempt": True}},
            {"postcopy-ram", "postcopy-preempt"},
            None,
        ),
    ],
)
def test_a_techniques_settings_reach_both_sides(
    bench: Any, policy: dict[str, Any], capabilities: set[str], parameters: Any
) -> None:
    bench.measure(bench.scenario(**policy))
    for side in ("source", "destination"):
        (said,) = bench.arguments(side, "migrate-set-capabilities")
        on = {it["capability"] for it in said["capabilities"] if it["state"]}
        # The destination tells its faults, which the source knows nothing of.
        own = {"postcopy-blocktime"} & on if side == "destination" else set()
        assert on == capabilities | {"events"} | own
        assert bool(own) == ("postcopy-ram" in on and side == "destination")
        told = bench.arguments(side, "migrate-set-parameters")
        assert told == ([] if parameters is None else [parameters])


def test_a_traced_run_tells_nothing_but_faults(bench: Any) -> None:
    scenario = bench.scenario(technique="postcopy", after_passes=0)
    measurement = bench.measure(scenario, trace_faults=True)
    assert measurement.traced
    assert measurement.trace.outcome.verdict == "completed"
    assert measurement.trace.outcome.total_time_s is None
    assert measurement.trace.outcome.source_cpu_s is None
    assert measurement.trace.progress.time_s == []
    assert "-trace" in measurement.destination_argv
    assert "-trace" not in measurement.source_argv
    with pytest.raises(InputError, match="--trace-faults is for post-copy"):
        bench.measure(trace_faults=True)


def test_a_reading_guest_may_migrate_where_dirty_pages_are_lost(bench: Any) -> None:
    bench.script(version="7.2.22")
    scenario = bench.scenario(
        touch="read", technique="compress", parameters={"compress-threads": 2}
    )
    measurement = bench.measure(scenario)
    assert measurement.valid, measurement.problems
    assert "only times, bytes and ratios" in measurement.problems[0]
    with pytest.raises(InputError, match="--touch read"):
        bench.measure(bench.scenario())


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


@pytest.mark.parametrize("told_by", ["event_alone", "without_event"])
@pytest.mark.parametrize(("technique", "after"), [("precopy", None), ("pause", 0)])
def test_a_wait_before_the_switch_is_ended(
    bench: Any, technique: str, after: int | None, told_by: str
) -> None:
    bench.script(**{told_by: "pre-switchover"})
    scenario = bench.scenario(
        technique=technique,
        after_passes=after,
        capabilities={"pause-before-switchover": True},
    )
    measurement = bench.measure(scenario, timeout_s=10.0)
    assert measurement.valid, measurement.problems
    assert measurement.trace.outcome.verdict == "completed"
    said = bench.arguments("source", "migrate-continue")
    assert said == [{"state": "pre-switchover"}]
    states = [it.detail for it in measurement.trace.events if it.name == "MIGRATION"]
    assert ("pre-switchover" in states) == (told_by == "event_alone")


def test_a_wait_before_the_switch_may_end_in_a_cancel(bench: Any) -> None:
    wrong = {"what": "refuse", "text": "Migration not in expected state: cancelling"}
    bench.script(source={"migrate-continue": wrong})
    scenario = bench.scenario(
        capabilities={"pause-before-switchover": True}, limits=Limits(max_time_s=0.6)
    )
    measurement = bench.measure(scenario)
    assert measurement.trace.outcome.verdict == "cancelled"
    assert measurement.valid, measurement.problems


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
