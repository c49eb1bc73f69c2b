"""Baselines against their published numbers and closed forms."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

import migmodel.validate
from migmodel.records import (
    Guest,
    GuestSpeed,
    HostProfile,
    Limits,
    Link,
    Outcome,
    Parameter,
    Phases,
    Policy,
    Scenario,
    Trace,
    Workload,
)
from migmodel.units import GIB, MIB, PAGE_BYTES
from migmodel.validate.bandwidth import calibrated_bandwidth
from migmodel.validate.baselines import (
    WIRE_PAGE_BYTES,
    BtrPlace,
    CloudSim,
    GeometricSeries,
    Gudkov,
    SimGrid,
    btrplace_duration_s,
    content_pages,
    iterate_precopy,
    simgrid_stages,
)
from migmodel.validate.dirty_curve import DirtyCurve, measured_curve

VECTOR = json.loads(
    (
        Path(migmodel.validate.__path__[0]) / "published" / "gudkov_vector.json"
    ).read_text()
)
BANDWIDTH = 10_000 * WIRE_PAGE_BYTES  # 10,000 pages/s


def scenario(downtime_ms: int = 300, *, ws: int = 100, **fields: object) -> Scenario:
    whole = Scenario(
        guest=Guest(ram_bytes=256 * MIB),
        workload=Workload(working_set_bytes=ws * MIB),
        policy=Policy(parameters={"downtime-limit": downtime_ms}),
    )
    return msgspec.structs.replace(whole, **fields)


def published_curve(time_s: float) -> float:
    """D(t) of the published sample: linear between points, then the last slope."""
    sample = VECTOR["input"]
    scale = sample["n-total-pages"] / sample["n-sampled-pages"]
    points = [
        (ms / 1000, count * scale)
        for ms, count in zip(
            sample["calc-time-periods-ms"], sample["n-dirty-pages"], strict=True
        )
    ]
    segments = list(pairwise(points))
    (t0, d0), (t1, d1) = next(
        (segment for segment in segments if time_s <= segment[1][0]), segments[-1]
    )
    value = d0 + (d1 - d0) * (time_s - t0) / (t1 - t0)
    most = (sample["n-sampled-pages"] - sample["n-zero-pages"]) * scale
    return min(max(value, 0.0), most)


def printed(seconds: float | None) -> str | None:
    """As the published table has it: whole seconds, rounded up."""
    if seconds is None:
        return None
    whole = math.ceil(seconds)
    return f"{whole // 60}m{whole % 60:02d}s" if whole >= 60 else f"{whole}s"


@pytest.mark.parametrize("bandwidth", list(VECTOR["expected"]))
def test_gudkovs_published_table_is_reproduced_exactly(bandwidth: str) -> None:
    sample = VECTOR["input"]
    scale = sample["n-total-pages"] / sample["n-sampled-pages"]
    zero = sample["n-zero-pages"] * scale
    unit = {"M": 2**20, "G": 2**30}[bandwidth[-1]]
    row = []
    for limit_ms in VECTOR["downtime_ms"]:
        found = iterate_precopy(
            sample["n-total-pages"] - zero,
            zero,
            float(bandwidth[:-1]) * unit / 8,
            math.inf if limit_ms is None else limit_ms / 1000,
            published_curve,
        )
        row.append(printed(None if found is None else found[0]))
    assert row == VECTOR["expected"][bandwidth]


def test_the_published_table_is_whole() -> None:
    assert len(VECTOR["expected"]) == 8
    assert all(len(row) == 6 for row in VECTOR["expected"].values())


def test_the_geometric_series_has_its_closed_form() -> None:
    case = scenario(100)
    pages, _ = content_pages(case)
    share = 0.6
    first_s = pages / 10_000
    # passes until one fits into 100 ms: first_s * share**n <= 0.1
    last = math.ceil(math.log(0.1 / first_s) / math.log(share))
    result = GeometricSeries().predict(case, BANDWIDTH, DirtyCurve(6000, 1e9))
    expected = first_s * (1 - share ** (last + 1)) / (1 - share)
    assert result.verdict == "completed"
    assert result.total_time_s == pytest.approx(expected)
    assert result.downtime_s == pytest.approx(first_s * share**last)


@pytest.mark.parametrize("rate_pps", [10_000, 25_000])
def test_the_geometric_series_never_ends_when_the_guest_is_as_fast(
    rate_pps: float,
) -> None:
    curve = DirtyCurve(rate_pps, 10.0)
    assert GeometricSeries().predict(scenario(), BANDWIDTH, curve).verdict == "never"


def test_gudkov_knows_that_a_working_set_can_fit() -> None:
    curve = DirtyCurve(25_000, 2_000)  # 0.2 s on the wire
    result = Gudkov().predict(scenario(300), BANDWIDTH, curve)
    assert result.verdict == "completed"
    assert result.downtime_s == pytest.approx(0.2)
    assert Gudkov().predict(scenario(199), BANDWIDTH, curve).verdict == "never"


def test_gudkov_is_the_geometric_series_where_nothing_is_zero_or_rewritten() -> None:
    case = scenario(50, ws=252)  # all but the first 4 MiB
    _, zero = content_pages(case)
    curve = DirtyCurve(5_000, math.inf)
    gudkov = Gudkov().predict(case, BANDWIDTH, curve)
    geometric = GeometricSeries().predict(case, BANDWIDTH, curve)
    assert gudkov.total_time_s is not None
    assert geometric.total_time_s is not None
    # the pages that are zero cost 8 bytes in the first pass, and what follows from it
    assert zero == 1024 - 51  # the bare guest's own pages
    assert gudkov.total_time_s - geometric.total_time_s == pytest.approx(
        zero * 8 / BANDWIDTH * 2, rel=0.1
    )


def test_cloudsim_sends_all_ram_at_half_the_bandwidth() -> None:
    result = CloudSim().predict(scenario(), 64 * MIB, DirtyCurve(1e9, 1e9))
    assert result.total_time_s == pytest.approx(8.0)
    assert result.downtime_s is None


def test_a_baseline_is_told_the_limit_too() -> None:
    case = scenario(limits=Limits(max_time_s=7.9))
    assert CloudSim().predict(case, 64 * MIB, DirtyCurve(0, 0)).verdict == "cancelled"


@pytest.mark.parametrize(
    ("gigabits", "dirty_mb_per_s", "total_s", "downtime_s"),
    [
        # What SimGrid 3.32 itself answers for 1 GiB, a working set of 0.9 of it and
        # half a second of downtime.
        (10, 200, 0.997, 0.138),
        (1, 20, 10.185, 0.220),
        (1, 50, 14.171, 0.220),
        (1, 100, 41.066, 0.473),
    ],
)
def test_simgrids_own_answers_are_reproduced(
    gigabits: float, dirty_mb_per_s: float, total_s: float, downtime_s: float
) -> None:
    found = simgrid_stages(
        GIB, dirty_mb_per_s * 1e6, 0.9 * GIB, gigabits * 1e9 / 8, 0.5
    )
    # Its link has a latency, and its clock is printed in ms.
    assert found == pytest.approx((total_s, downtime_s), rel=2e-4, abs=1e-3)


def test_simgrid_goes_on_for_ever_where_the_guest_is_as_fast() -> None:
    assert simgrid_stages(GIB, 2e8, 0.9 * GIB, 1.25e8, 0.5) is None


def test_simgrid_has_its_closed_form_over_a_working_set() -> None:
    # Written faster than sent, but all that is ever dirty fits.
    bandwidth = 64.0 * MIB
    curve = DirtyCurve(1e6, 16 * MIB / PAGE_BYTES)
    result = SimGrid().predict(scenario(300), bandwidth, curve)
    assert result.total_time_s == pytest.approx(256 / 64 + 16 / 64)
    assert result.downtime_s == pytest.approx(16 / 64)
    assert SimGrid().predict(scenario(249), bandwidth, curve).verdict == "never"


def test_simgrid_takes_30_ms_for_no_downtime_at_all() -> None:
    assert simgrid_stages(1000.0, 29.0, 1e9, 1000.0, 0.0) == pytest.approx(
        (1.029, 0.029)
    )
    assert simgrid_stages(1000.0, 31.0, 1e9, 1000.0, 0.0) == pytest.approx(
        (1.031 + 0.031**2, 0.031**2)
    )


def test_btrplaces_formula_by_hand() -> None:
    # 1000 MB at 100 MB/s: 10 s; 50 MB are hot, dirty in 2 s, then 20 MB/s.
    # (50 + 8 x 20) / (100 - 20) and 50/100 x 25 / (100 - 25)
    assert btrplace_duration_s(1000, 50, 2, 20, 100) == pytest.approx(
        10 + 210 / 80 + 0.5 * 25 / 75
    )
    # over before the hot pages are all dirty: only their rate counts
    assert btrplace_duration_s(1000, 500, 20, 20, 100) == pytest.approx(10 + 250 / 75)


def test_btrplace_on_an_idle_and_on_a_fast_guest() -> None:
    used, _ = content_pages(scenario())
    sent_s = used * PAGE_BYTES / (64 * MIB)
    idle = BtrPlace().predict(scenario(), 64 * MIB, DirtyCurve(0.0, 25_600))
    assert idle.total_time_s == pytest.approx(sent_s)
    assert idle.downtime_s is None
    as_fast = DirtyCurve(64 * MIB / PAGE_BYTES, 25_600)
    assert BtrPlace().predict(scenario(), 64 * MIB, as_fast).verdict == "never"


def test_the_calibrated_bandwidth_is_the_narrowest(host_profile: HostProfile) -> None:
    def policy(limit: int) -> Policy:
        return Policy(parameters={"max-bandwidth": limit})

    # No faster than the slower side, and no slower than both in turns.
    slower = host_profile["page_destination_s"] + host_profile["fresh_page_s"]
    in_turns = slower + host_profile["page_source_s"] + host_profile["flush_handoff_s"]
    unlimited = scenario(policy=policy(0))
    stream = calibrated_bandwidth(unlimited, host_profile)
    assert WIRE_PAGE_BYTES / in_turns <= stream <= WIRE_PAGE_BYTES / slower
    limited = scenario(policy=policy(10**8))
    assert calibrated_bandwidth(limited, host_profile) == 10**8
    link = scenario(policy=policy(10**8), link=Link(bandwidth_bytes_per_s=5e7))
    assert calibrated_bandwidth(link, host_profile) == 5e7
    parameters = {**host_profile.parameters, "link_bytes_per_s": Parameter(value=2e8)}
    narrow = msgspec.structs.replace(host_profile, parameters=parameters)
    assert calibrated_bandwidth(unlimited, narrow) == pytest.approx(2e8)


def test_the_dirty_curve_is_that_of_all_vcpus_before_the_migration() -> None:
    trace = Trace(
        outcome=Outcome(verdict="completed"),
        phases=Phases(end_s=10.0),
        guest=GuestSpeed(
            vcpu=[0, 1, 0, 1],
            start_s=[-1.0, -1.0, 0.0, 0.0],
            end_s=[0.0, 0.0, 10.0, 10.0],
            pages=[3000.0, 5000.0, 10.0, 10.0],
            gap_s=[0.0] * 4,
        ),
    )
    curve = measured_curve(scenario(), trace)
    assert curve is not None
    assert curve.rate_pps == pytest.approx(8000)
    assert curve(1.0) == pytest.approx(8000)
    assert curve(1e6) == 100 * 256  # the working set


def test_a_silent_guest_has_no_dirty_curve() -> None:
    silent = Trace(outcome=Outcome(verdict="completed"), phases=Phases(end_s=1.0))
    assert measured_curve(scenario(), silent) is None
