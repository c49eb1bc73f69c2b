"""A guestperf report: its fields and their units, old forms and new ones.

Source: QEMU tests/migration-stress/guestperf (report.py, hardware.py, scenario.py,
progress.py, timings.py) at 9af3d9a9; tests/migration/guestperf at 409437e1 (2016) for
the oldest form. What an older form lacks has the value that its tool worked with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from migmodel.errors import RecordError
from migmodel.records.files import write_bytes

MOST_BYTES = 1 << 30  # a longer file is no report


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Anything in a report; fields that are not known are passed over."""


class Hardware(Part, frozen=True, kw_only=True):
    """The guest: vCPUs, and the memory that it rewrites [GiB]; it has 512 MiB more.

    Switches may be texts: guestperf's options for them take one, and any sets them.
    """

    cpus: int = 1
    mem: float = 1
    src_mem_bind: list[str] | None = []
    dst_mem_bind: list[str] | None = []
    src_cpu_bind: list[str] | None = []
    dst_cpu_bind: list[str] | None = []
    prealloc_pages: bool | str = False
    huge_pages: bool | str = False
    locked_pages: bool | str = False
    dirty_ring_size: int = 0


class GuestperfScenario(Part, frozen=True, kw_only=True):
    """What was tried. `downtime` [ms], `bandwidth` [MiB/s], `max_time` [s].

    `compression_xbzrle_cache` is a percentage of the memory, `vcpu_dirty_limit` [MB/s],
    `x_vcpu_dirty_limit_period` [ms].
    """

    name: str = "perfreport"
    downtime: int = 500
    bandwidth: int = 125_000
    max_iters: int = 30
    max_time: int = 300
    pause: bool = False
    pause_iters: int = 5
    post_copy: bool = False
    post_copy_iters: int = 5
    auto_converge: bool = False
    auto_converge_step: int = 10
    compression_mt: bool = False
    compression_mt_threads: int = 1
    compression_xbzrle: bool = False
    compression_xbzrle_cache: int = 10
    multifd: bool = False
    multifd_channels: int = 2
    multifd_compression: str = ""
    dirty_limit: bool = False
    x_vcpu_dirty_limit_period: int = 500
    vcpu_dirty_limit: int = 1


class Ram(Part, frozen=True, kw_only=True):
    """The ram section of query-migrate; `transfer_rate_mbs` is in Mbit/s."""

    transferred_bytes: float = 0
    remaining_bytes: float = 0
    total_bytes: float = 0
    duplicate_pages: float = 0
    skipped_pages: float = 0
    normal_pages: float = 0
    normal_bytes: float = 0
    dirty_rate_pps: float = 0
    transfer_rate_mbs: float = 0
    iterations: int = 0


class ProgressEntry(Part, frozen=True, kw_only=True):
    """The first sight of an iteration, and the last of all.

    `now` is real time [s], the others are QEMU's [ms].
    """

    status: str
    ram: Ram
    now: float
    duration: float = 0
    downtime: float = 0
    downtime_expected: float = 0
    setup_time: float = 0
    throttle_pcent: float = 0
    dirty_limit_throttle_time_per_round: float = 0
    dirty_limit_ring_full_time: float = 0


class TimingRecord(Part, frozen=True, kw_only=True):
    """One sample of a process or thread, or one line of the guest.

    `timestamp` is real time [s]; `value` is CPU time so far [ms], or for the guest the
    time that rewriting the last GiB took [ms].
    """

    tid: int
    timestamp: float
    value: float


class Result(Part, frozen=True, kw_only=True):
    """Whether the migration completed; newer forms have it."""

    success: bool


class Report(Part, frozen=True, kw_only=True):
    """A whole report.

    `migmodel` is ours: a report written by migmodel says there which scenario it is
    of. guestperf passes over it.
    """

    hardware: Hardware
    scenario: GuestperfScenario
    progress_history: list[ProgressEntry]
    guest_timings: list[TimingRecord]
    qemu_timings: list[TimingRecord]
    vcpu_timings: list[TimingRecord]
    binary: str = ""
    dst_host: str = "localhost"
    kernel: str = ""
    initrd: str = ""
    transport: str = "unix"
    sleep: float = 15
    result: Result | None = None
    migmodel: dict[str, Any] = {}


_TIMINGS = ("guest_timings", "qemu_timings", "vcpu_timings")
_OURS = ("progress_history", "guest_timings", "hardware", "scenario")


def is_report(document: Any) -> bool:
    """Whether a JSON document looks like a guestperf report."""
    return isinstance(document, dict) and all(name in document for name in _OURS)


def parse_report(document: Any, label: str = "the report") -> Report:
    """Make a Report of a JSON document.

    Raises
    ------
    RecordError
        When it is none; names what is missing or wrong.
    """
    if not is_report(document):
        missing = [
            name
            for name in _OURS
            if not isinstance(document, dict) or name not in document
        ]
        raise RecordError(
            f"{label} is no guestperf report: it lacks {', '.join(missing)}"
        )
    document = dict(document)
    for name in _TIMINGS:
        timings = document.get(name, [])
        # Lists in what guestperf writes; some tools wrap them.
        document[name] = (
            timings.get("records", []) if isinstance(timings, dict) else timings
        )
    try:
        report = msgspec.convert(document, Report)
    except msgspec.ValidationError as error:
        raise RecordError(f"{label} is no valid guestperf report: {error}") from None
    if not report.progress_history:
        raise RecordError(f"{label} has no progress: the migration never began")
    return report


def read_report(path: Path) -> Report:
    """Read a guestperf report.

    Raises
    ------
    RecordError
        When the file is missing, is no JSON, or holds no such report.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise RecordError(f"{path} is too large for a guestperf report")
        document = msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise RecordError(f"cannot read {path}: {error.strerror}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(f"{path} is not JSON: {error}") from None
    return parse_report(document, str(path))


def write_report(path: Path, report: Report) -> None:
    """Write a guestperf report, atomically."""
    write_bytes(path, msgspec.json.format(msgspec.json.encode(report), indent=1))
