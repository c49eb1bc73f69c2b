"""Real migrations over links that are made for them, and nothing left of these."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from migmodel.errors import InputError
from migmodel.qemu.driver import measure
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.namespaces import check_namespaces
from migmodel.qemu.options import DriverOptions
from migmodel.records import (
    Guest,
    Limits,
    Link,
    Measurement,
    Policy,
    Scenario,
    Workload,
)
from migmodel.stress.builder import build_bare
from migmodel.stress.errors import StressError
from migmodel.units import MIB

pytestmark = [pytest.mark.qemu, pytest.mark.root]
RATE = 25e6  # bytes/s


@pytest.fixture
def run(qemu_binary: Path) -> Callable[..., Measurement]:
    """Migrates 24 MB that are hardly rewritten, over a link."""
    try:
        check_namespaces()
        image = GuestImage("bare", build_bare())
    except (InputError, StressError) as error:
        pytest.skip(str(error))

    def run(link: Link, on_progress: Any = None, **policy: Any) -> Measurement:
        scenario = Scenario(
            guest=Guest(ram_bytes=64 * MIB),
            workload=Workload(working_set_bytes=24 * MIB, rate_pps=200),
            link=link,
            policy=Policy(parameters={"max-bandwidth": 0}, **policy),
            limits=Limits(max_time_s=60.0),
        )
        options = DriverOptions(
            image=image, qemu=str(qemu_binary), baseline_s=0.3, after_s=0.5
        )
        return measure(scenario, options, on_progress=on_progress)

    return run


def _namespaces() -> set[str]:
    """Network namespaces that any process is in or holds open."""
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        for entry in (folder / "ns" / "net", *_descriptors(folder)):
            try:
                target = str(entry.readlink())
            except OSError:
                continue
            if target.startswith("net:["):
                found.add(target)
    return found


def _descriptors(folder: Path) -> list[Path]:
    try:
        return list((folder / "fd").iterdir())
    except OSError:
        return []


@pytest.mark.parametrize("rtt_s", [0.0, 0.01])
def test_a_shaped_link_limits_an_unlimited_migration(
    run: Callable[..., Measurement], rtt_s: float
) -> None:
    before = _namespaces()
    link = Link(transport="tcp", bandwidth_bytes_per_s=RATE, rtt_s=rtt_s)
    measurement = run(link)
    outcome, facts = measurement.trace.outcome, measurement.link_facts
    # That this host is too busy just now is for the run to say, not for the test.
    assert [it for it in measurement.problems if "too busy" not in it] == []
    assert measurement.scenario.link == link
    assert outcome.verdict == "completed"
    assert facts is not None
    assert facts.throughput_bytes_per_s is not None
    assert facts.rtt_s >= 0.5 * rtt_s
    assert (facts.delayed_by == "nothing") == (rtt_s == 0.0)
    # The stream cannot be faster than the link; buffers hold some MiB of it.
    assert outcome.bytes_sent is not None
    assert outcome.total_time_s is not None
    assert outcome.total_time_s > (outcome.bytes_sent - 8 * MIB) / RATE
    if facts.delayed_by == "relay":
        used = [it for _, whose, it in measurement.raw.cpu_samples if whose == "relay"]  # type: ignore[union-attr]
        assert used[-1]["process"] > used[0]["process"]
    assert _namespaces() <= before


def test_a_round_trip_without_a_bandwidth_delays_postcopy_requests(
    run: Callable[..., Measurement],
) -> None:
    link = Link(transport="tcp", rtt_s=0.02)
    measurement = run(link, technique="postcopy", after_passes=1)
    if "Postcopy is not supported" in measurement.trace.outcome.reason:
        pytest.skip(measurement.trace.outcome.reason)
    assert [it for it in measurement.problems if "too busy" not in it] == []
    assert measurement.trace.outcome.verdict == "completed"
    # The packaged devices take half a round trip, before the guest can run there.
    blackout_s = measurement.trace.outcome.downtime_stop_resume_s
    assert blackout_s is not None
    assert blackout_s > link.rtt_s / 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_leaves_no_namespace_and_no_relay(
    run: Callable[..., Measurement], number: signal.Signals
) -> None:
    before = _namespaces()
    seen: list[set[str]] = []

    def interrupt(phase: str, _: object) -> None:
        if phase == "migrating":
            seen.append(_namespaces() - before)
            signal.raise_signal(number)

    link = Link(transport="tcp", bandwidth_bytes_per_s=RATE, rtt_s=0.01)
    with pytest.raises(KeyboardInterrupt):
        run(link, on_progress=interrupt)
    assert len(seen[0]) == 2
    assert _namespaces() <= before
    assert _children() == []


def _children() -> list[str]:
    tasks = Path(f"/proc/{os.getpid()}/task")
    return [
        it for task in tasks.iterdir() for it in (task / "children").read_text().split()
    ]
