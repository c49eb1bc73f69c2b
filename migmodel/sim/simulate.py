"""Run one simulated migration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import simpy

from migmodel.errors import InputError
from migmodel.managers import managers_for
from migmodel.physics.multifd import PACKET_HEADER_BYTES, PACKET_PAGES
from migmodel.physics.versions import Behaviour
from migmodel.records import HostProfile, Outcome, Phases, Scenario, Trace
from migmodel.records.trace import Verdict
from migmodel.sim.host import Host, draw_host
from migmodel.sim.migration import Migration, Process
from migmodel.sim.outside import (
    break_link,
    limit_dirtying,
    manage,
    sync_periodically,
    watch_passes,
)
from migmodel.sim.recorder import Recorder
from migmodel.sim.settings import Settings
from migmodel.sim.shared_link import SharedLink
from migmodel.units import PAGE_BYTES

AFTER_S = 1.0  # how long the guest is watched on the destination
BEFORE_S = 1.0  # and before the migration
STREAM_BUFFER_BYTES = 32 * 1024  # QEMUFile's own

__all__ = ["draw_host", "simulate", "simulate_together"]


def simulate(
    scenario: Scenario,
    host: Host,
    *,
    detailed: bool = True,
    rules: Behaviour | None = None,
) -> Trace:
    """Simulate a migration.

    Parameters
    ----------
    scenario : Scenario
        What to migrate.
    host : Host
        From `draw_host`: nominal or drawn.
    detailed : bool
        Keep progress, rounds, events and load, not just the outcome and guest speed.
    rules : Behaviour or None
        Of a QEMU that was never released; None: of the scenario's version.

    Returns
    -------
    Trace
    """
    env = simpy.Environment()
    migration = _start(scenario, host, env, detailed, rules)
    env.run(until=migration.process)
    return _trace(migration)


def simulate_together(
    scenarios: Sequence[Scenario],
    hosts: Sequence[Host],
    shared_bytes_per_s: float,
    *,
    detailed: bool = True,
) -> list[Trace]:
    """Simulate migrations that begin together and share one link.

    Each has hosts of its own: they compete for the link alone.

    Parameters
    ----------
    scenarios, hosts : sequences of equal length
        What to migrate, and the hosts of each.
    shared_bytes_per_s : float
        What the link carries for all of them.
    detailed : bool
        As in `simulate`.
    """
    env = simpy.Environment()
    migrations = [
        _start(scenario, host, env, detailed)
        for scenario, host in zip(scenarios, hosts, strict=True)
    ]
    link = SharedLink(shared_bytes_per_s, migrations)
    link.divide()
    traces: dict[int, Trace] = {}

    def finish(index: int, migration: Migration) -> Process:
        yield from link.watch(migration)
        traces[index] = _trace(migration)

    ends = [env.process(finish(*item)) for item in enumerate(migrations)]
    env.run(until=simpy.AllOf(env, ends))
    return [traces[index] for index in range(len(migrations))]


def _start(
    scenario: Scenario,
    host: Host,
    env: simpy.Environment,
    detailed: bool,
    rules: Behaviour | None = None,
) -> Migration:
    _check_modelled(scenario)
    host = _as_linked(scenario, host)
    recorder = Recorder(scenario.guest.vcpus, detailed)
    migration = Migration(scenario, host, recorder, env, rules)
    machine = migration.machine
    for vcpu in range(len(machine.sweepers)):
        rate = machine.touch_rate_pps()
        recorder.work(vcpu, -BEFORE_S, 0.0, rate * BEFORE_S)
    machine.begin_logging()
    for manager in managers_for(scenario):
        env.process(manage(migration, manager))
    if migration.breaks_at_s is not None:
        env.process(break_link(migration))
    settings = migration.settings
    if settings.auto_converges and settings.rules.background_sync == "ticks":
        env.process(sync_periodically(migration))
    elif settings.auto_converges and settings.rules.background_sync != "none":
        env.process(watch_passes(migration))
    if settings.has("dirty-limit"):
        env.process(limit_dirtying(migration))
    migration.process = env.process(migration.run())
    return migration


def _check_modelled(scenario: Scenario) -> None:
    policy = scenario.policy
    if scenario.workload.pattern == "random" and policy.has("xbzrle"):
        size = Settings(scenario).number("xbzrle-cache-size")
        if size < scenario.workload.working_set_bytes:
            raise InputError(
                "which pages XBZRLE's cache keeps of random writes is modelled only "
                "where it has room for the working set: raise xbzrle-cache-size to "
                f"{scenario.workload.working_set_bytes} or sweep"
            )


def _as_linked(scenario: Scenario, host: Host) -> Host:
    """The host as the scenario has it: alone or with the destination, with a ring."""
    if scenario.guest.dirty_ring_size is not None and not host.lazy_protection:
        raise InputError(
            "a dirty ring needs KVM, and the profile is of a host with TCG: leave out "
            "--dirty-ring or take another --profile"
        )
    scope = scenario.link.scope
    if scope is None:
        return host
    return replace(host, same_host=scope == "same-host")


def _trace(migration: Migration) -> Trace:
    scenario, machine = migration.scenario, migration.machine
    end_s = migration.end_s if migration.end_s is not None else migration.env.now
    migration.sample()
    vcpu_cpu_s = machine.vcpu_cpu_s
    if migration.resume_s is not None:
        machine.advance(max(migration.env.now, end_s) + AFTER_S)
    stop_resume = None
    if migration.stop_s is not None and migration.resume_s is not None:
        stop_resume = migration.resume_s - migration.stop_s
    never = migration.status == "never"
    guest_gap = None if stop_resume is None else stop_resume + migration.host["gap_s"]
    if guest_gap is not None and migration.push is not None:
        # The stream has spent its first window by the time that a thread asks.
        guest_gap += migration.push.first_wait_s
    source_extra, destination_extra = _extra_memory(scenario)
    if migration.cache is not None:
        source_extra += migration.cache.resident_bytes
    peak = migration.period.peak_percent
    stream, cache = migration.stream, migration.cache
    outcome = Outcome(
        verdict=_verdict(migration.status),
        reason=migration.reason,
        total_time_s=None if never else end_s,
        setup_time_s=migration.setup_time_s,
        downtime_reported_s=migration.downtime_reported_s,
        downtime_stop_resume_s=stop_resume,
        downtime_guest_s=guest_gap,
        passes=migration.passes,
        peak_throttle_percent=peak if migration.settings.auto_converges else None,
        bytes_sent=stream.sent_bytes,
        postcopy_requests=migration.postcopy_requests,
        source_cpu_s=stream.source_cpu_s,
        destination_cpu_s=stream.destination_cpu_s,
        vcpu_cpu_s=vcpu_cpu_s,
        source_extra_memory_bytes=source_extra,
        destination_extra_memory_bytes=destination_extra,
        zero_pages=stream.tally.zero_pages,
        compression_ratio=stream.tally.ratio,
        multifd_bytes=stream.tally.multifd_bytes or None,
        xbzrle_cache_misses=None
        if cache is None
        else stream.tally.misses + cache.first_misses,
        xbzrle_pages=None if cache is None else stream.tally.hits,
        xbzrle_overflows=None if cache is None else stream.tally.overflows,
        xbzrle_bytes=None if cache is None else stream.tally.xbzrle_bytes,
        **_faults(migration),
    )
    phases = Phases(stop_s=migration.stop_s, resume_s=migration.resume_s, end_s=end_s)
    return machine.recorder.trace(outcome, phases)


def _verdict(status: str) -> Verdict:
    if status in ("completed", "never", "failed"):
        return cast("Verdict", status)
    return "cancelled"


def _faults(migration: Migration) -> dict[str, Any]:
    """What post-copy's page requests waited; nothing without post-copy."""
    push = migration.push
    if push is None:
        return {}
    latencies = push.latencies
    return {
        "fault_latency_mean_s": latencies.mean_s,
        "fault_latency_p50_s": latencies.percentile_s(0.5),
        "fault_latency_p90_s": latencies.percentile_s(0.9),
        "fault_latency_p99_s": latencies.percentile_s(0.99),
        "fault_latency_histogram": latencies.histogram(),
        "postcopy_blocktime_s": push.blocktime_s(len(migration.machine.sweepers)),
        "postcopy_vcpu_blocktime_s": push.blocktimes_s(),
    }


def _extra_memory(scenario: Scenario) -> tuple[float, float]:
    """What the migration itself needs on source and destination [bytes].

    Source: migration bitmap and the accelerator's log. Destination: the map of received
    pages (QEMU 10.0 migration/ram.c, ramblock_recv_map_init). A stream buffer each, and
    with a codec a packet's worth for each of multifd's channels.
    """
    bitmap = scenario.guest.ram_bytes / PAGE_BYTES / 8
    policy = scenario.policy
    buffers = float(STREAM_BUFFER_BYTES)
    if policy.has("multifd"):
        channels = int(policy.parameter("multifd-channels"))
        packs = policy.parameter("multifd-compression") != "none"
        packet = PACKET_HEADER_BYTES + (PACKET_PAGES * PAGE_BYTES if packs else 0)
        buffers += channels * packet
    return 2 * bitmap + buffers, bitmap + buffers


def simulate_profile(
    scenario: Scenario, profile: HostProfile, rules: Behaviour | None = None
) -> Trace:
    """Simulate with a profile's nominal values."""
    return simulate(scenario, draw_host(profile), rules=rules)
