"""From Measurements to a profile."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec

from migmodel.errors import FitError
from migmodel.records import HostFacts, HostProfile, Measurement, Parameter
from migmodel.records.measurement import SAME_FACTS, SAME_HOST
from migmodel.records.profile import AWAKE_FACT, yes_or_no

from .basic_runs import BASIC, MORE
from .begin import seen_speeds
from .disturbed import undisturbed
from .evidence import codec_noise, noise, observe, unexplained, window_noise
from .fit import Fit, filled_in, fit_profile, refine
from .foreign import told_by
from .groups import Groups, by_plan, by_use
from .observation import Observation
from .recipe import PREFIX, identified_by
from .remarks import remarks_of
from .technique_runs import TECHNIQUE_RUNS
from .throttled import throttle_noise
from .trial import refine_told

# Which runs a parameter can be told from. One whose runs were not made keeps the value
# that the fit started from, and says so.
IDENTIFIED_BY: dict[str, tuple[str, ...]] = identified_by((*BASIC, *MORE))
# What the memory of a virtual host costs at first touch hangs on what the layer below
# has taken back meanwhile: between two runs of a calibration it differed by twice. A
# technique that is seen on fresh pages must not be charged with it.
OF_THE_HOUR = ("fresh_page_s", "multifd_fresh_page_s")
# Of the techniques. zstd's tables are of the size of the caches that hosts share.
CODECS = {"noise_codec_sd": ("zlib", "compress"), "noise_zstd_sd": ("zstd",)}


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
        others it is tried out, and a technique's are those that use it.
    on_step : callable
        Told the number of evaluations so far.
    jobs : int
        Most processes at a time.

    Raises
    ------
    FitError
        When no valid run is there, the runs come from different hosts, or they tell
        nothing.
    """
    valid = [measurement for measurement in measurements if measurement.tells]
    if not valid:
        raise FitError("no valid run to fit: see the runs' problems")
    _same(valid, SAME_HOST)
    if len({measurement.destination_host is None for measurement in valid}) > 1:
        raise FitError(
            "in some runs the destination shares the source's host, in others it has "
            "one of its own: fit each kind on its own"
        )
    left_out: list[str] = []
    if planned:
        valid, left_out = undisturbed(valid)
    groups = by_plan(valid) if planned else by_use(valid)
    basic = groups.basic
    if planned and not basic:
        raise FitError("techniques are fitted on top of the basic runs: make these too")
    _same(basic, SAME_FACTS)
    observations = observe(basic)
    adapted = seen_speeds(_adapted(start, basic or valid), observations)
    if planned:
        # What the start has as 0 its kind of host does not have at all.
        free = [it for it in _free(observations) if adapted.parameters[it].value > 0]
    else:
        free = _tried(adapted, observations, _candidates(groups), jobs)
        adapted = filled_in(adapted, free)
    fit = Fit(adapted, [], [], 0.0)
    if free:
        fit = fit_profile(adapted, observations, free, on_step, jobs=jobs)
    spreads: dict[str, float | None] = dict(noise(observations, valid[0].host.cpus))
    spreads["noise_window_sd"] = window_noise(basic)
    spreads["noise_throttled_sd"], spreads["noise_turn_s"] = throttle_noise(basic)
    spreads["noise_total_sd"] = unexplained(fit.residuals)
    for noise_name, codecs in CODECS.items():
        runs = [it for codec in codecs for it in groups.techniques[codec]]
        spreads[noise_name] = codec_noise(observe(runs))
    known = {
        key: Parameter(value=value, source="spread of repeats, or what the fit leaves")
        for key, value in spreads.items()
        if value is not None
    }
    fitted: dict[str, list[str]] = {}
    for technique, own in groups.techniques.items():
        if not own:
            continue
        seen = observe(own)
        told = _told(technique, seen if planned else None)
        before = fit.profile.parameters
        local = [it for it in OF_THE_HOUR if it in before and it not in told]
        if planned:
            fit = refine(fit, seen, told, on_step, local=local, jobs=jobs)
        else:
            fit, told = refine_told(fit, seen, told, on_step, local=local, jobs=jobs)
        if told or planned:
            fitted[technique] = told
    if not (free or fitted):
        raise FitError(f"none of these {len(valid)} runs tells a parameter of a host")
    host = (basic or valid)[0].host
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
            **_awake_fact(host),
            **({"techniques": ", ".join(fitted)} if fitted else {}),
            "reduced_chi_square": f"{fit.reduced_chi_square:.2f}",
        },
    )
    remarks = left_out if planned else remarks_of(groups, fitted, start.name)
    return dataclasses.replace(fit, profile=profile, remarks=remarks)


def _free(observations: Sequence[Observation]) -> list[str]:
    ran = {item.scenario.name.removeprefix(PREFIX) for item in observations}
    return [name for name, by in IDENTIFIED_BY.items() if ran.intersection(by)]


def _candidates(groups: Groups) -> list[str]:
    """What basic runs that nobody planned may tell."""
    tcp = _told("tcp") if groups.basic_over_tcp else []
    return [*IDENTIFIED_BY, *tcp]


def _told(
    technique: str, observations: Sequence[Observation] | None = None
) -> list[str]:
    """What runs of a technique were made to tell; None: all that its runs can tell."""
    recipes = TECHNIQUE_RUNS[technique]
    if observations is not None:
        made = {item.scenario.name.removeprefix(PREFIX) for item in observations}
        recipes = tuple(recipe for recipe in recipes if recipe.name in made)
    return list(identified_by(recipes))


def _tried(
    profile: HostProfile,
    observations: Sequence[Observation],
    candidates: Sequence[str],
    jobs: int,
) -> list[str]:
    return told_by(profile, observations, candidates, jobs) if observations else []


def _same(measurements: Sequence[Measurement], facts: Sequence[str]) -> None:
    hosts = [measurement.host for measurement in measurements]
    for fact in facts:
        if len({getattr(host, fact) for host in hosts}) > 1:
            raise FitError(
                "the runs come from different hosts, accelerators or versions of "
                "QEMU, or CPUs were kept awake in some of them alone: calibrate each "
                "on its own"
            )


def _awake_fact(host: HostFacts) -> dict[str, str]:
    text = yes_or_no(host.cpus_kept_awake)
    return {} if text is None else {AWAKE_FACT: text}


def _adapted(start: HostProfile, measurements: Sequence[Measurement]) -> HostProfile:
    host = measurements[0].host
    return msgspec.structs.replace(
        start,
        accel=host.accel,
        host_cpus=host.cpus or start.host_cpus,
        same_host=measurements[0].destination_host is None,
        correlation={},
    )
