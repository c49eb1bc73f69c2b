"""Ladders: which scenarios are steps of one, and whether they are in order."""

from __future__ import annotations

import pytest

from migmodel.records import Interval
from migmodel.validate.compare import Comparison
from migmodel.validate.headline import Headline
from migmodel.validate.orderings import ordered_as_measured, orderings
from migmodel.validate.quantity import Quantity
from migmodel.validate.tolerances import FULL, STANDARD

from .conftest import MakeComparison


def quantity(runs: tuple[float, ...], predicted: float | None) -> Quantity:
    return Quantity(runs, Interval(median=predicted))


@pytest.mark.parametrize(
    ("one", "other", "agrees"),
    [
        (((9.9, 10.0, 10.1), 50.0), ((12.0, 12.1, 12.2), 51.0), True),
        (((9.9, 10.0, 10.1), 50.0), ((12.0, 12.1, 12.2), 49.0), False),
        (((12.0, 12.1, 12.2), 49.0), ((9.9, 10.0, 10.1), 50.0), False),
        (((9.9, 10.0, 10.1), 50.0), ((12.0, 12.1, 12.2), 50.0), False),
        (((9.9, 10.0, 10.1), 50.0), ((12.0, 12.1, 12.2), None), False),
        # within the spread of either, within 1 %, or without repeats
        (((8.0, 10.0, 10.1), 50.0), ((12.0, 12.1, 12.2), 49.0), None),
        (((10.0, 10.0, 10.0), 50.0), ((10.09, 10.09), 49.0), None),
        (((10.0,), 50.0), ((12.0, 12.1, 12.2), 49.0), None),
    ],
)
def test_a_difference_counts_when_it_exceeds_the_spread(
    one: tuple[tuple[float, ...], float | None],
    other: tuple[tuple[float, ...], float | None],
    agrees: bool | None,
) -> None:
    assert ordered_as_measured(quantity(*one), quantity(*other)) is agrees


def step(
    make: MakeComparison, channels: int, measured: float, said: float, **more: object
) -> Comparison:
    return make(
        f"mfd-{channels}",
        technique="multifd",
        parameters={"multifd-channels": channels, "downtime-limit": 50},
        total_time_s=((measured, measured, measured), 0.0, said, 99.0),
        **more,
    )


def found(comparisons: list[Comparison], name: str) -> list[Headline]:
    return [it for it in orderings(comparisons, FULL) if it.name == name]


def test_steps_of_a_ladder_are_found_whatever_they_are_called(
    make_comparison: MakeComparison,
) -> None:
    steps = [
        step(make_comparison, 1, 9.0, 8.0),
        step(make_comparison, 2, 7.0, 8.5),
        step(make_comparison, 4, 7.01, 3.0),
    ]
    [line] = found(steps, "channels")
    # 1 to 2: wrong; 1 to 4: right; 2 to 4 not told apart
    assert line.value == pytest.approx(0.5)
    assert line.passed is False
    assert "2 differences, 1 within the spread" in line.detail
    assert "mfd-1 and mfd-2 in total_time_s" in line.detail
    assert [it.passed for it in orderings(steps, STANDARD)] == [None]


def test_what_differs_in_anything_else_is_no_pair(
    make_comparison: MakeComparison,
) -> None:
    steps = [
        step(make_comparison, 1, 9.0, 8.0),
        step(make_comparison, 2, 7.0, 8.5, qemu="11.1"),
    ]
    assert found(steps, "channels") == []


def test_preempt_is_a_ladder_of_latency(make_comparison: MakeComparison) -> None:
    vanilla, preempt = (
        make_comparison(
            name,
            technique="postcopy",
            capabilities={"postcopy-preempt": True} if name == "preempt" else {},
            fault_latency_p50_s=((measured, measured), 0.0, said, 9.0),
        )
        for name, measured, said in (("vanilla", 0.01, 0.02), ("preempt", 0.001, 0.003))
    )
    [line] = found([vanilla, preempt], "preempt against vanilla")
    assert (line.value, line.passed) == (1.0, True)


def test_a_default_stands_on_the_ladder_too(make_comparison: MakeComparison) -> None:
    by_default, more = (
        make_comparison(
            f"zlib-{level}",
            technique="multifd-zlib",
            parameters={} if level is None else {"multifd-zlib-level": level},
            bytes_sent=((1e6 * sent, 1e6 * sent), 0.0, 1e6 * sent, 9e9),
        )
        for level, sent in ((None, 50.0), (6, 40.0))
    )
    [line] = found([by_default, more], "levels")
    assert (line.value, line.passed) == (1.0, True)


def test_when_nothing_is_told_apart_nothing_is_decided(
    make_comparison: MakeComparison,
) -> None:
    steps = [step(make_comparison, 1, 9.0, 8.0), step(make_comparison, 2, 9.0, 8.5)]
    [line] = found(steps, "channels")
    assert (line.value, line.passed) == (None, None)
