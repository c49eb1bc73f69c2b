from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from migmodel.qemu.trace import build_trace
from migmodel.records import Raw, Scenario, Trace

from .recorded import STARTED_S, completed, event, query, scenario

CheckTrace = Callable[[Trace, Scenario], None]


def test_a_completed_migration_in_numbers(check_trace: CheckTrace) -> None:
    trace = build_trace(completed(), scenario())
    outcome = trace.outcome
    assert outcome.verdict == "completed"
    assert outcome.total_time_s == 2.203
    assert outcome.setup_time_s == 0.002
    assert outcome.downtime_reported_s == 0.18
    assert outcome.passes == 3
    assert outcome.bytes_sent == 80e6
    # From QEMU's own time stamps, not from when the events arrived.
    assert trace.phases.stop_s == pytest.approx(2.0, abs=1e-5)
    assert trace.phases.resume_s == pytest.approx(2.25, abs=1e-5)
    assert trace.phases.end_s == pytest.approx(2.2, abs=1e-5)
    assert outcome.downtime_stop_resume_s == pytest.approx(0.25, abs=1e-5)
    check_trace(trace, scenario())


def test_the_time_before_begins_when_all_is_prepared() -> None:
    raw = msgspec.structs.replace(completed(), prepared_s=STARTED_S - 1.5)
    assert build_trace(raw, scenario()).phases.before_s == pytest.approx(-1.5)
    assert build_trace(completed(), scenario()).phases.before_s is None


def test_cpu_seconds_count_from_the_start_to_the_end() -> None:
    outcome = build_trace(completed(), scenario()).outcome
    assert outcome.vcpu_cpu_s == pytest.approx(2.2, abs=1e-4)
    assert outcome.source_cpu_s == pytest.approx(2.2, abs=1e-4)
    assert outcome.destination_cpu_s == pytest.approx(2.2, abs=1e-4)


def test_busy_cores_cover_both_sides() -> None:
    load = build_trace(completed(), scenario()).load
    assert load.time_s == pytest.approx([0.0, 1.0, 2.2, 3.0])
    assert load.vcpu_cores == pytest.approx([2.0] * 4)
    assert load.source_cores == pytest.approx([1.0] * 4)
    assert load.destination_cores == pytest.approx([1.0] * 4)


def test_rounds_are_what_lies_between_syncs() -> None:
    rounds = build_trace(completed(), scenario()).rounds
    assert [part.index for part in rounds] == [1, 2, 3]
    assert [part.start_s for part in rounds] == pytest.approx(
        [0.002, 1.5, 2.01], abs=1e-5
    )
    assert rounds[0].pending_bytes == 64 * 2**20
    # Sent between 1.0 s (40 MB) and 1.6 s (64 MB) at an even rate: 60 MB by 1.5 s.
    assert rounds[0].sent_bytes == pytest.approx(60e6, rel=0.01)
    # 4 MB of it since the sync, so it was pending beside the 8 MB that remain.
    assert rounds[1].pending_bytes == pytest.approx(12e6, rel=0.01)
    assert sum(part.sent_bytes for part in rounds) == pytest.approx(80e6, rel=0.01)


def test_progress_is_of_the_running_migration() -> None:
    progress = build_trace(completed(), scenario()).progress
    assert progress.time_s == pytest.approx([0.5, 1.0, 1.6])
    assert progress.dirty_sync_count == [1, 1, 2]


@pytest.mark.parametrize(
    ("policy", "seen", "peak"),
    [
        ({}, [0, 0], None),
        ({"technique": "autoconverge"}, [0, 0], 0),
        ({"technique": "autoconverge"}, [20, 50], 50),
        ({"capabilities": {"auto-converge": True}}, [0, 20], 20),
    ],
)
def test_the_peak_throttle_exists_where_it_can_throttle(
    policy: dict[str, Any], seen: list[int], peak: float | None
) -> None:
    queries = [
        query(0.1 * number, "active", **({"cpu_throttle_percentage": p} if p else {}))
        for number, p in enumerate(seen)
    ]
    trace = build_trace(completed(queries=queries), scenario(**policy))
    assert trace.outcome.peak_throttle_percent == peak


def test_page_requests_exist_with_post_copy_only() -> None:
    assert build_trace(completed(), scenario()).outcome.postcopy_requests is None
    postcopy = scenario(technique="postcopy")
    assert build_trace(completed(), postcopy).outcome.postcopy_requests == 4


def test_a_cancelled_migration_ends_with_the_cancel(check_trace: CheckTrace) -> None:
    raw = completed(
        events=[
            event(0.002, "source", "MIGRATION_PASS", **{"pass": 1}),
            [STARTED_S + 1.0, "driver", {"event": "Cancel", "data": {"reason": "r"}}],
            event(1.1, "source", "MIGRATION", status="cancelled"),
        ],
        queries=[query(0.5, "active"), query(1.12, "cancelled")],
        destination_console=[],
    )
    trace = build_trace(raw, scenario())
    assert trace.outcome.verdict == "cancelled"
    assert trace.outcome.reason == "r"
    assert trace.outcome.total_time_s == pytest.approx(1.0)
    assert trace.phases.stop_s is None
    assert trace.outcome.downtime_guest_s is None
    check_trace(trace, scenario())


def test_a_failed_migration_tells_qemus_reason() -> None:
    raw = completed(
        events=[event(0.7, "source", "MIGRATION", status="failed")],
        queries=[
            query(0.5, "active", dirty_sync_count=1),
            [1000.7, 1000.71, {"status": "failed", "error-desc": "Broken pipe"}],
        ],
    )
    trace = build_trace(raw, scenario())
    assert trace.outcome.verdict == "failed"
    assert trace.outcome.reason == "QEMU reports failed: Broken pipe"
    assert trace.outcome.total_time_s is None
    assert trace.outcome.passes == 1
    assert trace.phases.end_s == pytest.approx(0.7, abs=1e-5)


def test_a_run_that_broke_off_before_it_began_is_a_trace_too() -> None:
    trace = build_trace(Raw(started_s=1.0), scenario(), "the source QEMU hangs")
    assert trace.outcome.verdict == "failed"
    assert trace.outcome.reason == "the source QEMU hangs"
    assert trace.outcome.passes is None
    assert trace.outcome.source_cpu_s is None
    assert trace.phases.end_s == 0.0
    assert trace.rounds == []


def test_a_recording_survives_its_file() -> None:
    data = msgspec.json.encode(completed())
    again = msgspec.json.decode(data, type=Raw)
    assert build_trace(again, scenario()) == build_trace(completed(), scenario())
