"""The layout of a guest's RAM, and who gets which CPU while it is migrated."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from migmodel.errors import InputError
from migmodel.physics.cpu import Pipeline
from migmodel.records import Guest, Link, Policy, Scenario, Workload
from migmodel.sim.machine import Machine, lay_out
from migmodel.sim.recorder import Recorder
from migmodel.sim.simulate import simulate
from migmodel.units import MIB, PAGE_BYTES

from .scenarios import KVM, TCG, described


def scenario(kind="bare", *, ram=512, ws=128, still=0, vcpus=1):
    return Scenario(
        guest=Guest(ram_bytes=ram * MIB, kind=kind, vcpus=vcpus),
        workload=Workload(working_set_bytes=ws * MIB, still_bytes=still * MIB),
    )


def pages_with_data(made):
    return sum(part.pages for part in lay_out(made) if not part.zero)


def all_pages(made):
    return sum(part.pages for part in lay_out(made))


@pytest.mark.parametrize("kind", ["bare", "linux"])
def test_what_is_left_still_is_data_and_nobodys_share(kind):
    without, with_still = scenario(kind), scenario(kind, still=64)
    more = pages_with_data(with_still) - pages_with_data(without)
    assert more == pytest.approx(64 * MIB / PAGE_BYTES)
    assert all_pages(with_still) == pytest.approx(all_pages(without))
    shared = [part.pages for part in lay_out(with_still) if part.vcpu is not None]
    assert shared == [128 * MIB / PAGE_BYTES]


@pytest.mark.parametrize(("ram", "seen"), [(512, 14_230), (1024, 16_430)])
def test_an_idle_linux_guest_has_the_pages_that_were_seen(ram, seen):
    """Normal pages of the first pass of the Linux stress guest, Debian's 6.1."""
    assert pages_with_data(scenario("linux", ram=ram, ws=0)) == pytest.approx(
        seen, rel=0.01
    )


@pytest.mark.parametrize("kind", ["bare", "linux"])
@pytest.mark.parametrize(("ws", "still"), [(512, 0), (0, 512), (500, 12), (510, 1)])
def test_a_full_guest_has_no_page_twice(kind, ws, still):
    made = scenario(kind, ws=ws, still=still)
    assert all(part.pages >= 0 for part in lay_out(made))
    assert all_pages(made) == pytest.approx(all_pages(scenario()))


def test_both_guests_alike_are_the_same_migration(tcg_host):
    """With as much data left still as Linux has of its own."""
    own = pages_with_data(scenario("linux")) - pages_with_data(scenario())
    linux, bare = (
        simulate(
            msgspec.structs.replace(
                scenario(kind),
                workload=Workload(
                    working_set_bytes=128 * MIB,
                    rate_pps=10_000.0,
                    phase=0.0,
                    still_bytes=still,
                ),
                policy=Policy(
                    parameters={"max-bandwidth": 60_000_000, "downtime-limit": 100}
                ),
            ),
            tcg_host,
        ).outcome
        for kind, still in (("linux", 0), ("bare", round(own) * PAGE_BYTES))
    )
    assert linux.total_time_s == pytest.approx(bare.total_time_s, rel=0.001)
    assert linux.bytes_sent == pytest.approx(bare.bytes_sent, rel=0.001)
    assert linux.vcpu_cpu_s == pytest.approx(bare.vcpu_cpu_s, rel=0.001)
    assert linux.passes == bare.passes


def test_more_data_than_ram_is_refused():
    with pytest.raises(InputError, match=r"left still .* larger than the guest's RAM"):
        scenario(ws=500, still=13)


def test_a_limited_stream_takes_cpus_in_bursts_and_then_leaves_them_alone():
    scenario = described(bw=250_000_000, guest=Guest(ram_bytes=256 * MIB, vcpus=2))
    load = simulate(scenario, TCG).load
    cores, source, destination = (
        np.array(side)[1:]
        for side in (load.vcpu_cores, load.source_cores, load.destination_cores)
    )
    running = cores[cores > 0]
    assert running.min() < 0.8 * 2  # some of each window
    assert cores.max() == pytest.approx(2.0)
    assert (cores + source + destination).max() <= 2.0 + 1e-6


def test_it_does_not_where_there_are_cpus_for_all():
    scenario = described(bw=250_000_000, guest=Guest(ram_bytes=256 * MIB, vcpus=2))
    cores = np.array(simulate(scenario, KVM).load.vcpu_cores)[1:]
    assert cores[cores > 0] == pytest.approx(2.0)


def blackout_s(separation_s, *, cpus=2.0, transport="unix"):
    """Of a guest that is stopped when all of its working set is left to send."""
    values = {**TCG.values, "pipeline_overlap": 1.0, "separation_s": separation_s}
    host = replace(TCG, cpus=cpus, values=values)
    made = described(
        bw=60_000_000,
        link=Link(transport=transport),
        parameters={"downtime-limit": 2000},
    )
    return simulate(made, host).outcome.downtime_stop_resume_s


def test_ends_that_shared_a_cpu_go_on_sharing_it_for_a_while():
    apart, shared = blackout_s(0.0), blackout_s(0.5)
    assert shared > 1.1 * apart
    # Linear in the time, until all is sent before they part.
    later = [blackout_s(seconds) - apart for seconds in (0.005, 0.01)]
    assert 0 < later[0] < 0.005
    assert later[1] == pytest.approx(2 * later[0], rel=0.01)
    assert blackout_s(1.0) == pytest.approx(shared)


@pytest.mark.parametrize(("cpus", "transport"), [(4.0, "unix"), (2.0, "tcp")])
def test_they_do_not_where_each_had_its_own_or_over_tcp(cpus, transport):
    apart, shared = (
        blackout_s(it, cpus=cpus, transport=transport) for it in (0.0, 0.5)
    )
    assert shared == pytest.approx(apart)


@pytest.mark.parametrize(
    ("separation_s", "together"), [(0.0, 0.0), (0.005, 0.5), (0.01, 1.0), (0.5, 1.0)]
)
def test_in_the_sleeps_of_a_throttled_guest_they_part_as_late(separation_s, together):
    """At 50 % each sleep lasts 10 ms; awake the vCPU leaves them one CPU."""
    values = {"throttle_sleep_extra_s": 0.0, "console_line_s": 0.0}
    values["separation_s"] = separation_s
    host = replace(TCG, values={**TCG.values, **values})
    machine = Machine(described("autoconverge"), host, Recorder(1, False))
    machine.throttle.set_percent(50.0, 0.0)
    source_s, destination_s = 2e-6, 3e-6
    rate = machine.stream_rate_pps(Pipeline(source_s, destination_s, float("inf")))
    on_one_cpu, apart = 1 / (source_s + destination_s), 1 / destination_s
    asleep = together * on_one_cpu + (1 - together) * apart
    assert rate == pytest.approx((on_one_cpu + asleep) / 2)
