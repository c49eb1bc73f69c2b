"""Real migrations to another host over a real ssh, and nothing left there."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from migmodel.records import (
    Guest,
    Limits,
    Link,
    Measurement,
    Policy,
    Scenario,
    Workload,
)
from migmodel.records.files import read_record, write_record
from migmodel.stress.builder import build_bare
from migmodel.stress.errors import StressError
from migmodel.units import MIB

from .two_hosts import ADDRESS, ALIAS, Driver, TwoHosts

pytestmark = [pytest.mark.qemu, pytest.mark.root]


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[TwoHosts]:
    """Two hosts that must be empty in the end."""
    with ExitStack() as opened:
        folder = tmp_path / "hosts"
        folder.mkdir(mode=0o700)
        hosts = TwoHosts(folder, opened)
        yield hosts
        hosts.wait(lambda: hosts.leftovers() == [])


@pytest.fixture
def drive(hosts: TwoHosts, qemu_binary: Path, tmp_path: Path) -> Callable[..., Driver]:
    """Starts a driver whose migration ends, or one whose does not."""
    try:
        image = build_bare()
    except StressError as error:
        pytest.skip(str(error))

    def drive(rate_pps: float, **policy: Any) -> Driver:
        parameters = {"max-bandwidth": 32 * MIB, "downtime-limit": 50}
        scenario = Scenario(
            guest=Guest(ram_bytes=64 * MIB),
            workload=Workload(working_set_bytes=16 * MIB, rate_pps=rate_pps),
            link=Link(transport="tcp", scope="two-hosts"),
            policy=Policy(parameters=parameters, **policy),
            limits=Limits(max_time_s=120.0),
        )
        write_record(tmp_path / "scenario.json", scenario)
        out = tmp_path / "measured.json"
        return hosts.drive(tmp_path / "scenario.json", image, qemu_binary, out)

    return drive


@pytest.fixture
def measured(tmp_path: Path) -> Callable[[], Measurement]:
    """What the driver has written."""
    return lambda: read_record(tmp_path / "measured.json", Measurement)


@pytest.mark.parametrize("technique", ["precopy", "postcopy"])
def test_a_guest_goes_to_the_other_host(
    drive: Callable[..., Driver],
    measured: Callable[[], Measurement],
    hosts: TwoHosts,
    check_trace: Callable[..., None],
    technique: str,
) -> None:
    after = {"after_passes": 1} if technique == "postcopy" else {}
    driver = drive(500, technique=technique, **after)
    driver.until("migrating")
    listening = _listening(hosts)
    assert driver.end() == ""
    run = measured()
    if "Postcopy is not supported" in run.trace.outcome.reason:
        pytest.skip(run.trace.outcome.reason)
    assert run.problems == []
    assert run.trace.outcome.verdict == "completed"
    assert run.destination_host is not None
    assert run.destination_host.qemu_version == run.host.qemu_version
    # The stream went straight to the named address, which alone was listened on.
    assert listening <= {ADDRESS}
    assert run.raw is not None
    clock = run.raw.destination_clock
    assert clock is not None
    # It is one host: its clock differs by what ours does, within what is stated.
    assert abs(clock.offset_s - run.raw.realtime_offset_s) <= clock.uncertainty_s
    assert 0 < clock.uncertainty_s < 0.1
    used = [it for _, whose, it in run.raw.cpu_samples if whose == "destination"]
    assert used[-1]["process"] > used[0]["process"]
    assert run.trace.outcome.destination_cpu_s is not None
    assert max(run.trace.guest.end_s) > run.trace.phases.end_s
    check_trace(run.trace, run.scenario)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_ends_the_driver_ends_the_other_host_too(
    drive: Callable[..., Driver], hosts: TwoHosts, number: signal.Signals
) -> None:
    driver = drive(12_000)
    driver.until("migrating")
    assert any("migmodel-destination" in it for it in hosts.leftovers())
    driver.process.send_signal(number)
    complaint = driver.end()
    assert driver.process.returncode != 0
    assert number == signal.SIGKILL or "KeyboardInterrupt" in complaint
    hosts.wait(lambda: hosts.leftovers() == [])


def test_a_qemu_killed_there_is_told_of(
    drive: Callable[..., Driver], measured: Callable[[], Measurement], hosts: TwoHosts
) -> None:
    driver = drive(12_000)
    driver.until("migrating")
    for pid, words in hosts.processes().items():
        if "migmodel-destination" in words:
            os.kill(pid, signal.SIGKILL)
    assert driver.end() == ""
    assert "the destination QEMU was killed by signal 9" in measured().problems[0]


def test_a_cut_connection_is_told_of_and_both_ends_clean_up(
    drive: Callable[..., Driver], measured: Callable[[], Measurement], hosts: TwoHosts
) -> None:
    driver = drive(12_000)
    driver.until("migrating")
    hosts.cut()
    assert driver.end() == ""
    run = measured()
    assert run.trace.outcome.verdict == "failed"
    assert not run.valid
    hosts.wait(lambda: hosts.leftovers() == [])


def test_a_killed_shell_there_leaves_nothing(
    drive: Callable[..., Driver], measured: Callable[[], Measurement], hosts: TwoHosts
) -> None:
    driver = drive(12_000)
    driver.until("migrating")
    os.kill(hosts.shell(), signal.SIGKILL)
    assert driver.end() == ""
    assert "the connection to there broke off" in measured().problems[0]
    hosts.wait(lambda: hosts.leftovers() == [])


def test_what_cannot_be_is_one_line(hosts: TwoHosts, qemu_binary: Path) -> None:
    usual = ["measure", "--mem", "64m", "--ws", "16m", "--qemu", str(qemu_binary)]
    config = ["--ssh-config", str(hosts.config)]
    there = [*usual, *config, "--dst-host", ALIAS]
    for arguments, complaint in (
        ([*usual, *config, "--dst-host", "-oProxyCommand=x"], "is host or user@host"),
        ([*usual, *config, "--dst-host", "nobody.invalid"], "resolve"),
        ([*there, "--dst-qemu", "/nowhere/qemu"], "no QEMU on there"),
        ([*there, "--dst-qemu", "/bin/true"], "like ours with --dst-qemu"),
        ([*there, "--dst-qemu", "x; touch /tmp/owned"], "no QEMU on there"),
        ([*there, "--dst-cpu-bind", "4095"], "no CPU on there 4095 to bind to"),
        ([*there, "--link", "netns:1g"], "--link netns is made on this host"),
        ([*usual, "--dst-qemu", "qemu"], "belong to --dst-host"),
        ([*usual, "--dst-host", f"root@{ADDRESS}"], "broke off"),
    ):
        done = hosts.run(*arguments)
        assert done.returncode == 2, done.stderr
        assert complaint in done.stderr
        assert done.stderr.count("\n") == 1
    assert hosts.leftovers() == []


def test_an_address_that_is_not_the_hosts_is_refused(
    hosts: TwoHosts, qemu_binary: Path
) -> None:
    done = hosts.run(
        *("measure", "--mem", "64m", "--ws", "16m", "--qemu", str(qemu_binary)),
        *("--ssh-config", str(hosts.config), "--dst-host", ALIAS),
        *("--dst-address", "198.51.100.1"),
    )
    assert done.returncode == 1
    assert "cannot listen on 198.51.100.1" in done.stderr


def _listening(hosts: TwoHosts) -> set[str]:
    """Addresses that a QEMU on the second host listens on."""
    pids = [pid for pid, it in hosts.processes().items() if "migmodel-dest" in it]
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            target = str(entry.readlink())
            if target.startswith("socket:["):
                inodes.add(target[8:-1])
    found = set()
    for name in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pids[0]}/net/{name}").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and words[9] in inodes:
                number = bytes.fromhex(words[1].split(":")[0])[::-1]
                found.add(".".join(map(str, number)))
    return found
