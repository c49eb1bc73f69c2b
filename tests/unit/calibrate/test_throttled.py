"""How much a throttled guest's luck differs, told from its turns."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate.evidence import observe
from migmodel.calibrate.plan import Bounds, plan_runs
from migmodel.calibrate.throttled import held_levels, throttle_noise
from migmodel.records import Measurement, Parameter
from migmodel.sim.simulate import draw_host, simulate

from .facts import FACTS

PERCENTS = [20, 40, 60, 80]


def runs(name, level_sd, turn_s, count=8):
    """Repeats of a run of calibrate on a host that differs in nothing else."""
    profile = load_profile("tcg-2core")
    parameters = {
        name: msgspec.structs.replace(
            item, stderr=None, value=0.0 if name.startswith("noise_") else item.value
        )
        for name, item in profile.parameters.items()
    }
    parameters["noise_throttled_sd"] = Parameter(value=level_sd)
    parameters["noise_turn_s"] = Parameter(value=turn_s)
    profile = msgspec.structs.replace(profile, parameters=parameters, correlation={})
    planned = plan_runs(Bounds())
    scenario = next(it.scenario for it in planned if it.scenario.name == f"cal-{name}")
    return [
        Measurement(
            scenario=scenario,
            trace=simulate(scenario, draw_host(profile, rng)),
            host=FACTS,
            started_at="2026-01-01",
        )
        for rng in np.random.default_rng(7).spawn(count)
    ]


@pytest.mark.parametrize(("level_sd", "turn_s"), [(0.0, 2e-3), (0.1, 1e-3)])
def test_spreads_that_were_put_in_are_found(level_sd, turn_s):
    found_sd, found_s = throttle_noise(
        runs("throttle", level_sd, turn_s) + runs("throttle-held", level_sd, turn_s)
    )
    assert found_s == pytest.approx(turn_s, rel=0.25)
    assert found_sd == pytest.approx(level_sd, rel=0.3, abs=0.02)


def test_nothing_is_found_where_nothing_is_throttled():
    assert throttle_noise(runs("limited", 0.1, 1e-3, 2)) == (None, None)


def test_each_level_that_was_held_is_told_apart():
    run = runs("throttle", 0.0, 0.0, 1)[0]
    held = list(held_levels(run.trace))
    assert held == PERCENTS[: len(held)]  # it ends at one or the other, by the host
    assert len(held) >= 3
    values = observe([run])[0].values
    slowdowns = [values[f"slowdown_at_{percent}"] for percent in held]
    assert slowdowns == sorted(slowdowns)
    # Beside its own speed before, when nobody logged what it wrote.
    host = draw_host(load_profile("tcg-2core"))
    alone_s, logged_s = (host.page_s(run.scenario, logged=it) for it in (False, True))
    gain = logged_s / alone_s
    for percent, slowdown in zip(held, slowdowns, strict=True):
        assert slowdown > gain / (1 - percent / 100)
