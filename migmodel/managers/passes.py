"""Passes over RAM, where QEMU's own count does not tell them."""

from __future__ import annotations

COUNTS_ITERATES_SINCE = (11, 0)


def counts_iterates(version: tuple[int, int], postcopy: bool) -> bool:
    """Whether dirty-sync-count counts calls of iterate instead of passes.

    QEMU 11.1 with postcopy-ram syncs the bitmap at every call of iterate, each 50 to
    100 ms, and so counts that (observed on 11.1.2; 10.0 and 10.1 do not). 11.0 has not
    been looked at.
    """
    return postcopy and version >= COUNTS_ITERATES_SINCE


class PassCounter:
    """Counts passes by what was sent.

    A pass is over when as many pages have been sent since it began as were pending
    then: the volume of a pass in the versions that sync once a pass. The first begins
    with all of RAM.
    """

    def __init__(self) -> None:
        self.count = 1
        self._until_pages: float | None = None

    def see(self, sent_pages: float, pending_pages: float, total_pages: float) -> int:
        """Take in a look at query-migrate; the number of the pass that is running.

        Parameters
        ----------
        sent_pages : float
            Pages sent so far, zero pages included.
        pending_pages : float
            Pages that are dirty now.
        total_pages : float
            Pages of all RAM.
        """
        if self._until_pages is None:
            self._until_pages = total_pages
        if sent_pages >= self._until_pages:
            self.count += 1
            self._until_pages = sent_pages + pending_pages
        return self.count
