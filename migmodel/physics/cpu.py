"""How vCPUs and migration threads share the host's CPUs.

Linux's fair scheduler gives every runnable thread the same share, and a thread that
wants less gets what it wants: max-min fairness. The migration thread and the loader on
the destination form a pipeline: neither runs ahead of the other for long.
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
    """

    source_s: float
    destination_s: float
    page_rate_limit: float


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

    def page_rate(level: float) -> float:
        cap = min(level, 1.0)
        loader = cap if same_host else 1.0
        return min(
            cap / pipeline.source_s,
            loader / pipeline.destination_s,
            pipeline.page_rate_limit,
        )

    def wanted(level: float) -> float:
        rate = page_rate(level)
        cores = vcpus * min(vcpu_demand, level) + rate * pipeline.source_s
        return cores + (rate * pipeline.destination_s if same_host else 0.0)

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
