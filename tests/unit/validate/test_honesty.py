"""Whether a suite is said to be hard enough."""

from __future__ import annotations

import pytest

from migmodel.validate.baselines import BaselineResult
from migmodel.validate.compare import Comparison
from migmodel.validate.honesty import honesty

from .conftest import MakeComparison


def case(
    make: MakeComparison, passes: float, geometric: BaselineResult, verdicts: str = "c"
) -> Comparison:
    return make(
        verdicts=verdicts,
        total_time_s=((10.0,), 9.0, 10.0, 11.0),
        passes=((passes,), passes, passes, passes),
        baselines={"geometric": geometric},
    )


NEAR = BaselineResult("completed", 11.9)
FAR = BaselineResult("completed", 12.1)
NEVER = BaselineResult("never")


@pytest.mark.parametrize(
    ("passes", "result", "hard"),
    [(4, FAR, 1), (4, NEVER, 1), (3, FAR, 0), (4, NEAR, 0)],
)
def test_hard_takes_passes_and_is_missed(
    make_comparison: MakeComparison, passes: float, result: BaselineResult, hard: int
) -> None:
    line = honesty([case(make_comparison, passes, result)])[0]
    assert f"{hard} of 1 scenarios" in line
    assert line.startswith("met" if hard else "NOT MET")


def test_half_is_enough_and_cut_runs_do_not_count(
    make_comparison: MakeComparison,
) -> None:
    cut = case(make_comparison, 9, NEVER, verdicts="x")
    easy, hard = case(make_comparison, 2, NEAR), case(make_comparison, 9, FAR)
    assert honesty([easy, hard, cut])[0].startswith("met: 1 of 2")
    assert honesty([easy, easy, hard, cut])[0].startswith("NOT MET: 1 of 3")


def test_an_empty_suite_is_not_honest() -> None:
    assert [line.split(":")[0] for line in honesty([])] == ["NOT MET", "NOT MET"]
