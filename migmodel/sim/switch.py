"""The switch to the destination: the stop phase, and post-copy.

Source: QEMU 10.0 migration/migration.c (migration_completion, postcopy_start) and
migration/ram.c (ram_save_complete, ram_postcopy_send_discard_bitmap). Equations S1 to
S6 of docs/model.md.
"""

from __future__ import annotations

from migmodel.sim.migration import Migration, Process
from migmodel.sim.queued_faults import make_push
from migmodel.units import MS_PER_S, PAGE_BYTES

_LEAST_S = 1e-9


def _stop_guest(migration: Migration) -> Process:
    """vm_stop: the clock of the reported downtime starts before, STOP comes after."""
    if not migration.machine.stopped:
        yield from migration.hold(migration.host["stop_s"])
        now = migration.env.now
        migration.machine.advance(now)
        migration.machine.stop()
        migration.stop_s = now
        migration.recorder.event(now, "STOP")
    if migration.settings.has("pause-before-switchover"):
        # QEMU waits for migrate-continue, also with a guest that stood still before;
        # a manager is as quick as with `cont`.
        migration.recorder.event(migration.env.now, "MIGRATION", "pre-switchover")
        yield from migration.hold(migration.host["cont_s"])


def _final_sync(migration: Migration) -> Process:
    cost = migration.host.sync_cost
    seconds = cost.seconds(migration.memory.total_pages, 0.0)
    yield from migration.hold(seconds)
    new_pages = migration.sync_bitmap(last=True)
    if migration.counts_last_sync:
        migration.note_pass()
    dirty_s = migration.dirty_page_s * new_pages
    yield from migration.hold(dirty_s)
    migration.stream.source_cpu_s += seconds + dirty_s


def _apart_from(migration: Migration) -> float:
    """When both ends of the stream have a CPU each, if they had but one so far [s].

    They part while both work: from now on, or since a manager stopped the guest, unless
    a limit has let them sleep in every window since.
    """
    began_s = migration.env.now
    limited = migration.settings.number("max-bandwidth") > 0
    if migration.paused_by_manager and migration.stop_s is not None and not limited:
        began_s = migration.stop_s
    return began_s + migration.machine.separation_s


def complete(migration: Migration) -> Process:
    """Stop, send the rest without a rate limit, hand over to the destination."""
    host, env, memory = migration.host, migration.env, migration.memory
    stream = migration.stream
    began_s = env.now
    migration.status = "device"
    yield from _stop_guest(migration)
    yield from _final_sync(migration)
    rest_bytes = 0.0
    sending_s = env.now
    apart_s = _apart_from(migration)
    while memory.pending_pages > 0:
        pages, kind = stream.next_run(env.now)
        rate, seconds = stream.swallowing(env.now, kind)
        pages = min(pages, rate * seconds) if seconds else pages
        pipeline = stream.pipeline(kind, swallowed=seconds > 0)
        shared_s = apart_s - env.now
        shares = shared_s > _LEAST_S and pipeline.channels is None
        if shares:
            pipeline = pipeline.on_one_cpu
        rate = migration.machine.set_stream(pipeline)
        if shares:
            pages = min(pages, rate * shared_s)
        yield from migration.hold(pages / rate)
        stream.enter_queue(env.now, pages, kind)
        stream.charge(pages, kind, pipeline)
        rest_bytes += pages * stream.page_bytes(kind)
    migration.machine.set_stream(None)
    migration.sample()
    migration.note_pass()
    last_byte_s = env.now
    sending_s = last_byte_s - sending_s
    # The device state comes behind all that is on its way.
    yield from migration.hold(stream.queue_s(env.now, host["device_state_bytes"]))
    yield from migration.hold(host["switch_s"])
    migration.stream.sent_bytes += host["device_state_bytes"]
    # Without a return path the source is done when its socket has taken the last byte.
    buffered_s = 0.0
    if rest_bytes and stream.queue is None:
        share = min(migration.stream.socket_buffer_bytes / rest_bytes, 1.0)
        buffered_s = sending_s * share
    done_s = last_byte_s - buffered_s + host["device_save_s"]
    if migration.settings.returns:
        done_s = env.now + migration.scenario.link.rtt_s / 2
    yield from _resume(migration, migration.paused_by_manager)
    migration.downtime_reported_s = done_s - began_s
    migration.end_s = done_s
    migration.status = "completed"


def _resume(migration: Migration, by_manager: bool) -> Process:
    """The destination runs; after a manager's pause only when it says `cont`."""
    if by_manager:
        yield from migration.hold(migration.host["cont_s"])
    now = migration.env.now
    machine = migration.machine
    machine.advance(now)
    migration.resume_s = now
    machine.resume()
    machine.throttle.set_percent(0.0, now)
    machine.set_stream(None)
    migration.recorder.event(now, "RESUME")
    if migration.stop_s is not None:
        for vcpu in range(len(machine.sweepers)):
            migration.recorder.work(
                vcpu, migration.stop_s, now, 0.0, now - migration.stop_s
            )


def run_postcopy(migration: Migration) -> Process:
    """Switch at once; pages follow in a stream that goes where the guest faults."""
    host, env, memory = migration.host, migration.env, migration.memory
    stream = migration.stream
    began_s = env.now
    migration.status = "postcopy-device"
    machine = migration.machine
    machine.set_stream(None)
    yield from _stop_guest(migration)
    yield from _final_sync(migration)
    stream.costs.end_encoding()
    memory.settle()
    memory.walk_kind = None
    scattered = migration.scenario.workload.pattern == "random"
    memory.round_up(
        migration.scenario.guest.host_page_bytes / PAGE_BYTES, scattered=scattered
    )
    memory.reset_cursor()
    memory.begin_walk()
    yield from migration.hold(
        memory.pending_pages * host["discard_page_s"] + host["device_save_s"]
    )
    migration.downtime_reported_s = reported_s = env.now - began_s
    migration.stream.sent_bytes += host["device_state_bytes"]
    yield from migration.hold(stream.queue_s(env.now, host["device_state_bytes"]))
    yield from migration.hold(host["postcopy_switch_s"])
    yield from _resume(migration, False)
    migration.status = "postcopy-active"
    migration.recorder.event(env.now, "MIGRATION", "postcopy-active")
    migration.note_resume()
    push = make_push(migration)
    migration.push = push
    yield from push.run()
    migration.note_pass()
    migration.postcopy_requests = round(push.requests)
    if migration.status == "failed":
        return
    yield from migration.hold(host["postcopy_finish_s"])
    machine.advance(env.now)
    migration.end_s = env.now
    if not host.noise.happens(reported_s * MS_PER_S):
        # The clock shows the same ms as before the switch: QEMU takes the downtime for
        # not known yet, and counts it anew when all is over.
        migration.downtime_reported_s = env.now - began_s
    migration.status = "completed"
