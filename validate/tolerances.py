"""How far off a prediction may be."""

from __future__ import annotations

from dataclasses import dataclass, replace

SMOKE_FACTOR = 3.0


@dataclass(frozen=True, slots=True)
class Tolerances:
    """Limits of the headlines; the defaults are those of the standard suite.

    Relative figures are shares, 0.05 is 5 %. None is reported and decides nothing.

    Attributes
    ----------
    total_time_median, total_time_p90 : float
        Relative error of the total time, in all and by technique.
    passes_off, passes_share : float
        So near the measured median must the passes be in this share of scenarios.
    throttle_steps : float
        Peak throttle, in steps of cpu-throttle-increment, in every scenario.
    downtime_s, downtime_share : float
        p90 of the error of STOP to RESUME: the larger of the two [s], relative.
    guest, cpu : float
        Median relative error of the guest's ms/GiB in each phase, and of host CPU.
    coverage : tuple of float or None
        Share of runs whose total time lies within the 80 % interval: least and most.
    width : float or None
        Median of that interval's width over its median.
    baselines : bool
        Better than every baseline, on plain pre-copy alone and on all.
    """

    total_time_median: float = 0.05
    total_time_p90: float = 0.12
    passes_off: float = 2.0
    passes_share: float = 0.8
    throttle_steps: float = 1.0
    downtime_s: float = 0.020
    downtime_share: float = 0.15
    guest: float = 0.15
    cpu: float = 0.20
    coverage: tuple[float, float] | None = (0.65, 0.95)
    width: float | None = 0.30
    baselines: bool = True

    def following(self, spread: float) -> Tolerances:
        """Loosen them for few short runs and a quick profile.

        Every limit is three times the standard one, and relative ones are widened by
        the measured spread besides. What a handful of runs cannot show decides nothing.

        Parameters
        ----------
        spread : float
            Largest relative range of the total time among one scenario's repeats.
        """
        return replace(
            self,
            total_time_median=SMOKE_FACTOR * self.total_time_median + spread,
            total_time_p90=SMOKE_FACTOR * self.total_time_p90 + spread,
            passes_off=SMOKE_FACTOR * self.passes_off,
            throttle_steps=SMOKE_FACTOR * self.throttle_steps,
            downtime_s=SMOKE_FACTOR * self.downtime_s,
            downtime_share=SMOKE_FACTOR * self.downtime_share + spread,
            guest=SMOKE_FACTOR * self.guest + spread,
            cpu=SMOKE_FACTOR * self.cpu + spread,
            coverage=None,
            width=None,
            baselines=False,
        )
