"""The study's findings F1 to F22, each computed from the cells."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import mean, median

from migmodel.guestperf.reading import GIB_PAGES
from migmodel.records import Trace
from migmodel.units import MS_PER_S

from .beside import BESIDE
from .cell_set import (
    Cells,
    Missing,
    before,
    can_send,
    lines_in,
    passes_before,
    postcopy_s,
    traced,
    worst,
)
from .cells import Cell

ONE, FOUR = "1cpu-1gb", "4cpu-8gb"
SLOW_LINK = "100mbs"
PASSES_TO_THROTTLE = 4  # 2.6: one judged sync that cannot count, then three that do
STEP_S = 0.5  # about one sweep of the slow guest


@dataclass(frozen=True)
class Finding:
    """A finding, whether the cells show it, and the numbers.

    Attributes
    ----------
    reproduced : bool or None
        None: a cell that it needs is missing.
    """

    name: str
    says: str
    reproduced: bool | None
    numbers: str

    @property
    def line(self) -> str:
        """As it is printed."""
        words = {True: "reproduced", False: "not reproduced", None: "not checked"}
        return f"{self.name} {words[self.reproduced]}: {self.numbers}"


Result = tuple[bool, str]
Check = Callable[[Cells], Result]


def f1(cells: Cells) -> Result:
    """A guest that keeps writing 1 GB never completes pre-copy over 1 Gb/s."""
    trace = traced(cells(ONE, "tcp-remote", "pause-bw-1gbs"))
    pending = [it.pending_bytes / 2**30 for it in trace.rounds[1:4]]
    never = min(pending) > 0.95
    shown = ", ".join(f"{it:.2f}" for it in pending)
    return never, f"passes 2 to 4 begin with {shown} GiB pending: none shrinks"


def f2(cells: Cells) -> Result:
    """Over 10 Gb/s a larger guest cannot complete without a long downtime."""
    cell = cells(FOUR, "tcp-remote", "pause-bw-10gbs")
    downtime = cell.quantities["downtime_stop_resume_s"] or 0.0
    pending = traced(cell).rounds[3].pending_bytes / 2**30
    return pending > 1 and downtime > 0.5, (
        f"{pending:.1f} GiB pending after 3 passes: {downtime:.1f} s of downtime"
    )


def f3(cells: Cells) -> Result:
    """Pausing an 8 GB guest on an idle 10 Gb/s link costs about 6 s at worst."""
    names = [f"pause-iters-{n}" for n in (0, 1, 5, 20)] + ["pause-bw-10gbs"]
    times = [
        cells(FOUR, "tcp-remote", name).quantities["downtime_stop_resume_s"]
        for name in names
    ]
    worst_s = max(time for time in times if time is not None)
    return 4.5 <= worst_s <= 8.0, f"{worst_s:.1f} s"


def f4(cells: Cells) -> Result:
    """Auto-converge starts at 20 % and adds 10 % steps, up to 99 %."""
    seen: set[float] = set()
    for cell in cells.like("auto-converge-bw"):
        seen |= {value for value in traced(cell).progress.throttle_percent if value}
    wanted = {20, 30, 40, 50, 60, 70, 80, 90, 99}
    shown = ", ".join(f"{value:.0f}" for value in sorted(seen))
    return seen <= wanted and min(seen) == 20 and 99 in seen, f"{shown} %"


def f5(cells: Cells) -> Result:
    """4 vCPU / 8 GB, remote TCP: 80 % at 10 Gb/s; other cells need 95 or 99 %."""
    fast = cells(FOUR, "tcp-remote", "auto-converge-bw-10gbs")
    peak = fast.quantities["peak_throttle_percent"] or 0.0
    others = {
        cell.name: cell.quantities["peak_throttle_percent"] or 0.0
        for cell in cells.like("auto-converge", "tcp-remote", guest=FOUR)
        if cell.completed and cell is not fast
    }
    shown = ", ".join(f"{name[14:]} {value:.0f} %" for name, value in others.items())
    ok = fast.completed and abs(peak - 80) <= 10
    return ok, f"10 Gb/s {_end(fast)} at {peak:.0f} %; others that complete: {shown}"


def f6(cells: Cells) -> Result:
    """The same at 1 Gb/s: 5-minute timeout at only 20 %."""
    cell = cells(FOUR, "tcp-remote", "auto-converge-bw-1gbs")
    peak = cell.quantities["peak_throttle_percent"] or 0.0
    return not cell.completed and peak == 20, f"{_end(cell)} at {peak:.0f} %"


def f7(cells: Cells) -> Result:
    """At each iteration's start the guest slows: 200 to 450 ms/GB."""
    cell = cells(ONE, "tcp-remote", "pause-bw-300mbs")
    trace = traced(cell)
    stop_s = trace.phases.stop_s or trace.phases.end_s
    begun = [it.start_s for it in trace.rounds[1:] if it.start_s + STEP_S < stop_s]
    spike = median(_level_after(trace, start_s) for start_s in begun)
    return 350 <= spike <= 550, f"{before(cell):.0f} -> {spike:.0f} ms/GiB"


def _level_after(trace: Trace, start_s: float) -> float:
    """Speed of the first vCPU in the middle of its first sweep [ms/GiB].

    A line that covers it in part only, as most do, is lower.
    """
    guest, at_s = trace.guest, start_s + STEP_S / 5
    rows = zip(guest.vcpu, guest.start_s, guest.end_s, guest.pages, strict=True)
    return next(
        (
            (end - start) * MS_PER_S / (pages / GIB_PAGES)
            for vcpu, start, end, pages in rows
            if vcpu == 0 and start <= at_s < end and pages > 0
        ),
        0.0,
    )


def f8(cells: Cells) -> Result:
    """4 vCPU, unlimited: 400 to 500 ms/GB, continual spikes to 700-800."""
    cell = cells(FOUR, "tcp-remote", "pause-iters-20")
    trace = traced(cell)
    assert trace.phases.stop_s is not None
    lines = sorted(lines_in(trace, 0.0, trace.phases.stop_s))
    low, high = lines[len(lines) // 10], lines[-max(len(lines) // 20, 1)]
    ok = 380 <= low <= 550 and 600 <= high <= 900
    return ok, f"10th percentile {low:.0f}, 95th {high:.0f} ms/GiB"


def f9(cells: Cells) -> Result:
    """Baseline 200 ms/GB with 1 vCPU, 400 with 4."""
    one = before(cells(ONE, "unix", "pause-iters-0"))
    four = before(cells(FOUR, "unix", "pause-iters-0"))
    ok = abs(one / 200 - 1) < 0.1 and abs(four / 400 - 1) < 0.1
    return ok, f"{one:.0f} and {four:.0f} ms/GiB"


def f10(cells: Cells) -> Result:
    """Before the switch post-copy affects the guest as plain pre-copy does."""
    ratios = []
    for guest in (ONE, FOUR):
        for name in ("iters-5", "bw-1gbs", "bw-10gbs"):
            pair = [
                cells(guest, "tcp-remote", f"{kind}-{name}").quantities
                for kind in ("post-copy", "pause")
            ]
            first, second = (it["guest_precopy_ms_per_gib"] or 0.0 for it in pair)
            ratios.append(first / second)
    far = max(abs(ratio - 1) for ratio in ratios)
    return far < 0.05, f"largest difference of the mean {far:.1%}"


def f11(cells: Cells) -> Result:
    """After the switch: same order at 1 and 10 Gb/s, much lower over UNIX."""
    one, ten = (
        worst(cells(FOUR, "tcp-remote", f"post-copy-bw-{word}"), "postcopy")
        for word in ("1gbs", "10gbs")
    )
    local = worst(cells(FOUR, "unix", "post-copy-bw-10gbs"), "postcopy")
    cell = cells(FOUR, "tcp-remote", "post-copy-bw-10gbs")
    there = _there_at_switch(traced(cell))
    order = max(one, ten) / min(one, ten)
    ok = order < 10 and min(one, ten) > 2 * local
    return ok, (
        f"1 Gb/s {one:.0f}, 10 Gb/s {ten:.0f}, UNIX {local:.0f} ms/GiB; {there:.0%} of "
        "RAM there at the switch"
    )


def _there_at_switch(trace: Trace) -> float:
    resume_s = trace.phases.resume_s or 0.0
    rows = zip(trace.progress.time_s, trace.progress.remaining_bytes, strict=True)
    left = [value for time_s, value in rows if time_s <= resume_s + 0.2][-1]
    return 1 - left / trace.rounds[0].pending_bytes


def f12(cells: Cells) -> Result:
    """Post-copy always completes, but where nothing can within the time."""
    tried = cells.like("post-copy", "unix", "tcp-local", "tcp-remote")
    able = [cell for cell in tried if can_send(cell, passes_before(cell))]
    done = [cell for cell in able if cell.completed]
    slow = [cell for cell in tried if cell not in able]
    named = sum(cell.name.endswith(SLOW_LINK) for cell in slow)
    other = len(slow) - named
    longest = max(postcopy_s(cell) for cell in done if cell.name.endswith("0gbs"))
    everywhere = named == sum(cell.name.endswith(SLOW_LINK) for cell in tried)
    return len(done) == len(able) and everywhere, (
        f"{len(done)} of {len(able)} complete that can in time ({named} at 100 Mb/s "
        f"and {other} others cannot); post-copy takes up to {longest:.1f} s at 10 Gb/s "
        "and above"
    )


def f13(cells: Cells) -> Result:
    """Auto-converge's worst is of post-copy's order, but lasts minutes."""
    slow = cells(FOUR, "tcp-remote", "auto-converge-bw-10gbs").quantities
    quick = cells(FOUR, "tcp-remote", "post-copy-bw-10gbs").quantities
    bad = [it["guest_worst_ms_per_gib"] or 0.0 for it in (slow, quick)]
    length = [it["guest_slow_s"] or 0.0 for it in (slow, quick)]
    ok = 0.1 < bad[0] / bad[1] < 10 and length[0] > 60 and length[0] > 5 * length[1]
    return ok, (
        f"auto-converge {bad[0]:.0f} ms/GiB and slow for {length[0]:.0f} s, post-copy "
        f"{bad[1]:.0f} ms/GiB for {length[1]:.1f} s"
    )


def f14(cells: Cells) -> Result:
    """Multi-thread zlib: more threads, fewer iterations, none completes."""
    found = [cells(FOUR, "tcp-remote", f"compr-mt-threads-{n}") for n in (1, 2, 4)]
    passes = [int(traced(cell).outcome.passes or 0) for cell in found]
    none = not any(cell.completed for cell in cells.like("compr-mt"))
    falling = passes[0] > passes[1] > passes[2]
    said = "none" if none else "some"
    shown = ", ".join(map(str, passes))
    return none and falling, f"{shown} passes with 1, 2, 4 threads; {said} complete"


def f15(cells: Cells) -> Result:
    """XBZRLE hardly lengthens an iteration, slows the guest, never completes."""
    found = cells.like("compr-xbzrle", "tcp-remote", guest=FOUR)
    plain = _pass_s(cells(FOUR, "tcp-remote", "pause-iters-20"))
    longer = median(_pass_s(cell) / plain for cell in found)
    slower = median(
        (cell.quantities["guest_precopy_ms_per_gib"] or 0.0) / before(cell)
        for cell in found
    )
    none = not any(cell.completed for cell in cells.like("compr-xbzrle"))
    said = "none completes" if none else "some complete"
    return none and longer < 1.3 and slower > 1.2, (
        f"a pass {longer:.2f} times as long, the guest {slower:.2f} times as slow; "
        f"{said}"
    )


def _pass_s(cell: Cell) -> float:
    """Mean length of the second to the tenth pass [s]."""
    return mean(it.end_s - it.start_s for it in traced(cell).rounds[1:10])


def f16(cells: Cells) -> Result:
    """RDMA ignores the limit, fails with post-copy, completes nothing more."""
    slow, fast = (
        traced(cells(FOUR, "rdma-remote", f"auto-converge-bw-{word}"))
        for word in (SLOW_LINK, "10gbs")
    )
    ratio = slow.rounds[1].end_s / fast.rounds[1].end_s
    lost = [cell for cell in cells.all if cell.link == "rdma-remote"]
    lost = [cell for cell in lost if cell.name.startswith("post-copy")]
    failed = not any(cell.completed for cell in lost)
    links = ("rdma-remote", "tcp-remote")
    here, there = (cells(FOUR, it, "auto-converge-bw-10gbs").completed for it in links)
    rdma = cells.like("auto-converge-bw", "rdma-remote", guest=FOUR)
    nothing_more = there or not any(cell.completed for cell in rdma)
    words = {True: "completes", False: "does not complete"}
    return abs(ratio - 1) < 0.05 and failed and nothing_more, (
        f"100 Mb/s and 10 Gb/s take {ratio:.2f} : 1; post-copy "
        f"{'fails' if failed else 'works'}; auto-converge {words[here]}, over TCP at "
        f"10 Gb/s it {words[there]}"
    )


def f20(cells: Cells) -> Result:
    """Auto-converge completes in the majority of its cells."""
    found = cells.like("auto-converge")
    done = sum(cell.completed for cell in found)
    late = sum(not can_send(cell, PASSES_TO_THROTTLE) for cell in found)
    return done > len(found) / 2, (
        f"{done} of {len(found)}; in {late} the time ends before the throttle can begin"
    )


def f21(cells: Cells) -> Result:
    """In post-copy only the thread that faults waits; a throttle slows all."""
    post = traced(cells(FOUR, "tcp-remote", "post-copy-bw-1gbs"))
    throttled = traced(cells(FOUR, "tcp-remote", "auto-converge-bw-10gbs"))
    assert post.phases.resume_s is not None
    spans = ((post, post.phases.resume_s), (throttled, throttled.phases.end_s / 2))
    apart = [_spread(trace, begin) for trace, begin in spans]
    return apart[0] > 1.2 > 1.05 > apart[1], (
        f"slowest thread over fastest: post-copy {apart[0]:.2f}, throttled "
        f"{apart[1]:.2f}"
    )


def _spread(trace: Trace, begin: float) -> float:
    """Time a page of the slowest vCPU over that of the fastest, after `begin`."""
    used: dict[int, list[float]] = {}
    guest = trace.guest
    columns = (guest.vcpu, guest.start_s, guest.end_s, guest.pages)
    for vcpu, start, end, pages in zip(*columns, strict=True):
        if begin <= start and end <= trace.phases.end_s and pages > 0:
            sums = used.setdefault(vcpu, [0.0, 0.0])
            sums[0] += end - start
            sums[1] += pages
    speeds = [seconds / pages for seconds, pages in used.values()]
    return max(speeds) / min(speeds) if speeds else 1.0


def f22(cells: Cells) -> Result:
    """The spike after the switch and the length of post-copy grow with RAM."""
    small, large = (
        cells(guest, "tcp-remote", "post-copy-bw-10gbs") for guest in (ONE, FOUR)
    )
    lengths = [postcopy_s(cell) for cell in (small, large)]
    spikes = [worst(cell, "postcopy") for cell in (small, large)]
    return lengths[1] > lengths[0] and spikes[1] > spikes[0], (
        f"1 GB: {lengths[0]:.1f} s, {spikes[0]:.0f} ms/GiB; 8 GB: {lengths[1]:.1f} s, "
        f"{spikes[1]:.0f} ms/GiB"
    )


def f19(cells: Cells) -> Result:
    """Post-copy first, else auto-converge; compression and RDMA do not help."""
    shares = {}
    for name in ("post-copy", "auto-converge", "compr"):
        found = cells.like(name, "unix", "tcp-local", "tcp-remote")
        shares[name] = sum(cell.completed for cell in found) / len(found)
    shown = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
    ok = shares["post-copy"] >= shares["auto-converge"] > shares["compr"]
    return ok, f"cells that complete: {shown}"


def _end(cell: Cell) -> str:
    outcome = traced(cell).outcome
    return outcome.verdict + (f" ({outcome.reason})" if outcome.reason else "")


CHECKS: dict[str, Check] = {
    "F1": f1,
    "F2": f2,
    "F3": f3,
    "F4": f4,
    "F5": f5,
    "F6": f6,
    "F7": f7,
    "F8": f8,
    "F9": f9,
    "F10": f10,
    "F11": f11,
    "F12": f12,
    "F13": f13,
    "F14": f14,
    "F15": f15,
    "F16": f16,
    "F19": f19,
    "F20": f20,
    "F21": f21,
    "F22": f22,
}


def findings(cells: Iterable[Cell]) -> Iterator[Finding]:
    """Check all findings, in their order."""
    known = Cells(cells)
    checks: dict[str, Check] = {**CHECKS, **BESIDE}
    for name in sorted(checks, key=lambda it: int(it[1:])):
        check = checks[name]
        says = (check.__doc__ or "").strip()
        try:
            reproduced, numbers = check(known)
        except Missing as reason:
            yield Finding(name, says, None, str(reason))
        else:
            yield Finding(name, says, reproduced, numbers)
