"""The scenarios that predictions are tried on, as data.

They are held out: calibration uses guests of 320 and 448 MiB and other bandwidths,
here guests have 128 to 768 MiB, so no scenario is shared.
"""

from __future__ import annotations

from migmodel.records import Scenario
from migmodel.records.parameters import ParameterValue

from .case import case
from .full_suite import FULL

STEEP: dict[str, ParameterValue] = {
    "cpu-throttle-initial": 40,
    "cpu-throttle-increment": 25,
}

# A minute and a half in all.
SMOKE = (
    case("pre-pace", "precopy", "256m", "96m", "1g", "100ms", rate=20_000),
    case("pre-over", "precopy", "256m", "128m", "1g", "300ms", max_time=6),
    # Paced: at full speed the guest's luck decides between two ends at times.
    case("auto-pace", "autoconverge", "512m", "128m", "3g", "100ms", rate=120_000),
    case("pause", "pause", "256m", "128m", "1g", "100ms", rate=80_000, after=2),
    case("post", "postcopy", "256m", "128m", "1g", "300ms", after=2),
)

# Six minutes a repeat. Near and below are meant of the frontier of convergence.
STANDARD = (
    # Plain pre-copy, from a working set far below what the downtime limit carries ...
    case("pre-easy", "precopy", "256m", "8m", "100m", "2s"),
    case("pre-fit", "precopy", "768m", "384m", "2g", "2s"),
    # (Where a sweep takes longer than a pass, the guest's place in it at the start
    # moves the end by up to a fifth; there the driver waits for the phase given.)
    # ... over guests that write nearly as fast as the link carries, where the passes
    # shrink slowly and every per cent of bandwidth counts ...
    case(
        "pre-pace-100m",
        "precopy",
        *("256m", "40m", "100m", "500ms"),
        rate=2_600,
        phase=0.25,
    ),
    case(
        "pre-pace-200m",
        "precopy",
        *("256m", "40m", "200m", "100ms"),
        rate=5_700,
        phase=0.75,
    ),
    case("pre-pace-1g", "precopy", "512m", "192m", "1g", "50ms", rate=26_000),
    case(
        "pre-pace-2cpu",
        "precopy",
        *("384m", "128m", "500m", "100ms"),
        rate=12_500,
        cpus=2,
        phase=0.5,
    ),
    # ... or as fast as the host's CPUs can send ...
    case("pre-free", "precopy", "768m", "384m", "unlimited", "1s"),
    case(
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
    case("pre-over-fit", "precopy", "256m", "150m", "1g", "1s", max_time=12),
    case(
        "pre-over-pace",
        "precopy",
        "384m",
        "128m",
        "500m",
        "300ms",
        rate=20_000,
        max_time=12,
    ),
    case("pre-never", "precopy", "256m", "192m", "1g", "50ms", cpus=2, max_time=12),
    case("auto-1g", "autoconverge", "256m", "48m", "1g", "300ms"),
    case("auto-2g-2cpu", "autoconverge", "384m", "128m", "2g", "450ms", cpus=2),
    case("auto-pace", "autoconverge", "512m", "128m", "3g", "100ms", rate=120_000),
    # Limited so that a 10 ms burst between two sleeps decides: it is more than the
    # downtime limit carries, and full throttle does not help.
    case(
        "auto-burst",
        "autoconverge",
        *("512m", "32m", "500m", "200ms"),
        rate=40_000,
        max_time=30,
    ),
    case(
        "auto-free-2cpu", "autoconverge", "768m", "512m", "unlimited", "100ms", cpus=2
    ),
    case("auto-steep", "autoconverge", "384m", "64m", "1g", "400ms", parameters=STEEP),
    # What is written between a pass's begin and the manager's look at it, up to 50 ms
    # later, is sent twice. In pause-full that is a large share of the working set, and
    # chance has a say; in the others it is little, or all of it.
    case("pause-full", "pause", "256m", "128m", "500m", "200ms", after=3),
    case("pause-2", "pause", "384m", "192m", "1g", "300ms", rate=80_000, after=2),
    case("pause-5-2cpu", "pause", "256m", "16m", "500m", "50ms", after=5, cpus=2),
    case("pause-3-100m", "pause", "128m", "8m", "100m", "100ms", after=3),
    case("post-2", "postcopy", "512m", "256m", "1g", "300ms", after=2),
    case("post-2-2cpu", "postcopy", "384m", "256m", "2g", "100ms", after=2, cpus=2),
    case(
        "post-3-pace", "postcopy", "256m", "96m", "500m", "50ms", after=3, rate=16_000
    ),
)

SUITES: dict[str, tuple[Scenario, ...]] = {
    "smoke": SMOKE,
    "standard": STANDARD,
    "full": FULL,
}
# Each of their scenarios is run with the QEMU that it names; others with any.
VERSIONED = frozenset({"full"})
