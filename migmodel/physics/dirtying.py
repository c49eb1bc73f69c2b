"""Which pages a guest has written since they were last protected.

A thread that sweeps its share of `length` pages for ever is described by one number:
how many pages it has written in all, `written` (its unwrapped position). Page x of the
share was written since the protection was renewed at position `armed` if and only if
some u in [armed, written) has u mod length = x. No bitmap is needed, and fronts stay
sharp whatever the size of RAM.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


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
    span = np.clip(written - armed, 0.0, share_pages)
    begin = np.mod(armed, share_pages) - starts
    # The interval [begin, begin + span) may wrap: it is laid over the segment as it is
    # and once shifted back by a whole sweep.
    overlap = np.minimum(begin + span, lengths) - np.maximum(begin, 0.0)
    wrapped = np.minimum(begin + span - share_pages, lengths) - np.maximum(
        begin - share_pages, 0.0
    )
    total = np.maximum(overlap, 0.0) + np.maximum(wrapped, 0.0)
    fraction: Array = np.minimum(total / lengths, 1.0)
    return fraction


def random_fraction(rate_per_page_s: float, exposure_s: float) -> float:
    """Fraction of pages hit at least once by uniform random writes: 1 - exp(-rt)."""
    return -float(np.expm1(-rate_per_page_s * exposure_s))
