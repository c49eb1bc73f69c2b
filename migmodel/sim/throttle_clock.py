"""When a throttled vCPU sleeps: not a mean share, but its actual turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from migmodel.physics.throttle import TIMESLICE_S, period_s, run_share, sleep_s
from migmodel.records.console import REPORT_S


@dataclass(frozen=True, slots=True)
class _Rhythm:
    """Sleeps that begin at `epoch_s` and every period after it, all alike."""

    epoch_s: float
    period_s: float
    sleep_s: float

    def _sleep_of(self, _turn: float) -> float:
        return self.sleep_s

    def _run_in(self, turns: float) -> float:
        """Time run in the first turns [s]."""
        return turns * (self.period_s - self.sleep_s)

    def run_until(self, now_s: float) -> float:
        """Time run from the epoch until now [s]."""
        turns, rest = divmod(max(now_s - self.epoch_s, 0.0), self.period_s)
        return self._run_in(turns) + max(rest - self._sleep_of(turns), 0.0)

    def next_tick(self, now_s: float) -> float:
        """Begin of the next period [s]."""
        turns = max(now_s - self.epoch_s, 0.0) // self.period_s + 1
        return self.epoch_s + turns * self.period_s

    def asleep_for(self, now_s: float) -> float:
        """How long the sleep lasts already in which it is; 0 when it runs [s]."""
        if now_s < self.epoch_s:
            return 0.0
        turns, rest = divmod(now_s - self.epoch_s, self.period_s)
        return rest if rest < self._sleep_of(turns) else 0.0

    def awake_from(self, now_s: float) -> float:
        """Now, or when the sleep ends in which it is [s]."""
        if now_s < self.epoch_s:
            return now_s
        turns, rest = divmod(now_s - self.epoch_s, self.period_s)
        return now_s + max(self._sleep_of(turns) - rest, 0.0)


@dataclass(frozen=True, slots=True)
class _UnevenRhythm(_Rhythm):
    """Sleeps of different lengths; they come again after the last one."""

    sleeps_s: tuple[float, ...]
    runs_s: tuple[float, ...]  # together, in the turns before each, and in all

    @classmethod
    def of(
        cls, epoch_s: float, period_s: float, sleeps_s: Sequence[float]
    ) -> _UnevenRhythm:
        """Turns that have these sleeps [s]."""
        runs_s = accumulate((period_s - sleep_s for sleep_s in sleeps_s), initial=0.0)
        mean_s = sum(sleeps_s) / len(sleeps_s)
        return cls(epoch_s, period_s, mean_s, tuple(sleeps_s), tuple(runs_s))

    def _sleep_of(self, turn: float) -> float:
        return self.sleeps_s[int(turn) % len(self.sleeps_s)]

    def _run_in(self, turns: float) -> float:
        rounds, turn = divmod(int(turns), len(self.sleeps_s))
        return rounds * self.runs_s[-1] + self.runs_s[turn]


class ThrottleClock:
    """The throttle's timer; all vCPUs sleep in phase.

    A first percentage acts at once; a new one from the next tick on, since the sleep
    that has begun is not shortened (QEMU 10.0 migration/cpu-throttle.c).

    Parameters
    ----------
    sleep_extra_s : float
        What each sleep costs beside its length on this host: waking late, running
        cold after it [s].
    line_s : float
        What a line on the guest's console costs it [s]. They come by the guest's clock:
        in the turns of a throttled guest there are more of them for its work.
    luck : callable
        Factor on what a turn leaves to run, asked at each level.
    turns_luck : callable
        What successive turns leave to run beside it [s], asked at each level; none: all
        are alike.

    Attributes
    ----------
    percent : float
        cpu-throttle-percentage, 0 for none.
    run_share : float
        Share of time that a vCPU is let run at it.
    """

    def __init__(
        self,
        sleep_extra_s: float,
        line_s: float = 0.0,
        luck: Callable[[], float] = lambda: 1.0,
        turns_luck: Callable[[], Sequence[float]] = tuple,
    ) -> None:
        self.percent = 0.0
        self.run_share = 1.0
        self._sleep_extra_s = sleep_extra_s
        self._line_s = line_s
        self._luck = luck
        self._turns_luck = turns_luck
        self._rhythm: _Rhythm | None = None
        self._before: _Rhythm | None = None

    def set_percent(self, percent: float, now_s: float) -> None:
        """Throttle to this percentage; 0 ends it."""
        self.percent = percent
        extra_s = self._extra_s(percent)
        self.run_share = run_share(percent, extra_s)
        if percent <= 0:
            self._rhythm = self._before = None
            return
        self._before = self._rhythm
        epoch_s = now_s if self._rhythm is None else self._rhythm.next_tick(now_s)
        period = period_s(percent)
        sleep = min(sleep_s(percent) + extra_s, period)
        more_s = self._turns_luck()
        if not more_s:
            self._rhythm = _Rhythm(epoch_s, period, sleep)
            return
        sleeps = [min(max(sleep - more, 0.0), period) for more in more_s]
        self._rhythm = _UnevenRhythm.of(epoch_s, period, sleeps)

    def _extra_s(self, percent: float) -> float:
        """What a turn loses beside its sleep [s].

        As many lines as a guest prints in that running time without a throttle are in
        the time of its pages.
        """
        if percent <= 0:
            return 0.0
        lines = min(period_s(percent) / REPORT_S, 1.0) - TIMESLICE_S / REPORT_S
        lost_s = self._sleep_extra_s + lines * self._line_s
        lost_s = TIMESLICE_S - max(TIMESLICE_S - lost_s, 0.0) * self._luck()
        return max(lost_s, -sleep_s(percent))

    @property
    def turn_s(self) -> float:
        """One run and one sleep; 0 without a throttle [s]."""
        return 0.0 if self._rhythm is None else self._rhythm.period_s

    def run_time(self, start_s: float, end_s: float) -> float:
        """How long of this time a vCPU is let run [s]."""
        rhythm = self._rhythm
        if rhythm is None:
            return end_s - start_s
        change_s = min(max(rhythm.epoch_s, start_s), end_s)
        run = rhythm.run_until(end_s) - rhythm.run_until(change_s)
        if change_s > start_s:
            if self._before is None:
                run += change_s - start_s
            else:
                before = self._before
                run += before.run_until(change_s) - before.run_until(start_s)
        return run

    def awake_from(self, now_s: float) -> float:
        """Now, or when the sleep ends that a vCPU is in [s]."""
        rhythm = self._rhythm
        if rhythm is None:
            return now_s
        if now_s < rhythm.epoch_s:
            return now_s if self._before is None else self._before.awake_from(now_s)
        return rhythm.awake_from(now_s)

    def asleep_for(self, now_s: float) -> float:
        """How long the sleep lasts already that a vCPU is in; 0 when it runs [s]."""
        rhythm = self._rhythm
        if rhythm is not None and now_s < rhythm.epoch_s:
            rhythm = self._before
        return 0.0 if rhythm is None else rhythm.asleep_for(now_s)
