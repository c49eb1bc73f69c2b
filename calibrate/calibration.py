"""From Measurements to a profile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from migmodel.errors import FitError
from migmodel.records import HostProfile, Measurement, Parameter

from .evidence import noise, observe, unexplained, window_noise
from .fit import Fit, Observation, fit_profile

# Which scenarios a parameter can be told from. One whose scenarios were not run keeps
# the value that the fit started from, and says so.
IDENTIFIED_BY: dict[str, tuple[str, ...]] = {
    "page_source_s": ("paced-cpu", "limited"),
    "page_destination_s": ("paced-cpu", "limited"),
    "fresh_page_s": ("cold", "paced-cpu"),
    "pipeline_overlap": ("unlimited", "stop"),
    "flush_handoff_s": ("unlimited", "stop"),
    "crowded_flush_s": ("two-unlimited",),
    "zero_page_source_s": ("zero",),
    "zero_page_destination_s": ("zero",),
    "postcopy_page_s": ("postcopy", "postcopy-early"),
    "window_source_s": ("paced-cpu",),
    "setup_s": ("zero", "cold"),
    "sync_page_s": ("limited", "throttle"),
    "crowded_sync_s": ("two-vcpus", "two-unlimited"),
    "guest_interference": ("stop", "unlimited"),
    "stop_s": ("stop", "zero"),
    "device_save_s": ("zero", "postcopy"),
    "switch_s": ("zero", "cold", "stop"),
    "cont_s": ("limited",),
    "gap_s": ("stop", "zero", "limited"),
    "discard_page_s": ("postcopy-early",),
    "postcopy_switch_s": ("postcopy", "postcopy-early"),
    "fault_s": ("postcopy-page",),
    "fault_pages": ("postcopy-page",),
    "sweep_touch_s": ("limited",),
    "study_touch_s": ("touch-study",),
    "page_touch_s": ("touch-page",),
    "memory_pages_per_s": ("two-vcpus",),
    "first_write_s": ("limited", "touch-page"),
    "copy_interference": ("limited", "unlimited"),
    "throttle_sleep_extra_s": ("throttle",),
}


def calibrate(
    start: HostProfile,
    measurements: Sequence[Measurement],
    *,
    name: str,
    on_step: Callable[[int], None] = lambda _: None,
) -> Fit:
    """Fit a profile to the Measurements of one host.

    Parameters
    ----------
    start : HostProfile
        Starting values, and the values of what these runs cannot tell.
    measurements : sequence of Measurement
        Runs; invalid ones are left out.
    name : str
        Name of the new profile.
    on_step : callable
        Told the number of evaluations so far.

    Raises
    ------
    FitError
        When no valid run is there, or the runs come from different hosts.
    """
    valid = [measurement for measurement in measurements if measurement.valid]
    if not valid:
        raise FitError("no valid run to fit: see the runs' problems")
    _same_host(valid)
    observations = observe(valid)
    fit = fit_profile(
        _adapted(start, valid), observations, _free(observations), on_step
    )
    spreads: dict[str, float | None] = dict(noise(observations))
    spreads["noise_window_sd"] = window_noise(valid)
    spreads["noise_total_sd"] = unexplained(fit.residuals)
    known = {
        key: Parameter(value=value, source="spread of repeats, or what the fit leaves")
        for key, value in spreads.items()
        if value is not None
    }
    host = valid[0].host
    profile = msgspec.structs.replace(
        fit.profile,
        name=name,
        kind="fitted",
        description=f"Fitted to {len(valid)} runs on one host.",
        parameters={**fit.profile.parameters, **known},
        facts={
            "date": datetime.now(UTC).date().isoformat(),
            "cpu": host.cpu_model,
            "kernel": host.kernel,
            "qemu": host.qemu_version,
            "runs": str(len(valid)),
            "reduced_chi_square": f"{fit.reduced_chi_square:.2f}",
        },
    )
    return dataclasses.replace(fit, profile=profile)


def _free(observations: Sequence[Observation]) -> list[str]:
    ran = {item.scenario.name.removeprefix("cal-") for item in observations}
    return [name for name, by in IDENTIFIED_BY.items() if ran.intersection(by)]


def _same_host(measurements: Sequence[Measurement]) -> None:
    first = measurements[0].host
    for measurement in measurements[1:]:
        host = measurement.host
        if (host.cpu_model, host.cpus, host.accel, host.qemu_version) != (
            first.cpu_model,
            first.cpus,
            first.accel,
            first.qemu_version,
        ):
            raise FitError(
                "the runs come from different hosts, accelerators or versions of "
                "QEMU: calibrate each on its own"
            )


def _adapted(start: HostProfile, measurements: Sequence[Measurement]) -> HostProfile:
    host = measurements[0].host
    return msgspec.structs.replace(
        start, accel=host.accel, host_cpus=host.cpus, same_host=True, correlation={}
    )
