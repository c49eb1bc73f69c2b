"""One scenario's figures."""

from __future__ import annotations

import math
from functools import partial

import msgspec
import pytest

from migmodel.analysis.predict import predict
from migmodel.errors import InputError
from migmodel.records import HostProfile, Interval, Scenario
from migmodel.validate.baselines import BASELINES, BaselineResult
from migmodel.validate.compare import CPU_TOTAL, compare
from migmodel.validate.quantity import Quantity, relative

from .conftest import MakeComparison, MakeMeasurement


def test_a_perfect_prediction_has_no_error(
    paced: Scenario, host_profile: HostProfile, make_measurement: MakeMeasurement
) -> None:
    predictor = partial(predict, profile=host_profile, draws=0)
    runs = [make_measurement(paced, repeat) for repeat in range(3)]
    found = compare(runs, predictor, host_profile)
    assert found is not None
    assert found.verdict_right
    assert {"total_time_s", CPU_TOTAL, "guest_precopy_ms_per_gib"} <= set(
        found.quantities
    )
    assert [it.error for it in found.quantities.values()] == pytest.approx(
        [0.0] * len(found.quantities)
    )
    assert [it.spread for it in found.quantities.values()] == pytest.approx(
        [0.0] * len(found.quantities)
    )
    assert found.total_time_error == 0
    assert set(found.baselines) == {it.name for it in BASELINES}
    assert {"geometric", "gudkov", "cloudsim", "simgrid", "btrplace"} == set(
        found.baselines
    )


def test_invalid_runs_are_counted_and_not_compared(
    paced: Scenario, host_profile: HostProfile, make_measurement: MakeMeasurement
) -> None:
    predictor = partial(predict, profile=host_profile, draws=0)
    bad = make_measurement(paced, 1, valid=False)
    found = compare([make_measurement(paced), bad], predictor, host_profile)
    assert found is not None
    assert (len(found.traces), found.invalid) == (1, 1)
    assert compare([bad], predictor, host_profile) is None


def test_runs_of_different_hosts_are_no_repeats(
    paced: Scenario, host_profile: HostProfile, make_measurement: MakeMeasurement
) -> None:
    run = make_measurement(paced)
    host = msgspec.structs.replace(run.host, qemu_version="9.2.0")
    other = msgspec.structs.replace(run, host=host)
    with pytest.raises(InputError, match=r"qemu_version \(10.0.2 and 9.2.0\)"):
        compare([run, other], partial(predict, profile=host_profile), host_profile)


def test_a_quantity_by_hand() -> None:
    interval = Interval(nominal=9.0, low=9.5, median=11.0, high=12.0)
    found = Quantity((10.0, 9.0, 12.0), interval)
    assert found.measured == 10.0
    assert found.spread == pytest.approx(0.3)
    assert found.error == pytest.approx(1.0)
    assert found.relative_error == pytest.approx(0.1)
    assert found.covered == 2
    assert Quantity((10.0,), Interval(nominal=9.0)).error == -1.0
    assert Quantity((10.0,), Interval(nominal=9.0)).covered is None
    assert Quantity((10.0,), Interval()).relative_error is None


def test_relative_to_nothing() -> None:
    assert relative(0.0, 0.0) == 0.0
    assert relative(1.0, 0.0) == math.inf


@pytest.mark.parametrize(
    ("verdicts", "probability", "right"),
    [
        ("ccc", 1.0, True),
        ("ccc", 0.5, True),
        ("ccc", 0.49, False),
        ("xxx", 0.0, True),
        ("xxx", 0.6, False),
        ("ccx", 0.1, True),
        ("ccx", 0.9, True),
        ("ccx", 1.0, False),
        ("cxx", 0.05, False),
    ],
)
def test_verdicts(
    make_comparison: MakeComparison, verdicts: str, probability: float, right: bool
) -> None:
    found = make_comparison(verdicts=verdicts, probability=probability)
    assert found.verdict_right is right


def test_a_wrong_verdict_has_no_right_time(make_comparison: MakeComparison) -> None:
    time = {"total_time_s": ((10.0, 10.0), 9.0, 10.0, 11.0)}
    assert make_comparison(**time).total_time_error == 0.0
    assert make_comparison(probability=0.0, **time).total_time_error == math.inf


def test_a_wrong_verdict_states_both_sides(make_comparison: MakeComparison) -> None:
    cause = make_comparison(verdicts="xxx").cause
    assert "predicted 100% to complete" in cause
    assert "completed after 5 passes, it fits" in cause
    assert "measured 0% of 3 (cancelled after 7 passes)" in cause


def test_a_baseline_that_says_never_has_no_time(
    make_comparison: MakeComparison,
) -> None:
    found = make_comparison(
        total_time_s=((10.0,), 9.0, 10.0, 11.0),
        baselines={
            "geometric": BaselineResult("never"),
            "gudkov": BaselineResult("completed", 12.5, 0.1),
        },
    )
    assert found.baseline_error("geometric") == math.inf
    assert found.baseline_error("gudkov") == pytest.approx(0.25)
    assert not found.baseline_right("geometric")
    assert found.baseline_right("gudkov")
