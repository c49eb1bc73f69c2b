from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest

from migmodel.errors import QemuError
from migmodel.qemu.settling import Settling, pace_change, settle
from migmodel.records.console import ErrorLine, ReadyLine, UnitLine

MS = 1_000_000


def _units(paces: list[int], cpu: int = 0, dt_ns: int = 75 * MS) -> list[UnitLine]:
    return [
        UnitLine(
            cpu=cpu,
            t_ns=(number + 1) * dt_ns,
            dt_ns=dt_ns,
            pages=pages,
            gap_ns=0,
            bad=0,
            sweeps=0,
        )
        for number, pages in enumerate(paces)
    ]


def _settling(vcpus: int, *units: UnitLine) -> Settling:
    settling = Settling(vcpus)
    settling.see(ReadyLine(t_ns=0))
    for unit in units:
        settling.see(unit)
    return settling


def test_a_steady_pace_does_not_change() -> None:
    assert pace_change(_units([100] * 20)) == 0.0


def test_a_ramp_is_seen() -> None:
    paces = [100 + 5 * step for step in range(20)]
    change = pace_change(_units(paces))
    assert change is not None
    assert change > 0.1


def test_one_disturbed_line_does_not_decide() -> None:
    paces = [100] * 20
    paces[-2] = 10
    assert pace_change(_units(paces)) == 0.0


def test_too_short_a_time_says_nothing() -> None:
    assert pace_change(_units([100] * 5)) is None
    assert pace_change([]) is None


def test_slow_lines_are_watched_longer_but_not_for_ever() -> None:
    assert pace_change(_units([100] * 20, dt_ns=500 * MS)) == 0.0
    assert pace_change(_units([100] * 20, dt_ns=2000 * MS)) is None


def test_an_idle_guest_is_steady() -> None:
    assert pace_change(_units([0] * 20)) == 0.0


def test_a_guest_is_settled_when_all_its_vcpus_are() -> None:
    steady, ramp = _units([100] * 20), _units([10 * n for n in range(20)], cpu=1)
    assert _settling(1, *steady).settled
    assert not _settling(2, *steady).settled
    assert not _settling(2, *steady, *ramp).settled
    assert _settling(2, *steady, *_units([50] * 20, cpu=1)).settled


def test_a_guest_that_is_not_ready_is_not_settled() -> None:
    settling = Settling(1)
    for unit in _units([100] * 20):
        settling.see(unit)
    assert not settling.settled
    assert settling.describe() == "it is silent"


def test_an_error_line_is_raised() -> None:
    with pytest.raises(QemuError, match="the guest cannot run: no memory"):
        Settling(1).see(ErrorLine(text="no memory"))


def _session(arrived_s: float) -> Any:
    """A guest that was steady for two seconds, all told at this host time."""
    units = [
        f"migstress unit cpu=0 t_ns={n * 75 * MS} dt_ns={75 * MS} pages=100 "
        "gap_ns=1000 bad=0 sweeps=0"
        for n in range(1, 30)
    ]
    lines = [[arrived_s, text] for text in ("migstress ready t_ns=0", *units)]
    return SimpleNamespace(recording=SimpleNamespace(consoles={"source": lines}))


def test_what_a_guest_did_beside_preparations_does_not_settle_it() -> None:
    with pytest.raises(QemuError, match="too few lines"):
        asyncio.run(settle(_session(time.monotonic() - 0.1), 1, 0.2))
    asyncio.run(settle(_session(time.monotonic() + 0.1), 1, 0.2))
