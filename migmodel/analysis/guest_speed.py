"""How fast the guest ran in each phase of a migration, from any Trace."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from migmodel.records import Trace
from migmodel.units import GIB, MS_PER_S, PAGE_BYTES

WORST_SPAN_S = 1.0  # the worst speed is that of the worst second
SLOW_FACTOR = 2.0  # slow is more than twice the time for a GiB than before
PAGES_PER_GIB = GIB / PAGE_BYTES
Array = NDArray[np.float64]


class PhaseSpeed(NamedTuple):
    """A phase's guest speed, over all vCPUs.

    Attributes
    ----------
    mean_ms_per_gib : float
        vCPU time of the phase over the memory touched in it: what one thread needs
        for a GiB.
    worst_ms_per_gib : float
        The same over the worst second (or the whole phase, if it is shorter).
    slow_s : float
        How long a GiB took more than twice the time before the migration.
    """

    mean_ms_per_gib: float
    worst_ms_per_gib: float
    slow_s: float


def phase_spans(trace: Trace) -> dict[str, tuple[float, float]]:
    """Begin and end of the phases before, precopy, postcopy and after [s].

    The blackout belongs to none: it is the downtime.
    """
    phases = trace.phases
    precopy_end = phases.stop_s if phases.stop_s is not None else phases.end_s
    before = -float("inf") if phases.before_s is None else phases.before_s
    spans = {"before": (before, 0.0), "precopy": (0.0, precopy_end)}
    if phases.resume_s is not None:
        if phases.end_s > phases.resume_s and trace.went_postcopy:
            spans["postcopy"] = (phases.resume_s, phases.end_s)
            spans["after"] = (phases.end_s, float("inf"))
        else:
            spans["after"] = (phases.resume_s, float("inf"))
    return spans


def phase_speeds(
    trace: Trace, others: Mapping[str, tuple[float, float]] = MappingProxyType({})
) -> dict[str, PhaseSpeed]:
    """Guest speed in each phase in which it ran.

    Parameters
    ----------
    trace : Trace
        Simulated or measured.
    others : mapping of str to (float, float)
        More spans of time to tell the speed in, on the Trace's clock [s].

    Returns
    -------
    dict of str to PhaseSpeed
        Phases without guest work (an idle guest) are absent.
    """
    guest = trace.guest
    if not guest.vcpu:
        return {}
    vcpu, vcpus = np.array(guest.vcpu), sorted(set(guest.vcpu))
    start, end = np.array(guest.start_s), np.array(guest.end_s)
    pages = np.array(guest.pages)
    speeds: dict[str, PhaseSpeed] = {}
    before = None
    for name, (begin, stop) in {**phase_spans(trace), **others}.items():
        clipped = np.clip(end, begin, stop) - np.clip(start, begin, stop)
        share = clipped / np.maximum(end - start, 1e-12)
        inside = clipped > 0
        # A unit of work across a border tells little of either side (a guest's line
        # over the switch has pages of full speed in it): only where there is no other.
        whole = inside & (clipped >= (end - start) * (1 - 1e-9))
        if whole.any():
            inside, clipped = whole, np.where(whole, clipped, 0.0)
            share = np.where(whole, share, 0.0)
        if not inside.any() or (pages * share).sum() <= 0:
            continue
        low = max(begin, float(start[inside].min()))
        high = min(stop, float(end[inside].max()))
        mean = _ms_per_gib(float(clipped.sum()), float((pages * share).sum()))
        edges = _edges(low, high)
        rates = sum(
            _binned(start[vcpu == k], end[vcpu == k], pages[vcpu == k], edges)
            for k in vcpus
        ) / len(vcpus)
        per_gib = PAGES_PER_GIB * MS_PER_S / np.maximum(rates, 1e-9)
        worst = float(max(per_gib.max(), mean))
        before = mean if before is None else before
        slow = per_gib > SLOW_FACTOR * before
        speeds[name] = PhaseSpeed(mean, worst, float(np.diff(edges)[slow].sum()))
    return speeds


def _ms_per_gib(seconds: float, pages: float) -> float:
    return seconds * MS_PER_S / (pages / PAGES_PER_GIB)


def _edges(low: float, high: float) -> Array:
    count = max(int((high - low) / WORST_SPAN_S), 1)
    return np.linspace(low, high, count + 1)


def _binned(start: Array, end: Array, pages: Array, edges: Array) -> Array:
    """Pages/s in each bin, units spread evenly over their time."""
    order = np.argsort(start)
    knots = np.empty(2 * len(order))
    knots[0::2], knots[1::2] = start[order], end[order]
    total = np.concatenate(([0.0], np.cumsum(pages[order])))
    heights = np.empty(2 * len(order))
    heights[0::2], heights[1::2] = total[:-1], total[1:]
    rates: Array = np.diff(np.interp(edges, knots, heights)) / np.diff(edges)
    return rates
