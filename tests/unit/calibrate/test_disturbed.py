"""Runs that somebody unseen slowed are left out of the fit, and no others."""

from __future__ import annotations

import msgspec
import pytest

from migmodel.calibrate.disturbed import to_make_again, undisturbed
from migmodel.calibrate.plan import PlannedRun
from migmodel.records import Guest, Measurement, Scenario, Trace, Workload
from migmodel.records.trace import GuestSpeed, Outcome, Phases
from migmodel.units import MIB

from .facts import FACTS

FULL_PPS = 300_000.0
LINES, LINE_S = 20, 0.05


def run(name, repeat, *shares, rate=None, touch="sweep"):
    """A run before which each vCPU had this share of its speed."""
    work = GuestSpeed()
    for vcpu, share in enumerate(shares):
        for line in range(-LINES, LINES):
            work.vcpu.append(vcpu)
            work.start_s.append(line * LINE_S)
            work.end_s.append((line + 1) * LINE_S)
            # During the migration everything is slow, and tells nothing.
            work.pages.append(FULL_PPS * LINE_S * (share if line < 0 else 0.3))
            work.gap_s.append(0.0)
    scenario = Scenario(
        name=name,
        guest=Guest(ram_bytes=256 * MIB, vcpus=len(shares)),
        workload=Workload(working_set_bytes=64 * MIB, rate_pps=rate, touch=touch),
    )
    trace = Trace(
        outcome=Outcome(verdict="completed", total_time_s=1.0),
        phases=Phases(end_s=1.0, before_s=-LINES * LINE_S),
        guest=work,
    )
    return Measurement(
        scenario=scenario,
        trace=trace,
        host=FACTS,
        started_at="2026-01-01",
        repeat=repeat,
    )


def kept(*runs):
    return [(it.scenario.name, it.repeat) for it in undisturbed(runs)[0]]


def test_a_run_with_one_slow_vcpu_is_left_out_and_named():
    runs = [run("a", 0, 1.0, 0.97), run("a", 1, 1.0, 0.55), run("b", 0, 0.96, 1.0)]
    assert kept(*runs) == [("a", 0), ("b", 0)]
    (line,) = undisturbed(runs)[1]
    assert line.startswith("a, run 2: left out")


def test_usual_differences_are_no_disturbance():
    runs = [run("a", repeat, 1.0 - repeat * 0.03) for repeat in range(4)]
    assert len(kept(*runs)) == 4
    assert undisturbed(runs)[1] == []


def test_what_is_slow_hangs_on_how_much_runs_differ():
    quiet = [run("a", repeat, 1.0) for repeat in range(5)]
    differing = [run("a", it, share) for it, share in enumerate((1, 0.95, 0.85, 0.9))]
    slow = run("b", 0, 0.8)
    assert ("b", 0) not in kept(*quiet, slow, run("b", 1, 1.0))
    assert ("b", 0) in kept(*differing, slow, run("b", 1, 1.0))


def test_of_a_scenario_that_was_always_disturbed_the_best_run_is_kept():
    runs = [run("a", 0, 0.5), run("a", 1, 0.7), *(run("b", it, 1.0) for it in range(3))]
    assert kept(*runs) == [("a", 1), ("b", 0), ("b", 1), ("b", 2)]


@pytest.mark.parametrize(
    "other", [{"rate": 1000.0}, {"touch": "page"}], ids=["paced", "other work"]
)
def test_only_guests_that_do_the_same_are_compared(other):
    runs = [run("a", 0, 1.0), run("a", 1, 1.0), run("b", 0, 0.2, **other)]
    assert len(kept(*runs)) == 3


def test_a_run_without_lines_is_kept():
    bare = run("a", 0, 1.0)
    silent = msgspec.structs.replace(
        bare, trace=msgspec.structs.replace(bare.trace, guest=GuestSpeed())
    )
    assert len(kept(silent, bare)) == 2


def again(runs, **repeats):
    """What is made again of runs that were planned so often: names and repeats."""
    planned = [
        PlannedRun(scenario, repeats[name], "", 1.0)
        for name, scenario in {it.scenario.name: it.scenario for it in runs}.items()
    ]
    made = {name: sum(it.scenario.name == name for it in runs) for name in repeats}
    wanted = to_make_again(planned, runs, made)
    return [(scenario.name, repeat) for scenario, repeat in wanted]


def test_another_run_stands_in_for_a_disturbed_one():
    runs = [run("a", 0, 1.0), run("a", 1, 0.5), *(run("b", it, 1.0) for it in range(8))]
    assert again(runs, a=2, b=8) == [("a", 2)]
    assert again([*runs, run("a", 2, 0.98)], a=2, b=8) == []


def test_one_that_is_disturbed_too_asks_for_another_up_to_a_tenth_of_all():
    runs = [
        run("a", 0, 1.0),
        run("a", 1, 0.5),
        *(run("b", it, 1.0) for it in range(18)),
    ]
    assert again(runs, a=2, b=18) == [("a", 2)]
    runs.append(run("a", 2, 0.6))
    assert again(runs, a=2, b=18) == [("a", 3)]
    runs.append(run("a", 3, 0.6))
    assert again(runs, a=2, b=18) == []


def test_nothing_is_made_again_on_a_quiet_host():
    assert again([run("a", it, 1.0 - it * 0.01) for it in range(3)], a=3) == []
