"""Waiting until a paced guest is where a scenario wants it."""

from __future__ import annotations

import pytest

from migmodel.qemu.settling import wait_for_phase_s
from migmodel.records import Workload
from migmodel.units import MIB

CONSOLE = [(99.0, "SeaBIOS"), (100.0, "migstress ready t_ns=5")]


@pytest.mark.parametrize(
    ("phase", "now_s", "expected"),
    [
        (0.5, 101.0, 1.0),  # a sweep takes 4 s: at 101 s it is at a quarter
        (0.25, 101.0, 0.0),
        (0.0, 101.0, 3.0),
        (0.0, 109.0, 3.0),  # the third sweep
    ],
)
def test_it_waits_for_the_rest_of_the_way(phase, now_s, expected):
    workload = Workload(working_set_bytes=4 * MIB, rate_pps=256.0, phase=phase)
    assert wait_for_phase_s(CONSOLE, workload, now_s) == pytest.approx(expected)


def test_without_a_phase_it_does_not_wait():
    workload = Workload(working_set_bytes=4 * MIB, rate_pps=256.0)
    assert wait_for_phase_s(CONSOLE, workload, 101.0) == 0.0
