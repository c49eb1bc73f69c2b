"""Hosts to simulate on, and the invariants of every Trace."""

from __future__ import annotations

import pytest
import simpy

from migmodel.analysis.profiles import load_profile
from migmodel.sim.simulate import draw_host, simulate


@pytest.fixture
def tcg_profile():
    return load_profile("tcg-2core")


@pytest.fixture
def tcg_host(tcg_profile):
    return draw_host(tcg_profile)


@pytest.fixture
def count_events(monkeypatch):
    def count(scenario, host):
        steps = 0
        original = simpy.Environment.step

        def step(self):
            nonlocal steps
            steps += 1
            return original(self)

        with monkeypatch.context() as patched:
            patched.setattr(simpy.Environment, "step", step)
            simulate(scenario, host)
        return steps

    return count
