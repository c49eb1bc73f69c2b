"""The fit finds what the runs were made with."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate.calibration import IDENTIFIED_BY, calibrate
from migmodel.calibrate.evidence import noise, observe, pooled
from migmodel.calibrate.fit import fit_profile, with_values
from migmodel.calibrate.observation import Observation
from migmodel.calibrate.plan import Bounds, plan_runs
from migmodel.errors import FitError, InputError
from migmodel.physics.parameters import PARAMETERS, check_profile
from migmodel.physics.throttle import TIMESLICE_S
from migmodel.records import Measurement
from migmodel.records.console import REPORT_S
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import MIB

from .facts import FACTS


def runs_on(profile, *, quick=False, cpu_model="test"):
    """Measurements that a host with this profile would give, without noise."""
    host = draw_host(profile)
    facts = msgspec.structs.replace(FACTS, cpu_model=cpu_model)
    return [
        Measurement(
            scenario=run.scenario,
            trace=simulate(run.scenario, host),
            host=facts,
            started_at="2026-01-01",
            repeat=repeat,
        )
        for run in plan_runs(Bounds(), quick=quick)
        for repeat in range(run.repeats)
    ]


@pytest.fixture(scope="module")
def recovered():
    start = load_profile("tcg-2core")
    true = {
        "page_source_s": start["page_source_s"] * 1.4,
        "page_destination_s": start["page_destination_s"] * 0.75,
        "fresh_page_s": start["fresh_page_s"] * 0.6,
        "sweep_touch_s": start["sweep_touch_s"] * 1.3,
        "page_touch_s": start["page_touch_s"] * 0.8,
        "switch_s": start["switch_s"] * 2.0,
        # Far from where the search begins, where it changes nothing at all.
        "throttle_sleep_extra_s": 1.5e-3,
    }
    blind = {"throttle_sleep_extra_s": 1e-4}
    runs = runs_on(with_values(start, true))
    return true, calibrate(with_values(start, blind), runs, name="recovered", jobs=2)


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("page_source_s", 0.1),
        # On fresh pages, as most are in short runs, these two stand for each other.
        ("page_destination_s", 0.15),
        ("fresh_page_s", 0.15),
        ("sweep_touch_s", 0.03),
        ("page_touch_s", 0.05),
        ("switch_s", 0.2),
    ],
)
def test_known_parameters_are_recovered(recovered, name, tolerance):
    true, fit = recovered
    # What the runs tell less surely may be further off, as far as the fit admits.
    admitted = 2 * (fit.profile.parameters[name].stderr or 0.0)
    allowed = max(tolerance * true[name], admitted)
    assert fit.profile[name] == pytest.approx(true[name], abs=allowed)


def test_what_a_throttled_guests_turn_loses_is_recovered(recovered):
    """Its sleep and its line on the console can stand for each other: at 90 %."""
    true, fit = recovered
    lines = 1 - TIMESLICE_S / REPORT_S
    start = load_profile("tcg-2core")
    lost_s = true["throttle_sleep_extra_s"] + lines * start["console_line_s"]
    found_s = fit.profile["throttle_sleep_extra_s"]
    found_s += lines * fit.profile["console_line_s"]
    assert found_s == pytest.approx(lost_s, rel=0.2)


def test_the_fit_says_how_sure_it_is(recovered):
    _, fit = recovered
    sure = fit.profile.parameters["sweep_touch_s"]
    assert sure.stderr is not None
    assert sure.stderr < 0.05 * sure.value
    assert "sweep_touch_s" not in fit.badly_determined


def test_a_fitted_profile_is_complete(recovered):
    _, fit = recovered
    # What the techniques need besides has defaults.
    needed = {name for name, spec in PARAMETERS.items() if spec.default is None}
    assert needed <= set(fit.profile.parameters) <= set(PARAMETERS)
    assert fit.profile.kind == "fitted"


def test_repeats_without_spread_have_no_noise():
    observations = observe(runs_on(load_profile("tcg-2core"), quick=True))
    assert all(value == pytest.approx(0) for value in noise(observations, 2).values())


@pytest.mark.parametrize("repeats", [2, 3, 5])
def test_few_repeats_do_not_make_a_spread_too_small(repeats):
    rng = np.random.default_rng(1)
    scenario = observe(runs_on(_start())[:1])[0].scenario
    seen = []
    for _ in range(400):
        values = rng.normal(1.0, 0.05, repeats)
        middle, spread = float(np.median(values)), float(np.std(values, ddof=1))
        seen.append(Observation(scenario, {"x": middle}, {"x": spread}, repeats))
    assert pooled(("x",), seen) == pytest.approx(0.05, rel=0.15)


def test_invalid_runs_are_left_out():
    bad = [msgspec.structs.replace(run, valid=False) for run in runs_on(_start())]
    with pytest.raises(FitError, match="no valid run"):
        calibrate(_start(), bad, name="x")


def test_runs_of_two_hosts_are_refused():
    both = runs_on(_start(), quick=True) + runs_on(_start(), quick=True, cpu_model="b")
    with pytest.raises(FitError, match="different hosts"):
        calibrate(_start(), both, name="x")


def test_runs_with_cpus_awake_and_asleep_are_not_mixed():
    runs = runs_on(_start(), quick=True)
    host = msgspec.structs.replace(runs[0].host, cpus_kept_awake=True)
    awake = [msgspec.structs.replace(run, host=host) for run in runs]
    with pytest.raises(FitError, match="kept awake in some"):
        calibrate(_start(), runs + awake, name="x")


def test_runs_on_one_host_and_on_two_are_not_mixed():
    one = runs_on(_start(), quick=True)
    two = [msgspec.structs.replace(run, destination_host=run.host) for run in one]
    with pytest.raises(FitError, match="each kind on its own"):
        calibrate(_start(), one + two, name="x")


def test_too_few_numbers_are_refused():
    one = observe(runs_on(_start())[:1])
    with pytest.raises(FitError, match="cannot determine"):
        fit_profile(_start(), one, list(PARAMETERS))


def test_every_identified_parameter_exists_and_has_a_run():
    planned = {run.scenario.name.removeprefix("cal-") for run in plan_runs(Bounds())}
    for name, scenarios in IDENTIFIED_BY.items():
        assert name in PARAMETERS
        assert planned.intersection(scenarios), name


def test_a_profile_fitted_to_a_bound_can_be_used():
    least = PARAMETERS["page_touch_s"].lower
    start = with_values(load_profile("tcg-2core"), {"page_touch_s": least})
    # Less than may be: what rounding leaves of the bound must not be below it.
    runs = runs_on(with_values(start, {"page_touch_s": least / 10}))
    fit = fit_profile(start, observe(runs), ["page_touch_s"], jobs=2)
    assert fit.profile["page_touch_s"] == pytest.approx(least)
    check_profile(fit.profile)


def test_bounds_are_kept():
    bounds = Bounds(ram_bytes=128 * MIB, vcpus=1, max_bandwidth_bytes_per_s=50_000_000)
    for run in plan_runs(bounds):
        scenario = run.scenario
        assert scenario.guest.ram_bytes <= bounds.ram_bytes
        assert scenario.guest.vcpus == 1
        assert 0 < scenario.policy.max_bandwidth_bytes_per_s <= 50_000_000


def test_too_little_memory_is_refused():
    with pytest.raises(InputError, match="--mem"):
        plan_runs(Bounds(ram_bytes=32 * MIB))


def _start():
    return load_profile("tcg-2core")


@pytest.mark.parametrize("ram_mib", [96, 128, 200, 1024])
def test_every_planned_guest_has_something_to_touch(ram_mib):
    for run in plan_runs(Bounds(ram_bytes=ram_mib * MIB)):
        touched = run.scenario.workload.working_set_bytes
        assert 2 * MIB <= touched < ram_mib * MIB
        assert touched % (2 * MIB) == 0
