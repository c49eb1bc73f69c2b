"""How vCPUs and migration threads share the host's CPUs.

Linux's fair scheduler gives every runnable thread the same share, and a thread that
wants less gets what it wants: max-min fairness. It does so in groups first: each QEMU
is a session of its own (autogroup) or a cgroup (libvirt), so that on one host the
destination gets its share against the source as a whole, however many vCPUs that has
(Linux Documentation/scheduler/sched-design-CFS.rst, man 7 sched). Threads that wake
each other for every page keep to whole CPUs meanwhile (Linux 6.18 kernel/sched/fair.c,
select_idle_sibling: where none is idle, the one it came from or the waker's).

The two form a pipeline. How far they work at the same time depends on the socket
between them: a UNIX socket's buffer holds little more than one flush of the stream, and
the kernel wakes the writer only when three quarters of it are empty (Linux 6.18
net/unix/af_unix.c, unix_writable), so that they work in turns. Two that shared a CPU
beside busy vCPUs share it for a while when these stop or sleep: /proc/PID/schedstat
showed both ends on it for up to 50 ms of most stop phases, with the other CPU idle, and
mostly each on its own from then on. (Ends of a TCP connection parted at once.)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

TICK_S = 0.004  # CONFIG_HZ=250, as Debian and Ubuntu build Linux
_STEPS = 40  # bisection: 2**-40 of a core
_LEAST_S = 1e-12


@dataclass(frozen=True, slots=True)
class Channels:
    """Threads that work beside the migration thread, a page each at a time.

    Attributes
    ----------
    source, destination : int
        Threads on each side.
    source_s, destination_s : float
        CPU time a page of one of them [s].
    overlap : float or None
        Each source thread has a destination thread at the other end of a socket, which
        works at the same time so far (0 to 1); None: the two have nothing to do with
        each other.
    handoff_s : float
        Time a page in which neither end of a channel works [s].
    burst_pages : float
        Pages that a source thread works on before its reader hears of them.
    """

    source: int
    destination: int
    source_s: float
    destination_s: float
    overlap: float | None = None
    handoff_s: float = 0.0
    burst_pages: float = 1.0

    @property
    def pairs(self) -> bool:
        """Whether a reader takes its time from its writer, where CPUs are short.

        It wakes up where its writer runs, and displaces it. One that had worked on for
        longer than a tick would have gone on; one that works for less sleeps by then.
        """
        lasts_s = self.burst_pages * self.source_s
        return self.overlap is not None and lasts_s > TICK_S

    @property
    def free_rate_pps(self) -> float:
        """Pages/s of all of them with a CPU whenever one is wanted."""
        if self.overlap is None:
            source = self.source / max(self.source_s, _LEAST_S)
            return min(source, self.destination / max(self.destination_s, _LEAST_S))
        longer = max(self.source_s, self.destination_s)
        shorter = min(self.source_s, self.destination_s)
        page_s = longer + (1 - self.overlap) * shorter + self.handoff_s
        return self.source / max(page_s, _LEAST_S)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """CPU seconds a page costs on each side, and what the link allows.

    Attributes
    ----------
    source_s, destination_s : float
        CPU time a page of the migration thread and of the loader [s].
    page_rate_limit : float
        Pages/s that the link carries, or that are asked for.
    overlap : float
        0: the two work in turns; 1: at the same time.
    handoff_s : float
        Time a page in which neither works: each waits for the other to wake up [s].
    channels : Channels or None
        Threads that take part of the work.
    turn_wait_s : float
        Time a page in which neither works because a vCPU has the CPU that the woken one
        waits for: where CPUs are short [s].
    """

    source_s: float
    destination_s: float
    page_rate_limit: float
    overlap: float = 1.0
    handoff_s: float = 0.0
    channels: Channels | None = None
    turn_wait_s: float = 0.0

    @property
    def source_cpu_s(self) -> float:
        """CPU time a page of all threads on the source [s]."""
        beside = self.channels.source_s if self.channels else 0.0
        return self.source_s + beside

    @property
    def destination_cpu_s(self) -> float:
        """CPU time a page of all threads on the destination [s]."""
        beside = self.channels.destination_s if self.channels else 0.0
        return self.destination_s + beside

    @property
    def wakes_each_other(self) -> bool:
        """Whether threads work at the same time, but wake each other all along.

        The migration thread and its workers do, page by page, and both ends of a
        connection within one host.
        """
        return self.channels is None or self.channels.overlap is None

    @property
    def on_one_cpu(self) -> Pipeline:
        """The same stream whose two ends share a CPU: neither waits, one works."""
        return replace(self, overlap=0.0, handoff_s=0.0)

    @property
    def free_rate_pps(self) -> float:
        """Pages/s with a CPU whenever one is wanted, within the link's limit."""
        if self.channels is not None:
            return min(self._main_rate_pps, self.channels.free_rate_pps)
        return self._main_rate_pps

    @property
    def _main_rate_pps(self) -> float:
        longer = max(self.source_s, self.destination_s)
        shorter = min(self.source_s, self.destination_s)
        page_s = longer + (1 - self.overlap) * shorter + self.handoff_s
        return min(1 / page_s, self.page_rate_limit)

    def source_rate_pps(self, level: float, paired: bool = False) -> float:
        """Pages/s when each thread of the source gets at most this share of a CPU.

        On a crowded host that has both ends of a channel these may share it (`paired`).
        """
        rate = min(level, 1.0) / self.source_s
        channels = self.channels
        if channels is not None and channels.source_s:
            page_s = channels.source_s
            if paired and channels.pairs:
                page_s += channels.destination_s
            rate = min(rate, channels.source * min(level, 1.0) / page_s)
        return rate


@lru_cache(maxsize=4096)
def share_cpus(
    source_cpus: float,
    vcpu_demand: float,
    vcpus: int,
    pipeline: Pipeline | None,
    same_host: bool,
) -> tuple[float, float]:
    """Divide the CPUs among vCPUs and one migration stream.

    Parameters
    ----------
    source_cpus : float
        CPUs of the source host (shared with the destination if `same_host`).
    vcpu_demand : float
        Share of a CPU that each vCPU wants, 0 to 1.
    vcpus : int
        Number of vCPU threads.
    pipeline : Pipeline or None
        The stream; None while nothing is sent.
    same_host : bool
        The loader competes for the same CPUs.

    Returns
    -------
    tuple of float
        Share that each vCPU gets, pages/s of the stream.
    """
    if pipeline is None:
        return min(vcpu_demand, source_cpus / max(vcpus, 1)), 0.0

    free = pipeline.free_rate_pps
    source_s = pipeline.source_cpu_s
    loader_s = pipeline.destination_cpu_s if same_host else 0.0
    if loader_s:
        # Half of the CPUs, or what the source leaves of them; a thread has one CPU.
        rest = source_cpus - vcpus * vcpu_demand - free * source_s
        loaders = 1.0 + (pipeline.channels.destination if pipeline.channels else 0)
        loader_cpus = min(max(source_cpus / 2, rest), loaders)
        free = min(free, loader_cpus / loader_s)

    def page_rate(level: float) -> float:
        paired = same_host and level < 1
        return min(free, pipeline.source_rate_pps(level, paired))

    def wanted(level: float) -> float:
        rate = page_rate(level)
        cores = vcpus * min(vcpu_demand, level)
        return cores + rate * (source_s + loader_s)

    def fair_level() -> float:
        low, high = 0.0, 1.0
        for _ in range(_STEPS):
            middle = (low + high) / 2
            if wanted(middle) <= source_cpus:
                low = middle
            else:
                high = middle
        return low

    if wanted(1.0) <= source_cpus:
        return vcpu_demand, page_rate(1.0)
    level = fair_level()
    if pipeline.wakes_each_other:
        # Whole CPUs: a thread that is woken while all are busy stays where it was or
        # goes to who woke it, and balancing by load leaves a busy vCPU alone. That runs
        # on until the woken one has its turn.
        together_s = source_s if pipeline.channels else source_s + loader_s
        whole_cpus = max(round(page_rate(level) * together_s), 1)
        free = min(free, whole_cpus / (together_s + pipeline.turn_wait_s))
        level = fair_level()
    return min(vcpu_demand, level), page_rate(level)
