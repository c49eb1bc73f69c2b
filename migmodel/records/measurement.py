"""A real migration: its Trace, everything raw, and where it ran."""

from __future__ import annotations

from typing import Any, Literal

from migmodel.records.base import Record
from migmodel.records.scenario import Scenario
from migmodel.records.trace import Trace

MEASUREMENT_SCHEMA = 1


class HostFacts(Record, frozen=True, kw_only=True):
    """Where a Measurement was made."""

    cpu_model: str
    cpus: int
    memory_bytes: int
    kernel: str
    qemu_version: str
    accel: Literal["tcg", "kvm"]
    load_before: float | None = None
    migmodel_version: str = ""


class Raw(Record, frozen=True, kw_only=True):
    """What was seen, before anything was made of it. Host times are monotonic [s].

    Parameters
    ----------
    started_s : float
        Monotonic time of the migrate command: the Trace's zero.
    queries : list
        ``[sent_s, answered_s, reply]`` of every query-migrate on the source.
    destination_queries : list
        The same on the destination.
    events : list
        ``[time_s, "source"|"destination", event]`` of all QMP events.
    source_console, destination_console : list
        ``[time_s, line]``.
    cpu_samples : list
        ``[time_s, "source"|"destination", {thread name: [user_s, system_s]}]``.
    """

    started_s: float
    queries: list[Any] = []
    destination_queries: list[Any] = []
    events: list[Any] = []
    source_console: list[Any] = []
    destination_console: list[Any] = []
    cpu_samples: list[Any] = []


class Measurement(Record, frozen=True, kw_only=True):
    """One executed migration.

    Parameters
    ----------
    valid : bool
        Fit for comparing and fitting. False when the guest stopped printing, found
        corrupted pages, or QEMU died; `problems` says which.
    """

    scenario: Scenario
    trace: Trace
    host: HostFacts
    started_at: str
    repeat: int = 0
    valid: bool = True
    problems: list[str] = []
    source_argv: list[str] = []
    destination_argv: list[str] = []
    stderr_tail: str = ""
    raw: Raw | None = None
    schema: int = MEASUREMENT_SCHEMA
