"""How vCPUs and migration threads share the host's CPUs.

Linux's fair scheduler gives every runnable thread the same share, and a thread that
wants less gets what it wants: max-min fairness. It does so in groups first: each QEMU
is a session of its own (autogroup) or a cgroup (libvirt), so that on one host the
destination gets its share against the source as a whole, however many vCPUs that has
(Linux Documentation/scheduler/sched-design-CFS.rst, man 7 sched).

The two form a pipeline. How far they work at the same time depends on the socket
between them: a UNIX socket's buffer holds little more than one flush of the stream, and
the kernel wakes the writer only when three quarters of it are empty (Linux 6.18
net/unix/af_unix.c, unix_writable), so that they work in turns.
"""

from __future__ import annotations

from dataclasses import dataclass

_STEPS = 40  # bisection: 2**-40 of a core


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
    """

    source_s: float
    destination_s: float
    page_rate_limit: float
    overlap: float = 1.0
    handoff_s: float = 0.0

    @property
    def free_rate_pps(self) -> float:
        """Pages/s with a CPU whenever one is wanted, within the link's limit."""
        longer = max(self.source_s, self.destination_s)
        shorter = min(self.source_s, self.destination_s)
        page_s = longer + (1 - self.overlap) * shorter + self.handoff_s
        return min(1 / page_s, self.page_rate_limit)


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
    loader_s = pipeline.destination_s if same_host else 0.0
    if loader_s:
        # Half of the CPUs, or what the source leaves of them; one thread, one CPU.
        rest = source_cpus - vcpus * vcpu_demand - free * pipeline.source_s
        loader_cpus = min(max(source_cpus / 2, rest), 1.0)
        free = min(free, loader_cpus / loader_s)

    def page_rate(level: float) -> float:
        return min(free, min(level, 1.0) / pipeline.source_s)

    def wanted(level: float) -> float:
        rate = page_rate(level)
        cores = vcpus * min(vcpu_demand, level)
        return cores + rate * (pipeline.source_s + loader_s)

    if wanted(1.0) <= source_cpus:
        return vcpu_demand, page_rate(1.0)
    low, high = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        if wanted(middle) <= source_cpus:
            low = middle
        else:
            high = middle
    return min(vcpu_demand, low), page_rate(low)
