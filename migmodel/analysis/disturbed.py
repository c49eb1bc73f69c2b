"""Runs whose guest had a CPU that was slow for no reason that this host can see.

On a virtual host one CPU was nearly half as fast as the other for seconds or minutes,
and a run as slow had no stolen time. (Another guest on the second hardware thread of
its core would do that.) The guest tells: it does the same work in every run, alone on
the host before its migration begins.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from migmodel.analysis.guest_speed import phase_spans
from migmodel.records import Measurement, Trace

FAST = 0.8  # quantile of the runs: they may be half disturbed, and few are lucky
_SDS_ABOVE = 0.8416  # so far it lies above the median of a normal distribution
_SDS_BELOW = 3.0  # further below the median is disturbed
_SDS_OF_MAD = 1.4826  # of a normal distribution, in median absolute deviations
_LEAST_SD = 0.02  # of a quiet host; of few runs less may be seen by luck


@dataclass(frozen=True, slots=True)
class UsualSpeeds:
    """How fast guests were before their migrations, beside others that do the same.

    Attributes
    ----------
    shares : list of float or None
        Of each run: the speed of its slowest vCPU over the usual one. None where the
        guest was paced or printed nothing: it does not tell.
    slowest_share : float
        What is slower is disturbed.
    """

    shares: list[float | None]
    slowest_share: float

    def is_disturbed(self, index: int) -> bool:
        """Whether a run was, as far as it tells."""
        share = self.shares[index]
        return share is not None and share < self.slowest_share


def usual_speeds(measurements: Sequence[Measurement]) -> UsualSpeeds:
    """Set the guests' speeds before their migrations beside each other.

    A vCPU is slow beside other runs of guests that do the same, in the spread that most
    runs have.
    """
    speeds = [_slowest_vcpu_pps(measurement) for measurement in measurements]
    alike: dict[object, list[float]] = defaultdict(list)
    for measurement, speed in zip(measurements, speeds, strict=True):
        if speed is not None:
            alike[_work(measurement)].append(speed)
    usual = {work: float(np.quantile(them, FAST)) for work, them in alike.items()}
    return UsualSpeeds(
        shares=[
            None if speed is None else speed / usual[_work(measurement)]
            for measurement, speed in zip(measurements, speeds, strict=True)
        ],
        slowest_share=1 - (_SDS_ABOVE + _SDS_BELOW) * _spread(alike.values()),
    )


def _spread(alike: Iterable[Sequence[float]]) -> float:
    """Relative standard deviation of undisturbed runs, whatever their work."""
    off = [
        abs(speed / float(np.median(speeds)) - 1)
        for speeds in alike
        if len(speeds) > 1
        for speed in speeds
    ]
    return max(_SDS_OF_MAD * float(np.median(off)), _LEAST_SD) if off else _LEAST_SD


def _work(measurement: Measurement) -> object:
    """What the guest does, and what else decides how fast that is."""
    scenario = measurement.scenario
    workload, guest = scenario.workload, scenario.guest
    return (
        *(guest.kind, guest.vcpus, guest.host_page_bytes, scenario.version),
        *(workload.touch, workload.pattern, workload.content),
        *(workload.compressibility, workload.delta_bytes),
    )


def _slowest_vcpu_pps(measurement: Measurement) -> float | None:
    """Pages/s of the slowest vCPU before the migration; None where it is paced."""
    if measurement.scenario.workload.rate_pps is not None:
        return None
    rates = _before_pps(measurement.trace)
    return min(rates) if rates else None


def _before_pps(trace: Trace) -> list[float]:
    """Pages/s of each vCPU, over the lines that lie in that phase as a whole."""
    begin, end = phase_spans(trace)["before"]
    pages: dict[int, float] = defaultdict(float)
    seconds: dict[int, float] = defaultdict(float)
    guest = trace.guest
    lines = zip(guest.vcpu, guest.start_s, guest.end_s, guest.pages, strict=True)
    for vcpu, start_s, end_s, touched in lines:
        if begin <= start_s and end_s <= end and end_s > start_s:
            pages[vcpu] += touched
            seconds[vcpu] += end_s - start_s
    return [pages[vcpu] / seconds[vcpu] for vcpu in sorted(pages)]
