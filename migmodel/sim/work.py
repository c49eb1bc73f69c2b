"""What a page is for the CPUs."""

from __future__ import annotations

from dataclasses import replace

from migmodel.physics.cpu import Pipeline
from migmodel.sim.costs import PageCost
from migmodel.sim.host import Host
from migmodel.sim.machine import Machine

UNLIMITED_PPS = float("inf")


def work_of(cost: PageCost, host: Host, machine: Machine, transport: str) -> Pipeline:
    """CPU costs of pages, as busy as the CPUs are now, whatever the link carries."""
    source_s, destination_s = cost.source_s, cost.destination_s
    # What runs beside a thread shares caches, memory and, as a sibling, its core: the
    # guest's vCPUs, and the other threads that take part of the work.
    beside = machine.cores_beside(_other_cores(cost, host))
    slower = 1 + host["guest_interference"] * beside
    slower *= host.noise.crowded**machine.crowding
    source_s, destination_s = source_s * slower, destination_s * slower
    flush_s = host["flush_handoff_s"]
    # The reader is woken where a vCPU runs: it waits for its turn, and finds cold
    # caches. The writer goes on where it was.
    displaced = machine.displaced_ends / 2 / cost.flush_pages
    destination_s += displaced * host["crowded_flush_s"]
    turn_wait_s = displaced * host["crowded_wait_s"]
    channels = cost.channels
    if channels is not None:
        channels = replace(
            channels,
            source_s=channels.source_s * slower,
            destination_s=channels.destination_s * slower,
        )
    overlap = host["pipeline_overlap"]
    if transport == "tcp":
        # So much lies between the two ends that neither waits for the other.
        overlap, flush_s, turn_wait_s = 1.0, 0.0, 0.0
        if channels is not None and channels.overlap is not None:
            channels = replace(channels, overlap=1.0, handoff_s=0.0)
    return Pipeline(
        source_s,
        destination_s,
        UNLIMITED_PPS,
        overlap,
        flush_s / cost.flush_pages,
        channels,
        turn_wait_s,
    )


def _other_cores(cost: PageCost, host: Host) -> float:
    """CPUs that channels or compressing threads keep busy beside one of them."""
    channels = cost.channels
    if channels is None:
        return 0.0
    page_s = channels.source_s + (channels.destination_s if host.same_host else 0.0)
    rate_pps = min(channels.free_rate_pps, 1 / cost.source_s)
    return max(rate_pps * page_s - 1, 0.0)
