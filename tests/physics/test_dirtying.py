"""What a sweeping thread dirties, against counting pages one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migmodel.physics.dirtying import (
    random_fraction,
    random_writes_in,
    swept_fraction,
)


def counted(share: int, parts: int, armed: int, written: int) -> np.ndarray:
    """Page by page: set by each write from `armed` to `written`."""
    pages = np.zeros(share)
    for position in range(armed, min(written, armed + share)):
        pages[position % share] = 1
    return pages.reshape(parts, -1).mean(axis=1)


@given(
    parts=st.integers(1, 8),
    size=st.integers(1, 16),
    armed=st.integers(0, 500),
    pages=st.integers(0, 400),
)
def test_fraction_equals_counting_pages(parts, size, armed, pages):
    share = parts * size
    lengths = np.full(parts, float(size))
    starts = lengths.cumsum() - lengths
    fraction = swept_fraction(starts, lengths, share, armed, armed + pages)
    assert fraction == pytest.approx(counted(share, parts, armed, armed + pages))


def test_a_full_sweep_sets_everything():
    lengths = np.full(4, 10.0)
    starts = lengths.cumsum() - lengths
    assert swept_fraction(starts, lengths, 40.0, 17.0, 57.0) == pytest.approx(1.0)


def test_random_writes_saturate():
    assert random_fraction(0.0, 10.0) == 0.0
    assert random_fraction(1.0, 1000.0) == pytest.approx(1e-3, rel=1e-3)
    assert random_fraction(1000.0, 10.0) == pytest.approx(1.0)


def test_random_fraction_equals_throwing_dice():
    chosen = np.random.default_rng(1).integers(0, 5000, size=4000)
    assert random_fraction(4000.0, 5000.0) == pytest.approx(
        len(set(chosen)) / 5000, abs=0.02
    )


@given(
    run_s=st.floats(1e-6, 10.0),
    first_s=st.floats(0.0, 1e-4),
    before=st.floats(0.0, 1e6),
)
def test_random_writes_take_the_time_that_they_are_given(run_s, first_s, before):
    share, page_s = 50_000.0, 1e-6
    writes = random_writes_in(run_s, page_s, first_s, share, before)
    new = share * (
        random_fraction(before + writes, share) - random_fraction(before, share)
    )
    assert writes * page_s + new * first_s == pytest.approx(run_s, rel=1e-6)
