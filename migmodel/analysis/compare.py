"""One run against the prediction of the same scenario."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from migmodel.analysis.guest_speed import PAGES_PER_GIB, phase_speeds
from migmodel.analysis.predict import DEFAULT_DRAWS, predict, quantities_of
from migmodel.records import HostProfile, Interval, Measurement, Parameter, Prediction
from migmodel.units import MS_PER_S


class Compared(NamedTuple):
    """A quantity, measured and predicted; None where the run did not show it."""

    name: str
    measured: float | None
    predicted: Interval

    @property
    def best(self) -> float | None:
        """The prediction as one number: its median, or the nominal run's."""
        median = self.predicted.median
        return self.predicted.nominal if median is None else median

    @property
    def relative_error(self) -> float | None:
        """(predicted - measured) / measured."""
        if not self.measured or self.best is None:
            return None
        return self.best / self.measured - 1


class Comparison(NamedTuple):
    """A run and its prediction."""

    measurement: Measurement
    prediction: Prediction

    @property
    def rows(self) -> list[Compared]:
        """What was measured, each quantity with its prediction."""
        measured = quantities_of(self.measurement.trace)
        predicted = self.prediction.quantities
        return [
            Compared(name, value, predicted.get(name, Interval()))
            for name, value in measured.items()
            if value is not None
        ]

    @property
    def verdict_right(self) -> bool:
        """Whether the likelier end is the one that came."""
        completed = self.measurement.trace.outcome.verdict == "completed"
        return completed == (self.prediction.completes_probability >= 0.5)


def with_guest_speed(profile: HostProfile, run: Measurement) -> HostProfile:
    """Give a profile the speed that this run's guest had before its migration.

    A line says how long a thread took to rewrite a GiB while all threads ran, so it
    holds what the memory bandwidth left it, and sets both.

    Parameters
    ----------
    profile : HostProfile
        The host.
    run : Measurement
        A run of a guest at full speed; a paced one says nothing of the host.
    """
    scenario = run.scenario
    before = phase_speeds(run.trace).get("before")
    if before is None or scenario.workload.rate_pps is not None:
        return profile
    page_s = before.mean_ms_per_gib / MS_PER_S / PAGES_PER_GIB
    source = "read from the guest's lines before the migration"
    touch = f"{scenario.workload.touch}_touch_s"
    memory = "memory_pages_per_s"
    known = profile.parameters
    changed = {touch: msgspec.structs.replace(known[touch], value=page_s)}
    if scenario.workload.touch != "page":
        rate = max(known[memory].value, scenario.guest.vcpus / page_s)
        changed[memory] = msgspec.structs.replace(known[memory], value=rate)
    changed = {
        name: Parameter(value=item.value, source=source)
        for name, item in changed.items()
    }
    return msgspec.structs.replace(profile, parameters={**known, **changed})


def compare(
    run: Measurement, profile: HostProfile, *, draws: int = DEFAULT_DRAWS, seed: int = 0
) -> Comparison:
    """Predict a run's scenario and set the two side by side.

    Parameters
    ----------
    run : Measurement
        One run, also from a guestperf report.
    profile : HostProfile
        The host; see `with_guest_speed`.
    draws, seed : int
        As `predict` takes them.
    """
    return Comparison(run, predict(run.scenario, profile, draws=draws, seed=seed))
