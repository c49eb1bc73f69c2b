"""Which side of the crossover a codec is on."""

from __future__ import annotations

import msgspec
import pytest

from migmodel.records import Link, Policy, Round, Scenario
from migmodel.validate.compare import Comparison
from migmodel.validate.crossover import (
    compresses,
    crossovers,
    limit_bytes_per_s,
    sides,
)
from migmodel.validate.tolerances import FULL, STANDARD

from .conftest import MakeComparison

LIMIT = 50_000_000


def rounds(share: float) -> list[Round]:
    """Three passes; the one in the middle lasts a second."""
    return [
        Round(index=i, start_s=i, end_s=i + 1, pending_bytes=0.0, sent_bytes=sent)
        for i, sent in enumerate((1.0, share * LIMIT, 2.0), start=1)
    ]


def codec(
    make: MakeComparison, measured: float, said: float, name: str = "one"
) -> Comparison:
    return make(
        name,
        technique="multifd-zlib",
        parameters={"max-bandwidth": LIMIT},
        rounds=(rounds(measured), rounds(said)),
    )


@pytest.mark.parametrize(
    ("measured", "said", "expected"),
    [
        (1.0, 0.99, ("link", "link")),
        (0.95, 0.6, ("link", "CPU")),
        (0.4, 0.85, ("CPU", "CPU")),
        (0.4, 1.0, ("CPU", "link")),
        (0.88, 1.0, (None, "link")),
        (0.92, 0.1, (None, "CPU")),
    ],
)
def test_a_full_link_bounds_and_one_that_is_not_full_does_not(
    make_comparison: MakeComparison,
    measured: float,
    said: float,
    expected: tuple[str | None, str],
) -> None:
    assert sides(codec(make_comparison, measured, said)) == expected


def test_the_narrowest_limits(paced: Scenario) -> None:
    link = msgspec.structs.replace(
        paced, link=Link(transport="tcp", bandwidth_bytes_per_s=1e7)
    )
    assert limit_bytes_per_s(paced) == 125_000_000
    assert limit_bytes_per_s(link) == 1e7
    free = msgspec.structs.replace(
        paced, policy=Policy(parameters={"max-bandwidth": 0})
    )
    assert limit_bytes_per_s(free) is None


def test_only_codecs_cross_over(make_comparison: MakeComparison) -> None:
    plain = make_comparison(technique="multifd", rounds=(rounds(1.0), rounds(0.1)))
    assert sides(plain) is None
    assert not compresses(plain.scenario)
    assert compresses(codec(make_comparison, 1.0, 1.0).scenario)


def test_each_must_be_on_its_side(make_comparison: MakeComparison) -> None:
    every = [
        codec(make_comparison, 1.0, 1.0, "a"),
        codec(make_comparison, 0.3, 0.4, "b"),
        codec(make_comparison, 0.9, 0.1, "c"),
    ]
    [line] = crossovers(every, FULL)
    assert (line.value, line.passed) == (1.0, True)
    assert line.detail == "1 by the link, 1 by the CPU, 1 between"
    [line] = crossovers([*every, codec(make_comparison, 0.5, 1.0, "d")], FULL)
    assert line.value == pytest.approx(2 / 3)
    assert line.passed is False
    assert "wrong: d by its CPU" in line.detail
    [line] = crossovers(every, STANDARD)
    assert line.passed is None
    assert list(crossovers([], FULL)) == []
