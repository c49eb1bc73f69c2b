"""What all tests share: a real QEMU, or the reason why there is none.

A test marked ``qemu`` skips where there is none. Where real migrations are required
(``MIGMODEL_REQUIRE_QEMU=1``, as in CI) it fails when it skips, for whatever reason;
one marked ``root``, too, may skip for an ordinary user.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from migmodel.errors import InputError
from migmodel.qemu.binary import find_qemu
from migmodel.records import Scenario, Trace
from migmodel.units import MIB

OLDEST_QEMU = (9, 0)  # before it, a migration under TCG loses dirty pages


@pytest.fixture(scope="session")
def qemu_binary() -> Path:
    """The QEMU that the tests drive."""
    try:
        found = find_qemu()
    except InputError as error:
        pytest.skip(str(error))
    if found.version < OLDEST_QEMU:
        pytest.skip(
            f"{found.path} is QEMU {found.release}, too old to migrate under TCG; "
            "./dev setup qemu gets a newer one"
        )
    return found.path


def pytest_configure() -> None:
    """Let interrupts interrupt.

    A shell without job control starts its background jobs with SIGINT ignored, and what
    they start inherits that.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test marked ``qemu`` the fixture, and with it the skip."""
    for item in items:
        if item.get_closest_marker("qemu") and isinstance(item, pytest.Function):
            item.fixturenames.insert(0, "qemu_binary")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where real migrations are required."""
    report = yield
    if (
        os.environ.get("MIGMODEL_REQUIRE_QEMU") == "1"
        and item.get_closest_marker("qemu")
        and not (item.get_closest_marker("root") and os.geteuid() != 0)
        and report.skipped
        and not hasattr(report, "wasxfail")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def check_trace() -> Callable[[Trace, Scenario], None]:
    """The invariants of every Trace, simulated or recorded."""
    return _check_trace


def _check_trace(trace: Trace, scenario: Scenario) -> None:
    progress, outcome, phases = trace.progress, trace.outcome, trace.phases
    _check_rising(progress.time_s)
    _check_rising(progress.dirty_sync_count)
    _check_rising(progress.transferred_bytes)
    ram = scenario.guest.ram_bytes + 64 * MIB  # and firmware, video memory
    assert all(0 <= value <= ram for value in progress.remaining_bytes)
    assert all(0 <= value <= 99 for value in progress.throttle_percent)
    for before, after in pairwise(trace.rounds):
        assert before.end_s <= after.start_s + 1e-6
        assert before.index < after.index
    # What a pass sends was pending at its begin, plus what syncs in it found.
    in_rounds = sum(part.sent_bytes for part in trace.rounds)
    if outcome.bytes_sent is not None:
        assert in_rounds <= outcome.bytes_sent * 1.01 + 1e6
    if phases.stop_s is not None and phases.resume_s is not None:
        blackout = phases.resume_s - phases.stop_s
        assert blackout > 0
        assert outcome.downtime_stop_resume_s == pytest.approx(blackout, abs=0.01)
    if outcome.verdict == "completed":
        assert outcome.total_time_s is not None
        assert outcome.total_time_s > 0
    for vcpu in set(trace.guest.vcpu):
        rows = [row for row, k in enumerate(trace.guest.vcpu) if k == vcpu]
        starts = [trace.guest.start_s[row] for row in rows]
        _check_rising(starts)
        assert all(trace.guest.pages[row] >= 0 for row in rows)
    throttles = scenario.policy.all_capabilities.get("auto-converge", False)
    assert (outcome.peak_throttle_percent is not None) == throttles


def _check_rising(column: Sequence[float]) -> None:
    assert all(b >= a - 1e-9 for a, b in pairwise(column))
