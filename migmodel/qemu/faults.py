"""How long post-copy faults wait: QEMU's own histogram, or its trace of each."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import numpy as np

from migmodel.records.trace import LATENCY_BUCKETS
from migmodel.units import NS_PER_S, US_PER_S

TRACE_FILE = "faults.log"  # in the run's private folder, where QEMU runs
_EVENTS = ("postcopy_ram_fault_thread_request", "postcopy_place_page*")
# Real time to the microsecond before the event's name: after the thread's id
# (scripts/tracetool/backend/log.py of QEMU 10.0), or as a date (seen on 11.1).
_STAMP = re.compile(
    r"^(?:\d+@(?P<s>\d+)\.(?P<us>\d{6}):|(?P<date>\d{4}-\S+T\S+) )(?P<event>\w+) "
)
_REQUEST = re.compile(r"HVA=0x([0-9a-f]+) rb=\S* offset=0x([0-9a-f]+)")
_PLACED = re.compile(r"host=0x([0-9a-f]+)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_QUANTILES = (0.5, 0.9, 0.99)


def trace_argv() -> list[str]:
    """QEMU's arguments that make the destination log every fault."""
    argv = list(itertools.chain.from_iterable(("-trace", it) for it in _EVENTS))
    return [*argv, "-msg", "timestamp=on", "-D", TRACE_FILE]


class FaultLatency(msgspec.Struct, frozen=True):
    """Latencies of remote faults, from a page's request to its placement.

    Parameters
    ----------
    mean_s : float
        Mean [s].
    quantiles_s : tuple of float
        Median, 90th and 99th percentile [s].
    histogram : list of float
        Faults by bucket: N counts from 2^N to below 2^(N+1) microseconds.
    """

    mean_s: float
    quantiles_s: tuple[float, float, float]
    histogram: list[float]


def reported_latency(reply: dict[str, Any]) -> FaultLatency | None:
    """What a destination's query-migrate says (QEMU 10.1 on); None if nothing."""
    counts = reply.get("postcopy-latency-dist")
    if not counts or not any(counts):
        return None
    return FaultLatency(
        mean_s=reply["postcopy-latency"] / NS_PER_S,
        quantiles_s=_three([_bucket_quantile(counts, q) for q in _QUANTILES]),
        histogram=[float(count) for count in counts],
    )


def traced_latency(latencies_s: Sequence[float]) -> FaultLatency | None:
    """The same from single latencies."""
    if not latencies_s:
        return None
    values = np.array(latencies_s)
    buckets = np.floor(np.log2(np.maximum(values * US_PER_S, 1.0))).astype(int)
    counts = np.bincount(np.minimum(buckets, LATENCY_BUCKETS - 1))
    padded = np.pad(counts, (0, LATENCY_BUCKETS - len(counts)))
    return FaultLatency(
        mean_s=float(values.mean()),
        quantiles_s=_three(np.quantile(values, _QUANTILES).tolist()),
        histogram=padded.astype(float).tolist(),
    )


def read_trace(lines: Iterable[str]) -> list[float]:
    """Latencies [s] in a destination's log, in order of placement.

    A request whose page is there already waits for nothing and does not count; several
    requests of one page each count, until it is placed.
    """
    waiting: dict[int, list[int]] = {}
    latencies_s = []
    placed: set[int] = set()
    for line in lines:
        stamped = _STAMP.match(line)
        if stamped is None:
            continue
        at_us, name = _microseconds(stamped), stamped["event"]
        if name == "postcopy_ram_fault_thread_request":
            found = _REQUEST.search(line)
            if found and (page := _page(found[1])) not in placed:
                waiting.setdefault(page, []).append(at_us)
        elif name.startswith("postcopy_place_page"):
            found = _PLACED.search(line)
            if found:
                page = _page(found[1])
                placed.add(page)
                since_us = waiting.pop(page, [])
                latencies_s += [(at_us - since) / US_PER_S for since in since_us]
    return latencies_s


def correction(
    traced_s: Sequence[float], untraced: FaultLatency
) -> Callable[[float], float]:
    """What tracing makes of a latency, undone: learnt where both can be seen.

    Quantiles of the same migration traced and untraced are set against each other. So a
    latency of some size is corrected as latencies of that size are there, however often
    they come: what tracing adds is work in the destination's threads, which delays a
    page that comes at once and not one that waits for the link.

    Parameters
    ----------
    traced_s : sequence of float
        Latencies of a traced run [s]; not empty.
    untraced : FaultLatency
        What QEMU itself reports of the same without tracing.

    Returns
    -------
    callable
        From a traced latency [s] to what it would have been.
    """
    levels = np.linspace(0.02, 0.98, 49)
    seen = np.log(np.maximum(np.quantile(traced_s, levels), 1 / US_PER_S))
    real = np.log([_bucket_quantile(untraced.histogram, level) for level in levels])

    def correct(latency_s: float) -> float:
        at = np.log(max(latency_s, 1 / US_PER_S))
        return float(np.exp(at + np.interp(at, seen, real - seen)))

    return correct


def _microseconds(stamped: re.Match[str]) -> int:
    if stamped["date"] is None:
        return int(stamped["s"]) * 1_000_000 + int(stamped["us"])
    since = datetime.fromisoformat(stamped["date"]) - _EPOCH
    return since // timedelta(microseconds=1)


def _page(address: str) -> int:
    return int(address, 16) >> 12


def _bucket_quantile(counts: Sequence[float], quantile: float) -> float:
    """Evenly spread over a bucket's logarithm [s]."""
    wanted, seen = quantile * sum(counts), 0.0
    for bucket, count in enumerate(counts):
        if count and seen + count >= wanted:
            return float(2.0 ** (bucket + (wanted - seen) / count)) / US_PER_S
        seen += count
    return float(2.0 ** len(counts)) / US_PER_S


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    median, most, nearly_all = values
    return median, most, nearly_all
