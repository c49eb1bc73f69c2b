"""Records are checked when they are made, and survive a file."""

from __future__ import annotations

import msgspec
import pytest

from migmodel.errors import InputError, RecordError
from migmodel.records import Guest, Limits, Link, Policy, Scenario, Trace, Workload
from migmodel.records.files import read_record, write_record
from migmodel.units import GIB, MIB

GUEST = Guest(ram_bytes=GIB)
WORKLOAD = Workload(working_set_bytes=256 * MIB)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: Guest(ram_bytes=-1), "guest RAM"),
        (lambda: Guest(ram_bytes=GIB + 1), "multiple of 1 MiB"),
        (lambda: Guest(ram_bytes=1 << 60), "at most"),
        (lambda: Guest(ram_bytes=GIB, vcpus=0), "vCPUs"),
        (lambda: Workload(working_set_bytes=-1), "working set"),
        (lambda: Workload(working_set_bytes=1, rate_pps=0), "write rate"),
        (lambda: Link(bandwidth_bytes_per_s=0), "link bandwidth"),
        (lambda: Limits(max_time_s=0), "--max-time"),
        (lambda: Policy(technique="magic"), "unknown policy"),
        (lambda: Policy(technique="precopy", after_passes=1), "--after"),
        (lambda: Policy(capabilities={"teleport": True}), "teleport"),
        (
            lambda: Policy(technique="postcopy", capabilities={"postcopy-ram": False}),
            "needs the capability",
        ),
        (
            lambda: Scenario(guest=GUEST, workload=Workload(working_set_bytes=2 * GIB)),
            "larger than the guest's RAM",
        ),
        (
            lambda: Scenario(guest=GUEST, workload=WORKLOAD, qemu_version="1.0"),
            "not modelled",
        ),
        (
            lambda: Scenario(guest=GUEST, workload=WORKLOAD, qemu_version="new"),
            "not a QEMU version",
        ),
    ],
)
def test_nonsense_is_named(make, names):
    with pytest.raises(InputError, match=names):
        make()


@pytest.mark.parametrize(
    ("parameters", "version", "names"),
    [
        ({"warp": 9}, "10.0", "unknown QEMU parameter"),
        ({"downtime-limit": 2_000_001}, "10.0", "at most 2000000 ms"),
        ({"downtime-limit": "soon"}, "10.0", "whole number"),
        ({"cpu-throttle-tailslow": 1}, "10.0", "on or off"),
        ({"cpu-throttle-increment": 100}, "10.0", "at most 99"),
        ({"avail-switchover-bandwidth": 1}, "8.1", "needs QEMU 8.2"),
        ({"multifd-channels": 4}, "10.0", "does not model yet"),
        ({"max-cpu-throttle": 10}, "10.0", "must not be below"),
    ],
)
def test_parameters_that_qemu_refuses_are_refused(parameters, version, names):
    with pytest.raises(InputError, match=names):
        Scenario(
            guest=GUEST,
            workload=WORKLOAD,
            policy=Policy(parameters=parameters),
            qemu_version=version,
        )


def test_a_scenario_survives_a_file(tmp_path):
    described = Scenario(
        guest=GUEST,
        workload=Workload(working_set_bytes=256 * MIB, rate_pps=1000.0, touch="page"),
        policy=Policy(technique="postcopy", after_passes=3),
        limits=Limits(max_iters=30),
    )
    for name in ("it.json", "it.json.gz"):
        write_record(tmp_path / name, described)
        assert read_record(tmp_path / name, Scenario) == described
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it.json", "it.json.gz"]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('{"guest": {"ram_bytes": 1048576}, "warp": 9}', "warp"),
        ('{"guest": {"ram_bytes": "much"}}', "ram_bytes"),
        ("{", "not JSON"),
        ('{"guest": {"ram_bytes": -5}, "workload": {"working_set_bytes": 0}}', "RAM"),
    ],
)
def test_a_broken_file_is_named_with_what_is_wrong(tmp_path, text, names):
    path = tmp_path / "broken.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=names) as caught:
        read_record(path, Scenario)
    assert "broken.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RecordError, match="cannot read"):
        read_record(tmp_path / "none.json", Trace)


def test_missing_stays_missing():
    trace = msgspec.json.decode(
        b'{"outcome": {"verdict": "failed"}, "phases": {"end_s": 1.0}}', type=Trace
    )
    assert trace.outcome.total_time_s is None
    assert trace.outcome.peak_throttle_percent is None
