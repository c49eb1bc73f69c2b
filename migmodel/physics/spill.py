"""Pages that go out as they are where no thread is idle to encode them.

A thread that sends pages hands each to an idle encoder, and sends it as it is where all
are busy. The encoders are then busy all the time, so that the share encoded follows
from how fast pages go out altogether. Equation W10 of docs/model.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Stage(NamedTuple):
    """Something of which each page takes a part: a thread's time, a link's bytes.

    Attributes
    ----------
    capacity_per_s : float
        What there is of it in a second [s, bytes].
    encoded, plain : float
        What a page takes of it, encoded or as it is [s, bytes].
    """

    capacity_per_s: float
    encoded: float
    plain: float


def mixed_rate_pps(encoders_pps: float, stages: Iterable[Stage]) -> float:
    """Pages/s of both kinds that go through all stages.

    Up to the encoders' rate all pages are encoded, those beyond it are plain. What
    pages take of a stage only grows with their rate, so each bounds it by itself.

    Parameters
    ----------
    encoders_pps : float
        Pages/s of the encoders when they are always busy.
    stages : iterable of Stage
        What the pages go through.
    """
    return min(_stage_rate_pps(encoders_pps, stage) for stage in stages)


def _stage_rate_pps(encoders_pps: float, stage: Stage) -> float:
    if encoders_pps * stage.encoded >= stage.capacity_per_s:
        return stage.capacity_per_s / stage.encoded
    if not stage.plain:
        return float("inf")
    left = stage.capacity_per_s - encoders_pps * stage.encoded
    return encoders_pps + left / stage.plain


def encoded_share(encoders_pps: float, stages: Iterable[Stage]) -> float:
    """Share of the pages that are encoded, 0 to 1; arguments as `mixed_rate_pps`."""
    rate_pps = mixed_rate_pps(encoders_pps, stages)
    return min(encoders_pps / rate_pps, 1.0) if rate_pps else 1.0


def burst_share(
    share: float,
    encoders: int,
    burst_bytes: float,
    encoded_bytes: float,
    plain_bytes: float,
) -> float:
    """Share of the pages that are encoded in bursts, after each of which all wait.

    A limiter that stops the stream until its window closes gives the encoders no more
    to do meanwhile: each begins the next burst idle, and that is all it gains.

    Parameters
    ----------
    share : float
        Of the same stream if nothing stopped it.
    encoders : int
        Threads that encode.
    burst_bytes : float
        What a burst sends [bytes].
    encoded_bytes, plain_bytes : float
        Of a page [bytes].
    """
    left = burst_bytes - encoders * encoded_bytes
    if left <= 0:
        return 1.0
    pages = left / (share * encoded_bytes + (1 - share) * plain_bytes)
    return (encoders + share * pages) / (encoders + pages)
