"""What is being run, and how much longer it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from migmodel.analysis.campaign import Run
from migmodel.records import Measurement, MigrationStatus

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PHASES = {
    "settling": "waiting for a settled guest",
    "baseline": "measuring the guest at rest",
    "migrating": "migrating",
    "after": "watching the guest at its destination",
}


class SuiteProgress:
    """A bar over the expected time of all runs.

    Parameters
    ----------
    expected_s : mapping
        Time of one run of each scenario, by name [s].
    """

    def __init__(
        self, bar: Progress, task: TaskID, expected_s: Mapping[str, float]
    ) -> None:
        self._bar = bar
        self._task = task
        self._expected_s = expected_s
        self._run = ""

    def starting(self, name: str, repeat: int) -> None:
        """Note the run that begins."""
        self._run = f"{name}, repeat {repeat + 1}"
        self.phase("starting", None)

    def phase(self, phase: str, status: MigrationStatus | None) -> None:
        """Note what the driver is doing."""
        passes = f", pass {status.dirty_sync_count}" if status else ""
        text = f"{self._run}: {PHASES.get(phase, phase)}{passes}"
        self._bar.update(self._task, description=text)

    def ended(self, run: Run, measurement: Measurement, found: bool) -> None:
        """Note the run that is there; an invalid one is to be done again."""
        if found:
            return
        self._bar.advance(self._task, self._expected_s[run.scenario.name])
        if not measurement.valid:
            problems = "; ".join(measurement.problems)
            text = f"{run.scenario.name}, repeat {run.repeat + 1}, thrown away: "
            self._bar.console.print(text + problems, markup=False, highlight=False)


@contextmanager
def suite_progress(
    total_s: float, expected_s: Mapping[str, float]
) -> Iterator[SuiteProgress]:
    """Show a bar on standard error until the block ends."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        BarColumn(bar_width=20),
        TimeRemainingColumn(),
        TextColumn("{task.description}", markup=False),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield SuiteProgress(bar, bar.add_task("", total=total_s), expected_s)
