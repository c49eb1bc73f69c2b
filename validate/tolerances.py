"""How far off a prediction may be."""

from __future__ import annotations

from dataclasses import dataclass, replace

SMOKE_FACTOR = 2.0  # beyond it a drift of the model would hide behind a restless host


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Limits of the headlines; the defaults are those of the standard suite.

    Relative figures are shares, 0.05 is 5 %. None is reported and decides nothing.

    Attributes
    ----------
    runs : int or None
        Fewest valid runs.
    wrong_verdicts : int or None
        Most scenarios with a wrong verdict.
    bad_runs : int or None
        Most runs with a wrong verdict or a total time that is 25 % off.
    total_time_median, total_time_p90 : float
        Relative error of the total time, in all.
    technique_median, technique_p90 : float or None
        The same of each technique.
    passes_off, passes_share : float
        So near the measured median must the passes be in this share of scenarios.
    throttle_steps : float
        Peak throttle, in steps of cpu-throttle-increment, in every scenario.
    downtime_s, downtime_share : float
        p90 of the error of STOP to RESUME: the larger of the two [s], relative.
    guest_follows : bool
        Whether each phase's ms/GiB is allowed the spread of that figure besides.
    guest, guest_worst, cpu, bytes_sent : float or None
        Median relative error of the guest's ms/GiB in each phase, mean and worst
        second, of host CPU and of the bytes on the wire.
    fault_factor, fault_buckets : float or None
        Fault latency: factor between the medians, and earth-mover distance between the
        histograms, in every scenario.
    orderings, crossovers : bool
        Steps that are told apart by measuring are ordered as measured; each codec is
        bound by what it was bound by.
    coverage : tuple of float or None
        Share of runs whose total time lies within the 80 % interval: least and most.
    width : float or None
        Median of that interval's width over its median.
    noise_ratio : float or None
        Of each guest.
    baselines : bool
        Better than every baseline, on plain pre-copy alone and on all.
    """

    runs: int | None = None
    wrong_verdicts: int | None = 0
    bad_runs: int | None = None
    total_time_median: float = 0.05
    total_time_p90: float = 0.12
    technique_median: float | None = 0.05
    technique_p90: float | None = 0.12
    passes_off: float = 2.0
    passes_share: float = 0.8
    throttle_steps: float = 1.0
    downtime_s: float = 0.020
    downtime_share: float = 0.15
    guest_follows: bool = False
    guest: float = 0.15
    guest_worst: float | None = None
    cpu: float = 0.20
    bytes_sent: float | None = None
    fault_factor: float | None = None
    fault_buckets: float | None = None
    orderings: bool = False
    crossovers: bool = False
    coverage: tuple[float, float] | None = (0.65, 0.95)
    width: float | None = 0.30
    noise_ratio: float | None = None
    baselines: bool = True

    def following(self, spread: float) -> Tolerances:
        """Loosen the standard ones for few short runs and a quick profile.

        Relative limits are widened by the measured spread, which is how far off the
        median of three runs may be by itself, up to twice the standard ones: where the
        spread asks for more, the host is too restless to validate on, and that fails.
        The guest's ms/GiB has one scenario a phase at worst, and in post-copy the
        scheduler's choice between stream and faults: it follows its own spread.
        Others have no spread of their own and are doubled. A technique has a single
        scenario here, whose error is no median: it has the limit of the p90. What a
        handful of runs cannot show decides nothing.

        Parameters
        ----------
        spread : float
            Largest relative range of the total time among one scenario's repeats.
        """

        def widened(limit: float) -> float:
            return min(limit + spread, SMOKE_FACTOR * limit)

        p90 = widened(self.total_time_p90)
        return replace(
            self,
            total_time_median=widened(self.total_time_median),
            total_time_p90=p90,
            technique_median=p90,
            technique_p90=p90,
            passes_off=SMOKE_FACTOR * self.passes_off,
            throttle_steps=SMOKE_FACTOR * self.throttle_steps,
            downtime_s=SMOKE_FACTOR * self.downtime_s,
            downtime_share=widened(self.downtime_share),
            guest_follows=True,
            guest=widened(self.guest),
            cpu=widened(self.cpu),
            coverage=None,
            width=None,
            baselines=False,
        )


STANDARD = Tolerances()
FULL = Tolerances(
    runs=120,
    wrong_verdicts=None,  # among the bad runs
    bad_runs=2,
    total_time_p90=0.10,
    technique_median=0.08,
    technique_p90=None,
    guest_worst=0.15,
    bytes_sent=0.05,
    fault_factor=1.5,
    fault_buckets=1.0,
    orderings=True,
    crossovers=True,
    noise_ratio=5.0,
)
