"""Records are checked when they are made, and survive a file."""

from __future__ import annotations

import msgspec
import pytest

from migmodel.errors import InputError, RecordError
from migmodel.records import (
    TECHNIQUES,
    Guest,
    Limits,
    Link,
    Outage,
    Policy,
    Scenario,
    Trace,
    Tuning,
    Workload,
)
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
        (lambda: Policy(capabilities={"mapped-ram": True}), "writes a file"),
        (
            lambda: Policy(
                technique="multifd-zstd", parameters={"multifd-compression": "zlib"}
            ),
            "means multifd-compression zstd",
        ),
        (lambda: Policy(technique="precopy", tuning=Tuning()), "tuning belongs to"),
        (lambda: Tuning(steps=0), "tuning steps"),
        (lambda: Guest(ram_bytes=GIB, host_page_bytes=8192), "host pages"),
        (lambda: Guest(ram_bytes=GIB, dirty_ring_size=5000), "power of two"),
        (lambda: Workload(working_set_bytes=1, content="text"), "needs its compress"),
        (
            lambda: Workload(working_set_bytes=1, content="text", compressibility=0.3),
            "multiple of 1/8",
        ),
        (lambda: Workload(working_set_bytes=1, delta_bytes=8), "content delta alone"),
        (
            lambda: Workload(working_set_bytes=1, content="delta", delta_bytes=12),
            "multiple of 8",
        ),
        (
            lambda: Workload(working_set_bytes=1, content="zero", touch="page"),
            "random word",
        ),
        (lambda: Link(scope="two-hosts"), "ends on its host"),
        (lambda: Link(socket_buffer_bytes=0), "socket buffer"),
        (lambda: Outage(at_s=-1), "outage"),
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
        ({"tls-creds": "tls0"}, "10.0", "does not model"),
        ({"multifd-channels": 0}, "10.0", "at least 1"),
        ({"multifd-compression": "lz4"}, "10.0", "one of none, zlib"),
        ({"multifd-compression": "qatzip"}, "9.1", "qatzip needs QEMU 9.2"),
        ({"compress-level": 1}, "9.1", "gone since QEMU 9.1"),
        ({"xbzrle-cache-size": 1000000}, "10.0", "power of two"),
        ({"cpu-throttle-initial": 30}, "2.6", "needs QEMU 2.7"),
        ({"x-cpu-throttle-initial": 30}, "7.2", "gone since QEMU 2.7"),
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


RING = Guest(ram_bytes=GIB, dirty_ring_size=4096)


@pytest.mark.parametrize(
    ("capabilities", "version", "link", "words"),
    [
        (
            ("postcopy-ram", "multifd"),
            "8.1",
            Link(),
            "refuses postcopy-ram with multif",
        ),
        (("postcopy-ram", "multifd"), "10.0", Link(), "refuses postcopy-ram with mult"),
        (("postcopy-ram", "multifd"), "8.0", Link(), None),
        (("postcopy-ram", "multifd"), "10.1", Link(), None),
        (("xbzrle", "multifd"), "8.1", Link(), None),
        (("xbzrle", "multifd"), "8.2", Link(), "refuses xbzrle with multifd"),
        (("xbzrle", "compress"), "9.0", Link(), "refuses xbzrle with compress"),
        (("multifd", "compress"), "7.2", Link(), "refuses multifd with compress"),
        (("compress",), "9.1", Link(), "gone since QEMU 9.1"),
        (("postcopy-preempt",), "10.0", Link(), "without postcopy-ram"),
        (("zero-copy-send",), "10.0", Link(), "without multifd"),
        (("zero-copy-send", "multifd"), "10.0", Link(transport="tcp"), None),
        (("zero-copy-send", "multifd"), "10.0", Link(), "over unix: zero copy is not"),
        (("zero-copy-send", "multifd"), "7.2", Link(), "over unix"),
        (("switchover-ack",), "10.0", Link(), "without return-path"),
        (("dirty-limit",), "10.0", Link(), "without KVM's dirty ring"),
        (("multifd",), "2.6", Link(), "multifd needs QEMU 4.0"),
        (("multifd",), "7.2", Link(transport="rdma"), "over rdma"),
        (("postcopy-ram",), "10.0", Link(transport="rdma"), None),
        (("postcopy-ram",), "10.1", Link(transport="rdma"), "over rdma"),
        (("auto-converge", "xbzrle"), "10.0", Link(), None),
    ],
)
def test_what_a_version_refuses_is_refused_with_its_reason(
    capabilities, version, link, words
):
    def make():
        return Scenario(
            guest=GUEST,
            workload=WORKLOAD,
            link=link,
            policy=Policy(capabilities=dict.fromkeys(capabilities, True)),
            qemu_version=version,
        )

    if words is None:
        assert make().policy.has(capabilities[0])
        return
    with pytest.raises(InputError, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_dirty_limit_and_auto_converge_exclude_each_other():
    policy = Policy(technique="dirtylimit", capabilities={"auto-converge": True})
    with pytest.raises(InputError, match="refuses dirty-limit with auto-converge"):
        Scenario(guest=RING, workload=WORKLOAD, policy=policy)


def test_a_dirty_ring_needs_a_qemu_that_has_it():
    with pytest.raises(InputError, match=r"6\.1 or newer"):
        Scenario(guest=RING, workload=WORKLOAD, qemu_version="2.6")


@pytest.mark.parametrize(
    ("policy", "version", "words"),
    [
        (Policy(parameters={"multifd-channels": 4}), "10.0", "without multifd"),
        (Policy(parameters={"announce-step": 50}), "10.0", "changes none"),
        (Policy(capabilities={"release-ram": True}), "10.0", "changes none"),
        (
            Policy(technique="multifd-zstd", parameters={"multifd-zstd-level": 5}),
            "8.2",
            "level 1 stays",
        ),
        (
            Policy(technique="multifd-zstd", parameters={"multifd-zlib-level": 5}),
            "10.0",
            "does nothing with multifd-compression zstd",
        ),
        (
            Policy(technique="xbzrle", capabilities={"multifd": True}),
            "8.1",
            "xbzrle does nothing with multifd",
        ),
    ],
)
def test_what_is_accepted_but_does_nothing_is_told(policy, version, words):
    scenario = Scenario(
        guest=GUEST, workload=WORKLOAD, policy=policy, qemu_version=version
    )
    assert [line for line in scenario.idle_settings if words in line]


def test_effective_settings_are_not_told():
    policy = Policy(
        technique="multifd-zstd",
        parameters={"multifd-zstd-level": 5, "multifd-channels": 4},
        capabilities={"auto-converge": True},
    )
    described = Scenario(guest=GUEST, workload=WORKLOAD, policy=policy)
    assert described.idle_settings == []
    assert described.policy.all_parameters["multifd-compression"] == "zstd"


def test_an_old_version_has_its_own_default():
    assert Policy().parameter("max-bandwidth", (2, 6)) == 32 * MIB
    assert Policy().parameter("max-bandwidth", (7, 2)) == 128 * MIB


def test_a_file_of_the_first_techniques_is_still_read(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(
        '{"guest":{"ram_bytes":1073741824,"vcpus":1,"kind":"bare"},'
        '"workload":{"working_set_bytes":0,"rate_pps":null,"touch":"sweep",'
        '"phase":null},"link":{"transport":"unix","bandwidth_bytes_per_s":null,'
        '"rtt_s":0.0},"policy":{"technique":"pause","after_passes":2,"parameters":{},'
        '"capabilities":{}},"limits":{},"qemu_version":"9.0","name":"","schema":1}'
    )
    assert read_record(path, Scenario).policy.after_passes == 2


def test_techniques_are_named_once():
    assert len(set(TECHNIQUES)) == len(TECHNIQUES)


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
        ('{"warp": 9}', "known are guest, workload"),
        ('{"guest": {"ram_bytes": 9, "warp": 9}}', "known are ram_bytes, vcpus"),
        ('{"guest": {"ram_bytes": "much"}}', "ram_bytes"),
        ('{"policy": {"technique": "warp"}}', "it is one of autoconverge, band"),
        (
            (
                '{"guest": {"ram_bytes": 1048576}, "workload": {"working_set_bytes": 0}'
                ', "policy": {"parameters": {"downtime-limit": "300"}}}'
            ),
            "not '300'",
        ),
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
