"""Which runs a calibration makes, and what they are made for."""

from __future__ import annotations

import pytest

from migmodel.calibrate.basic_runs import BASIC, MORE
from migmodel.calibrate.plan import (
    Bounds,
    choose_techniques,
    estimate_s,
    plan_runs,
)
from migmodel.calibrate.technique_runs import NEEDS, TECHNIQUE_RUNS
from migmodel.errors import InputError
from migmodel.physics.parameters import PARAMETERS
from migmodel.physics.technique_parameters import TECHNIQUE_PARAMETERS
from migmodel.validate.suites import SUITES

# What this class of host cannot show: hardware that it lacks, KVM, a broken connection.
NOT_IDENTIFIED = {
    *(name for name in TECHNIQUE_PARAMETERS if name.startswith(("qatzip", "qpl"))),
    *(name for name in TECHNIQUE_PARAMETERS if name.startswith(("uadk", "rdma"))),
    *("ring_entry_s", "ring_full_s", "protect_page_s", "huge_place_page_s"),
    "recover_s",
    "multifd_sync_s",  # of QEMU up to 8.0, and little
}


def recipes():
    techniques = [recipe for runs in TECHNIQUE_RUNS.values() for recipe in runs]
    return [*BASIC, *MORE, *techniques]


def test_names_tell_runs_apart():
    names = [recipe.name for recipe in recipes()]
    assert len(set(names)) == len(names)


def test_every_technique_parameter_has_a_run_that_tells_it():
    told = {name for recipe in recipes() for name in recipe.tells}
    assert told <= set(PARAMETERS)
    assert set(TECHNIQUE_PARAMETERS) - told == NOT_IDENTIFIED


def test_a_parameter_belongs_to_one_fit():
    parts = {"basic": [*BASIC, *MORE], **TECHNIQUE_RUNS}
    owners = {}
    for part, runs in parts.items():
        for name in {name for recipe in runs for name in recipe.tells}:
            owners.setdefault(name, []).append(part)
    assert {name: found for name, found in owners.items() if len(found) > 1} == {}


def test_what_is_built_on_is_fitted_before():
    order = list(TECHNIQUE_RUNS)
    for name, needed in NEEDS.items():
        assert all(order.index(one) < order.index(name) for one in needed)


def test_all_takes_25_minutes_and_the_basic_runs_8():
    everything = plan_runs(Bounds(), techniques=choose_techniques("all"))
    assert estimate_s(everything) <= 25 * 60
    assert estimate_s(plan_runs(Bounds())) <= 7 * 60  # and a minute for the fit
    assert estimate_s(plan_runs(Bounds(), quick=True)) <= 2.5 * 60


def test_techniques_are_chosen_by_name():
    assert choose_techniques("basic") == []
    assert choose_techniques("all") == list(TECHNIQUE_RUNS)
    assert choose_techniques("xbzrle") == ["xbzrle"]
    assert choose_techniques(" xbzrle, zstd ") == ["multifd", "zstd", "xbzrle"]
    with pytest.raises(InputError, match="all, basic, or some of tcp, multifd, zlib"):
        choose_techniques("zstd,lz4")


def test_the_basic_runs_come_along():
    basic = plan_runs(Bounds())
    more = plan_runs(Bounds(), techniques=["xbzrle"])
    assert more[: len(basic)] == basic
    assert {run.scenario.policy.technique for run in more[len(basic) :]} == {"xbzrle"}


def test_no_run_is_a_scenario_of_a_suite():
    planned = plan_runs(Bounds(), techniques=choose_techniques("all"))
    memory = {run.scenario.guest.ram_bytes for run in planned}
    for scenarios in SUITES.values():
        assert not memory & {scenario.guest.ram_bytes for scenario in scenarios}


@pytest.mark.parametrize("recipe", recipes(), ids=lambda it: it.name)
def test_settings_of_a_run_all_have_an_effect(recipe):
    planned = plan_runs(Bounds(), techniques=choose_techniques("all"))
    scenario = next(
        run.scenario for run in planned if run.scenario.name == f"cal-{recipe.name}"
    )
    assert scenario.idle_settings == []


def test_bounds_hold_for_techniques_too():
    bounds = Bounds(vcpus=1, max_bandwidth_bytes_per_s=50_000_000)
    for run in plan_runs(bounds, techniques=choose_techniques("all")):
        assert run.scenario.guest.vcpus == 1
        assert 0 < run.scenario.policy.max_bandwidth_bytes_per_s <= 50_000_000
