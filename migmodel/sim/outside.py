"""What acts on the migration from outside its thread: timers and managers."""

from __future__ import annotations

import math

from migmodel.managers import Manager
from migmodel.physics.dirtylimit import next_sleep_s, ring_full_time_s
from migmodel.physics.throttle import PERIODIC_SYNC_S
from migmodel.records import (
    Action,
    Cancel,
    MigrationStatus,
    PauseGuest,
    SetParameters,
    StartPostcopy,
)
from migmodel.sim.guest import count_dirty
from migmodel.sim.migration import Migration, Process
from migmodel.sim.plan import EPSILON
from migmodel.units import MIB, MS_PER_S, PAGE_BYTES

_LOOK_S = 1.0


def sync_periodically(migration: Migration) -> Process:
    """Auto-converge's 5 s timer: sync if nobody has since the last tick.

    Source: QEMU 10.0 migration/cpu-throttle.c (cpu_throttle_dirty_sync_timer_tick);
    never in the first pass.
    """
    env = migration.env
    before = 0
    while True:
        ticks = 1
        repeated_s = migration.repeats_until_s - env.now
        if repeated_s > 0:
            ticks = math.ceil(repeated_s / PERIODIC_SYNC_S)
        elif migration.machine.idle or migration.sync_count <= 1:
            # In the first pass there are no syncs, and where nothing is dirtied those
            # until the thread's next decision only count.
            ticks = max(int((migration.plan_end_s - env.now) / PERIODIC_SYNC_S), 1)
        yield env.timeout(ticks * PERIODIC_SYNC_S)
        if migration.status != "active":
            return
        if migration.sync_count > 1 and migration.sync_count == before:
            migration.sync_count += ticks - 1 if migration.machine.idle else 0
            migration.drop_plan()
            migration.sync_bitmap(migration.vcpu_wait_s())
            migration.poke()
        before = migration.sync_count


def watch_passes(migration: Migration) -> Process:
    """Syncs in long passes as two unmerged series had them (physics/versions.py).

    A look every second. Its clock is in whole ms and it wakes a little late, so that
    "more than 5 s ago" is first true at the sixth. `aside` ends when the throttle is at
    its maximum.
    """
    env, settings, period = migration.env, migration.settings, migration.period
    aside = settings.rules.background_sync == "aside"
    before = 0
    while migration.status in ("setup", "active"):
        if aside and not period.can_step:
            return
        idle_s = migration.plan_end_s - env.now if migration.sync_count <= 1 else 0.0
        yield env.timeout(max(math.ceil(idle_s), 1) * _LOOK_S)
        if migration.status != "active":
            continue
        same = migration.sync_count == before
        late = env.now - period.since_s > PERIODIC_SYNC_S + EPSILON
        if migration.sync_count > 1 and same and late:
            migration.drop_plan()
            if aside:
                _count_aside(migration)
            else:
                migration.sync_bitmap(migration.vcpu_wait_s())
            migration.poke()
        before = migration.sync_count


def _count_aside(migration: Migration) -> None:
    """A sync that counts, and leaves what it finds for the end of the pass.

    What is behind the cursor stays in KVM's log, and counts again the next time.
    """
    now, machine = migration.env.now, migration.machine
    machine.advance(now)
    migration.sync_count += 1
    new_pages = count_dirty(migration.memory, machine.sweepers)
    migration.period.add(new_pages, migration.stream.sent_bytes, now)
    migration.sample()


def limit_dirtying(migration: Migration) -> Process:
    """Dirty-limit's thread: look at each vCPU's rate, set its sleep (Eq L1).

    The sleeps begin when the throttle's condition is met, as auto-converge would.
    """
    machine, settings = migration.machine, migration.settings
    assert machine.ring_entries is not None
    period_s = settings.number("x-vcpu-dirty-limit-period") / MS_PER_S
    fastest = 0.0
    while migration.end_s is None:
        yield migration.env.timeout(period_s)
        if migration.status != "active" or machine.idle:
            continue
        now = machine.touch_rate_pps() * PAGE_BYTES / MIB
        fastest = max(fastest, now)
        if not migration.period.limiting:
            continue
        sleep_s = next_sleep_s(
            machine.ring_sleep_s,
            settings.number("vcpu-dirty-limit"),
            now,
            ring_full_time_s(machine.ring_entries, fastest),
        )
        if sleep_s != machine.ring_sleep_s:
            migration.drop_plan()
            machine.ring_sleep_s = sleep_s
            migration.poke()


def break_link(migration: Migration) -> Process:
    """The connection breaks before post-copy: the guest stays where it is."""
    assert migration.breaks_at_s is not None
    yield migration.env.timeout(migration.breaks_at_s)
    if migration.status in ("setup", "active"):
        migration.drop_plan()
        migration.fail("the connection broke: the guest goes on at the source")
        migration.poke()


def manage(migration: Migration, manager: Manager) -> Process:
    """Show a manager the status at its polls, and do what it answers.

    Between passes and its deadline its answer cannot change, so it is asked at the
    first poll after one of these.
    """
    env = migration.env
    migration.polled = True
    while migration.end_s is None:
        wake = migration.changed
        deadline = manager.deadline_s
        if deadline is not None and deadline > env.now:
            yield wake | env.timeout(deadline - env.now)
        else:
            yield wake
        # Its polls begin with the migrate command.
        turns = math.ceil(env.now / manager.poll_interval_s)
        yield env.timeout(turns * manager.poll_interval_s - env.now)
        migration.settle()
        migration.count_passes()
        for action in manager.decide(_status(migration)):
            _act(migration, action)


def _status(migration: Migration) -> MigrationStatus:
    return MigrationStatus(
        status=migration.status,
        elapsed_s=migration.env.now,
        dirty_sync_count=migration.passes,
        remaining_bytes=migration.pending_bytes,
        total_bytes=migration.memory.total_pages * PAGE_BYTES,
        transferred_bytes=migration.stream.sent_bytes,
        throttle_percent=migration.machine.throttle.percent or None,
    )


def _act(migration: Migration, action: Action) -> None:
    now = migration.env.now
    match action:
        case SetParameters(parameters=parameters):
            migration.drop_plan()
            migration.settings.change(parameters)
        case StartPostcopy():
            migration.postcopy_requested = True
        case PauseGuest():
            migration.drop_plan()
            migration.machine.stop()
            migration.paused_by_manager = True
            migration.stop_s = now
            migration.recorder.event(now, "STOP")
        case Cancel(reason=reason):
            migration.drop_plan()
            migration.status = "cancelled"
            migration.reason = reason
            migration.end_s = now
    migration.poke()
