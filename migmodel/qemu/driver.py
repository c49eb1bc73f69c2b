"""The real executor: a Scenario in, a Measurement out."""

from __future__ import annotations

import asyncio
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from migmodel.errors import InputError, QemuError
from migmodel.qemu.accel import Accel, check_dirty_tracking, choose_accel
from migmodel.qemu.binary import QemuBinary, find_qemu
from migmodel.qemu.guest import check_guest, guest_argv
from migmodel.qemu.host import check_memory, host_facts, tsc_mhz
from migmodel.qemu.instance import machine_argv
from migmodel.qemu.migration import Migration
from migmodel.qemu.options import DriverOptions, ProgressHandler
from migmodel.qemu.recording import Recording
from migmodel.qemu.session import SIDES, Session
from migmodel.qemu.settling import settle, wait_for_phase_s
from migmodel.qemu.trace import build_trace
from migmodel.qemu.validity import problems
from migmodel.records.measurement import Measurement
from migmodel.records.parameters import SUPPORTED_QEMU, check_parameters
from migmodel.records.scenario import Scenario
from migmodel.records.status import MigrationStatus

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
    facts = host_facts(qemu, accel)
    loaded = guest_argv(scenario, options.image, tsc_mhz())
    argv = {
        side: machine_argv(qemu, accel, scenario.guest, loaded, side) for side in SIDES
    }
    recording = Recording()
    execution = _Execution(scenario, options, recording, on_progress or _ignore)
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    with (
        tempfile.TemporaryDirectory(prefix="migmodel-") as folder,
        _sigterm_as_sigint(),
    ):
        asyncio.run(execution.run(argv, Path(folder)))
    raw = recording.raw()
    trace = build_trace(raw, scenario, execution.failure)
    found = problems(raw, trace)
    return Measurement(
        scenario=scenario,
        trace=trace,
        host=facts,
        started_at=started_at,
        repeat=repeat,
        valid=not found,
        problems=found + remarks,
        source_argv=argv["source"],
        destination_argv=argv["destination"],
        stderr_tail=execution.stderr_tail,
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
    link = scenario.link
    if link.bandwidth_bytes_per_s is not None or link.rtt_s:
        raise InputError(
            "measure cannot shape a link yet: leave out --link and --rtt, and limit "
            "QEMU itself with --bw"
        )
    check_guest(scenario, options.image)
    check_memory(scenario.guest.ram_bytes)
    qemu = find_qemu(options.qemu)
    check_parameters(scenario.policy.parameters, qemu.version)
    accel = choose_accel(qemu, options.accel)
    check_dirty_tracking(qemu, accel, scenario.workload.working_set_bytes)
    return qemu, accel


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

    async def run(self, argv: dict[str, list[str]], folder: Path) -> None:
        session = Session(argv, folder, self._options, self._recording)
        try:
            await session.conduct(self._migrate(session))
        except QemuError as error:
            self.failure = str(error)
        finally:
            self.stderr_tail = session.stderr_tail

    async def _migrate(self, session: Session) -> None:
        scenario, options = self._scenario, self._options
        self._on_progress("settling", None)
        await settle(session, scenario.guest.vcpus, options.settle_timeout_s)
        migration = Migration(session, scenario, options, self._on_progress)
        await migration.prepare()
        self._on_progress("baseline", None)
        await asyncio.sleep(options.baseline_s)
        console = session.recording.consoles["source"]
        now_s = time.monotonic()
        await asyncio.sleep(wait_for_phase_s(console, scenario.workload, now_s))
        await migration.run()


def _with_real_version(
    scenario: Scenario, qemu: QemuBinary
) -> tuple[Scenario, list[str]]:
    if qemu.release in SUPPORTED_QEMU:
        return msgspec.structs.replace(scenario, qemu_version=qemu.release), []
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
