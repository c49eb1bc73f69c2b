"""Where a fit begins: what single numbers tell by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from migmodel.records import HostProfile, Workload
from migmodel.units import GIB, PAGE_BYTES

from .observation import Observation

SOURCE = "how fast guests were before their migrations"
_MS_A_GIB_OF_S_A_PAGE = 1e3 * GIB / PAGE_BYTES


def seen_speeds(start: HostProfile, observations: Sequence[Observation]) -> HostProfile:
    """Begin at the speeds that guests had before their migrations.

    A page's time is the larger of two costs, the thread's own and its share of the
    memory's. From a host of another speed the wrong one of the two may explain it, and
    no single step leads out of there. Several vCPUs tell what the memory carries at
    least: it is never begun lower than at the start's.

    Parameters
    ----------
    start : HostProfile
        Of another host, or of none.
    observations : sequence of Observation
        Measured numbers; of guests at full speed that write all of a page.
    """
    alone: dict[str, list[float]] = {}
    together: list[float] = []
    for observation in observations:
        speed = observation.values.get("guest_before")
        workload = observation.scenario.workload
        if not speed or not _tells(workload):
            continue
        page_s = speed / _MS_A_GIB_OF_S_A_PAGE
        vcpus = observation.scenario.guest.vcpus
        if vcpus == 1:
            alone.setdefault(f"{workload.touch}_touch_s", []).append(page_s)
        elif workload.touch != "page":
            together.append(vcpus / page_s)
    seen = {name: median(pages_s) for name, pages_s in alone.items()}
    memory = "memory_pages_per_s"
    if together and max(together) > start[memory]:
        seen[memory] = max(together)  # at least: these may not have been held up by it
    parameters = {
        name: msgspec.structs.replace(
            start.parameters[name], value=value, stderr=None, source=SOURCE
        )
        for name, value in seen.items()
        if name in start.parameters
    }
    return msgspec.structs.replace(start, parameters=start.parameters | parameters)


def _tells(workload: Workload) -> bool:
    """Whether it writes at full speed, and not just a part of each page."""
    full_speed = workload.rate_pps is None and workload.touch != "read"
    return full_speed and workload.delta_bytes is None
