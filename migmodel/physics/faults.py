"""Post-copy: guest threads that run into missing pages, and the stream that follows.

Without preempt the source's cursor jumps to the requested page and goes on behind it
(QEMU 10.0 migration/ram.c, get_queued_page), so stream and sweep run side by side: a
thread faster than the stream advances at the stream's pace, a few pages a request; a
slower one faults once and then finds its pages there.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from migmodel.units import US_PER_S

LATENCY_BUCKETS = 24  # of QEMU 10.1: bucket N from 2^N to 2^(N+1) us
_GRID_PER_BUCKET = 16


def front_rate_pps(
    stream_pps: float, fault_s: float, request_pages: float, fronts: int
) -> float:
    """Pages/s that one thread advances at through missing memory.

    Parameters
    ----------
    stream_pps : float
        What the stream carries for all.
    fault_s : float
        Stall of a thread from fault to wake-up, beside the page's own transfer [s].
    request_pages : float
        Pages that follow a requested one before the stream is called elsewhere.
    fronts : int
        Threads that are faulting.

    Returns
    -------
    float
        Pages/s of each: the time for a request's pages at its share of the stream,
        and the stall, which the others' stalls overlap.
    """
    share = stream_pps / fronts
    return request_pages / (request_pages / share + fault_s)


def pages_a_request(
    stream_pps: float, touch_pps: float, stall_s: float, most: float
) -> float:
    """Pages from one fault of a thread at the stream's front to the next.

    The stream goes on while the thread stands still; the thread then runs through what
    has come meanwhile, and through what comes while it does, until it has caught up.

    Parameters
    ----------
    stream_pps, touch_pps : float
        Pace of the stream, and of the thread over pages that are there.
    stall_s : float
        From the fault until the thread runs again [s].
    most : float
        Pages after which a thread that is hardly faster, or slower, runs into the
        front all the same: the stream's pace is its mean.
    """
    if touch_pps <= stream_pps:
        return most
    lead = stream_pps * stall_s
    return min(max(lead * touch_pps / (touch_pps - stream_pps), 1.0), most)


def faults_at_front(
    stream_pps: float,
    place_s: float,
    touch_s: float,
    stands_s: float,
    batch: float,
    most: float,
    threads: int = 1,
) -> list[tuple[float, float]]:
    """Faults a page of a thread that runs into the stream's front, and their waits [s].

    Pages come in batches, and are placed one after the other. A thread that has gone
    through a batch waits for the next one; one that is faster than placing waits within
    a batch, too, if that lasts longer than the thread stands still, and then for no
    longer than it does anyway.

    Parameters
    ----------
    stream_pps : float
        Mean pace of the stream.
    place_s, touch_s : float
        Time a page: to place it, and of the thread to go through it [s].
    stands_s : float
        From a fault until the thread runs again, beside the wait [s].
    batch : float
        Pages that come at a time.
    most : float
        As in `pages_a_request`.
    threads : int
        That call the stream in turn: each batch has pages of all of them.
    """
    each_pps = stream_pps / threads
    behind = pages_a_request(each_pps, 1 / touch_s, stands_s, most)
    within = pages_a_request(1 / place_s, 1 / touch_s, stands_s, math.inf)
    gap_s = batch * (1 / stream_pps - place_s)
    if behind > batch:
        # Some batch's end comes by chance while the next one is awaited.
        wait_s = gap_s / 2
    else:
        wait_s = min(gap_s, batch * (1 / each_pps - touch_s))
    of_batches = 1 / max(behind, batch)
    return [(of_batches, max(wait_s, 0.0)), (max(1 / within - of_batches, 0.0), 0.0)]


def dispersed_share(missing_pages: float, share_pages: float) -> float:
    """How often the next page of a sweep is missing, of those that are."""
    return min(missing_pages / max(share_pages, 1.0), 1.0)


def run_pages(stream_pps: float, waits_s: float, threads: int) -> float:
    """Pages that come for one call when several threads call the stream in turn.

    A thread waits for the answer, and goes through the run that it brings until the
    stream is called elsewhere, by each of the others once: with cycle the time of both,
    run = stream_pps x cycle / threads and cycle = waits_s + run / stream_pps.

    Parameters
    ----------
    stream_pps : float
        What the stream carries for all.
    waits_s : float
        From a call to its first page: what is queued before it, and the stall [s].
    threads : int
        Two or more; one alone is followed for ever.
    """
    cycle_s = waits_s / (1 - 1 / threads)
    return stream_pps * cycle_s / threads


def answered_s(alone_s: float, between_s: float, threads: int, cpus: float) -> float:
    """How long each of several threads waits for answers that take turns [s].

    A closed queue by mean value analysis: who asks finds as many before it as there
    would be on average without it (Reiser and Lavenberg 1980). A thread that waits for
    its answer needs no CPU meanwhile, so that as many answers as there are CPUs are
    worked on at a time, and those beyond share them.

    Parameters
    ----------
    alone_s : float
        How long one thread alone waits [s].
    between_s : float
        From an answer to the thread's next request [s].
    threads : int
        How many ask, one request each at a time.
    cpus : float
        What they and those that answer have.
    """
    waits_s, queued = alone_s, 0.0
    for number in range(1, threads + 1):
        waits_s = alone_s * (1 + max(queued + 1 - cpus, 0.0) / cpus)
        queued = number * waits_s / max(waits_s + between_s, 1e-12)
    return waits_s


def blocked_requests(
    blocked_s: float, busy_share: float, period_s: float
) -> tuple[float, float]:
    """Share of a thread's requests that find the sender waiting, and their wait [s].

    The sender fills the bulk's socket, then waits until there is room, in turn. While
    it does a thread has one request at most, as it waits for that itself.

    Parameters
    ----------
    blocked_s : float
        How long the sender waits each time [s].
    busy_share : float
        Share of the time in which it sends, below 1.
    period_s : float
        Time from one of the thread's requests to the next when nothing blocks [s].
    """
    if blocked_s <= 0 or busy_share >= 1:
        return 0.0, 0.0
    busy_s = blocked_s * busy_share / (1 - busy_share)
    caught = min(blocked_s / period_s, 1.0)
    wait_s = blocked_s - min(period_s, blocked_s) / 2
    return caught / (caught + busy_s / period_s), wait_s


class FaultLatencies:
    """Latencies of page requests: a mixture of log-normal kinds, by their means.

    Parameters
    ----------
    sd : float
        Standard deviation of the logarithm within a kind: scheduling and the place
        within a batch.
    """

    def __init__(self, sd: float) -> None:
        self._sd = sd
        self._kinds: list[tuple[float, float, float]] = []

    def add(self, count: float, mean_s: float, jitter_s: float | None = None) -> None:
        """Add requests of one kind.

        Parameters
        ----------
        count, mean_s : float
            How many, and their mean latency [s].
        jitter_s : float or None
            What of the mean varies [s]; the rest is alike for all. None: all of it.
        """
        if count > 0:
            mean_s = max(mean_s, 1e-9)
            part = 1.0 if jitter_s is None else min(jitter_s / mean_s, 1.0)
            self._kinds.append((count, mean_s, self._sd * part))

    @property
    def count(self) -> float:
        """Requests."""
        return sum(count for count, _, _ in self._kinds)

    @property
    def mean_s(self) -> float | None:
        """Mean latency [s]; None without any."""
        if not self._kinds:
            return None
        return sum(count * mean for count, mean, _ in self._kinds) / self.count

    def below(self, latency_s: float) -> float:
        """Requests faster than that."""
        total = 0.0
        for count, mean, sd in self._kinds:
            if sd == 0:
                total += count * (mean <= latency_s)
                continue
            # The mean of a log-normal is exp(median's log + sd^2 / 2).
            middle = math.log(mean) - sd**2 / 2
            z = (math.log(latency_s) - middle) / sd
            total += count * 0.5 * math.erfc(-z / math.sqrt(2))
        return total

    def histogram(self) -> list[float] | None:
        """Requests in each bucket of postcopy-latency-dist; None without any."""
        if not self._kinds:
            return None
        edges = [2.0**bucket / US_PER_S for bucket in range(1, LATENCY_BUCKETS)]
        below = [0.0, *(self.below(edge) for edge in edges), self.count]
        return [high - low for low, high in pairwise(below)]

    def percentile_s(self, share: float) -> float | None:
        """Latency that this share of requests stays below [s]; None without any."""
        if not self._kinds:
            return None
        steps = LATENCY_BUCKETS * _GRID_PER_BUCKET
        exponents = np.linspace(-4.0, LATENCY_BUCKETS, steps)
        low, high = 0, steps - 1
        while low < high:
            middle = (low + high) // 2
            if self.below(2.0 ** float(exponents[middle]) / US_PER_S) < (
                share * self.count
            ):
                low = middle + 1
            else:
                high = middle
        return float(2.0 ** float(exponents[low]) / US_PER_S)
