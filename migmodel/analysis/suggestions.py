"""What else could be tried: cheap re-predictions of alternatives to a scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from migmodel.analysis import predict as model
from migmodel.errors import InputError
from migmodel.records.parameters import ParameterValue
from migmodel.records.policy import Policy, Technique
from migmodel.records.prediction import Prediction
from migmodel.records.profile import HostProfile
from migmodel.records.scenario import Limits, Scenario
from migmodel.units import MS_PER_S, PAGE_BYTES

MOST = 3
BURDEN_S = 5.0  # below it nobody looks for something better
DOWNTIMES = (("500ms", 500), ("1s", 1000), ("2s", 2000), ("5s", 5000), ("10s", 10_000))
BANDWIDTHS = (
    ("1g", 125_000_000),
    ("10g", 1_250_000_000),
    ("25g", 3_125_000_000),
    ("unlimited", 0),
)


class Suggestion(NamedTuple):
    """An alternative that helps: what to type, and its nominal prediction."""

    option: str
    prediction: Prediction


def suggest(prediction: Prediction, profile: HostProfile) -> list[Suggestion]:
    """Look for alternatives when a migration fails or hurts its guest.

    Of each kind of alternative (a technique, a higher downtime limit, more bandwidth,
    more time) the mildest that helps is kept: it completes, and if the scenario
    completes too, it burdens the guest at most half as long.

    Returns
    -------
    list of Suggestion
        The best first, at most three; empty when all is well or nothing helps.
    """
    if completes(prediction) and burden_s(prediction) <= BURDEN_S:
        return []
    found = []
    for kind in _kinds(prediction.scenario):
        for option, scenario in kind:
            alternative = model.predict(scenario, profile, draws=0)
            if _helps(prediction, alternative):
                found.append(Suggestion(option, alternative))
                break
    return sorted(found, key=lambda item: burden_s(item.prediction))[:MOST]


def completes(prediction: Prediction) -> bool:
    """Whether the nominal run completes."""
    return prediction.trace.outcome.verdict == "completed"


def burden_s(prediction: Prediction) -> float:
    """How long the guest stands still or runs below half its speed [s], nominal."""
    names = ("downtime_stop_resume_s", "guest_slow_s")
    values = (nominal(prediction, name) for name in names)
    return sum(value for value in values if value is not None)


def nominal(prediction: Prediction, name: str) -> float | None:
    """Nominal value of a quantity, None where it does not apply."""
    interval = prediction.quantities.get(name)
    return None if interval is None else interval.nominal


def _helps(old: Prediction, new: Prediction) -> bool:
    if not completes(new):
        return False
    return not completes(old) or burden_s(new) <= burden_s(old) / 2


Alternatives = Iterator[tuple[str, Scenario]]


def _kinds(scenario: Scenario) -> Iterator[Alternatives]:
    yield _autoconverge(scenario)
    yield _postcopy(scenario)
    yield _encodings(scenario)
    yield _downtimes(scenario)
    yield _bandwidths(scenario)
    yield _more_time(scenario)


def _autoconverge(scenario: Scenario) -> Alternatives:
    if scenario.policy.technique != "autoconverge":
        yield from _with_technique(scenario, "autoconverge")


def _postcopy(scenario: Scenario) -> Alternatives:
    """Post-copy after one pass: later ones cost time and gain little."""
    policy = scenario.policy
    if policy.technique != "postcopy" or policy.after_passes != 1:
        yield from _with_technique(scenario, "postcopy", " --after 1", after_passes=1)


def _encodings(scenario: Scenario) -> Alternatives:
    """What makes the stream smaller, where the guest's content is known to allow it."""
    workload = scenario.workload
    if scenario.policy.technique != "precopy":
        return
    if workload.content == "text":
        yield from _with_technique(scenario, "multifd-zstd")
    if workload.content == "delta":
        pages = max(workload.pages, 1)
        size = PAGE_BYTES << (pages - 1).bit_length()
        yield from _with_technique(
            scenario, "xbzrle", f" --cache {size}b", {"xbzrle-cache-size": size}
        )


def _with_technique(
    scenario: Scenario,
    technique: Technique,
    options: str = "",
    parameters: dict[str, ParameterValue] | None = None,
    after_passes: int | None = None,
) -> Alternatives:
    policy = scenario.policy
    try:
        other = Policy(
            technique=technique,
            after_passes=after_passes,
            parameters={**policy.parameters, **(parameters or {})},
            capabilities=policy.capabilities,
        )
        changed = msgspec.structs.replace(scenario, policy=other)
    except InputError:
        return  # what was asked for beside the technique excludes this one
    yield f"--policy {technique}{options}", changed


def _downtimes(scenario: Scenario) -> Alternatives:
    for text, limit_ms in DOWNTIMES:
        if limit_ms > scenario.policy.downtime_limit_s * MS_PER_S:
            changed = _with_parameter(scenario, "downtime-limit", limit_ms)
            yield f"--downtime {text}", changed


def _bandwidths(scenario: Scenario) -> Alternatives:
    now = scenario.policy.max_bandwidth_bytes_per_s
    link = scenario.link.bandwidth_bytes_per_s
    if now == 0 or (link is not None and link <= now):
        return
    if scenario.policy.technique == "bandwidth-tuning":
        return  # it raises the limit itself
    for text, bandwidth in BANDWIDTHS:
        if bandwidth == 0 or bandwidth > now:
            yield f"--bw {text}", _with_parameter(scenario, "max-bandwidth", bandwidth)


def _more_time(scenario: Scenario) -> Alternatives:
    if scenario.limits != Limits():
        changed = msgspec.structs.replace(scenario, limits=Limits())
        yield "no --max-time, no --max-iters", changed


def _with_parameter(scenario: Scenario, name: str, value: int) -> Scenario:
    policy = scenario.policy
    parameters = {**policy.parameters, name: value}
    changed = msgspec.structs.replace(policy, parameters=parameters)
    return msgspec.structs.replace(scenario, policy=changed)
