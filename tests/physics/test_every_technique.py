"""Invariants of a simulated Trace, whatever the technique, version and content."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, reject, settings
from hypothesis import strategies as st

from migmodel.analysis.profiles import load_profile
from migmodel.errors import InputError
from migmodel.records import (
    SUPPORTED_QEMU,
    TECHNIQUES,
    Guest,
    Limits,
    Link,
    Policy,
    Scenario,
    Workload,
)
from migmodel.sim.simulate import draw_host, simulate, simulate_together
from migmodel.units import GIB, MIB

KVM = draw_host(load_profile("kvm-generic"))
CONTENTS = st.sampled_from(
    [
        {"content": "random"},
        {"content": "zero"},
        {"content": "text", "compressibility": 0.5},
        {"content": "delta", "delta_bytes": 64},
        {"touch": "study"},
        {"touch": "page"},
        {"touch": "read"},
        {"pattern": "random"},
        {"pattern": "random", "touch": "page"},
        {"pattern": "random", "content": "delta", "delta_bytes": 64},
    ]
)
OPTIONAL = ["xbzrle", "auto-converge", "postcopy-ram", "postcopy-preempt", "multifd"]


@st.composite
def scenarios(draw):
    technique = draw(st.sampled_from(TECHNIQUES))
    ring = 4096 if technique == "dirtylimit" else draw(st.sampled_from([None, 1024]))
    capabilities = draw(st.sets(st.sampled_from(OPTIONAL), max_size=2))
    try:
        return Scenario(
            guest=Guest(
                ram_bytes=draw(st.sampled_from([128 * MIB, GIB])),
                vcpus=draw(st.integers(1, 4)),
                dirty_ring_size=ring,
                host_page_bytes=draw(st.sampled_from([4096, 2 * MIB])),
            ),
            workload=Workload(
                working_set_bytes=draw(st.sampled_from([0, 16, 64])) * MIB,
                rate_pps=draw(st.sampled_from([None, 500.0, 20_000.0])),
                **draw(CONTENTS),
            ),
            link=Link(transport=draw(st.sampled_from(["unix", "tcp", "rdma"]))),
            policy=Policy(
                technique=technique,
                capabilities=dict.fromkeys(sorted(capabilities), True),
                parameters={
                    "max-bandwidth": draw(
                        st.sampled_from([10_000_000, 125_000_000, 4_000_000_000])
                    )
                },
            ),
            limits=Limits(max_time_s=20.0),
            qemu_version=draw(st.sampled_from(SUPPORTED_QEMU)),
        )
    except InputError:
        reject()


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.filter_too_much,
        HealthCheck.too_slow,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(scenarios())
def test_a_trace_holds_together(check_trace, scenario):
    trace = simulate(scenario, KVM)
    check_trace(trace, scenario)
    it = trace.outcome
    no_way_back = scenario.link.transport == "rdma" and scenario.version < (3, 1)
    if no_way_back and scenario.policy.has("postcopy-ram"):
        assert it.verdict == "failed"
        return
    assert it.verdict in ("completed", "cancelled", "never")
    assert it.bytes_sent >= 0
    assert it.source_cpu_s >= 0
    if it.xbzrle_pages is not None:
        assert it.xbzrle_overflows <= it.xbzrle_pages + 1e-6
    if it.multifd_bytes is not None:
        assert it.multifd_bytes <= it.bytes_sent * (1 + 1e-9)
    if it.compression_ratio is not None:
        assert it.compression_ratio > 0.95
    if it.verdict == "completed" and it.fault_latency_histogram is not None:
        assert it.postcopy_blocktime_s <= it.total_time_s


def limited(rate, bw=4_000_000_000):
    return Scenario(
        guest=Guest(ram_bytes=8 * GIB),
        workload=Workload(working_set_bytes=GIB, rate_pps=rate),
        policy=Policy(parameters={"max-bandwidth": bw}),
        limits=Limits(max_time_s=300.0),
    )


def test_two_alike_share_a_link_evenly_and_take_twice_as_long():
    pair = simulate_together([limited(10.0)] * 2, [KVM] * 2, 125_000_000)
    times = [trace.outcome.total_time_s for trace in pair]
    [alone] = simulate_together([limited(10.0)], [KVM], 125_000_000)
    assert times[0] == pytest.approx(times[1])
    assert times[0] == pytest.approx(2 * alone.outcome.total_time_s, rel=0.1)


def test_what_one_leaves_the_other_takes():
    slow, fast = limited(10.0, bw=25_000_000), limited(10.0)
    pair = simulate_together([slow, fast], [KVM] * 2, 125_000_000)
    [alone] = simulate_together([fast], [KVM], 100_000_000)
    assert pair[1].outcome.total_time_s == pytest.approx(
        alone.outcome.total_time_s, rel=0.05
    )


def test_a_link_wide_enough_changes_nothing():
    pair = simulate_together([limited(10.0)] * 2, [KVM] * 2, 1e12)
    assert pair[0].outcome == simulate(limited(10.0), KVM).outcome
