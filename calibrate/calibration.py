"""From Measurements to a profile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import msgspec

from migmodel.errors import FitError
from migmodel.physics.parameters import PARAMETERS
from migmodel.records import HostProfile, Measurement, Parameter

from .basic_runs import BASIC, MORE
from .evidence import codec_noise, noise, observe, unexplained, window_noise
from .fit import Fit, fit_profile, refine
from .foreign import told_by
from .observation import Observation
from .recipe import PREFIX, Recipe, identified_by
from .technique_runs import TECHNIQUE_RUNS
from .throttled import throttle_noise

# Which runs a parameter can be told from. One whose runs were not made keeps the value
# that the fit started from, and says so.
IDENTIFIED_BY: dict[str, tuple[str, ...]] = identified_by((*BASIC, *MORE))
# What the memory of a virtual host costs at first touch hangs on what the layer below
# has taken back meanwhile: between two runs of a calibration it differed by twice. A
# technique that is seen on fresh pages must not be charged with it.
OF_THE_HOUR = ("fresh_page_s", "multifd_fresh_page_s")
# Of the techniques. zstd's tables are of the size of the caches that hosts share.
CODECS = {"noise_codec_sd": ("zlib", "compress"), "noise_zstd_sd": ("zstd",)}
SAME_HOST = ("cpu_model", "cpus", "accel")
SAME_FACTS = (*SAME_HOST, "qemu_version")


def calibrate(
    start: HostProfile,
    measurements: Sequence[Measurement],
    *,
    name: str,
    planned: bool = True,
    on_step: Callable[[int], None] = lambda _: None,
    jobs: int = 1,
) -> Fit:
    """Fit a profile to the Measurements of one host.

    The basic parameters are fitted to the basic runs alone. Then come the techniques
    in turn, each with its own runs and what was fitted before it fixed: a run that
    could be told by a technique's cost cannot bend a basic one.

    Parameters
    ----------
    start : HostProfile
        Starting values, and the values of what these runs cannot tell.
    measurements : sequence of Measurement
        Runs; invalid ones are left out.
    name : str
        Name of the new profile.
    planned : bool
        They are the calibration's own runs, of which it is known what they tell; of
        others it is tried out.
    on_step : callable
        Told the number of evaluations so far.
    jobs : int
        Most processes at a time.

    Raises
    ------
    FitError
        When no valid run is there, or the runs come from different hosts.
    """
    valid = [measurement for measurement in measurements if measurement.tells]
    if not valid:
        raise FitError("no valid run to fit: see the runs' problems")
    _same(valid, SAME_HOST)
    made_for = {
        PREFIX + recipe.name: technique
        for technique, recipes in TECHNIQUE_RUNS.items()
        for recipe in recipes
    }
    basic = [run for run in valid if run.scenario.name not in made_for]
    if not basic:
        raise FitError("techniques are fitted on top of the basic runs: make these too")
    _same(basic, SAME_FACTS)
    observations = observe(basic)
    adapted = _adapted(start, basic)
    if planned:
        free = _free(observations)
    else:
        free = told_by(adapted, observations, IDENTIFIED_BY, jobs)
    fit = fit_profile(adapted, observations, free, on_step, jobs=jobs)
    spreads: dict[str, float | None] = dict(noise(observations, basic[0].host.cpus))
    spreads["noise_window_sd"] = window_noise(basic)
    spreads["noise_throttled_sd"], spreads["noise_turn_s"] = throttle_noise(basic)
    spreads["noise_total_sd"] = unexplained(fit.residuals)
    for noise_name, codecs in CODECS.items():
        runs = [it for codec in codecs for it in _own(valid, made_for, codec)]
        spreads[noise_name] = codec_noise(observe(runs))
    known = {
        key: Parameter(value=value, source="spread of repeats, or what the fit leaves")
        for key, value in spreads.items()
        if value is not None
    }
    techniques = []
    for technique, recipes in TECHNIQUE_RUNS.items():
        if own := _own(valid, made_for, technique):
            seen = observe(own)
            names = {name for item in seen for name in _told(item, recipes)}
            told = [it for it in PARAMETERS if it in names]
            fitted = fit.profile.parameters
            local = [it for it in OF_THE_HOUR if it in fitted and it not in told]
            fit = refine(fit, seen, told, on_step, local=local, jobs=jobs)
            techniques.append(technique)
    host = basic[0].host
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
            **({"techniques": ", ".join(techniques)} if techniques else {}),
            "reduced_chi_square": f"{fit.reduced_chi_square:.2f}",
        },
    )
    return dataclasses.replace(fit, profile=profile)


def _own(
    runs: Sequence[Measurement], made_for: Mapping[str, str], technique: str
) -> list[Measurement]:
    return [run for run in runs if made_for.get(run.scenario.name) == technique]


def _free(observations: Sequence[Observation]) -> list[str]:
    ran = {item.scenario.name.removeprefix(PREFIX) for item in observations}
    return [name for name, by in IDENTIFIED_BY.items() if ran.intersection(by)]


def _told(observation: Observation, recipes: Sequence[Recipe]) -> tuple[str, ...]:
    name = observation.scenario.name.removeprefix(PREFIX)
    return next(recipe.tells for recipe in recipes if recipe.name == name)


def _same(measurements: Sequence[Measurement], facts: Sequence[str]) -> None:
    hosts = [measurement.host for measurement in measurements]
    for fact in facts:
        if len({getattr(host, fact) for host in hosts}) > 1:
            raise FitError(
                "the runs come from different hosts, accelerators or versions of "
                "QEMU: calibrate each on its own"
            )


def _adapted(start: HostProfile, measurements: Sequence[Measurement]) -> HostProfile:
    host = measurements[0].host
    return msgspec.structs.replace(
        start,
        accel=host.accel,
        host_cpus=host.cpus or start.host_cpus,
        same_host=measurements[0].destination_host is None,
        correlation={},
    )
