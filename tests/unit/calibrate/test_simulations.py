"""A scenario is simulated again only where something that it reads has changed."""

from __future__ import annotations

import msgspec
import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate.fit import with_values
from migmodel.calibrate.plan import Bounds, plan_runs
from migmodel.calibrate.simulations import Simulations

NAMES = ("cal-zero", "cal-postcopy", "cal-throttle-held")


@pytest.fixture(scope="module")
def scenarios():
    planned = {it.scenario.name: it.scenario for it in plan_runs(Bounds())}
    return [planned[name] for name in NAMES]


def test_only_who_reads_a_parameter_is_simulated_again(scenarios):
    start = load_profile("tcg-2core")
    changed = with_values(start, {"fault_s": 3 * start["fault_s"]})
    with Simulations(scenarios) as simulations:
        first, second = simulations.on(start), simulations.on(changed)
        again = simulations.on(start)
    same = [one is other for one, other in zip(first, second, strict=True)]
    assert same == [True, False, True]
    assert all(one is other for one, other in zip(first, again, strict=True))


@pytest.mark.parametrize(
    "name", ["page_source_s", "fault_s", "console_line_s", "crowded_sync_s"]
)
def test_what_is_kept_is_what_would_be_simulated(scenarios, name):
    start = load_profile("tcg-2core")
    changed = with_values(start, {name: 1.5 * start[name]})
    with Simulations(scenarios) as kept, Simulations(scenarios) as anew:
        kept.on(start)
        assert kept.on(changed) == anew.on(changed)


def test_another_kind_of_host_is_simulated_again(scenarios):
    start = load_profile("tcg-2core")
    with Simulations(scenarios) as simulations:
        first = simulations.on(start)
        wider = msgspec.structs.replace(start, host_cpus=8 * start.host_cpus)
        assert all(
            one is not other
            for one, other in zip(first, simulations.on(wider), strict=True)
        )
