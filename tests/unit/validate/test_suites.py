"""What the suites must contain, whatever is measured."""

from __future__ import annotations

from collections import Counter

import pytest

from migmodel.analysis.predict import predict
from migmodel.analysis.profiles import load_profile
from migmodel.records import HostProfile, Scenario
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import MIB
from migmodel.validate.cli import AROUND_A_RUN_S
from migmodel.validate.compare import compare
from migmodel.validate.honesty import honesty
from migmodel.validate.suites import SMOKE, STANDARD, SUITES

from .conftest import MakeMeasurement

CALIBRATION_MIB = {96, 160, 320}


@pytest.mark.parametrize("suite", list(SUITES))
def test_names_tell_scenarios_apart(suite: str) -> None:
    names = Counter(scenario.name for scenario in SUITES[suite])
    assert set(names.values()) == {1}
    assert all(name.replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("scenario", SMOKE + STANDARD, ids=lambda it: it.name)
def test_scenarios_are_held_out_and_cannot_last_for_ever(scenario: Scenario) -> None:
    assert scenario.guest.ram_bytes // MIB not in CALIBRATION_MIB
    assert scenario.limits.max_time_s is not None


def test_the_standard_suite_spans_what_it_should() -> None:
    assert len(STANDARD) >= 16
    techniques = Counter(it.policy.technique for it in STANDARD)
    assert min(techniques.values()) >= 3
    assert len(techniques) == 4
    assert {it.guest.vcpus for it in STANDARD} == {1, 2}
    bandwidths = {it.policy.max_bandwidth_bytes_per_s for it in STANDARD}
    assert {0, 12_500_000} <= bandwidths
    limits = {it.policy.downtime_limit_s for it in STANDARD}
    assert (min(limits), max(limits)) == (0.05, 2.0)


def test_the_standard_suite_is_honest_and_short(
    host_profile: HostProfile, make_measurement: MakeMeasurement
) -> None:
    found = []
    for scenario in STANDARD:
        run = make_measurement(scenario)
        compared = compare(
            [run], lambda it: predict(it, host_profile, draws=0), host_profile
        )
        assert compared is not None
        found.append(compared)
    assert [line.split(":")[0] for line in honesty(found)] == ["met", "met"]
    # On a host like the one that the suite was made for.
    host = draw_host(load_profile("tcg-2core"))
    lasting = [simulate(scenario, host).phases.end_s for scenario in STANDARD]
    assert max(lasting) <= 30
    assert sum(lasting) + AROUND_A_RUN_S * len(lasting) <= 360
    assert sum(not it.ends for it in found) >= 3
