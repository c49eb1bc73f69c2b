"""Which pages a guest has written since they were last protected.

A thread that sweeps its share of `length` pages for ever is described by one number:
how many pages it has written in all, `written` (its unwrapped position). Page x of the
share was written since the protection was renewed at position `armed` if and only if
some u in [armed, written) has u mod length = x. No bitmap is needed, and fronts stay
sharp whatever the size of RAM. One that writes at random places is described by the
same number: all its pages are alike, and each write hits any of them.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_NEWTON_STEPS = 50


def swept_fraction(
    starts: Array,
    lengths: Array,
    share_pages: float,
    armed: Array | float,
    written: Array | float,
) -> Array:
    """Fraction of each segment written since `armed` by a thread that sweeps.

    Parameters
    ----------
    starts, lengths : ndarray, shape (n,)
        Segments of the thread's share [pages], from its begin.
    share_pages : float
        Pages in the share.
    armed : float or ndarray, shape (n,)
        The thread's position when the segment was last protected [pages].
    written : float or ndarray, shape (n,)
        Its position now [pages].

    Returns
    -------
    ndarray, shape (n,)
        Between 0 and 1.
    """
    span = np.minimum(np.maximum(written - armed, 0.0), share_pages)
    begin = np.mod(armed, share_pages) - starts
    # The interval [begin, begin + span) may wrap: it is laid over the segment as it is
    # and once shifted back by a whole sweep.
    end = begin + span
    overlap = np.minimum(end, lengths) - np.maximum(begin, 0.0)
    wrapped = np.minimum(end - share_pages, lengths) - np.maximum(
        begin - share_pages, 0.0
    )
    total = np.maximum(overlap, 0.0) + np.maximum(wrapped, 0.0)
    fraction: Array = np.minimum(total / lengths, 1.0)
    return fraction


def random_fraction(writes: Array | float, share_pages: float) -> Array:
    """Fraction of a share's pages hit at least once by uniform random writes.

    Each write misses a given page with probability 1 - 1/n: 1 - exp(-writes / n).

    Parameters
    ----------
    writes : float or ndarray
        Since the pages were last protected.
    share_pages : float
        Pages that the thread chooses from.
    """
    fraction: Array = -np.expm1(-np.maximum(writes, 0.0) / share_pages)
    return fraction


def random_writes_in(
    run_s: float,
    page_s: float,
    first_write_s: float,
    share_pages: float,
    before: float,
) -> float:
    """Random writes that a thread makes in a time, first writes being slower.

    After `before` writes since the protection the next n take n page_s + first_write_s
    x (new pages); solved for n by Newton's method, which nears the root from below, as
    the time is concave in n.

    Parameters
    ----------
    run_s : float
        How long the thread runs [s].
    page_s, first_write_s : float
        Time of a write, and what the first one to a protected page takes more [s].
    share_pages : float
        Pages that it chooses from.
    before : float
        Writes since the pages were protected.
    """
    clean = share_pages * math.exp(-before / share_pages)
    writes = 0.0
    for _ in range(_NEWTON_STEPS):
        left = math.exp(-writes / share_pages)
        spent_s = writes * page_s + first_write_s * clean * (1 - left)
        step_s = page_s + first_write_s * clean * left / share_pages
        more = (run_s - spent_s) / step_s
        writes += more
        if more <= 1e-9 * max(writes, 1.0):
            break
    return writes
