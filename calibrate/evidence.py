"""Measurements to what the fit goes by: medians, spreads, noise."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.stats import chi2

from migmodel.physics.versions import behaviour
from migmodel.records import Measurement, Raw

from .observation import Observation
from .observe import observables

# Numbers whose repeats tell how much a run's CPU costs differ, and a guest's speed.
_RUN_COSTS = ("source_cpu_s", "destination_cpu_s", "first_pass_s")
_UNLIMITED = 0
SHORTEST_S = 0.5  # below that a total time is a few milliseconds of everything
FEWEST_RATIOS = 4
_FOUR_FIFTHS = 0.8
_SDS_OF_FOUR_FIFTHS = 1.2816  # either way, of a normal distribution


def observe(measurements: Iterable[Measurement]) -> list[Observation]:
    """Medians and spreads of each scenario's valid runs."""
    grouped: dict[str, list[Measurement]] = defaultdict(list)
    for measurement in measurements:
        if measurement.tells:
            grouped[measurement.scenario.name].append(measurement)
    return [_summed_up(group) for group in grouped.values()]


def _summed_up(group: Sequence[Measurement]) -> Observation:
    columns: dict[str, list[float]] = defaultdict(list)
    for measurement in group:
        for name, value in observables(measurement.trace).items():
            columns[name].append(value)
    # With a sync at each iterate call, what the first pass is hangs on who counts.
    rules = behaviour(group[0].scenario.version)
    if rules.syncs_each_iterate and group[0].scenario.policy.has("postcopy-ram"):
        columns.pop("first_pass_s", None)
    if group[0].scenario.policy.max_bandwidth_bytes_per_s != _UNLIMITED:
        columns.pop("later_bytes_per_s", None)  # it is the limit
    # A number that only some repeats have is no property of the scenario.
    complete = {n: v for n, v in columns.items() if len(v) == len(group)}
    return Observation(
        scenario=group[0].scenario,
        values={name: float(np.median(column)) for name, column in complete.items()},
        spreads={
            name: _spread(column)
            for name, column in complete.items()
            if len(column) > 1
        },
        repeats=len(group),
    )


def _spread(column: Sequence[float]) -> float:
    """Standard deviation; of two or three runs nothing more robust tells it."""
    return float(np.std(column, ddof=1))


def noise(observations: Sequence[Observation], cpus: int | None) -> dict[str, float]:
    """Relative spreads from run to run, pooled over the scenarios' repeats.

    Parameters
    ----------
    observations : sequence of Observation
        Of one host.
    cpus : int or None
        How many it has; None is not known.
    """
    found = {
        "noise_run_sd": pooled(_RUN_COSTS, observations),
        "noise_guest_sd": pooled(("guest_before",), observations),
        "noise_crowded_sd": pooled(
            ("first_pass_s", "total_time_s"),
            [it for it in observations if cpus and _is_crowded(it, cpus)],
        ),
    }
    return {name: value for name, value in found.items() if value is not None}


def pooled(
    names: Sequence[str], among: Sequence[Observation], share: float = 0.5
) -> float | None:
    """Relative spread of these numbers from run to run; None where nothing repeats.

    The median of the scenarios' spreads, or what another share of them is below, so
    that one disturbed run does not make all noisy; the true spread that so few repeats
    would show as that (chi-square distribution).
    """
    ratios = [
        observation.spreads[name]
        / observation.values[name]
        / _shown(observation.repeats, share)
        for observation in among
        for name in names
        if name in observation.spreads and observation.values[name] > 0
    ]
    return float(np.quantile(ratios, share)) if ratios else None


def _shown(repeats: int, share: float) -> float:
    """What the deviation of so many repeats is below in this share, of the true one."""
    freedom = max(repeats - 1, 1)
    return float(np.sqrt(chi2.ppf(share, freedom) / freedom))


def codec_noise(observations: Sequence[Observation]) -> float | None:
    """Relative spread of compressing from run to run, of codecs' observations.

    Most pairs of runs, minutes apart, agree; some do not at all, as somebody else has
    taken the cache. It is what holds four fifths of them, as an interval is to do.
    """
    return pooled(("source_cpu_s",), observations, _FOUR_FIFTHS)


def _is_crowded(observation: Observation, cpus: int) -> bool:
    """Whether vCPUs keep all CPUs busy, beside a stream that wants them too."""
    scenario = observation.scenario
    unlimited = scenario.policy.max_bandwidth_bytes_per_s == _UNLIMITED
    return (
        unlimited
        and scenario.guest.vcpus >= cpus
        and not scenario.policy.has("auto-converge")
    )


def unexplained(
    residuals: Sequence[tuple[str, str, float, float, float]],
) -> float | None:
    """Relative spread of fitted against measured total times: what no mechanism has.

    Discretised times (whole passes, whole windows) leave such a rest even where every
    cost is right. It is the spread of a normal distribution that holds four fifths of
    the runs' scenarios, as an interval is to do.
    """
    ratios = [
        simulated / measured - 1
        for _, name, measured, simulated, _ in residuals
        if name == "total_time_s" and measured > SHORTEST_S
    ]
    if len(ratios) < FEWEST_RATIOS:
        return None
    return float(np.percentile(np.abs(ratios), 80) / _SDS_OF_FOUR_FIFTHS)


def window_noise(measurements: Iterable[Measurement]) -> float | None:
    """Relative spread of single windows' bandwidth in unlimited runs.

    One window is compared with the next, from the third pass on: then the destination
    has memory for every page, and the difference between kinds of pages is no noise.
    """
    steps: list[float] = []
    for measurement in measurements:
        bandwidth = measurement.scenario.policy.max_bandwidth_bytes_per_s
        if measurement.tells and measurement.raw and bandwidth == _UNLIMITED:
            windows = np.array(_windows(measurement.raw))
            if len(windows) > 1:
                steps.extend(np.diff(windows) / windows[:-1])
    if len(steps) < FEWEST_RATIOS:
        return None
    spread = np.subtract(*np.percentile(steps, [75, 25])) / 1.349
    return float(spread / np.sqrt(2))


def _windows(raw: Raw) -> list[float]:
    """query-migrate's mbps, one value a window, while the guest's pages are resent."""
    values: list[float] = []
    for _, _, reply in raw.queries:
        ram = reply.get("ram") or {}
        mbps = ram.get("mbps") or 0.0
        resending = ram.get("dirty-sync-count", 0) > 2
        active = reply.get("status") == "active"
        if active and resending and mbps and values[-1:] != [mbps]:
            values.append(mbps)
    return values
