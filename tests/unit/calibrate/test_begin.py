"""A fit begins at the speeds that the runs show by themselves."""

from __future__ import annotations

import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate.begin import seen_speeds
from migmodel.calibrate.evidence import observe
from migmodel.calibrate.fit import with_values
from migmodel.calibrate.plan import Bounds, plan_runs
from migmodel.records import Measurement
from migmodel.sim.simulate import draw_host, simulate

from .facts import FACTS


def observed(profile, *, quick=False):
    return observe(
        Measurement(
            scenario=run.scenario,
            trace=simulate(run.scenario, draw_host(profile)),
            host=FACTS,
            started_at="2026-01-01",
        )
        for run in plan_runs(Bounds(), quick=quick)
    )


def test_a_host_twice_as_fast_is_seen_to_be():
    start = load_profile("tcg-2core")
    speeds = {
        **{f"{touch}_touch_s": 0.5 for touch in ("sweep", "study", "page")},
        "memory_pages_per_s": 2.0,
    }
    fast = with_values(start, {name: start[name] * it for name, it in speeds.items()})
    begin = seen_speeds(start, observed(fast))
    for name in speeds:
        assert begin[name] == pytest.approx(fast[name], rel=0.02)
    changed = {it for it in begin.parameters if begin[it] != start[it]}
    assert changed <= set(speeds)


def test_memory_that_holds_nobody_up_is_not_taken_for_a_limit():
    """Else what two vCPUs did would be all that four may ever do."""
    start = load_profile("tcg-2core")
    wide = with_values(start, {"memory_pages_per_s": 1e9})
    begin = seen_speeds(wide, observed(wide))
    assert begin["memory_pages_per_s"] == 1e9


def test_what_was_not_run_is_not_seen():
    start = load_profile("tcg-2core")
    paced = [it for it in observed(start) if it.scenario.workload.rate_pps]
    assert paced
    assert seen_speeds(start, paced) == start
