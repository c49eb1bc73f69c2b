"""Distributions of fault latency against numbers worked out by hand."""

from __future__ import annotations

import pytest

from migmodel.validate.fault_latency import (
    earth_mover_buckets,
    fault_latencies,
    fault_latency,
    median_s,
)
from migmodel.validate.summary import summary_rows
from migmodel.validate.tolerances import FULL, STANDARD

from .conftest import MakeComparison


def counts(**buckets: float) -> list[float]:
    found = [0.0] * 24
    for name, count in buckets.items():
        found[int(name[1:])] = count
    return found


def test_what_is_moved_by_how_far() -> None:
    assert earth_mover_buckets(counts(b5=10), counts(b5=70)) == 0
    assert earth_mover_buckets(counts(b5=10), counts(b7=10)) == pytest.approx(2)
    # A quarter has to be moved by 4 buckets, the rest stays.
    assert earth_mover_buckets(counts(b3=4), counts(b3=6, b7=2)) == pytest.approx(1)
    # to either side
    assert earth_mover_buckets(counts(b3=2), counts(b2=1, b4=1)) == pytest.approx(1)


def test_the_median_lies_within_its_bucket_on_a_logarithmic_scale() -> None:
    assert median_s(counts(b0=7)) == pytest.approx(2**0.5 * 1e-6)
    assert median_s(counts(b4=1, b8=1, b9=1)) == pytest.approx(2**8.5 * 1e-6)
    assert median_s(counts(b4=10, b20=10)) == pytest.approx(2**5 * 1e-6)


def test_runs_are_taken_together_and_must_have_a_thousand_faults(
    make_comparison: MakeComparison,
) -> None:
    few = make_comparison(faults=(counts(b8=333), counts(b8=1)))
    assert fault_latency(few) is None
    enough = fault_latency(make_comparison(faults=(counts(b8=334), counts(b8=1))))
    assert enough is not None
    assert enough.faults == 1002
    assert enough.distance_buckets == 0
    assert enough.factor == pytest.approx(1)


@pytest.mark.parametrize(
    "faults",
    [
        (None, counts(b8=10)),
        (counts(b8=1000), None),
        (counts(b8=1000), counts()),
    ],
)
def test_without_a_distribution_on_both_sides_nothing_is_compared(
    make_comparison: MakeComparison, faults: tuple[list[float] | None, ...]
) -> None:
    one = make_comparison(technique="postcopy", faults=faults)
    assert fault_latency(one) is None
    assert list(fault_latencies([one], FULL)) == []


def test_what_was_traced_stands_in_for_what_is_not_reported(
    make_comparison: MakeComparison,
) -> None:
    said = counts(b8=1)
    one = fault_latency(make_comparison(faults=(None, said), traced=counts(b9=1000)))
    assert one is not None
    assert (one.traced, one.counts, one.faults) == (True, True, 1000)
    assert one.factor == pytest.approx(2)
    reported = make_comparison(faults=(counts(b8=334), said), traced=counts(b9=5000))
    both = fault_latency(reported)
    assert both is not None
    assert (both.traced, both.faults, both.distance_buckets) == (False, 1002, 0)


def test_few_traced_faults_are_told_and_do_not_count(
    make_comparison: MakeComparison,
) -> None:
    few = make_comparison("few", faults=(None, counts(b8=1)), traced=counts(b12=999))
    latency = fault_latency(few)
    assert latency is not None
    assert (latency.counts, latency.distance_buckets) == (False, 4)
    enough = make_comparison(
        "enough", faults=(None, counts(b8=1)), traced=counts(b9=1000)
    )
    assert list(fault_latencies([few], FULL)) == []
    factor, distance = fault_latencies([few, enough], FULL)
    assert factor.value == pytest.approx(2)
    assert distance.value == pytest.approx(1)
    assert "1 scenario (1 traced), 1000 faults, worst enough" in factor.detail
    assert not [row for row in summary_rows(few) if "fault" in str(row["quantity"])]
    rows = [row for row in summary_rows(enough) if "fault" in str(row["quantity"])]
    assert [(row["quantity"], row["runs"]) for row in rows] == [
        ("traced_fault_latency_median_s", 1),
        ("traced_fault_latency_distance_buckets", 1),
    ]


def test_nothing_traced_is_nothing(make_comparison: MakeComparison) -> None:
    one = make_comparison(faults=(None, counts(b8=1)), traced=counts())
    assert fault_latency(one) is None


def test_the_worst_scenario_decides(make_comparison: MakeComparison) -> None:
    near = make_comparison("near", faults=(counts(b8=1000), counts(b8=9, b9=1)))
    far = make_comparison("far", faults=(counts(b8=1000), counts(b10=10)))
    factor, distance = fault_latencies([near, far], FULL)
    assert factor.value == pytest.approx(4)
    assert distance.value == pytest.approx(2)
    assert [factor.passed, distance.passed] == [False, False]
    assert "2 scenarios, 6000 faults, worst far" in factor.detail
    factor, distance = fault_latencies([near], FULL)
    assert [factor.passed, distance.passed] == [True, True]
    assert [it.passed for it in fault_latencies([far], STANDARD)] == [None, None]
