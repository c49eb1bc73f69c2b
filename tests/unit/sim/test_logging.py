"""While dirty pages are logged, a guest under TCG rewrites them sooner."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from migmodel.analysis.guest_speed import phase_spans
from migmodel.records import Guest, Policy, Scenario, Trace, Workload
from migmodel.records.scenario import Touch
from migmodel.sim.host import Host
from migmodel.sim.simulate import simulate
from migmodel.units import MIB

GAIN_S = 1e-7


def paused(touch: Touch = "sweep") -> Scenario:
    """A guest that is migrated at a low bandwidth until a manager pauses it."""
    return Scenario(
        guest=Guest(ram_bytes=256 * MIB),
        workload=Workload(working_set_bytes=64 * MIB, touch=touch),
        policy=Policy(
            technique="pause",
            after_passes=2,
            parameters={"max-bandwidth": 100_000_000},
        ),
    )


def page_s(trace: Trace, phase: str) -> float:
    """Mean time a page [s]."""
    begin_s, end_s = phase_spans(trace)[phase]
    guest = trace.guest
    start, end, pages = map(np.array, (guest.start_s, guest.end_s, guest.pages))
    inside_s = np.clip(np.minimum(end, end_s) - np.maximum(start, begin_s), 0.0, None)
    return float(inside_s.sum() / (pages * inside_s / (end - start)).sum())


def free_of_other_costs(host: Host, gain_s: float) -> Host:
    """A host on which nothing but the log changes a guest's speed."""
    changed = {"first_write_s": 0.0, "copy_interference": 0.0}
    return replace(
        host, cpus=8.0, values={**host.values, **changed, "logging_gain_s": gain_s}
    )


@pytest.mark.parametrize("touch", ["sweep", "study"])
def test_it_gains_on_the_source_alone(tcg_host: Host, touch: Touch) -> None:
    trace = simulate(paused(touch), free_of_other_costs(tcg_host, GAIN_S))
    before_s = page_s(trace, "before")
    assert page_s(trace, "precopy") == pytest.approx(before_s - GAIN_S, rel=1e-6)
    assert page_s(trace, "after") == pytest.approx(before_s, rel=1e-6)


def test_one_that_writes_a_word_a_page_gains_nothing(tcg_host: Host) -> None:
    trace = simulate(paused("page"), free_of_other_costs(tcg_host, GAIN_S))
    assert page_s(trace, "precopy") == pytest.approx(page_s(trace, "before"), rel=1e-6)


def test_none_gains_more_than_half(tcg_host: Host) -> None:
    trace = simulate(paused(), free_of_other_costs(tcg_host, 1e-3))
    before_s = page_s(trace, "before")
    assert page_s(trace, "precopy") == pytest.approx(before_s / 2, rel=1e-6)
