"""Gudkov's published table, by the baseline exactly, and the model's answers beside it.

Source: A. Gudkov, predict_migration.py, qemu-devel, cover.1677589218, 28 Feb 2023.
"""

from __future__ import annotations

import json
import math
from importlib.resources import files
from itertools import pairwise
from typing import Any, NamedTuple

from migmodel.records import (
    Guest,
    HostProfile,
    Limits,
    Link,
    Policy,
    Scenario,
    Workload,
)
from migmodel.sim.simulate import simulate_profile
from migmodel.units import MIB, MS_PER_S, PAGE_BYTES

from .baselines import GIVE_UP_S, iterate_precopy

_UNITS = {"M": 2**20 / 8, "G": 2**30 / 8}  # bytes/s; its gigabit is binary


class GudkovCell(NamedTuple):
    """A cell: what was printed, what the baseline and what the model say."""

    bandwidth: str
    downtime_ms: int | None
    printed: str | None
    baseline: str | None
    model: str | None


def gudkov_vector() -> dict[str, Any]:
    """The published sample and table."""
    path = files("migmodel.validate") / "published" / "gudkov_vector.json"
    vector: dict[str, Any] = json.loads(path.read_text())
    return vector


def published_curve(vector: dict[str, Any], time_s: float) -> float:
    """Pages dirty after a time: linear between the points, then the last slope."""
    sample = vector["input"]
    scale = sample["n-total-pages"] / sample["n-sampled-pages"]
    times = [ms / MS_PER_S for ms in sample["calc-time-periods-ms"]]
    points = [
        (at, count * scale)
        for at, count in zip(times, sample["n-dirty-pages"], strict=True)
    ]
    segments = list(pairwise(points))
    (t0, d0), (t1, d1) = next(
        (segment for segment in segments if time_s <= segment[1][0]), segments[-1]
    )
    value: float = d0 + (d1 - d0) * (time_s - t0) / (t1 - t0)
    most: float = (sample["n-sampled-pages"] - sample["n-zero-pages"]) * scale
    return min(max(value, 0.0), most)


def written(seconds: float | None) -> str | None:
    """As the published table has it: whole seconds, rounded up."""
    if seconds is None:
        return None
    whole = math.ceil(seconds)
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"


def gudkov_cells(profile: HostProfile | None = None) -> list[GudkovCell]:
    """All 48 cells.

    Parameters
    ----------
    profile : HostProfile or None
        For the model's answers; None leaves them out.
    """
    vector = gudkov_vector()
    sample = vector["input"]
    scale = sample["n-total-pages"] / sample["n-sampled-pages"]
    zero = sample["n-zero-pages"] * scale
    cells = []
    for bandwidth, row in vector["expected"].items():
        bytes_per_s = float(bandwidth[:-1]) * _UNITS[bandwidth[-1]]
        for limit_ms, printed in zip(vector["downtime_ms"], row, strict=True):
            found = iterate_precopy(
                sample["n-total-pages"] - zero,
                zero,
                bytes_per_s,
                math.inf if limit_ms is None else limit_ms / MS_PER_S,
                lambda time_s: published_curve(vector, time_s),
            )
            model = None
            if profile is not None and limit_ms is not None:
                model = _model(vector, bytes_per_s, limit_ms, profile)
            cells.append(
                GudkovCell(
                    bandwidth,
                    limit_ms,
                    printed,
                    written(None if found is None else found[0]),
                    model,
                )
            )
    return cells


def _model(
    vector: dict[str, Any], bytes_per_s: float, limit_ms: int, profile: HostProfile
) -> str | None:
    """The model's answer for a guest that writes at random places.

    Some places of the sample are written more often than others, all of ours alike. It
    is given the working set of the sample, and the rate at which as many pages are
    dirtied within the allowed downtime: what must fit through decides.
    """
    sample = vector["input"]
    limit_s = limit_ms / MS_PER_S
    decisive = published_curve(vector, limit_s)
    most = published_curve(vector, sample["calc-time-periods-ms"][-1] / MS_PER_S)
    # 1 - exp(-rate t / pages) of the working set; all of it would take for ever.
    share = min(decisive / most, 0.999)
    ram = sample["n-total-pages"] * PAGE_BYTES // MIB * MIB
    scale = sample["n-total-pages"] / sample["n-sampled-pages"]
    full = (sample["n-sampled-pages"] - sample["n-zero-pages"]) * scale * PAGE_BYTES
    scenario = Scenario(
        guest=Guest(ram_bytes=ram),
        workload=Workload(
            working_set_bytes=int(most) * PAGE_BYTES,
            rate_pps=-math.log1p(-share) * int(most) / limit_s,
            pattern="random",
            still_bytes=int(full / MIB) * MIB - int(most) * PAGE_BYTES,
        ),
        link=Link(transport="tcp", bandwidth_bytes_per_s=bytes_per_s),
        policy=Policy(parameters={"max-bandwidth": 0, "downtime-limit": limit_ms}),
        limits=Limits(max_time_s=GIVE_UP_S),
    )
    outcome = simulate_profile(scenario, profile).outcome
    done = outcome.verdict == "completed"
    return written(outcome.total_time_s) if done else None
