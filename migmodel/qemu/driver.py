"""The real executor: a Scenario in, a Measurement out."""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import msgspec

from migmodel.errors import InputError, QemuError
from migmodel.qemu.accel import (
    Accel,
    check_dirty_tracking,
    choose_accel,
    loses_dirty_pages,
)
from migmodel.qemu.awake import check_awake, cpus_awake
from migmodel.qemu.backing import (
    Backing,
    listed_bytes,
    most_listed_bytes,
    taken_bytes,
)
from migmodel.qemu.binary import QemuBinary, find_qemu
from migmodel.qemu.faults import trace_argv
from migmodel.qemu.folder import private_folder
from migmodel.qemu.guest import check_guest, guest_argv
from migmodel.qemu.hardware import check_accel, check_here
from migmodel.qemu.host import (
    available_memory_bytes,
    check_memory,
    host_facts,
    may_be_virtual,
    tsc_mhz,
)
from migmodel.qemu.instance import machine_argv
from migmodel.qemu.migration import Migration
from migmodel.qemu.options import DriverOptions, ProgressHandler
from migmodel.qemu.outage import check_outage, outage_remarks
from migmodel.qemu.recording import Recording
from migmodel.qemu.session import SIDES, Session
from migmodel.qemu.settling import settle, wait_for_phase_s
from migmodel.qemu.testbed import Testbed, check_link, link_problems, open_testbed
from migmodel.qemu.trace import build_trace, only_faults
from migmodel.qemu.validity import problems
from migmodel.records.capabilities import check_capabilities
from migmodel.records.measurement import Measurement
from migmodel.records.parameters import (
    DEFAULT_QEMU,
    SUPPORTED_QEMU,
    check_parameters,
    parse_version,
)
from migmodel.records.scenario import Scenario
from migmodel.records.status import MigrationStatus
from migmodel.units import PAGE_BYTES

LONGEST_POLL_INTERVAL_S = 0.05


def measure(
    scenario: Scenario,
    options: DriverOptions,
    *,
    repeat: int = 0,
    on_progress: ProgressHandler | None = None,
) -> Measurement:
    """Execute one migration with real QEMU on this host.

    Parameters
    ----------
    scenario : Scenario
        What is migrated, over what, and how.
    options : DriverOptions
        How to measure it.
    repeat : int
        Number of this run among its repeats, for the record.
    on_progress : callable or None
        Told the phase, and while migrating what QEMU says.

    Returns
    -------
    Measurement
        Also when a QEMU dies, hangs, refuses or takes too long: its verdict is then
        `failed`, and the reason and the tail of QEMU's messages are in it.

    Raises
    ------
    InputError
        Before anything is started: no QEMU, no memory, what cannot be measured.
    KeyboardInterrupt
        On SIGINT or SIGTERM, after everything has been ended and removed.
    """
    qemu, accel = check(scenario, options)
    scenario, remarks = _with_real_version(scenario, qemu)
    if loses_dirty_pages(qemu, accel):
        remarks.append(
            f"QEMU {qemu.release} loses dirty pages under TCG: only times, bytes and "
            "ratios of this run count, what the guest says does not"
        )
    facts = host_facts(qemu, accel)
    loaded = guest_argv(scenario, options.image, tsc_mhz())
    argv = {
        side: machine_argv(qemu, accel, scenario.guest, loaded, side, options.hardware)
        for side in SIDES
    }
    if options.trace_faults:
        argv["destination"] += trace_argv()
    recording = Recording()
    execution = _Execution(scenario, options, recording, on_progress or _ignore)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    with (
        _sigterm_as_sigint(),
        private_folder() as folder,
        cpus_awake(options.keep_awake) as awake,
        open_testbed(scenario, qemu, folder, options) as testbed,
    ):
        asyncio.run(execution.run(argv, testbed))
        if options.trace_faults:
            recording.read_faults(folder)
    facts = msgspec.structs.replace(facts, cpus_kept_awake=awake)
    raw = recording.raw(testbed.clock)
    trace = build_trace(raw, scenario, execution.failure)
    remarks += outage_remarks(scenario.link.outage, trace)
    found = problems(raw, trace) + link_problems(scenario.link, testbed.link_facts)
    return Measurement(
        scenario=scenario,
        trace=only_faults(trace) if options.trace_faults else trace,
        host=facts,
        destination_host=testbed.destination_host(facts),
        started_at=started_at,
        repeat=repeat,
        traced=options.trace_faults,
        valid=not found,
        problems=found + remarks,
        source_argv=argv["source"],
        destination_argv=argv["destination"],
        stderr_tail=execution.stderr_tail,
        hardware=options.hardware,
        link_facts=testbed.link_facts,
        raw=raw if options.keep_raw else None,
    )


def check(scenario: Scenario, options: DriverOptions) -> tuple[QemuBinary, Accel]:
    """Refuse what cannot be measured here, before anything is started.

    Raises
    ------
    InputError
        What is wrong, what is allowed, what to do.
    """
    if not 0 < options.poll_interval_s <= LONGEST_POLL_INTERVAL_S:
        raise InputError(
            f"query-migrate is sampled at least every {LONGEST_POLL_INTERVAL_S:g} s, "
            f"not every {options.poll_interval_s:g} s"
        )
    check_awake(options.keep_awake)
    remote = options.remote is not None
    check_link(scenario.link, remote)
    _refuse_what_is_not_measured(scenario)
    check_guest(scenario, options.image)
    here = SIDES[:1] if remote else SIDES
    check_memory(scenario.guest.ram_bytes, len(here))
    qemu = find_qemu(options.qemu, scenario.version)
    check_outage(scenario, qemu.version)
    policy = scenario.policy
    check_parameters(policy.all_parameters, qemu.version)
    check_capabilities(
        policy.all_capabilities,
        policy.all_parameters,
        qemu.version,
        scenario.link.transport,
        scenario.guest.dirty_ring_size is not None,
    )
    accel = choose_accel(qemu, options.accel)
    check_accel(scenario.guest, accel)
    check_here(options.hardware, scenario.guest, here)
    check_dirty_tracking(qemu, accel, scenario.workload)
    if options.trace_faults and not policy.has("postcopy-ram"):
        raise InputError("--trace-faults is for post-copy: use --policy postcopy")
    if options.trace_faults and remote:
        raise InputError("--trace-faults needs the destination on this host")
    return qemu, accel


def _refuse_what_is_not_measured(scenario: Scenario) -> None:
    link = scenario.link
    wanted = {
        "--transport rdma": link.transport == "rdma",
        "--socket-buffer": link.socket_buffer_bytes is not None,
    }
    for option, is_wanted in wanted.items():
        if is_wanted:
            raise InputError(f"measure does not do {option} yet: leave it out")


class _Execution:
    """One run, and what became of it."""

    def __init__(
        self,
        scenario: Scenario,
        options: DriverOptions,
        recording: Recording,
        on_progress: ProgressHandler,
    ) -> None:
        self.failure: str | None = None
        self.stderr_tail = ""
        self._scenario = scenario
        self._options = options
        self._recording = recording
        self._on_progress = on_progress

    async def run(self, argv: dict[str, list[str]], testbed: Testbed) -> None:
        session = Session(argv, testbed, self._recording)
        try:
            await session.conduct(self._migrate(session))
        except QemuError as error:
            self.failure = str(error)
        finally:
            self.stderr_tail = session.stderr_tail

    async def _migrate(self, session: Session) -> None:
        scenario, options = self._scenario, self._options
        self._on_progress("settling", None)
        backing = self._backing()

        def on_progress(phase: str, status: MigrationStatus | None) -> None:
            if status is not None:
                backing.follow(status)
            self._on_progress(phase, status)

        migration = Migration(session, scenario, options, on_progress)
        await migration.prepare()
        try:
            # While the guest fills its working set: later it would slow it.
            await asyncio.to_thread(backing.touch)
            session.recording.prepared()
            await settle(session, scenario.guest.vcpus, options.settle_timeout_s)
            self._on_progress("baseline", None)
            await asyncio.sleep(options.baseline_s)
            console = session.recording.consoles["source"]
            now_s = time.monotonic()
            await asyncio.sleep(wait_for_phase_s(console, scenario.workload, now_s))
            backing.begin()
            await migration.run()
        finally:
            backing.release()

    def _backing(self) -> Backing:
        """Memory of this host that the destination has not yet but will take."""
        scenario, hardware = self._scenario, self._options.hardware
        size_bytes = taken_bytes(scenario)
        has_it = scenario.guest.host_page_bytes > PAGE_BYTES
        has_it |= hardware.prealloc or hardware.locked
        if has_it or self._options.remote is not None or not may_be_virtual():
            size_bytes = 0
        limits = (
            scenario.policy.max_bandwidth_bytes_per_s,
            scenario.link.bandwidth_bytes_per_s,
        )
        # As much as there is with no harm: both guests' RAM is not yet all taken.
        spare_bytes = min(most_listed_bytes(), size_bytes)
        if 3 * size_bytes + spare_bytes > available_memory_bytes():
            spare_bytes = 0
        rate = min((each for each in limits if each), default=None)
        return Backing(size_bytes, rate, spare_bytes, listed_bytes)


def _with_real_version(
    scenario: Scenario, qemu: QemuBinary
) -> tuple[Scenario, list[str]]:
    if qemu.release in SUPPORTED_QEMU:
        remarks = []
        # The default is what nobody may have asked for.
        if scenario.version not in (qemu.version, parse_version(DEFAULT_QEMU)):
            remarks.append(
                f"measured with QEMU {qemu.release}; the scenario says "
                f"{scenario.qemu_version}"
            )
        return msgspec.structs.replace(scenario, qemu_version=qemu.release), remarks
    remark = (
        f"measured with QEMU {qemu.release}, which is not modelled; the scenario says "
        f"{scenario.qemu_version}"
    )
    return scenario, [remark]


@contextmanager
def _sigterm_as_sigint() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: everything ended, then KeyboardInterrupt.

    Signals come to the main thread only; elsewhere whoever owns it must care.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    terminate = signal.signal(
        signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT)
    )
    # A background job of a script has SIGINT ignored: SIGTERM must end it all the same.
    interrupt = signal.getsignal(signal.SIGINT)
    if interrupt == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, terminate)
        if interrupt == signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _ignore(phase: str, status: MigrationStatus | None) -> None:
    """Report progress to nobody."""
