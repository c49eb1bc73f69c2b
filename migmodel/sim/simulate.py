"""Run one simulated migration."""

from __future__ import annotations

import simpy

from migmodel.managers import managers_for
from migmodel.records import HostProfile, Outcome, Phases, Scenario, Trace
from migmodel.sim.host import Host, draw_host
from migmodel.sim.migration import Migration
from migmodel.sim.outside import manage, sync_periodically
from migmodel.sim.recorder import Recorder
from migmodel.units import PAGE_BYTES

AFTER_S = 1.0  # how long the guest is watched on the destination
BEFORE_S = 1.0  # and before the migration
STREAM_BUFFER_BYTES = 32 * 1024  # QEMUFile's own

__all__ = ["draw_host", "simulate"]


def simulate(scenario: Scenario, host: Host, *, detailed: bool = True) -> Trace:
    """Simulate a migration.

    Parameters
    ----------
    scenario : Scenario
        What to migrate.
    host : Host
        From `draw_host`: nominal or drawn.
    detailed : bool
        Keep progress, rounds, events and load, not just the outcome and guest speed.

    Returns
    -------
    Trace
    """
    recorder = Recorder(scenario.guest.vcpus, detailed)
    migration = Migration(scenario, host, recorder)
    machine = migration.machine
    for vcpu in range(len(machine.sweepers)):
        rate = machine.touch_rate_pps()
        recorder.work(vcpu, -BEFORE_S, 0.0, rate * BEFORE_S)
    env = migration.env
    for manager in managers_for(scenario):
        env.process(manage(migration, manager))
    settings = migration.settings
    if settings.auto_converges and settings.rules.periodic_sync:
        env.process(sync_periodically(migration))
    migration.process = env.process(migration.run())
    _run(env, migration)
    return _trace(migration)


def _run(env: simpy.Environment, migration: Migration) -> None:
    assert migration.process is not None
    env.run(until=migration.process)


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
    finished = migration.status == "completed"
    never = migration.status == "never"
    guest_gap = None if stop_resume is None else stop_resume + migration.host["gap_s"]
    source_extra, destination_extra = _extra_memory(scenario)
    peak = migration.period.peak_percent
    stream = migration.stream
    outcome = Outcome(
        verdict="completed" if finished else "never" if never else "cancelled",
        reason=migration.reason,
        total_time_s=None if never else end_s,
        setup_time_s=migration.setup_time_s,
        downtime_reported_s=migration.downtime_reported_s,
        downtime_stop_resume_s=stop_resume,
        downtime_guest_s=guest_gap,
        passes=migration.sync_count,
        peak_throttle_percent=peak if migration.settings.auto_converges else None,
        bytes_sent=stream.sent_bytes,
        postcopy_requests=migration.postcopy_requests,
        source_cpu_s=stream.source_cpu_s,
        destination_cpu_s=stream.destination_cpu_s,
        vcpu_cpu_s=vcpu_cpu_s,
        source_extra_memory_bytes=source_extra,
        destination_extra_memory_bytes=destination_extra,
    )
    phases = Phases(stop_s=migration.stop_s, resume_s=migration.resume_s, end_s=end_s)
    return machine.recorder.trace(outcome, phases)


def _extra_memory(scenario: Scenario) -> tuple[float, float]:
    """What the migration itself needs on source and destination [bytes].

    Source: migration bitmap and the accelerator's log. Destination: the map of received
    pages (QEMU 10.0 migration/ram.c, ramblock_recv_map_init). A stream buffer each.
    """
    bitmap = scenario.guest.ram_bytes / PAGE_BYTES / 8
    return 2 * bitmap + STREAM_BUFFER_BYTES, bitmap + STREAM_BUFFER_BYTES


def simulate_profile(scenario: Scenario, profile: HostProfile) -> Trace:
    """Simulate with a profile's nominal values."""
    return simulate(scenario, draw_host(profile))
