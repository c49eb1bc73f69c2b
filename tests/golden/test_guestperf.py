"""Reports that QEMU's guestperf wrote: read, predicted, compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from migmodel.analysis.compare import Comparison, compare, with_guest_speed
from migmodel.analysis.profiles import load_profile
from migmodel.analysis.runs import read_run
from migmodel.units import GIB, MIB

FOLDER = Path(__file__).parent / "guestperf"
REPORTS = ("ac10-250-1", "pause3-250-1", "postcopy2-125-1")


def compared(name: str) -> Comparison:
    profile = load_profile("tcg-2core")
    run = read_run(FOLDER / f"{name}.json", profile, "10.0")
    return compare(run, with_guest_speed(profile, run), draws=0)


@pytest.mark.parametrize("name", REPORTS)
def test_the_guest_is_guestperfs(name: str) -> None:
    run = read_run(FOLDER / f"{name}.json", load_profile("tcg-2core"))
    assert run.valid
    assert run.scenario.guest.ram_bytes == 1536 * MIB
    assert run.scenario.guest.kind == "linux"
    assert run.scenario.workload.working_set_bytes == GIB
    assert run.scenario.workload.touch == "study"
    assert run.scenario.policy.downtime_limit_s == 0.5
    assert run.scenario.limits.max_iters == 30


def test_auto_converge_as_the_report_has_it() -> None:
    run = read_run(FOLDER / "ac10-250-1.json", load_profile("tcg-2core"))
    outcome = run.trace.outcome
    assert run.scenario.policy.technique == "autoconverge"
    assert run.scenario.policy.max_bandwidth_bytes_per_s == 250 * MIB
    assert outcome.verdict == "completed"
    assert outcome.total_time_s == 52.577
    assert outcome.downtime_reported_s == 0.076
    assert outcome.peak_throttle_percent == 80
    assert outcome.passes == 21
    assert outcome.bytes_sent == 13_699_832_575
    assert outcome.downtime_stop_resume_s is None, "the report does not tell"
    assert outcome.postcopy_requests is None, "nor these"


def test_pause_ran_from_the_third_iteration_to_the_last_poll() -> None:
    run = read_run(FOLDER / "pause3-250-1.json", load_profile("tcg-2core"))
    # it acts in the third pass, when two are complete
    assert run.scenario.policy.after_passes == 2
    assert run.trace.phases.stop_s == pytest.approx(9.09, abs=0.01)
    assert run.trace.outcome.downtime_stop_resume_s == pytest.approx(3.81, abs=0.01)
    assert run.trace.outcome.peak_throttle_percent is None


def test_post_copy_has_its_phase() -> None:
    run = read_run(FOLDER / "postcopy2-125-1.json", load_profile("tcg-2core"))
    assert run.scenario.policy.after_passes == 1
    assert run.trace.went_postcopy
    assert run.trace.phases.resume_s == pytest.approx(8.846, abs=0.01)
    assert run.trace.phases.end_s == 10.256


@pytest.mark.parametrize("name", REPORTS)
def test_predicted_from_its_own_hardware_and_speed(name: str) -> None:
    # The host is of the profile's kind, not the same machine: its pages cost twice
    # the CPU time. Where the limit binds, that must not matter much.
    comparison = compared(name)
    assert comparison.verdict_right
    errors = {row.name: row.relative_error for row in comparison.rows}
    assert abs(errors["guest_before_ms_per_gib"] or 0) < 0.01
    assert abs(errors["total_time_s"] or 1) < 0.12
    assert abs(errors["bytes_sent"] or 1) < 0.05
    rows = {row.name: row for row in comparison.rows}
    assert rows["passes"].best == pytest.approx(rows["passes"].measured, abs=1)
    throttle = rows.get("peak_throttle_percent")
    assert (
        throttle is None or abs((throttle.best or 0) - (throttle.measured or 0)) <= 10
    )
