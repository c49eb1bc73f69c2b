"""The walk through RAM."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from migmodel.sim.memory import Memory, PageKind, Stretch


def memory() -> Memory:
    return Memory(
        [
            Stretch(1000.0, zero=True),
            Stretch(4000.0, zero=False, vcpu=0),
            Stretch(3000.0, zero=True),
        ]
    )


def test_kinds_come_in_address_order():
    ram = memory()
    seen = []
    while ram.pending_pages > 0:
        pages, kind = ram.next_run()
        seen.append((pages, kind))
        ram.take(pages)
    assert [kind for _, kind in seen] == [PageKind.ZERO, PageKind.FRESH, PageKind.ZERO]
    assert [pages for pages, _ in seen] == pytest.approx([1000, 4000, 3000])


def test_what_was_sent_once_is_not_fresh_again():
    ram = memory()
    ram.take(8000)
    ram.settle()
    assert ram.merge(0, np.ones(ram.shares[0].stop - ram.shares[0].start)) == (
        pytest.approx(4000)
    )
    ram.begin_walk()
    assert ram.next_run() == (pytest.approx(4000), PageKind.NORMAL)


@given(
    steps=st.lists(st.tuples(st.floats(0, 3000), st.floats(0, 1)), max_size=20),
)
def test_pages_are_conserved(steps):
    """Pending is what was pending, less what was sent, plus what was newly set."""
    ram = memory()
    count = ram.shares[0].stop - ram.shares[0].start
    expected = ram.pending_pages
    for sent, fraction in steps:
        taken = min(sent, ram.pending_pages)
        ram.take(sent)
        ram.settle()
        new = ram.merge(0, np.full(count, fraction))
        ram.begin_walk()
        expected += new - taken
        assert ram.pending_pages == pytest.approx(expected, abs=1e-3)
        assert (ram.dirty >= 0).all()
        assert (ram.dirty <= 1 + 1e-9).all()


def test_the_cursor_is_not_reset_by_a_sync():
    ram = memory()
    ram.take(1000 + 2000)
    ram.settle()
    new = ram.merge(0, np.ones(ram.shares[0].stop - ram.shares[0].start))
    ram.begin_walk()
    assert new == pytest.approx(2000)
    # First the rest of the share, then the zeros behind it, then the share's begin.
    assert ram.next_run() == (pytest.approx(2000), PageKind.FRESH)
    ram.take(2000)
    assert ram.next_run() == (pytest.approx(3000), PageKind.ZERO)
    ram.take(3000)
    assert ram.next_run() == (pytest.approx(2000), PageKind.NORMAL)


def test_protection_is_renewed_when_the_walk_comes_to_a_chunk():
    ram = Memory([Stretch(4000.0, zero=False, vcpu=0)], chunk_pages=1000.0)
    ram.take(4000)
    ram.settle()
    lazy = ram.renewal(0)
    assert lazy is not None
    touched = lazy.at
    quarter = len(touched) // 4
    for part in range(4):
        segments = touched[part * quarter : (part + 1) * quarter]
        assert segments == pytest.approx(part / 4, abs=1 / quarter)
