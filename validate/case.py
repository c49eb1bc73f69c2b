"""A scenario of a suite, as one line."""

from __future__ import annotations

from migmodel.records import Guest, Limits, Link, Policy, Scenario, Workload
from migmodel.records.parameters import DEFAULT_QEMU, ParameterValue
from migmodel.records.policy import Technique, Tuning
from migmodel.records.scenario import Content, GuestKind, Touch
from migmodel.units import MS_PER_S, parse_bandwidth, parse_bytes, parse_duration

# On a host that is unlike the one they were made for, no migration lasts for ever.
GUARD_S = 60.0


def case(
    name: str,
    technique: Technique,
    mem: str,
    ws: str,
    bw: str,
    downtime: str,
    *,
    rate: float | None = None,
    cpus: int = 1,
    ring: int | None = None,
    kind: GuestKind = "bare",
    touch: Touch = "sweep",
    content: Content = "random",
    share: float | None = None,
    delta: int | None = None,
    after: int | None = None,
    max_time: float = GUARD_S,
    phase: float | None = None,
    parameters: dict[str, ParameterValue] | None = None,
    capabilities: tuple[str, ...] = (),
    tuning: Tuning | None = None,
    link: Link | None = None,
    qemu: str = DEFAULT_QEMU,
) -> Scenario:
    """One line of a suite: texts as on the command line, the rate in pages/s.

    Parameters
    ----------
    ring : int or None
        Entries of KVM's dirty ring.
    share : float or None
        Compressibility of text content.
    delta : int or None
        Bytes that a touch changes of delta content.
    """
    return Scenario(
        name=name,
        guest=Guest(
            ram_bytes=parse_bytes(mem), vcpus=cpus, kind=kind, dirty_ring_size=ring
        ),
        workload=Workload(
            working_set_bytes=parse_bytes(ws),
            rate_pps=rate,
            phase=phase,
            touch=touch,
            content=content,
            compressibility=share,
            delta_bytes=delta,
        ),
        link=link or Link(),
        policy=Policy(
            technique=technique,
            after_passes=after,
            parameters={
                "max-bandwidth": parse_bandwidth(bw),
                "downtime-limit": round(parse_duration(downtime) * MS_PER_S),
                **(parameters or {}),
            },
            capabilities=dict.fromkeys(capabilities, True),
            tuning=tuning,
        ),
        limits=Limits(max_time_s=max_time),
        qemu_version=qemu,
    )
