"""Scenarios for the tests of techniques, with what they leave open filled in."""

from __future__ import annotations

from migmodel.analysis.profiles import load_profile
from migmodel.records import (
    Guest,
    Limits,
    Link,
    Policy,
    Scenario,
    Workload,
)
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import MIB, PAGE_BYTES

TCG = draw_host(load_profile("tcg-2core"))
KVM = draw_host(load_profile("kvm-generic"))
MBIT_100 = 12_500_000
WS = 64 * MIB
WS_PAGES = WS / PAGE_BYTES


def described(
    technique="precopy",
    *,
    bw=MBIT_100,
    rate=None,
    version="10.0",
    capabilities=(),
    parameters=None,
    link=None,
    limits=None,
    guest=None,
    after=None,
    tuning=None,
    **workload,
):
    return Scenario(
        guest=guest or Guest(ram_bytes=256 * MIB),
        workload=Workload(**{"working_set_bytes": WS, "rate_pps": rate, **workload}),
        link=link or Link(),
        policy=Policy(
            technique=technique,
            after_passes=after,
            capabilities=dict.fromkeys(capabilities, True),
            parameters={"max-bandwidth": bw, **(parameters or {})},
            tuning=tuning,
        ),
        limits=limits or Limits(max_time_s=30.0),
        qemu_version=version,
    )


def outcome(scenario, host=TCG):
    return simulate(scenario, host).outcome
