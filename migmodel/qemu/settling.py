"""Whether the guest is settled: working set filled, then a steady pace."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence

from migmodel.errors import QemuError
from migmodel.qemu.session import Session
from migmodel.records.console import (
    ConsoleLine,
    ErrorLine,
    ReadyLine,
    StartLine,
    UnitLine,
    parse_line,
)
from migmodel.records.scenario import Workload
from migmodel.units import NS_PER_S

SETTLE_WINDOW_S = 1.0
SETTLE_TOLERANCE = 0.05
_FEWEST_LINES = 3  # in each half of the window: else a line of luck decides
_LONGEST_WINDOW_S = 6.0
_LOOK_INTERVAL_S = 0.05


async def settle(session: Session, vcpus: int, timeout_s: float) -> None:
    """Wait until the source's guest is settled, judged by what it did from now on.

    Raises
    ------
    QemuError
        When the guest cannot run, or is not settled in time.
    """
    settling = Settling(vcpus)
    console = session.recording.consoles["source"]
    began_s = time.monotonic()
    give_up_s = began_s + timeout_s
    seen = 0
    while not settling.settled:
        if time.monotonic() > give_up_s:
            raise QemuError(
                f"the guest had not settled after {timeout_s:g} s: "
                f"{settling.describe()}"
            )
        await asyncio.sleep(_LOOK_INTERVAL_S)
        for at_s, text in console[seen:]:
            line = parse_line(text)
            if at_s >= began_s or not isinstance(line, UnitLine):
                settling.see(line)
        seen = len(console)


class Settling:
    """Watches a guest until it is settled: ready, then at a steady pace.

    Parameters
    ----------
    vcpus : int
        Each of them must be steady.
    """

    def __init__(self, vcpus: int) -> None:
        self.start: StartLine | None = None
        self.ready = False
        self._units: dict[int, list[UnitLine]] = {cpu: [] for cpu in range(vcpus)}

    def see(self, line: ConsoleLine | None) -> None:
        """Take in one console line.

        Raises
        ------
        QemuError
            When the guest says that it cannot run as it was asked to.
        """
        if isinstance(line, ErrorLine):
            raise QemuError(f"the guest cannot run: {line.text}")
        if isinstance(line, StartLine):
            self.start = line
        elif isinstance(line, ReadyLine):
            self.ready = True
        elif isinstance(line, UnitLine):
            self._units.setdefault(line.cpu, []).append(line)

    @property
    def unsteadiness(self) -> float | None:
        """Largest relative change of pace of any vCPU; None when too little is seen."""
        changes = [pace_change(units) for units in self._units.values()]
        known = [change for change in changes if change is not None]
        return max(known) if len(known) == len(changes) else None

    @property
    def settled(self) -> bool:
        """Whether a migration may begin."""
        change = self.unsteadiness
        return self.ready and change is not None and change <= SETTLE_TOLERANCE

    def describe(self) -> str:
        """What is missing, for an error message."""
        if not self.ready:
            return "it has not filled its working set" if self.start else "it is silent"
        change = self.unsteadiness
        if change is None:
            return "it prints too few lines"
        return f"its pace still varies by {change:.0%}"


def pace_change(units: list[UnitLine]) -> float | None:
    """Relative change of one vCPU's pace within the last second or so.

    The paces (pages per second) of the two halves of the window are compared by
    their medians, so that one line disturbed by the host does not decide.
    """
    if not units:
        return None
    window_ns = SETTLE_WINDOW_S * NS_PER_S
    mean_ns = statistics.fmean(unit.dt_ns for unit in units[-2 * _FEWEST_LINES :])
    window_ns = max(window_ns, 2 * (_FEWEST_LINES + 1) * mean_ns)
    if window_ns > _LONGEST_WINDOW_S * NS_PER_S:
        return None
    end_ns = units[-1].t_ns
    if end_ns - window_ns < units[0].t_ns - units[0].dt_ns:
        return None
    recent = [unit for unit in units if unit.t_ns > end_ns - window_ns]
    half = end_ns - window_ns / 2
    paces = [
        [unit.pages / unit.dt_ns for unit in recent if (unit.t_ns > half) == later]
        for later in (False, True)
    ]
    if min(map(len, paces)) < _FEWEST_LINES:
        return None
    before, after = map(statistics.median, paces)
    larger = max(before, after)
    return abs(after - before) / larger if larger > 0 else 0.0


def wait_for_phase_s(
    console: Sequence[tuple[float, str]], workload: Workload, now_s: float
) -> float:
    """How long to wait until the paced threads are where they are wanted [s].

    Each begins at the first page of its share when the guest is ready, and keeps its
    pace from then on.

    Parameters
    ----------
    console : sequence of (float, str)
        Host time and text of the source's lines.
    workload : Workload
        With the phase that is wanted; None is any.
    now_s : float
        Host time now.
    """
    if workload.phase is None or workload.rate_pps is None:
        return 0.0
    ready_s = next(
        (at for at, text in console if isinstance(parse_line(text), ReadyLine)), now_s
    )
    sweep_s = workload.pages / workload.rate_pps
    return (workload.phase - (now_s - ready_s) / sweep_s) % 1.0 * sweep_s
