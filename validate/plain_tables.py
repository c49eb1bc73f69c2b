"""Published tables that no description fits: predicted by code of their own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from migmodel.analysis.profiles import load_profile
from migmodel.show.tables import aligned

Cells = tuple[str, ...]


@dataclass(frozen=True)
class PlainTable:
    """Its cells as they are shown, predictions beside what was published.

    Attributes
    ----------
    text : tuple of str
        Paragraphs for ``published.md``.
    note : str
        How to read it, for the terminal.
    header, rows : tuple
        The first column names the rows.
    """

    name: str
    title: str
    text: tuple[str, ...]
    note: str
    header: Cells
    rows: tuple[Cells, ...]

    def lines(self) -> Iterator[str]:
        """Write it for the terminal."""
        yield f"{self.title} ({self.name})"
        yield from (f"  {line}" for line in aligned([self.header, *self.rows]))
        yield f"  {self.note}"

    def markdown(self) -> Iterator[str]:
        """Write it for ``published.md``."""
        yield ""
        yield f"## {self.title}"
        for paragraph in self.text:
            yield ""
            yield paragraph
        yield ""
        yield f"| | {' | '.join(self.header[1:])} |"
        yield "|" + "---|" * len(self.header)
        yield from (f"| {' | '.join(row)} |" for row in self.rows)


def _preempt(name: str) -> PlainTable:
    from .preempt import preempt_cases

    rows = tuple(
        (
            case.name,
            f"{case.measured_us:.0f}",
            f"{case.predicted_us:.0f}",
            f"{case.factor:.2f}",
            f"{case.distance_buckets:.2f}",
        )
        for case in preempt_cases(load_profile("kvm-generic"))
    )
    quantities = ("measured mean [us]", "predicted [us]", "factor")
    return PlainTable(
        name,
        "Post-copy preempt, 2022",
        tuple(_about_preempt(name)),
        "nothing is fitted; distance: the two histograms', earth mover's",
        ("", *quantities, "distance [log2 buckets]"),
        rows,
    )


def _about_preempt(name: str) -> Iterator[str]:
    from .preempt import ASSUMED, BUFFER_BYTES

    yield (
        "Source: Peter Xu, qemu-devel, 19 Jan 2022, RFC 20220119080929.39485 "
        f"(`validate/published/{name}.json`): 20 GiB, 10 Gbit/s, "
        "latencies of the kernel's userfault handler. Nothing is fitted."
    )
    yield (
        "One thread of mig_mon touches 18 GiB at random: each fault waits for all that "
        "is queued before it; with preempt the one sending thread is now and then "
        "caught in a write of the bulk. The 16 threads are `stress -m 16 --vm-bytes "
        "1073741824 --vm-keep`, which go through their memory in order of address, so "
        "they are predicted as a sweep: each call brings a run of some 100 pages "
        "before the next thread's, and waits for the whole queue. With preempt, where "
        "QEMU up to 7.2 has one thread that sends both, the page itself comes at once "
        "and the run behind it is queued; the measured waits for these are 4 to 8 ms, "
        "shorter than a queue of what the sockets hold without preempt."
    )
    yield (
        f"A connection holds {BUFFER_BYTES >> 20} MiB: 4 MiB to send and half of 6 MiB "
        "to receive, tcp(7)."
    )
    for parameter, assumed in ASSUMED.items():
        yield f"`{parameter}` = {assumed.value:g}: {assumed.source}."


def _gudkov(name: str) -> PlainTable:
    from .gudkov import gudkov_cells

    cells = gudkov_cells(load_profile())
    same = f"{sum(it.printed == it.baseline for it in cells)} of {len(cells)} cells"
    limits = list(dict.fromkeys(cell.downtime_ms for cell in cells))
    names = ["unlimited" if it is None else f"{it} ms" for it in limits]
    rows = tuple(
        (
            bandwidth,
            *(
                f"{cell.baseline or 'never'}"
                + ("" if cell.downtime_ms is None else f" ({cell.model or 'never'})")
                for cell in cells
                if cell.bandwidth == bandwidth
            ),
        )
        for bandwidth in dict.fromkeys(cell.bandwidth for cell in cells)
    )
    about = (
        f"predict_migration.py's 8 x 6 table: the baseline gives {same} exactly as "
        "printed. Beside each, the model's answer for a guest that writes at random "
        "places as many pages as the sample has over the allowed downtime "
        "(kvm-generic, a link of that speed). The sample's guest writes some places "
        "more often than others, so near the frontier the two need not agree; at 25 "
        "and 40 Gbit/s one stream of kvm-generic is slower than the link."
    )
    return PlainTable(
        name,
        "Gudkov's table, 2023",
        (about,),
        f"the baseline, {same} as printed; in brackets the model, for random writes",
        ("", *names),
        rows,
    )


# By the name of the file in published/ that holds what was printed.
PLAIN: Mapping[str, Callable[[str], PlainTable]] = {
    "postcopy_preempt_2022": _preempt,
    "gudkov_vector": _gudkov,
}


def plain_table(name: str) -> PlainTable:
    """Predict one of `PLAIN`."""
    return PLAIN[name](name)
