"""Whoever ends the driver ends everything that it started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

import msgspec
import pytest

from migmodel.errors import InputError
from migmodel.qemu import host
from migmodel.records import Guest, Link, Workload
from migmodel.units import GIB

PATIENCE_S = 20.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("phase", ["settling", "baseline", "migrating", "after"])
def test_a_signal_ends_everything(
    bench: Any, phase: str, number: signal.Signals
) -> None:
    before = signal.getsignal(signal.SIGTERM)

    def interrupt(now: str, _: object) -> None:
        if now == phase:
            signal.raise_signal(number)

    with pytest.raises(KeyboardInterrupt):
        bench.measure(on_progress=interrupt)
    assert signal.getsignal(signal.SIGTERM) == before
    assert len(bench.pids()) == 2
    assert bench.leftovers() == []


def test_the_qemus_die_with_a_driver_that_is_killed(bench: Any) -> None:
    bench.script(polls=100_000)
    code = (
        "import pathlib, sys\n"
        "from migmodel.qemu.driver import measure\n"
        "from migmodel.qemu.options import DriverOptions\n"
        "from migmodel.qemu.guest import GuestImage\n"
        "from migmodel.records import Guest, Scenario, Workload\n"
        "image = GuestImage('bare', pathlib.Path(sys.argv[1]))\n"
        "scenario = Scenario(guest=Guest(ram_bytes=64 << 20),\n"
        "                    workload=Workload(working_set_bytes=4 << 20))\n"
        "measure(scenario, DriverOptions(image=image, qemu=sys.argv[2], accel='tcg'))\n"
    )
    argv = [sys.executable, "-c", code, str(bench.image), str(bench.qemu)]
    environment = {**os.environ, "TMPDIR": str(bench.temporary)}
    driver = subprocess.Popen(argv, env=environment)
    try:
        _wait_until(lambda: "migrate" in _commands(bench))
    finally:
        driver.kill()
        driver.wait()
    _wait_until(lambda: bench.running() == 0)
    assert len(bench.pids()) == 2
    assert len(list(bench.temporary.iterdir())) == 1
    bench.script()
    bench.measure()  # the next run removes what the killed one left


def _commands(bench: Any) -> list[str]:
    file = bench.log / "source.commands"
    return file.read_text().split() if file.exists() else []


def _wait_until(true: Any) -> None:
    give_up_s = time.monotonic() + PATIENCE_S
    while not true():
        assert time.monotonic() < give_up_s
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("what", "complaint"),
    [
        ({"qemu": "/bin/true"}, "/bin/true is no QEMU"),
        ({"qemu": "/nowhere/qemu"}, "no QEMU: /nowhere/qemu"),
        ({"accel": "hvf"}, "'hvf' is no accelerator"),
        ({"poll_interval_s": 1.0}, "sampled at least every 0.05 s"),
    ],
)
def test_unusable_options_start_nothing(
    bench: Any, what: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InputError, match=complaint):
        bench.measure(**what)
    assert bench.pids() == []


def test_unusable_scenarios_start_nothing(
    bench: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def altered(**parts: Any) -> Any:
        return msgspec.structs.replace(bench.scenario(), **parts)

    huge = altered(guest=Guest(ram_bytes=2 * GIB))
    monkeypatch.setattr(host, "available_memory_bytes", lambda: 4 * GIB)
    for scenario, complaint in (
        (huge, "source and destination run on this host, but only"),
        (altered(link=Link(rtt_s=0.1)), "a unix socket has no bandwidth"),
        (altered(workload=Workload(working_set_bytes=0)), "at least one page a vCPU"),
        (altered(guest=Guest(ram_bytes=16 << 20)), "beside its working set"),
        (altered(guest=Guest(ram_bytes=4 * GIB)), "use --guest linux"),
        (altered(guest=Guest(ram_bytes=64 << 20, kind="linux")), "the image is bare"),
    ):
        with pytest.raises(InputError, match=complaint):
            bench.measure(scenario)
    assert bench.pids() == []


def test_tcg_that_loses_dirty_pages_is_refused(bench: Any) -> None:
    bench.script(version="8.2.4")
    with pytest.raises(InputError, match="loses dirty pages under TCG"):
        bench.measure()
    assert bench.pids() == []


def test_a_parameter_that_this_qemu_lacks_is_refused(bench: Any) -> None:
    bench.script(version="8.1.0")
    scenario = bench.scenario(parameters={"avail-switchover-bandwidth": 10**9})
    with pytest.raises(InputError, match=r"avail-switchover-bandwidth needs QEMU 8\.2"):
        bench.measure(scenario)
