"""A real migration: its Trace, everything raw, and where it ran."""

from __future__ import annotations

from typing import Any, Literal

from migmodel.records.base import Record
from migmodel.records.clock import ClockOffset
from migmodel.records.hardware import Hardware
from migmodel.records.link_facts import LinkFacts
from migmodel.records.scenario import Scenario
from migmodel.records.trace import Trace

MEASUREMENT_SCHEMA = 1
# Of HostFacts: what is the same in runs of one host, and in repeats of one scenario.
SAME_HOST = ("cpu_model", "cpus", "accel", "cpus_kept_awake")
SAME_FACTS = (*SAME_HOST, "qemu_version")


class HostFacts(Record, frozen=True, kw_only=True):
    """Where a Measurement was made.

    Parameters
    ----------
    cpus, memory_bytes : int or None
        CPUs and memory that could be used; None where nobody noted them.
    load_before : float or None
        Busy share of all CPUs just before the guests were started, 0 to 1.
    hardware_virtualization : bool or None
        Whether the CPUs have VMX or SVM, without which KVM emulates; None where nobody
        noted it.
    cpus_kept_awake : bool or None
        Whether its CPUs were kept from sleeping meanwhile; None where nobody noted it.
    """

    cpu_model: str
    cpus: int | None
    memory_bytes: int | None
    kernel: str
    qemu_version: str
    accel: Literal["tcg", "kvm"]
    load_before: float | None = None
    migmodel_version: str = ""
    hardware_virtualization: bool | None = None
    cpus_kept_awake: bool | None = None

    @property
    def emulates(self) -> bool:
        """Known to be a KVM that emulates: its rates are those of no other host."""
        return self.accel == "kvm" and self.hardware_virtualization is False


class Raw(Record, frozen=True, kw_only=True):
    """What was seen, before anything was made of it. Host times are monotonic [s].

    Parameters
    ----------
    started_s : float
        Monotonic time of the migrate command: the Trace's zero.
    prepared_s : float or None
        Monotonic time when all had been prepared that takes CPU time from the guest.
    realtime_offset_s : float
        Real time minus monotonic time then; QEMU stamps its events with real time.
    destination_clock : ClockOffset or None
        The destination's own real time, where it is another host's; times of events and
        lines from there are of their arrival here, less the way at its quickest.
    queries : list
        ``[sent_s, answered_s, reply]`` of every query-migrate on the source.
    destination_queries : list
        The same on the destination.
    events : list
        ``[time_s, "source"|"destination", event]`` of all QMP events, as they came;
        a manager's actions stand among them as ``[time_s, "driver", event]``.
    source_console, destination_console : list
        ``[time_s, line]``.
    cpu_samples : list
        ``[time_s, side, {thread name: CPU seconds so far}]``; the name ``process`` is
        the sum of all threads, ended ones too. Sides are source, destination, and
        ``host`` and ``driver``: this host as a whole, and the process that drives;
        and ``relay``, which delays a link's bytes where there is one.
    fault_latencies_s : list of float
        Of a traced run: time from each post-copy fault's request to its page [s].
    """

    started_s: float
    prepared_s: float | None = None
    realtime_offset_s: float = 0.0
    destination_clock: ClockOffset | None = None
    queries: list[Any] = []
    destination_queries: list[Any] = []
    events: list[Any] = []
    source_console: list[Any] = []
    destination_console: list[Any] = []
    cpu_samples: list[Any] = []
    fault_latencies_s: list[float] = []


class Measurement(Record, frozen=True, kw_only=True):
    """One executed migration.

    Parameters
    ----------
    destination_host : HostFacts or None
        Where the destination ran, if not on the same host.
    hardware : Hardware
        What of the host each side was given.
    link_facts : LinkFacts or None
        What the link was found to be, where it is more than this host's own sockets.
    valid : bool
        Fit for comparing and fitting. False when the guest stopped printing, found
        corrupted pages, or QEMU died; `problems` says which.
    traced : bool
        QEMU logged every fault, which slows all else: only fault latencies count.
    """

    scenario: Scenario
    trace: Trace
    host: HostFacts
    destination_host: HostFacts | None = None
    started_at: str
    repeat: int = 0
    traced: bool = False
    valid: bool = True
    problems: list[str] = []
    source_argv: list[str] = []
    destination_argv: list[str] = []
    stderr_tail: str = ""
    hardware: Hardware = Hardware()
    link_facts: LinkFacts | None = None
    raw: Raw | None = None
    schema: int = MEASUREMENT_SCHEMA

    @property
    def emulated(self) -> bool:
        """Known to have run on a KVM that emulates, on either side."""
        there = self.destination_host
        return self.host.emulates or (there is not None and there.emulates)

    @property
    def tells(self) -> bool:
        """Fit for fitting: valid, not slowed by traced faults or by emulation."""
        return self.valid and not self.traced and not self.emulated
