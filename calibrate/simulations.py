"""The same scenarios on one assumed host after another, on several CPUs."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import NamedTuple

from migmodel.analysis.workers import interrupts_held_back, worker_pool
from migmodel.errors import JobError
from migmodel.records import HostProfile, Scenario
from migmodel.sim.host import Host
from migmodel.sim.simulate import draw_host, simulate

from .observe import simulated_observables

Observables = dict[str, float]

MOST_KEPT = 1000  # results of a scenario: some rounds of differences and leaps


class Simulations:
    """Simulates a set of scenarios again and again; a context manager.

    A nominal simulation hangs on nothing but the parameters that it reads: where all
    of these are as they were once, the result is too. A fit changes one parameter at a
    time, and many are read by a few scenarios only.

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
        self._results = [_Results() for _ in self._scenarios]
        self._took_s = [0.0] * len(self._scenarios)

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
        host = draw_host(profile)
        known = [results.on(host) for results in self._results]
        missing = [number for number, found in enumerate(known) if found is None]
        simulated = dict(zip(missing, self._simulate(missing, host), strict=True))
        for number, (found, names) in simulated.items():
            self._results[number].keep(host, names, found)
        return [
            simulated[number][0] if found is None else found
            for number, found in enumerate(known)
        ]

    def _simulate(
        self, numbers: Sequence[int], host: Host
    ) -> list[tuple[Observables, tuple[str, ...]]]:
        if self._pool is None:
            return [_simulated(self._scenarios[number], host) for number in numbers]
        # A part for each process: most simulations take less than handing them over.
        parts = self._parts(numbers)
        found: dict[int, tuple[Observables, tuple[str, ...]]] = {}
        try:
            futures: list[Future[list[_Simulated]]]
            with interrupts_held_back():
                futures = [
                    self._pool.submit(_simulated_kept, part, host) for part in parts
                ]
            for part, future in zip(parts, futures, strict=True):
                for number, done in zip(part, future.result(), strict=True):
                    found[number] = done.observables, done.names
                    self._took_s[number] = done.seconds
            return [found[number] for number in numbers]
        except BrokenProcessPool:
            raise JobError(
                "a worker process died, perhaps for lack of memory: the runs are "
                "kept, calibrate --fit-only goes on from them"
            ) from None

    def _parts(self, numbers: Sequence[int]) -> list[list[int]]:
        """Scenarios for each process, so that all have about as long to do."""
        parts: list[list[int]] = [[] for _ in range(self._jobs)]
        busy_s = [0.0] * self._jobs
        for number in sorted(numbers, key=self._took_s.__getitem__, reverse=True):
            idlest = busy_s.index(min(busy_s))
            parts[idlest].append(number)
            busy_s[idlest] += self._took_s[number] or 1.0  # not known at first
        return [part for part in parts if part]


class _Simulated(NamedTuple):
    """What a worker process answers of a scenario."""

    observables: Observables
    names: tuple[str, ...]
    seconds: float


class _Results:
    """Of one scenario: by the values of the parameters that it read."""

    def __init__(self) -> None:
        self._by_names: dict[tuple[str, ...], dict[tuple[object, ...], Observables]]
        self._by_names = {}

    def on(self, host: Host) -> Observables | None:
        for names, by_values in self._by_names.items():
            found = by_values.get(_key(host, names))
            if found is not None:
                return found
        return None

    def keep(self, host: Host, names: tuple[str, ...], found: Observables) -> None:
        by_values = self._by_names.setdefault(names, {})
        if len(by_values) >= MOST_KEPT:
            del by_values[next(iter(by_values))]
        by_values[_key(host, names)] = found


def _key(host: Host, names: tuple[str, ...]) -> tuple[object, ...]:
    values = host.values
    hardware = (host.cpus, host.same_host, host.lazy_protection)
    return (*hardware, *(values[name] for name in names))


class _Read(Mapping[str, float]):
    """Values that remember which of them were asked for."""

    def __init__(self, values: Mapping[str, float]) -> None:
        self._values = values
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> float:
        self.names.add(name)
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        self.names.update(self._values)
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


_kept: list[Scenario] = []  # of a worker process


def _keep(scenarios: list[Scenario]) -> None:
    _kept[:] = scenarios


def _simulated_kept(numbers: Sequence[int], host: Host) -> list[_Simulated]:
    done = []
    for number in numbers:
        begin_s = time.perf_counter()
        found, names = _simulated(_kept[number], host)
        done.append(_Simulated(found, names, time.perf_counter() - begin_s))
    return done


def _simulated(scenario: Scenario, host: Host) -> tuple[Observables, tuple[str, ...]]:
    read = _Read(host.values)
    found = simulated_observables(simulate(scenario, replace(host, values=read)))
    return found, tuple(sorted(read.names))
