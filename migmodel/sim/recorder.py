"""Collects what happens in a simulation and makes the Trace of it."""

from __future__ import annotations

from migmodel.records import (
    Event,
    GuestSpeed,
    HostLoad,
    Outcome,
    Phases,
    Progress,
    Round,
    Trace,
)

_SAME_SPEED = 1e-3  # relative; work at one speed is one unit
_SHORTEST_UNIT_S = 0.075  # as the stress guest reports: less would show single sleeps
_A_LITTLE_S = 0.005
_Unit = list[float]  # start_s, end_s, pages, gap_s
_Sample = tuple[float, float, float, float, int, float]


class Recorder:
    """Columns that grow while the simulation runs.

    Guest work is always kept, since slowdown is part of every answer; the rest only
    for a Trace that somebody will look at.
    """

    def __init__(self, vcpus: int, detailed: bool) -> None:
        self._detailed = detailed
        self._units: list[list[_Unit]] = [[] for _ in range(vcpus)]
        self._report_s = _SHORTEST_UNIT_S
        self._events: list[Event] = []
        self._rounds: list[Round] = []
        self._samples: list[_Sample] = []
        self._load: list[tuple[float, float, float, float]] = []

    def event(self, time_s: float, name: str, detail: str = "") -> None:
        """Note something that happened."""
        if self._detailed:
            self._events.append(Event(time_s=time_s, name=name, detail=detail))

    def sample(self, row: _Sample) -> None:
        """Note what query-migrate would show: the columns of `Progress`."""
        if self._detailed:
            self._samples.append(row)

    def load(
        self, time_s: float, vcpu: float, source: float, destination: float
    ) -> None:
        """Note the busy cores of the time up to now."""
        if self._detailed:
            self._load.append((time_s, vcpu, source, destination))

    def round(
        self, index: int, start_s: float, end_s: float, pending: float, sent: float
    ) -> None:
        """Note a pass that ended."""
        if self._detailed:
            self._rounds.append(
                Round(
                    index=index,
                    start_s=start_s,
                    end_s=end_s,
                    pending_bytes=pending,
                    sent_bytes=sent,
                )
            )

    def work(
        self,
        vcpu: int,
        start_s: float,
        end_s: float,
        pages: float,
        gap_s: float = 0.0,
        turn_s: float = 0.0,
    ) -> None:
        """Note a vCPU's work, in units as the stress guest reports them.

        It is joined to the unit before when the speed is the same, or when that is
        still shorter than a report; a throttled thread reports once a turn (`turn_s`).
        What a gap cuts short goes to the unit before it: of a sleep's rest alone it
        would be no speed.
        """
        if end_s <= start_s:
            return
        units = self._units[vcpu]
        if gap_s == 0:
            self._report_s = max(_SHORTEST_UNIT_S, turn_s)
        elif len(units) > 1 and units[-2][3] == 0 and units[-2][0] >= 0:
            rest = units[-1]
            if rest[3] == 0 and rest[1] - rest[0] < self._report_s - _A_LITTLE_S:
                units.pop()
                units[-1][1] = rest[1]
                units[-1][2] += rest[2]
        if units and gap_s == 0 and units[-1][3] == 0:
            last = units[-1]
            old_rate = last[2] / (last[1] - last[0])
            same = abs(pages / (end_s - start_s) - old_rate) <= _SAME_SPEED * old_rate
            short = last[1] - last[0] < self._report_s - _A_LITTLE_S
            if same or (short and start_s > 0):
                last[1] = end_s
                last[2] += pages
                return
        units.append([start_s, end_s, pages, gap_s])

    def trace(self, outcome: Outcome, phases: Phases) -> Trace:
        """Everything so far, as a Trace."""
        rows = [
            (vcpu, *unit) for vcpu, units in enumerate(self._units) for unit in units
        ]
        vcpu, start, end, pages, gap = (
            map(list, zip(*rows, strict=True)) if rows else ([] for _ in range(5))
        )
        columns = [list(column) for column in zip(*self._samples, strict=True)]
        load = [list(column) for column in zip(*self._load, strict=True)]
        return Trace(
            outcome=outcome,
            phases=phases,
            guest=GuestSpeed(
                vcpu=[int(k) for k in vcpu],
                start_s=start,
                end_s=end,
                pages=pages,
                gap_s=gap,
            ),
            events=self._events,
            rounds=self._rounds,
            progress=_progress(columns),
            load=_host_load(load),
        )


def _progress(columns: list[list[float]]) -> Progress:
    if not columns:
        return Progress()
    return Progress(
        time_s=columns[0],
        remaining_bytes=columns[1],
        transferred_bytes=columns[2],
        throttle_percent=columns[3],
        dirty_sync_count=[int(count) for count in columns[4]],
        dirty_pages_rate_pps=columns[5],
    )


def _host_load(columns: list[list[float]]) -> HostLoad:
    if not columns:
        return HostLoad()
    return HostLoad(
        time_s=columns[0],
        vcpu_cores=columns[1],
        source_cores=columns[2],
        destination_cores=columns[3],
    )
