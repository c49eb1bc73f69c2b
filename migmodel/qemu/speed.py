"""The guest's own speed and gaps, from both consoles, on the host's clock."""

from __future__ import annotations

import msgspec

from migmodel.qemu.story import Story
from migmodel.records.console import UnitLine, parse_line
from migmodel.records.measurement import Raw
from migmodel.records.trace import GuestSpeed
from migmodel.units import NS_PER_S

_Line = tuple[float, UnitLine]  # arrival on the Trace's clock [s]
_FEWEST_FOR_DRIFT = 20
_CERTAIN_DRIFT_S = 0.001  # less than this is within the jitter of arrivals


class Clock(msgspec.Struct, frozen=True):
    """Guest time to the Trace's clock: ``offset_s + rate * guest seconds``."""

    offset_s: float
    rate: float = 1.0

    def time_s(self, guest_ns: float) -> float:
        """Guest time [ns] on the Trace's clock [s]."""
        return self.offset_s + self.rate * guest_ns / NS_PER_S


class GuestStory(msgspec.Struct, frozen=True):
    """What the guest said of itself.

    Parameters
    ----------
    speed : GuestSpeed
        All units of work.
    downtime_s : float or None
        Longest gap around the switch, over the vCPUs [s].
    bad_pages : int
        Pages that did not hold what was written last.
    """

    speed: GuestSpeed
    downtime_s: float | None
    bad_pages: int


def guest_story(raw: Raw, story: Story) -> GuestStory:
    """Put both consoles on one clock.

    The guest's clock stands still while the VM is stopped, so source and destination
    have each their own offset to the host's clock, and the blackout is the difference
    of the two. A gap across the switch is that difference plus the longest gap that
    the guest saw in the same unit of work (under a throttle, where sleeps are as
    long, that is an upper bound).
    """
    source, destination = unit_lines(raw)
    resumed_s = None
    if story.status != "completed":  # paused by a manager, then given up: it ran on
        resumed_s = story.first("source", "RESUME")
    before = [it for it in source if resumed_s is None or it[0] < resumed_s]
    later = source[len(before) :] or destination
    speed = GuestSpeed()
    bad = _bad_pages(source + destination)
    if not before:
        return GuestStory(speed, None, bad)
    rate = _rate(before)
    clocks = [Clock(_offset(before, rate), rate)]
    switch_ns = float("inf")
    if later:
        clocks.append(Clock(_offset(later, rate), rate))
        stop_s = story.first("source", "STOP")
        if stop_s is not None:
            switch_ns = (stop_s - clocks[0].offset_s) / rate * NS_PER_S
    blackout_s = clocks[-1].offset_s - clocks[0].offset_s
    gaps_s = [blackout_s]  # around the switch; its own line may be lost
    for _, unit in before + later:
        began_ns = unit.t_ns - unit.dt_ns
        start_clock, end_clock = (
            clocks[-1 if at_ns > switch_ns else 0] for at_ns in (began_ns, unit.t_ns)
        )
        gap_s = rate * unit.gap_ns / NS_PER_S
        if start_clock is not end_clock:
            gap_s += blackout_s
            gaps_s.append(gap_s)
        speed.vcpu.append(unit.cpu)
        speed.start_s.append(start_clock.time_s(began_ns))
        speed.end_s.append(end_clock.time_s(unit.t_ns))
        speed.pages.append(float(unit.pages))
        speed.gap_s.append(gap_s)
    switched = story.switched and len(clocks) == 2
    return GuestStory(speed, max(gaps_s) if switched else None, bad)


def unit_lines(raw: Raw) -> tuple[list[_Line], list[_Line]]:
    """Unit lines of source and destination, arrivals on the Trace's clock [s].

    A line torn by the switch is put together again: it is the one that spans it.
    """
    source, destination = list(raw.source_console), list(raw.destination_console)
    if source and destination and parse_line(source[-1][1]) is None:
        joined = source[-1][1] + destination[0][1]
        if parse_line(joined) is not None:
            destination[0] = [destination[0][0], joined]
    return (
        _units(source, raw.started_s),
        _units(destination, raw.started_s),
    )


def _units(console: list[tuple[float, str]], started_s: float) -> list[_Line]:
    parsed = ((at - started_s, parse_line(text)) for at, text in console)
    return [(at, line) for at, line in parsed if isinstance(line, UnitLine)]


def _offset(lines: list[_Line], rate: float) -> float:
    """Smallest distance of arrival and guest time: the line that was not delayed."""
    return min(at - rate * unit.t_ns / NS_PER_S for at, unit in lines)


def _rate(lines: list[_Line]) -> float:
    """Host seconds per guest second; 1 unless it is certainly something else."""
    third = len(lines) // 3
    if third < _FEWEST_FOR_DRIFT:
        return 1.0
    ends = []
    for part in (lines[:third], lines[-third:]):
        delay_s, guest_s = min(
            (at - unit.t_ns / NS_PER_S, unit.t_ns / NS_PER_S) for at, unit in part
        )
        ends.append((delay_s, guest_s))
    (first_delay, first), (last_delay, last) = ends
    drift_s = last_delay - first_delay
    if abs(drift_s) < _CERTAIN_DRIFT_S or last <= first:
        return 1.0
    return 1.0 + drift_s / (last - first)


def _bad_pages(lines: list[_Line]) -> int:
    """Each vCPU counts its own from its start on, wherever it runs."""
    worst: dict[int, int] = {}
    for _, unit in lines:
        worst[unit.cpu] = max(worst.get(unit.cpu, 0), unit.bad)
    return sum(worst.values())
