"""The same scenarios on one assumed host after another, on several CPUs."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from migmodel.analysis.workers import interrupts_held_back, worker_pool
from migmodel.errors import JobError
from migmodel.records import HostProfile, Scenario
from migmodel.sim.simulate import draw_host, simulate

from .observe import observables

Observables = dict[str, float]


class Simulations:
    """Simulates a set of scenarios again and again; a context manager.

    Parameters
    ----------
    scenarios : sequence of Scenario
        What to simulate.
    jobs : int
        Most processes at a time; with 1 it is done in this one.
    """

    def __init__(self, scenarios: Sequence[Scenario], jobs: int = 1) -> None:
        self._scenarios = list(scenarios)
        self._jobs = min(jobs, len(self._scenarios))
        self._pool: ProcessPoolExecutor | None = None

    def __enter__(self) -> Simulations:
        """Get ready for the first host."""
        if self._jobs > 1:
            self._pool = worker_pool(self._jobs, _keep, self._scenarios)
        return self

    def __exit__(self, *_: object) -> None:
        """End the worker processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def on(self, profile: HostProfile) -> list[Observables]:
        """Observables of each scenario on that host, without noise.

        Raises
        ------
        JobError
            When a worker process dies.
        """
        if self._pool is None:
            host = draw_host(profile)
            return [observables(simulate(it, host)) for it in self._scenarios]
        try:
            with interrupts_held_back():
                futures = [
                    self._pool.submit(_simulated, number, profile)
                    for number in range(len(self._scenarios))
                ]
            return [future.result() for future in futures]
        except BrokenProcessPool:
            raise JobError(
                "a worker process died, perhaps for lack of memory: the runs are "
                "kept, calibrate --fit-only goes on from them"
            ) from None


_kept: list[Scenario] = []  # of a worker process


def _keep(scenarios: list[Scenario]) -> None:
    _kept[:] = scenarios


def _simulated(number: int, profile: HostProfile) -> Observables:
    return observables(simulate(_kept[number], draw_host(profile)))
