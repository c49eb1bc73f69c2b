"""What the suites must contain, whatever is measured."""

from __future__ import annotations

from collections import Counter

import msgspec
import pytest

from migmodel.analysis.predict import predict
from migmodel.analysis.profiles import load_profile
from migmodel.records import HostProfile, Scenario
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import MIB
from migmodel.validate.cli import AROUND_A_RUN_S
from migmodel.validate.compare import compare
from migmodel.validate.crossover import compresses, sides
from migmodel.validate.full_suite import BASE, FULL, NEWER, NEWER_SUFFIX, ON_NEWER
from migmodel.validate.honesty import honesty
from migmodel.validate.orderings import LADDERS
from migmodel.validate.suites import SMOKE, STANDARD, SUITES

from .conftest import MakeMeasurement

CALIBRATION_MIB = {320, 448}


@pytest.mark.parametrize("suite", list(SUITES))
def test_names_tell_scenarios_apart(suite: str) -> None:
    names = Counter(scenario.name for scenario in SUITES[suite])
    assert set(names.values()) == {1}
    assert all(name.replace("-", "").isalnum() for name in names)


@pytest.mark.parametrize("scenario", SMOKE + STANDARD + FULL, ids=lambda it: it.name)
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
    assert sum(lasting) + AROUND_A_RUN_S * len(lasting) <= 370
    assert sum(not it.ends for it in found) >= 3


def test_the_full_suite_spans_techniques_links_and_versions() -> None:
    assert len(FULL) >= 40
    techniques = Counter(it.policy.technique for it in BASE)
    assert set(techniques) >= {
        *("precopy", "pause", "autoconverge", "postcopy", "xbzrle", "compress"),
        *("multifd", "multifd-zlib", "multifd-zstd"),
        *("downtime-tuning", "bandwidth-tuning"),
    }
    assert techniques.pop("dirtylimit") == 1  # where there is KVM
    assert min(techniques.values()) >= 2
    links = {(it.link.transport, it.link.bandwidth_bytes_per_s) for it in BASE}
    assert {("unix", None), ("tcp", None)} < links
    shaped = [it for it in BASE if it.link.bandwidth_bytes_per_s]
    assert len(shaped) >= 6
    assert len({it.policy.technique for it in shaped}) >= 4
    assert {it.guest.kind for it in BASE} == {"bare", "linux"}
    assert {it.workload.content for it in BASE} >= {"random", "text", "delta"}


def test_a_third_of_the_full_suite_is_run_on_the_newer_qemu_too() -> None:
    newer = {it.name: it for it in FULL if it.qemu_version == NEWER}
    assert set(newer) == {name + NEWER_SUFFIX for name in ON_NEWER}
    assert 3 * len(newer) >= len(BASE)
    older = {it.name: it for it in FULL}
    for name, scenario in newer.items():
        twin = older[name.removesuffix(NEWER_SUFFIX)]
        assert twin.qemu_version != NEWER
        assert (
            msgspec.structs.replace(
                scenario, name=twin.name, qemu_version=twin.qemu_version
            )
            == twin
        )
    # QEMU reports fault latencies itself there.
    assert {it for it in ON_NEWER if it.startswith("post-")} == {
        it.name for it in BASE if it.policy.technique == "postcopy"
    }


def test_the_full_suite_has_steps_of_every_ladder() -> None:
    for ladder in LADDERS:
        steps: dict[bytes, set[tuple[object, ...]]] = {}
        for scenario in BASE:
            steps.setdefault(ladder.rest(scenario), set()).add(ladder.step(scenario))
        assert max(len(found) for found in steps.values()) >= 2, ladder.name
    codecs = [it for it in BASE if compresses(it)]
    assert {it.policy.technique for it in codecs} == {
        *("compress", "multifd-zlib", "multifd-zstd"),
    }


def test_the_full_suites_settings_all_have_an_effect() -> None:
    assert {it.name: it.idle_settings for it in FULL if it.idle_settings} == {}


def test_the_full_suite_is_honest_and_short(
    make_measurement: MakeMeasurement,
) -> None:
    profile = load_profile("tcg-2core")
    host = draw_host(profile)
    found, lasting = [], {}
    for scenario in FULL:
        if scenario.guest.dirty_ring_size is not None:
            continue  # not on a host without KVM
        trace = simulate(scenario, host)
        lasting[scenario.name] = trace.phases.end_s
        run = msgspec.structs.replace(make_measurement(FULL[0]), scenario=scenario)
        compared = compare(
            [msgspec.structs.replace(run, trace=trace)],
            lambda it: predict(it, profile, draws=0),
            profile,
        )
        assert compared is not None
        found.append(compared)
    assert {name: s for name, s in lasting.items() if s > 20} == {}
    assert sum(lasting.values()) + AROUND_A_RUN_S * len(lasting) <= 50 * 60
    assert [line.split(":")[0] for line in honesty(found)] == ["met", "met"]
    bound = {pair[0] for it in found if (pair := sides(it)) is not None}
    assert {"link", "CPU"} <= bound
