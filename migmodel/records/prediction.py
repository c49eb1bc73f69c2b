"""What the model says of a Scenario."""

from __future__ import annotations

from migmodel.records.base import Record
from migmodel.records.scenario import Scenario
from migmodel.records.trace import Trace

PREDICTION_SCHEMA = 1


class Interval(Record, frozen=True, kw_only=True):
    """A predicted quantity over the draws in which it exists.

    Parameters
    ----------
    nominal : float or None
        Of the nominal run, which draws nothing.
    low, median, high : float or None
        10th, 50th and 90th percentile over the draws: an 80 % interval.
    """

    nominal: float | None = None
    low: float | None = None
    median: float | None = None
    high: float | None = None


class Prediction(Record, frozen=True, kw_only=True):
    """A distribution over Traces, summed up.

    Parameters
    ----------
    trace : Trace
        The nominal run.
    completes_probability : float
        Share of draws that complete (of the nominal run alone if none were drawn).
    quantities : dict
        Name (as in `Outcome`, and the guest's ``*_ms_per_gib``) to `Interval`.
    assumptions : list of str
        What was assumed because nobody said otherwise.
    draws, seed : int
        Number of replications and their seed; 0 draws is nominal only.
    """

    scenario: Scenario
    profile: str
    trace: Trace
    completes_probability: float
    quantities: dict[str, Interval]
    assumptions: list[str] = []
    draws: int = 0
    seed: int = 0
    schema: int = PREDICTION_SCHEMA
