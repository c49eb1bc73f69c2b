from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from migmodel.cli.scenario_options import (
    DESCRIBING,
    Described,
    scenario_from,
    scenario_options,
)
from migmodel.errors import InputError, RecordError
from migmodel.records import DEFAULT_QEMU, Outage, Scenario, Tuning
from migmodel.records.files import write_record
from migmodel.units import GIB, MIB, PAGE_BYTES


def test_what_nobody_said_has_qemus_own_defaults_and_is_stated() -> None:
    described = scenario_from(mem="8")
    scenario = described.scenario
    assert scenario.guest.ram_bytes == 8 * GIB
    assert scenario.guest.vcpus == 1
    assert scenario.workload.working_set_bytes == 8 * GIB
    assert scenario.workload.rate_pps is None
    assert scenario.policy.technique == "precopy"
    assert scenario.policy.max_bandwidth_bytes_per_s == 128 * MIB
    assert scenario.policy.downtime_limit_s == 0.3
    assert scenario.qemu_version == DEFAULT_QEMU
    assert scenario.limits.max_time_s is None
    stated = "; ".join(described.assumptions)
    for option in (
        *("--cpus", "--ws", "--rate", "--bw", "--downtime", "--policy"),
        *("--qemu-version", "--max-time"),
    ):
        assert f"({option}" in stated
    assert "128 MiB/s" in stated
    assert "300 ms" in stated


def test_what_was_said_is_not_stated_as_assumed() -> None:
    given = {
        "mem": "2",
        "cpus": "2",
        "ws": "50%",
        "rate": "1000",
        "bw": "1g",
        "downtime": "300",
        "policy": "autoconverge",
        "qemu_version": "9.0",
        "guest": "linux",
        "max_time": "5m",
        "link": "10g",
        "rtt": "0",
    }
    described = scenario_from(**given, set=["cpu-throttle-initial=30"])
    assert described.assumptions == []
    assert described.given == {*given, "set"}


@pytest.mark.parametrize(
    ("options", "path", "value"),
    [
        ({"mem": "512m"}, "guest.ram_bytes", 512 * MIB),
        ({"cpus": "4"}, "guest.vcpus", 4),
        ({"guest": "linux"}, "guest.kind", "linux"),
        ({"ws": "25%"}, "workload.working_set_bytes", 2 * GIB),
        ({"ws": "100m"}, "workload.working_set_bytes", 100 * MIB),
        ({"ws": "0"}, "workload.working_set_bytes", 0),
        ({"ws": "1g", "still": "512m"}, "workload.still_bytes", 512 * MIB),
        ({"ws": "1g", "still": "25%"}, "workload.still_bytes", 2 * GIB),
        ({"rate": "full"}, "workload.rate_pps", None),
        ({"rate": "2e4"}, "workload.rate_pps", 20_000.0),
        ({"touch": "study"}, "workload.touch", "study"),
        ({"pattern": "random"}, "workload.pattern", "random"),
        ({"bw": "1g"}, "policy.max_bandwidth_bytes_per_s", 125_000_000),
        ({"bw": "125MB/s"}, "policy.max_bandwidth_bytes_per_s", 125_000_000),
        ({"bw": "unlimited"}, "policy.max_bandwidth_bytes_per_s", 0),
        ({"link": "10gbit"}, "link.bandwidth_bytes_per_s", 1_250_000_000),
        ({"link": "unlimited"}, "link.bandwidth_bytes_per_s", None),
        ({"rtt": "2"}, "link.rtt_s", 0.002),
        ({"rtt": "0.5ms"}, "link.rtt_s", 0.0005),
        ({"transport": "tcp"}, "link.transport", "tcp"),
        ({"downtime": "300"}, "policy.parameters", {"downtime-limit": 300}),
        ({"downtime": "2s"}, "policy.parameters", {"downtime-limit": 2000}),
        ({"policy": "postcopy", "after": "3"}, "policy.after_passes", 3),
        ({"policy": "multifd-zstd", "level": "5"}, "policy.technique", "multifd-zstd"),
        (
            {"policy": "multifd-zstd", "level": "5", "channels": "4"},
            "policy.parameters",
            {"multifd-channels": 4, "multifd-zstd-level": 5},
        ),
        (
            {"policy": "xbzrle", "cache": "50%", "mem": "3"},
            "policy.parameters",
            {"xbzrle-cache-size": GIB},
        ),
        (
            {"policy": "postcopy", "preempt": "on"},
            "policy.capabilities",
            {"postcopy-preempt": True},
        ),
        ({"cap": ["xbzrle=on"]}, "policy.capabilities", {"xbzrle": True}),
        (
            {"policy": "downtime-tuning", "tune_to": "2s", "tune_steps": "4"},
            "policy.tuning",
            Tuning(maximum=2000, steps=4),
        ),
        ({"content": "text"}, "workload.compressibility", 0.5),
        ({"content": "delta:8"}, "workload.delta_bytes", 8),
        ({"host_page": "2m"}, "guest.host_page_bytes", 2 * MIB),
        ({"dirty_ring": "4096"}, "guest.dirty_ring_size", 4096),
        ({"scope": "two-hosts", "transport": "tcp"}, "link.scope", "two-hosts"),
        ({"rtt": "2"}, "link.transport", "tcp"),
        ({"rtt": "2", "transport": "rdma"}, "link.transport", "rdma"),
        ({"rtt": "0"}, "link.transport", "unix"),
        ({"socket_buffer": "1m"}, "link.socket_buffer_bytes", MIB),
        (
            {"policy": "postcopy", "outage": "2s", "recover_after": "10"},
            "link.outage",
            Outage(at_s=2.0, recovered_after_s=10.0),
        ),
        ({"max_time": "5m"}, "limits.max_time_s", 300.0),
        ({"max_time": "90"}, "limits.max_time_s", 90.0),
        ({"max_iters": "30"}, "limits.max_iters", 30),
        ({"qemu_version": "9.2"}, "qemu_version", "9.2"),
        (
            {"set": ["max-bandwidth=64m"]},
            "policy.parameters",
            {"max-bandwidth": 64 * MIB},
        ),
        (
            {"set": ["cpu-throttle-tailslow=on", "cpu-throttle-increment=5"]},
            "policy.parameters",
            {"cpu-throttle-tailslow": True, "cpu-throttle-increment": 5},
        ),
    ],
)
def test_an_option_is_honoured(options: dict[str, Any], path: str, value: Any) -> None:
    found: Any = scenario_from(**{"mem": "8", **options}).scenario
    for name in path.split("."):
        found = getattr(found, name)
    assert found == value


def test_a_share_of_the_ram_is_whole_pages() -> None:
    working_set = scenario_from(mem="1", ws="33.3%").scenario.workload
    assert working_set.working_set_bytes % PAGE_BYTES == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mem": None}, "--mem 8 (GiB)"),
        ({"mem": "-8"}, "--mem: not a size: '-8'"),
        ({"mem": "0"}, "greater than zero"),
        ({"mem": "5000b"}, "multiple of 1 MiB"),
        ({"cpus": "two"}, "--cpus: not a whole number: 'two'"),
        ({"cpus": "0"}, "vCPUs"),
        ({"ws": "9"}, "larger than the guest's RAM"),
        ({"ws": "-10%"}, "--ws: a share"),
        ({"ws": "150%"}, "--ws: a share"),
        ({"rate": "fast"}, "--rate: not a number of pages/s: 'fast'"),
        ({"rate": "nan"}, "--rate"),
        ({"rate": "-3"}, "greater than zero"),
        ({"touch": "poke"}, "sweep, study, page"),
        ({"bw": "1gb"}, "--bw: not a bandwidth"),
        ({"bw": "-1g"}, "--bw: not a bandwidth"),
        ({"rtt": "-1"}, "must not be negative"),
        ({"transport": "quic"}, "unix, tcp, rdma"),
        ({"policy": "multifd", "transport": "rdma"}, "refuses multifd over rdma"),
        ({"downtime": "soon"}, "--downtime: not a time: 'soon'"),
        ({"downtime": "0.5"}, "whole milliseconds"),
        ({"downtime": "9" * 400 + "h"}, "whole milliseconds"),
        ({"max_time": "9" * 400}, "--max-time: too large"),
        ({"mem": "9" * 400}, "--mem: too large"),
        ({"link": "9" * 400}, "--link: too large"),
        ({"downtime": "-300ms"}, "--downtime: not a time"),
        ({"downtime": "1h"}, "downtime-limit must be"),
        ({"policy": "magic"}, "precopy, pause, autoconverge, postcopy"),
        ({"channels": "4"}, "--channels belongs to the policies multifd"),
        ({"policy": "xbzrle", "level": "1"}, "--level belongs to"),
        ({"policy": "multifd-qpl", "level": "1"}, "--level belongs to"),
        ({"policy": "xbzrle", "cache": "65m"}, "power of two"),
        (
            {"policy": "multifd", "channels": "4", "set": ["multifd-channels=2"]},
            "say the same",
        ),
        ({"tune_to": "2s"}, "--tune-to belongs to"),
        ({"content": "text:0.3"}, "multiple of 1/8"),
        ({"content": "zero:1"}, "takes no number"),
        ({"content": "prose"}, "random, text, zero, delta"),
        ({"cap": ["xbzrle"]}, "write name=on"),
        ({"cap": ["teleport=on"]}, "unknown"),
        ({"recover_after": "1s"}, "needs --outage"),
        ({"outage": "1s"}, "--policy postcopy"),
        ({"policy": "pause", "outage": "1s"}, "--policy postcopy"),
        (
            {"policy": "downtime-tuning", "tune_to": "300"},
            "more than the first, 300 ms",
        ),
        (
            {"policy": "bandwidth-tuning", "bw": "1g", "tune_to": "500m"},
            "more than the first, 1 Gbit/s (--bw)",
        ),
        ({"policy": "bandwidth-tuning", "bw": "unlimited"}, "give --bw"),
        ({"dirty_ring": "5000"}, "power of two"),
        ({"host_page": "8k"}, "host pages"),
        ({"after": "3"}, "--after belongs to"),
        ({"max_time": "0"}, "--max-time must be greater than zero"),
        ({"max_iters": "-2"}, "--max-iters must be greater than zero"),
        ({"qemu_version": "6.2"}, "supported are"),
        ({"qemu_version": "new"}, "not a QEMU version"),
        ({"guest": "windows"}, "bare, linux"),
        ({"set": ["cpu-throttle-increment"]}, "write name=value"),
        ({"set": ["no-such=1"]}, "unknown QEMU parameter 'no-such'"),
        ({"set": ["tls-creds=tls0"]}, "does not model"),
        ({"set": ["cpu-throttle-initial=100"]}, "at most 99"),
        ({"set": ["cpu-throttle-initial=some"]}, "whole number (%)"),
        ({"set": ["cpu-throttle-tailslow=1"]}, "on or off"),
        ({"set": ["max-bandwidth=1", "max-bandwidth=2"]}, "given twice"),
        ({"set": ["max-bandwidth=1g"], "bw": "1g"}, "say the same"),
        ({"set": ["downtime-limit=1"], "downtime": "1"}, "say the same"),
        (
            {"set": ["avail-switchover-bandwidth=1g"], "qemu_version": "7.2"},
            "needs QEMU 8.2",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(options: dict[str, Any], words: str) -> None:
    with pytest.raises(InputError) as caught:
        scenario_from(**{"mem": "8", **options})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_parameter_without_effect_says_so() -> None:
    assumptions = scenario_from(mem="8", set=["announce-rounds=9"]).assumptions
    assert any("announce-rounds changes none" in text for text in assumptions)


def test_a_file_holds_the_whole_scenario(tmp_path: Path) -> None:
    written = scenario_from(mem="2", policy="postcopy", after="2").scenario
    write_record(tmp_path / "s.json", written)
    described = scenario_from(scenario=str(tmp_path / "s.json"))
    assert described.scenario == written
    assert described.assumptions == []
    assert "qemu_version" in described.given


def test_a_file_and_options_exclude_each_other(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="leave out --max-time, --mem"):
        scenario_from(scenario=str(tmp_path / "s.json"), mem="8", max_time="1m")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"colour": "red"}, "unknown field `colour`"),
        ({"schema": 99}, "schema 99"),
        ({"guest": {"ram_bytes": -1}}, "greater than zero"),
        ({"workload": None}, "workload"),
    ],
)
def test_a_bad_file_is_refused_by_name(
    change: dict[str, Any], words: str, tmp_path: Path
) -> None:
    record = msgspec.to_builtins(scenario_from(mem="2").scenario)
    file = tmp_path / "bad.json"
    file.write_bytes(msgspec.json.encode({**record, **change}))
    with pytest.raises(RecordError) as caught:
        scenario_from(scenario=str(file))
    assert words in str(caught.value)
    assert "bad.json" in str(caught.value)


def test_the_decorator_hands_every_option_over() -> None:
    received: list[Described] = []

    @click.command()
    @scenario_options
    def command(**options: Any) -> None:
        assert {option.name for option in DESCRIBING} < set(options)
        received.append(scenario_from(**options))

    arguments = ["--mem", "4", "--policy", "pause", "--after", "0", "--max-iters", "9"]
    arguments += ["--set", "downtime-limit=500", "--set", "announce-step=10"]
    arguments += ["--cap", "return-path=on"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    scenario: Scenario = received[0].scenario
    assert scenario.policy.after_passes == 0
    assert scenario.policy.capabilities == {"return-path": True}
    assert scenario.limits.max_iters == 9
    assert scenario.policy.parameters == {"downtime-limit": 500, "announce-step": 10}


def test_a_switch_needs_no_value() -> None:
    received: list[Described] = []

    @click.command()
    @scenario_options
    def command(**options: Any) -> None:
        received.append(scenario_from(**options))

    arguments = ["--policy", "postcopy", "--preempt", "--mem", "4"]
    result = CliRunner().invoke(command, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    assert received[0].scenario.policy.has("postcopy-preempt")
