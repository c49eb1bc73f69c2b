"""Many predictions: a list of scenarios to rows of a table, in processes."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from itertools import islice
from typing import Any

from migmodel.analysis import predict as model
from migmodel.analysis.predict import QUANTITIES
from migmodel.analysis.why import why
from migmodel.analysis.workers import interrupts_held_back, worker_pool
from migmodel.errors import JobError
from migmodel.managers import DEFAULT_AFTER_PASSES
from migmodel.records.prediction import Interval, Prediction
from migmodel.records.profile import HostProfile
from migmodel.records.scenario import Scenario

Row = dict[str, Any]

# Columns of their own; any other QEMU parameter has one under its own name.
_TABLED_PARAMETERS = frozenset({"max-bandwidth", "downtime-limit"})
WORTH_A_WORKER = 200  # runs below which a process takes longer to start than they do
RUNS_PER_TASK = 100  # few enough that an interruption is answered soon


def sweep(
    scenarios: Sequence[Scenario],
    profile: HostProfile,
    *,
    draws: int = 0,
    seed: int = 0,
    jobs: int = 1,
) -> Generator[Row, None, None]:
    """Predict every scenario.

    Parameters
    ----------
    scenarios : sequence of Scenario
        The grid.
    profile : HostProfile
        The host.
    draws : int
        Replications of each; 0 is the nominal run alone.
    seed : int
        The same for every scenario, so that rows differ by their options alone.
    jobs : int
        Most processes at a time.

    Yields
    ------
    dict
        One row a scenario, in their order, with the columns that `columns` names.
        Close the generator when it is not to be finished: that ends its workers.

    Raises
    ------
    JobError
        When a worker process dies.
    """
    names = columns(scenarios)
    work = partial(_row, names=names, profile=profile, draws=draws, seed=seed)
    runs = len(scenarios) * (draws + 1)
    jobs = min(jobs, math.ceil(runs / WORTH_A_WORKER), len(scenarios))
    if jobs <= 1:
        yield from map(work, scenarios)
        return
    executor = worker_pool(jobs)
    per_task = min(RUNS_PER_TASK // (draws + 1), len(scenarios) // (4 * jobs))
    try:
        with interrupts_held_back():
            left = iter(scenarios)
            futures = []
            while task := list(islice(left, max(per_task, 1))):
                futures.append(executor.submit(_rows, work, task))
        # Not by the pool's map: that cancels what is left when a worker dies, while the
        # pool's own thread tells the same futures so, and dies of it.
        for future in futures:
            yield from future.result()
    except BrokenProcessPool:
        raise JobError(
            "a worker process died, perhaps for lack of memory; the rows so far are "
            "kept; try fewer --jobs"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)


def columns(scenarios: Sequence[Scenario]) -> list[str]:
    """Name the columns of the table: description, verdict, quantities."""
    description: dict[str, None] = {}
    for scenario in scenarios:
        description.update(dict.fromkeys(_description(scenario)))
    quantities = [
        name for key in QUANTITIES for name in (key, f"{key}_low", f"{key}_high")
    ]
    return [*description, *_RESULT, *quantities]


_RESULT = ("profile", "draws", "seed", "verdict", "reason", "completes_probability")


def _rows(work: Callable[[Scenario], Row], scenarios: Sequence[Scenario]) -> list[Row]:
    return [work(scenario) for scenario in scenarios]


def _row(
    scenario: Scenario,
    *,
    names: Sequence[str],
    profile: HostProfile,
    draws: int,
    seed: int,
) -> Row:
    prediction = model.predict(scenario, profile, draws=draws, seed=seed)
    cells = {**_description(scenario), **_result(prediction)}
    return {name: cells.get(name) for name in names}


def _description(scenario: Scenario) -> Row:
    guest, workload, policy = scenario.guest, scenario.workload, scenario.policy
    after = policy.after_passes
    if after is None and policy.technique in ("pause", "postcopy"):
        after = DEFAULT_AFTER_PASSES
    return {
        **({"name": scenario.name} if scenario.name else {}),
        "ram_bytes": guest.ram_bytes,
        "vcpus": guest.vcpus,
        "guest": guest.kind,
        "working_set_bytes": workload.working_set_bytes,
        "rate_pps": workload.rate_pps,
        "still_bytes": workload.still_bytes,
        "touch": workload.touch,
        "pattern": workload.pattern,
        "policy": policy.technique,
        "after_passes": after,
        "max_bandwidth_bytes_per_s": policy.max_bandwidth_bytes_per_s,
        "downtime_limit_s": policy.downtime_limit_s,
        "link_bandwidth_bytes_per_s": scenario.link.bandwidth_bytes_per_s,
        "rtt_s": scenario.link.rtt_s,
        "transport": scenario.link.transport,
        "max_time_s": scenario.limits.max_time_s,
        "max_iters": scenario.limits.max_iters,
        "qemu_version": scenario.qemu_version,
        **{
            name: value
            for name, value in policy.parameters.items()
            if name not in _TABLED_PARAMETERS
        },
    }


def _result(prediction: Prediction) -> Row:
    cells: Row = {
        "profile": prediction.profile,
        "draws": prediction.draws,
        "seed": prediction.seed,
        "verdict": prediction.trace.outcome.verdict,
        "reason": why(prediction),
        "completes_probability": prediction.completes_probability,
    }
    for name in QUANTITIES:
        interval = prediction.quantities.get(name, Interval())
        cells[name] = interval.nominal
        cells[f"{name}_low"] = interval.low
        cells[f"{name}_high"] = interval.high
    return cells
