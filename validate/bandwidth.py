"""The bandwidth that somebody who calibrates one would measure on a host."""

from __future__ import annotations

from migmodel.physics.cpu import Pipeline
from migmodel.physics.wire import FLUSH_PAGES, NORMAL_PAGE_BYTES
from migmodel.records import HostProfile, Scenario


def stream_bytes_per_s(profile: HostProfile) -> float:
    """What a migration of a filled, idle guest achieves on this host [bytes/s].

    That is what somebody who calibrates a bandwidth would measure: each page is sent
    once, to a destination that has no memory for it yet.
    """
    pipeline = Pipeline(
        profile["page_source_s"],
        profile["page_destination_s"] + profile["fresh_page_s"],
        profile["link_bytes_per_s"] / NORMAL_PAGE_BYTES,
        profile["pipeline_overlap"],
        profile["flush_handoff_s"] / FLUSH_PAGES,
    )
    return pipeline.free_rate_pps * NORMAL_PAGE_BYTES


def calibrated_bandwidth(scenario: Scenario, profile: HostProfile) -> float:
    """Bandwidth that all baselines are given: the narrowest limit [bytes/s]."""
    limits = [stream_bytes_per_s(profile)]
    if scenario.policy.max_bandwidth_bytes_per_s:
        limits.append(float(scenario.policy.max_bandwidth_bytes_per_s))
    if scenario.link.bandwidth_bytes_per_s is not None:
        limits.append(scenario.link.bandwidth_bytes_per_s)
    return min(limits)
