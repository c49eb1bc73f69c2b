"""What a sweeping thread dirties, against counting pages one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migmodel.physics.dirtying import random_fraction, swept_fraction


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
    assert random_fraction(1e-3, 1.0) == pytest.approx(1e-3, rel=1e-3)
    assert random_fraction(1.0, 100.0) == pytest.approx(1.0)
