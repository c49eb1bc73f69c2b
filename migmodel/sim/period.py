"""Auto-converge's ledger: what was dirtied against what was sent, by the second."""

from __future__ import annotations

from migmodel.physics import throttle
from migmodel.sim.settings import Settings
from migmodel.sim.throttle_clock import ThrottleClock
from migmodel.units import PAGE_BYTES

_WORSE_TWICE = 2


class Period:
    """Counts that add up over syncs until a second has passed (Eq M7).

    Attributes
    ----------
    dirty_rate_pps : float
        dirty-pages-rate, as of the last judgement.
    hits : int
        Periods above the trigger threshold since the last step.
    peak_percent : float
        Highest throttle so far.
    limiting : bool
        dirty-limit has begun.
    since_s : float
        When the last judgement was [s].
    """

    def __init__(self, settings: Settings, clock: ThrottleClock) -> None:
        self.dirty_rate_pps = 0.0
        self.hits = 0
        self.peak_percent = 0.0
        self.limiting = False
        self._settings = settings
        self._clock = clock
        self.since_s = 0.0
        self._dirty_pages = 0.0
        self._sent_before = 0.0
        self._ratio_percent = 0
        self._worse = 0

    def begin(self, now_s: float) -> None:
        """Begin the first period: the set-up's sync."""
        self.since_s = now_s

    def add(self, new_pages: float, sent_bytes: float, now_s: float) -> None:
        """Add a sync's newly dirty pages; judge, if the period is long enough."""
        self._dirty_pages += new_pages
        if now_s - self.since_s >= throttle.PERIOD_S:
            if self._settings.auto_converges or self._settings.has("dirty-limit"):
                self._judge(sent_bytes - self._sent_before, now_s)
            self.dirty_rate_pps = self._dirty_pages / (now_s - self.since_s)
            self.since_s = now_s
            self._dirty_pages = 0.0
            self._sent_before = sent_bytes

    def _judge(self, sent_bytes: float, now_s: float) -> None:
        rule, clock = self._settings.throttle_rule, self._clock
        known = self.dirty_rate_pps > 0 or not self._settings.rules.throttle_needs_rate
        over = known and throttle.exceeds(rule, self._dirty_pages, sent_bytes)
        self.hits += over
        worse = self._gets_worse(rule, sent_bytes)
        if self.hits >= rule.hits or (over and worse):
            if self.hits >= rule.hits:
                self.hits = 0
            if not self._settings.auto_converges:
                self.limiting = True
                return
            percent = throttle.next_percent(
                rule, clock.percent, self._dirty_pages, sent_bytes
            )
            clock.set_percent(percent, now_s)
            self.peak_percent = max(self.peak_percent, percent)

    def _gets_worse(self, rule: throttle.ThrottleRule, sent_bytes: float) -> bool:
        """Twice the ratio of dirtied to sent was high, and no lower than before."""
        if not self._settings.rules.steps_on_ratio or sent_bytes <= 0:
            return False
        before = self._ratio_percent
        now = int(100 * self._dirty_pages * PAGE_BYTES / sent_bytes)
        self._ratio_percent = now
        if before and now > rule.trigger_threshold and now >= before:
            self._worse += 1
        if not before or self._worse < _WORSE_TWICE:
            return False
        self._worse = 0
        return True

    @property
    def can_step(self) -> bool:
        """The throttle may still rise."""
        settings = self._settings
        if settings.has("dirty-limit"):
            return not self.limiting
        if not settings.auto_converges:
            return False
        return self._clock.percent < settings.number("max-cpu-throttle")
