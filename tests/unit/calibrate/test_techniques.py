"""Each technique's costs are found in its own runs, and basic ones stay as they are."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate.calibration import OF_THE_HOUR, calibrate
from migmodel.calibrate.evidence import observe
from migmodel.calibrate.fit import Fit, refine, with_values
from migmodel.calibrate.plan import Bounds, plan_runs
from migmodel.calibrate.technique_runs import TECHNIQUE_RUNS
from migmodel.errors import FitError
from migmodel.physics.parameters import PARAMETERS, with_defaults
from migmodel.records import Measurement
from migmodel.sim.simulate import draw_host, simulate

from .facts import FACTS

# What is told by little: a few milliseconds among seconds.
LOOSE = {
    "fault_jitter_sd": 0.2,  # one percentile of a narrow distribution
    # Microseconds, beside what reading a packet costs, and each other.
    "zlib_decode_random_s": 0.2,
    "zstd_decode_random_s": 0.3,
    "zstd_decode_text_s": 0.3,
    "zstd_decode_zero_s": 0.3,
    "zstd_1_zero_s": 0.2,
    "compress_block_s": 0.2,  # a tenth of what a page takes
    "xbzrle_decode_s": 0.4,  # a third of it is half a percent of what tells it
}
USUAL = 0.1


def told_by(technique):
    names = {name for recipe in TECHNIQUE_RUNS[technique] for name in recipe.tells}
    return [name for name in PARAMETERS if name in names]


def runs_of(technique, profile):
    own = {f"cal-{recipe.name}" for recipe in TECHNIQUE_RUNS[technique]}
    host = draw_host(profile)
    return [
        Measurement(
            scenario=run.scenario,
            trace=simulate(run.scenario, host),
            host=FACTS,
            started_at="2026-01-01",
        )
        for run in plan_runs(Bounds(), techniques=[technique])
        if run.scenario.name in own
    ]


@pytest.mark.parametrize("technique", list(TECHNIQUE_RUNS))
def test_a_techniques_costs_are_recovered(technique):
    start = load_profile("tcg-2core")
    values = with_defaults({n: it.value for n, it in start.parameters.items()})
    free = told_by(technique)
    factors = np.exp(np.random.default_rng(1).uniform(-0.5, 0.5, len(free)))
    true = {name: values[name] * f for name, f in zip(free, factors, strict=True)}
    # Fresh memory costs something else at that hour, and nobody else pays for it.
    local = [name for name in OF_THE_HOUR if name not in free]
    hour = {name: 1.6 * values[name] for name in local}
    runs = runs_of(technique, with_values(start, {**true, **hour}))
    fit = refine(Fit(start, [], [], 0.0), observe(runs), free, local=local, jobs=2)
    off = {name: fit.profile[name] / true[name] - 1 for name in free}
    allowed = {name: LOOSE.get(name, USUAL) for name in free}
    assert {n: v for n, v in off.items() if abs(v) > allowed[n]} == {}
    unchanged = set(start.parameters) - set(free)
    assert all(
        fit.profile.parameters[name] == start.parameters[name] for name in unchanged
    )


FEW = {"cal-zero", "cal-cold", "cal-paced-cpu", "cal-limited"}


def test_techniques_do_not_bend_the_basic_fit():
    start = load_profile("tcg-2core")
    host = draw_host(start)
    basic = [
        Measurement(
            scenario=run.scenario,
            trace=simulate(run.scenario, host),
            host=FACTS,
            started_at="2026-01-01",
        )
        for run in plan_runs(Bounds(), quick=True)
        if run.scenario.name in FEW
    ]
    slow_s = 10 * start["multifd_page_source_s"]
    slow = with_values(start, {"multifd_page_source_s": slow_s})
    more = runs_of("multifd", slow)
    alone = calibrate(start, basic, name="alone", jobs=2)
    both = calibrate(start, basic + more, name="both", jobs=2)
    told = set(told_by("multifd"))
    assert {
        name
        for name, it in both.profile.parameters.items()
        if it != alone.profile.parameters.get(name)
    } <= told
    # A channel's time and the migration thread's can stand for each other.
    found_s = both.profile["multifd_page_source_s"] + both.profile["multifd_queue_s"]
    assert found_s == pytest.approx(slow_s + start["multifd_queue_s"], rel=0.1)
    assert both.profile.facts["techniques"] == "multifd"
    assert "techniques" not in alone.profile.facts
    assert len(both.residuals) > len(alone.residuals)


def test_techniques_alone_are_refused():
    runs = runs_of("multifd", load_profile("tcg-2core"))
    with pytest.raises(FitError, match="on top of the basic runs"):
        calibrate(load_profile("tcg-2core"), runs, name="x")


def test_a_techniques_runs_may_be_of_another_qemu_but_not_of_another_host():
    start = load_profile("tcg-2core")
    [first, *_] = runs_of("multifd", start)
    other = msgspec.structs.replace(FACTS, cpu_model="other")
    elsewhere = msgspec.structs.replace(first, host=other)
    with pytest.raises(FitError, match="different hosts"):
        calibrate(start, [first, elsewhere], name="x")
