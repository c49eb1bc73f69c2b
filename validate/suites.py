"""The scenarios that predictions are tried on, as data.

They are held out: calibration uses guests of 96, 160 and 320 MiB and other bandwidths,
here guests have 128 to 768 MiB, so no scenario is shared.
"""

from __future__ import annotations

from migmodel.records import Guest, Limits, Policy, Scenario, Workload
from migmodel.records.scenario import Technique
from migmodel.units import MS_PER_S, parse_bandwidth, parse_bytes, parse_duration

# On a host that is unlike the one they were made for, no migration lasts for ever.
GUARD_S = 60.0
STEEP = {"cpu-throttle-initial": 40, "cpu-throttle-increment": 25}


def _case(
    name: str,
    technique: Technique,
    mem: str,
    ws: str,
    bw: str,
    downtime: str,
    *,
    rate: float | None = None,
    cpus: int = 1,
    after: int | None = None,
    max_time: float = GUARD_S,
    phase: float | None = None,
    parameters: dict[str, int] | None = None,
) -> Scenario:
    """One line of a suite: texts as on the command line, the rate in pages/s."""
    return Scenario(
        name=name,
        guest=Guest(ram_bytes=parse_bytes(mem), vcpus=cpus),
        workload=Workload(
            working_set_bytes=parse_bytes(ws), rate_pps=rate, phase=phase
        ),
        policy=Policy(
            technique=technique,
            after_passes=after,
            parameters={
                "max-bandwidth": parse_bandwidth(bw),
                "downtime-limit": round(parse_duration(downtime) * MS_PER_S),
                **(parameters or {}),
            },
        ),
        limits=Limits(max_time_s=max_time),
    )


# A minute in all.
SMOKE = (
    _case("pre-pace", "precopy", "256m", "96m", "1g", "100ms", rate=20_000),
    _case("pre-over", "precopy", "256m", "128m", "1g", "300ms", max_time=6),
    _case(
        "auto-steep",
        "autoconverge",
        *("192m", "64m", "1g", "400ms"),
        parameters={"cpu-throttle-initial": 50, "cpu-throttle-increment": 20},
    ),
    _case("pause", "pause", "256m", "128m", "1g", "100ms", rate=80_000, after=2),
    _case("post", "postcopy", "256m", "128m", "1g", "300ms", after=2),
)

# Five to six minutes a repeat. Near and below are meant of the frontier of convergence.
STANDARD = (
    # Plain pre-copy, from a working set far below what the downtime limit carries ...
    _case("pre-easy", "precopy", "256m", "8m", "100m", "2s"),
    _case("pre-fit", "precopy", "768m", "384m", "2g", "2s"),
    # (Where a sweep takes longer than a pass, the guest's place in it at the start
    # moves the end by up to a fifth; there the driver waits for the phase given.)
    # ... over guests that write nearly as fast as the link carries, where the passes
    # shrink slowly and every per cent of bandwidth counts ...
    _case(
        "pre-pace-100m",
        "precopy",
        *("256m", "40m", "100m", "500ms"),
        rate=2_600,
        phase=0.25,
    ),
    _case(
        "pre-pace-200m",
        "precopy",
        *("256m", "40m", "200m", "100ms"),
        rate=5_700,
        phase=0.75,
    ),
    _case("pre-pace-1g", "precopy", "512m", "192m", "1g", "50ms", rate=26_000),
    _case(
        "pre-pace-2cpu",
        "precopy",
        *("384m", "128m", "500m", "100ms"),
        rate=12_500,
        cpus=2,
        phase=0.5,
    ),
    # ... or as fast as the host's CPUs can send ...
    _case("pre-free", "precopy", "768m", "384m", "unlimited", "1s"),
    _case(
        "pre-free-2cpu",
        "precopy",
        "768m",
        "512m",
        "unlimited",
        "50ms",
        rate=100_000,
        cpus=2,
    ),
    # ... to some that never converge.
    _case("pre-over-fit", "precopy", "256m", "150m", "1g", "1s", max_time=12),
    _case(
        "pre-over-pace",
        "precopy",
        "384m",
        "128m",
        "500m",
        "300ms",
        rate=20_000,
        max_time=12,
    ),
    _case("pre-never", "precopy", "256m", "192m", "1g", "50ms", cpus=2, max_time=12),
    _case("auto-1g", "autoconverge", "256m", "48m", "1g", "300ms"),
    _case("auto-2g-2cpu", "autoconverge", "384m", "128m", "2g", "100ms", cpus=2),
    _case("auto-pace", "autoconverge", "512m", "128m", "3g", "100ms", rate=120_000),
    # Limited so that a 10 ms burst between two sleeps decides.
    _case("auto-burst", "autoconverge", "512m", "32m", "500m", "200ms", rate=40_000),
    _case(
        "auto-free-2cpu", "autoconverge", "768m", "512m", "unlimited", "100ms", cpus=2
    ),
    _case("auto-steep", "autoconverge", "384m", "64m", "1g", "400ms", parameters=STEEP),
    # What is written between a pass's begin and the manager's look at it, up to 50 ms
    # later, is sent twice. In pause-full that is a large share of the working set, and
    # chance has a say; in the others it is little, or all of it.
    _case("pause-full", "pause", "256m", "128m", "500m", "200ms", after=3),
    _case("pause-2", "pause", "384m", "192m", "1g", "300ms", rate=80_000, after=2),
    _case("pause-5-2cpu", "pause", "256m", "16m", "500m", "50ms", after=5, cpus=2),
    _case("pause-3-100m", "pause", "128m", "8m", "100m", "100ms", after=3),
    _case("post-2", "postcopy", "512m", "256m", "1g", "300ms", after=2),
    _case("post-2-2cpu", "postcopy", "384m", "256m", "2g", "100ms", after=2, cpus=2),
    _case(
        "post-3-pace", "postcopy", "256m", "96m", "500m", "50ms", after=3, rate=16_000
    ),
)

SUITES: dict[str, tuple[Scenario, ...]] = {"smoke": SMOKE, "standard": STANDARD}
