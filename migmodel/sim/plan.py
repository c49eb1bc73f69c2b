"""What the migration thread will do next, as long as nobody disturbs it."""

from __future__ import annotations

from dataclasses import dataclass

EPSILON = 1e-9


@dataclass(slots=True)
class Plan:
    """Turns of sending, all alike, from `start_s` on.

    Attributes
    ----------
    start_s : float
        Begin of the first turn.
    turns : int
        How many.
    turn_s, turn_pages : float
        Length of a turn and pages that it sends.
    pages_per_s : float
        Speed within the turn's burst.
    kind : int
        What kind of pages.
    ends_call : bool
        It ends the iterate call: the threshold is looked at when it is over.
    limited : bool
        The rate limit ends its windows, not time.
    link_bound : bool
        It waits for the link: the queue is full.
    uses_up : bool
        It is what the window has left; the stream sleeps after it.
    turns_a_window : int
        Turns after which a window closes: 1 where each turn uses up the window's
        budget, 2 where iterate calls of 51 ms end by themselves, 1 where these last
        as long as a window.
    """

    start_s: float
    turns: int
    turn_s: float
    turn_pages: float
    pages_per_s: float
    kind: int
    ends_call: bool
    limited: bool
    turns_a_window: int = 1
    link_bound: bool = False
    uses_up: bool = False
    done_pages: float = 0.0
    done_windows: int = 0

    @property
    def sleeps(self) -> bool:
        """Whether the stream sleeps before each of its windows closes."""
        return self.limited or self.link_bound

    @property
    def end_s(self) -> float:
        """When the last turn ends."""
        return self.start_s + self.turns * self.turn_s

    def pages_at(self, now_s: float) -> float:
        """Pages sent by now."""
        elapsed = max(now_s - self.start_s, 0.0)
        whole = min(int(elapsed / self.turn_s + EPSILON), self.turns)
        if whole >= self.turns:
            return self.turns * self.turn_pages
        rest = (elapsed - whole * self.turn_s) * self.pages_per_s
        return whole * self.turn_pages + min(rest, self.turn_pages)

    def end_with_turn(self, now_s: float) -> float:
        """Cut it short at the end of the turn that runs now; how long that is [s]."""
        elapsed = now_s - self.start_s
        self.turns = min(int(elapsed / self.turn_s) + 1, self.turns)
        return self.turns * self.turn_s - elapsed
