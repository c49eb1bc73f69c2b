"""All cells of the study together, and what a finding reads from one."""

from __future__ import annotations

from collections.abc import Iterable

from migmodel.analysis.guest_speed import phase_speeds
from migmodel.guestperf.writing import guest_lines
from migmodel.records import Trace

from .cells import Cell


class Missing(Exception):  # noqa: N818, not an error: a finding that cannot be checked
    """A cell that a finding needs was refused; says which and why."""


class Cells:
    """All cells, by guest, link and name."""

    def __init__(self, cells: Iterable[Cell]) -> None:
        self.all = list(cells)
        self._known = {(cell.guest, cell.link, cell.name): cell for cell in self.all}

    def __call__(self, guest: str, link: str, name: str) -> Cell:
        """Give one cell that was predicted.

        Raises
        ------
        Missing
            When it was refused.
        """
        cell = self._known[guest, link, name]
        if cell.trace is None:
            raise Missing(f"{guest}, {link}, {name}: {cell.refused}")
        return cell

    def like(self, name: str, *links: str, guest: str | None = None) -> list[Cell]:
        """Cells whose names begin so, on these links (all), that were predicted."""
        found = [
            cell
            for cell in self.all
            if cell.name.startswith(name)
            and (not links or cell.link in links)
            and (guest is None or cell.guest == guest)
        ]
        shown = [cell for cell in found if cell.trace is not None]
        if not shown:
            raise Missing(f"{name}: {found[0].refused}")
        return shown


def traced(cell: Cell) -> Trace:
    """Trace of a cell that was predicted."""
    assert cell.trace is not None
    return cell.trace


def lines_in(trace: Trace, begin: float, end: float) -> list[float]:
    """The guest's lines [ms/GiB], one a GiB of each vCPU, that end in a span."""
    return [
        line.value for line in guest_lines(trace.guest) if begin < line.timestamp <= end
    ]


def before(cell: Cell) -> float:
    """The guest's speed before the migration [ms/GiB]."""
    return phase_speeds(traced(cell))["before"].mean_ms_per_gib


def worst(cell: Cell, phase: str) -> float:
    """The worst second of a phase [ms/GiB]; of a shorter phase, its mean."""
    return phase_speeds(traced(cell))[phase].worst_ms_per_gib


def postcopy_s(cell: Cell) -> float:
    """Length of the post-copy phase [s]."""
    phases = traced(cell).phases
    assert phases.resume_s is not None
    return phases.end_s - phases.resume_s


def passes_before(cell: Cell) -> int:
    """Passes that are sent in full before the manager switches."""
    assert cell.scenario is not None
    return cell.scenario.policy.after_passes or 0


def can_send(cell: Cell, passes: int) -> bool:
    """Whether so many passes over the working set fit the time limit, by arithmetic.

    Its bandwidth is the limit that was set; over RDMA that does not hold in 2.6.
    """
    assert cell.scenario is not None
    scenario = cell.scenario
    limit = scenario.policy.max_bandwidth_bytes_per_s
    time_s = scenario.limits.max_time_s
    if cell.link == "rdma-remote" or not limit or time_s is None:
        return True
    return passes * scenario.workload.working_set_bytes <= limit * time_s
