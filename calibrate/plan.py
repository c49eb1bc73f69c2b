"""The runs that identify each parameter of a host."""

from __future__ import annotations

from dataclasses import dataclass

from migmodel.errors import InputError
from migmodel.records import Guest, Limits, Policy, Scenario, Workload
from migmodel.records.parameters import ParameterValue
from migmodel.records.scenario import Touch
from migmodel.units import MIB, PAGE_BYTES

DEFAULT_RAM_BYTES = 320 * MIB
SMALLEST_RAM_BYTES = 96 * MIB
# What a run costs beside its migration: start, fill, settle, watch before and after.
OVERHEAD_S = 4.5
LONGEST_RUN_S = 30.0
COLD_PPS = 50.0  # a guest that hardly writes; the stress guest is never quite idle


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One scenario, how often it is run, and what it tells.

    Attributes
    ----------
    purpose : str
        For a person: which parameters hang on it.
    expected_s : float
        Rough length of the migration itself, for the estimate.
    """

    scenario: Scenario
    repeats: int
    purpose: str
    expected_s: float


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a calibration may take of the host.

    Attributes
    ----------
    ram_bytes : int
        Largest guest [bytes]; two are alive at a time.
    vcpus : int
        Most vCPUs of a guest.
    max_bandwidth_bytes_per_s : int or None
        Cap on every migration; None lets some run unlimited.
    """

    ram_bytes: int = DEFAULT_RAM_BYTES
    vcpus: int = 2
    max_bandwidth_bytes_per_s: int | None = None


def plan_runs(bounds: Bounds, *, quick: bool = False) -> list[PlannedRun]:
    """Choose the runs, within bounds.

    Parameters
    ----------
    bounds : Bounds
        What may be taken.
    quick : bool
        One repeat fewer of everything, and only what the basic figures hang on.

    Raises
    ------
    InputError
        When the bounds leave nothing to be learnt.
    """
    if bounds.ram_bytes < SMALLEST_RAM_BYTES:
        raise InputError(
            f"--mem must be at least {SMALLEST_RAM_BYTES // MIB} MiB to calibrate, "
            f"not {bounds.ram_bytes // MIB} MiB"
        )
    builder = _Builder(bounds)
    runs = builder.basic(repeats=2 if quick else 3)
    if not quick:
        runs += builder.more(repeats=2)
    return runs


class _Builder:
    """Scenarios in proportion to the largest guest."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._ram = bounds.ram_bytes // MIB * MIB

    def _run(
        self,
        name: str,
        purpose: str,
        repeats: int,
        *,
        share: float,
        rate_pps: float | None = None,
        vcpus: int = 1,
        touch: Touch = "sweep",
        bandwidth: int = 0,
        downtime_ms: int = 300,
        technique: str = "precopy",
        after: int | None = None,
        expected_s: float,
    ) -> PlannedRun:
        cap = self._bounds.max_bandwidth_bytes_per_s
        if cap is not None:
            bandwidth = min(bandwidth or cap, cap)
        working = int(self._ram * share) // (PAGE_BYTES * 512) * PAGE_BYTES * 512
        parameters: dict[str, ParameterValue] = {
            "max-bandwidth": bandwidth,
            "downtime-limit": downtime_ms,
        }
        return PlannedRun(
            scenario=Scenario(
                name=f"cal-{name}",
                guest=Guest(ram_bytes=self._ram, vcpus=vcpus),
                workload=Workload(
                    working_set_bytes=working,
                    rate_pps=rate_pps,
                    touch=touch,
                    # Where a paced guest is in its sweep would be noise.
                    phase=None if rate_pps in (None, COLD_PPS) else 0.0,
                ),
                policy=Policy(
                    technique=technique,  # type: ignore[arg-type]
                    after_passes=after,
                    parameters=parameters,
                ),
                limits=Limits(max_time_s=LONGEST_RUN_S),
            ),
            repeats=repeats,
            purpose=purpose,
            expected_s=expected_s,
        )

    def basic(self, repeats: int) -> list[PlannedRun]:
        """What every figure hangs on."""
        runs = [
            self._run(
                "zero",
                "zero pages, set-up, sync, device state, switch",
                repeats,
                share=0.007,
                rate_pps=COLD_PPS,
                downtime_ms=20,
                expected_s=0.3,
            ),
            self._run(
                "cold",
                "pages the destination has no memory for, CPU competition",
                repeats,
                share=0.8,
                rate_pps=COLD_PPS,
                downtime_ms=20,
                expected_s=1.5,
            ),
            self._run(
                "paced-cpu",
                "CPU cost of a page on both sides",
                repeats,
                share=0.5,
                rate_pps=9000,
                bandwidth=55_000_000,
                downtime_ms=100,
                expected_s=6.0,
            ),
            self._run(
                "limited",
                "guest speed while pages are copied, sync, cost of a manager's pause",
                repeats,
                share=0.5,
                bandwidth=180_000_000,
                technique="pause",
                after=5,
                expected_s=7.0,
            ),
            self._run(
                "unlimited",
                "throughput when threads compete, noise of a window",
                repeats,
                share=0.8,
                downtime_ms=40,
                technique="pause",
                after=6,
                expected_s=4.0,
            ),
            self._run(
                "stop",
                "throughput and switch of a long stop phase",
                repeats,
                share=0.5,
                bandwidth=90_000_000,
                downtime_ms=2000,
                expected_s=2.5,
            ),
            self._run(
                "throttle",
                "how a throttled guest runs",
                1,
                share=0.2,
                bandwidth=160_000_000,
                downtime_ms=60,
                technique="autoconverge",
                expected_s=20.0,
            ),
            self._run(
                "postcopy",
                "post-copy switch, stream and faults",
                repeats,
                share=0.8,
                bandwidth=180_000_000,
                technique="postcopy",
                after=1,
                expected_s=2.5,
            ),
        ]
        if self._bounds.vcpus >= 2:
            runs.append(
                self._run(
                    "two-vcpus",
                    "memory bandwidth and CPU competition",
                    repeats,
                    share=0.5,
                    vcpus=2,
                    bandwidth=180_000_000,
                    technique="pause",
                    after=3,
                    expected_s=5.0,
                )
            )
        return runs

    def more(self, repeats: int) -> list[PlannedRun]:
        """What sharpens the rest."""
        runs = [
            self._run(
                "touch-page",
                "a word a page: cost of first writes",
                repeats,
                share=0.5,
                touch="page",
                bandwidth=180_000_000,
                technique="pause",
                after=3,
                expected_s=5.0,
            ),
            self._run(
                "touch-study",
                "the 2016 study's way of writing",
                repeats,
                share=0.5,
                touch="study",
                bandwidth=180_000_000,
                technique="pause",
                after=2,
                expected_s=4.0,
            ),
            self._run(
                "postcopy-page",
                "faults of a guest that is faster than the stream",
                repeats,
                share=0.8,
                touch="page",
                bandwidth=180_000_000,
                technique="postcopy",
                after=1,
                expected_s=2.5,
            ),
            self._run(
                "postcopy-early",
                "post-copy with most pages missing",
                repeats,
                share=0.8,
                bandwidth=180_000_000,
                technique="postcopy",
                after=0,
                expected_s=1.0,
            ),
        ]
        if self._bounds.vcpus >= 2:
            runs.append(
                self._run(
                    "two-unlimited",
                    "two vCPUs and an unlimited stream",
                    repeats,
                    share=0.8,
                    vcpus=2,
                    downtime_ms=40,
                    technique="pause",
                    after=3,
                    expected_s=5.0,
                )
            )
            runs.append(
                self._run(
                    "two-postcopy",
                    "two vCPUs that fault",
                    repeats,
                    share=0.8,
                    vcpus=2,
                    bandwidth=180_000_000,
                    technique="postcopy",
                    after=1,
                    expected_s=2.5,
                )
            )
        return runs


def estimate_s(runs: list[PlannedRun]) -> float:
    """Rough time that the runs take [s]."""
    return sum(run.repeats * (run.expected_s + OVERHEAD_S) for run in runs)
