from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.analysis.sweep import QUANTITIES, columns, sweep
from migmodel.records import Guest, Policy, Scenario, Workload
from migmodel.units import MIB

MakeScenario = Callable[..., Scenario]


def small(mib: int, **parameters: int) -> Scenario:
    """An idle guest: quickly predicted."""
    return Scenario(
        guest=Guest(ram_bytes=mib * MIB),
        workload=Workload(working_set_bytes=0),
        policy=Policy(parameters=dict(parameters)),
    )


def test_processes_give_the_same_rows_in_the_same_order() -> None:
    profile = load_profile(None)
    scenarios = [small(mib) for mib in range(64, 94)]
    alone = list(sweep(scenarios, profile, draws=19, seed=3, jobs=1))
    together = list(sweep(scenarios, profile, draws=19, seed=3, jobs=2))
    assert together == alone
    assert [row["ram_bytes"] for row in alone] == [
        scenario.guest.ram_bytes for scenario in scenarios
    ]


def test_rows_have_the_columns_named_before_the_first_prediction() -> None:
    scenarios = [
        small(64),
        small(64, **{"cpu-throttle-increment": 20}),
        small(64, **{"max-bandwidth": 0}),
    ]
    rows = list(sweep(scenarios, load_profile(None), draws=0))
    names = columns(scenarios)
    assert all(list(row) == names for row in rows)
    assert "max-bandwidth" not in names, "it has a column with its unit"
    assert [row["cpu-throttle-increment"] for row in rows] == [None, 20, None]
    for name in QUANTITIES:
        assert {name, f"{name}_low", f"{name}_high"} <= set(names)


def test_without_draws_there_is_no_interval_and_with_draws_there_is() -> None:
    profile = load_profile(None)
    (nominal,) = sweep([small(64)], profile, draws=0)
    (drawn,) = sweep([small(64)], profile, draws=5)
    assert nominal["total_time_s"] == drawn["total_time_s"]
    assert nominal["total_time_s_low"] is None
    assert drawn["total_time_s_low"] <= drawn["total_time_s_high"]


@pytest.mark.parametrize("technique", ["precopy", "postcopy"])
def test_the_table_states_the_default_after_where_it_acts(
    technique: str, make_scenario: MakeScenario
) -> None:
    scenario = make_scenario(technique=technique)
    (row,) = sweep([scenario], load_profile(None))
    assert row["after_passes"] == (5 if technique == "postcopy" else None)


SWEEPING = """
import sys
from contextlib import closing
from migmodel.analysis.profiles import load_profile
from migmodel.analysis.sweep import sweep
from migmodel.errors import JobError
from migmodel.records import Guest, Scenario, Workload
if __name__ == "__main__":
    scenarios = [
        Scenario(guest=Guest(ram_bytes=n << 20), workload=Workload(working_set_bytes=0))
        for n in range(1, 4000)
    ]
    try:
        with closing(sweep(scenarios, load_profile(None), draws=64, jobs=2)) as rows:
            print("going", flush=True)
            for row in rows:
                pass
    except KeyboardInterrupt:
        sys.exit(130)
    except JobError as error:
        sys.exit(str(error))
"""


def members(group: int) -> list[int]:
    """Live processes of a process group."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@contextmanager
def sweeping(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A sweep at work, in a process group of its own that ends with the block."""
    script = folder / "sweeping.py"
    script.write_text(SWEEPING)
    with subprocess.Popen(
        [sys.executable, str(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "going\n"
            yield process
        finally:
            if members(process.pid):
                os.killpg(process.pid, signal.SIGKILL)


def workers(group: int) -> list[int]:
    """The two worker processes of a sweep, as soon as they are there."""
    found: list[int] = []
    deadline = time.monotonic() + 30
    while len(found) < 2 and time.monotonic() < deadline:
        found = [
            process
            for process in members(group)
            if b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
        ]
        time.sleep(0.01)
    assert len(found) == 2
    return found


def assert_all_end(group: int) -> None:
    """Give the processes of a group a moment to end."""
    deadline = time.monotonic() + 30
    while members(group) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert members(group) == []


@pytest.mark.parametrize("working", [False, True], ids=["starting", "working"])
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
def test_no_worker_outlives_the_sweep(
    end: signal.Signals, working: bool, tmp_path: Path
) -> None:
    with sweeping(tmp_path) as process:
        assert workers(process.pid)
        if working:
            time.sleep(1.0)  # else they are still starting
        if end == signal.SIGINT:
            os.killpg(process.pid, end)  # as a terminal does
        else:
            process.send_signal(end)
        _, errors = process.communicate(timeout=60)
        assert_all_end(process.pid)
    if end == signal.SIGINT:
        assert errors == ""


class Interrupting(list[Scenario]):
    """Scenarios; on their way to the workers another thread is sent a SIGINT."""

    def __init__(self, scenarios: list[Scenario], thread: threading.Thread) -> None:
        super().__init__(scenarios)
        self.thread = thread
        self.walks = 0
        self.walked = 0

    def __iter__(self) -> Iterator[Scenario]:
        self.walks += 1
        for number, scenario in enumerate(super().__iter__()):
            if self.walks == 2 and number == 3:  # the first walk names the columns
                assert self.thread.ident is not None
                signal.pthread_kill(self.thread.ident, signal.SIGINT)
            self.walked = number + 1
            yield scenario


def test_an_interrupt_that_another_thread_takes_waits_for_the_start() -> None:
    """Python runs the handler in the main thread, whatever that one has masked."""
    over = threading.Event()
    thread = threading.Thread(target=over.wait)
    thread.start()
    scenarios = Interrupting([small(mib) for mib in range(64, 94)], thread)
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(sweep(scenarios, load_profile(None), draws=19, jobs=2))
    finally:
        over.set()
        thread.join()
    assert scenarios.walked == len(scenarios), "the pool was started to the end"
    assert multiprocessing.active_children() == []
    assert signal.getsignal(signal.SIGINT) is handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])


@pytest.mark.parametrize("after_s", [0.2, 1.0], ids=["starting", "working"])
def test_a_worker_that_dies_ends_the_sweep_with_a_word(
    after_s: float, tmp_path: Path
) -> None:
    with sweeping(tmp_path) as process:
        found = workers(process.pid)
        time.sleep(after_s)  # all work is handed out by then
        for worker in found:  # one that is left would tell of its own trouble as well
            os.kill(worker, signal.SIGKILL)
        _, errors = process.communicate(timeout=60)
        assert_all_end(process.pid)
    assert errors.startswith("a worker process died")
    assert errors.count("\n") == 1
