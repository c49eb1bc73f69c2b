"""Post-copy: guest threads that run into missing pages, and the stream that follows.

Without preempt the source's cursor jumps to the requested page and goes on behind it
(QEMU 10.0 migration/ram.c, get_queued_page), so stream and sweep run side by side: a
thread faster than the stream advances at the stream's pace, a few pages a request; a
slower one faults once and then finds its pages there.
"""

from __future__ import annotations


def front_rate_pps(
    stream_pps: float, fault_s: float, request_pages: float, fronts: int
) -> float:
    """Pages/s that one thread advances at through missing memory.

    Parameters
    ----------
    stream_pps : float
        What the stream carries for all.
    fault_s : float
        Stall of a thread from fault to wake-up, beside the page's own transfer [s].
    request_pages : float
        Pages that follow a requested one before the stream is called elsewhere.
    fronts : int
        Threads that are faulting.

    Returns
    -------
    float
        Pages/s of each: the time for a request's pages at its share of the stream,
        and the stall, which the others' stalls overlap.
    """
    share = stream_pps / fronts
    return request_pages / (request_pages / share + fault_s)
