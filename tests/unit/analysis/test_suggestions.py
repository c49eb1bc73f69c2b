from __future__ import annotations

from collections.abc import Callable

import pytest

from migmodel.analysis import predict as model
from migmodel.analysis.suggestions import suggest
from migmodel.records import HostProfile, Limits, Link, Prediction, Scenario
from migmodel.records.scenario import Guest, Policy, Workload
from migmodel.units import GIB

MakePrediction = Callable[..., Prediction]
Answer = Callable[[Scenario], Prediction]
SetModel = Callable[[Answer], list[Scenario]]


@pytest.fixture
def set_model(monkeypatch: pytest.MonkeyPatch) -> SetModel:
    """Let the model answer as told, and keep what it was asked."""

    def install(answer: Answer) -> list[Scenario]:
        asked: list[Scenario] = []

        def predict(scenario: Scenario, _: HostProfile, *, draws: int) -> Prediction:
            assert draws == 0, "suggestions are nominal"
            asked.append(scenario)
            return answer(scenario)

        monkeypatch.setattr(model, "predict", predict)
        return asked

    return install


def test_what_goes_well_needs_no_suggestion(
    set_model: SetModel, make_prediction: MakePrediction, profile: HostProfile
) -> None:
    asked = set_model(lambda scenario: make_prediction(scenario))
    well = make_prediction(downtime_stop_resume_s=0.3, guest_slow_s=1.0)
    assert suggest(well, profile) == []
    assert asked == []


def test_what_never_completes_gets_the_mildest_that_does(
    set_model: SetModel, make_prediction: MakePrediction, profile: HostProfile
) -> None:
    def answer(scenario: Scenario) -> Prediction:
        policy = scenario.policy
        if policy.technique == "postcopy":
            return make_prediction(scenario, guest_slow_s=20.0)
        if policy.downtime_limit_s >= 2.0:
            return make_prediction(scenario, downtime_stop_resume_s=2.0)
        return make_prediction(scenario, verdict="never")

    set_model(answer)
    found = suggest(make_prediction(verdict="never"), profile)
    assert [item.option for item in found] == [
        "--downtime 2s",
        "--policy postcopy --after 1",
    ]


def test_a_guest_that_suffers_gets_only_what_halves_it(
    set_model: SetModel, make_prediction: MakePrediction, profile: HostProfile
) -> None:
    def answer(scenario: Scenario) -> Prediction:
        better = scenario.policy.max_bandwidth_bytes_per_s == 3_125_000_000
        return make_prediction(scenario, guest_slow_s=40.0 if better else 60.0)

    set_model(answer)
    found = suggest(make_prediction(guest_slow_s=100.0), profile)
    assert [item.option for item in found] == ["--bw 25g"]


def test_at_most_three_are_given_the_least_burden_first(
    set_model: SetModel, make_prediction: MakePrediction, profile: HostProfile
) -> None:
    burdens = iter([4.0, 3.0, 2.0, 1.0, 0.5])
    set_model(lambda scenario: make_prediction(scenario, guest_slow_s=next(burdens)))
    never = make_prediction(verdict="never")
    found = suggest(never, profile)
    assert len(found) == 3
    slow = [item.prediction.quantities["guest_slow_s"].nominal for item in found]
    assert slow == [1.0, 2.0, 3.0]


def test_alternatives_that_cannot_be_are_not_tried(
    set_model: SetModel, make_prediction: MakePrediction, profile: HostProfile
) -> None:
    scenario = Scenario(
        guest=Guest(ram_bytes=GIB),
        workload=Workload(working_set_bytes=GIB),
        link=Link(bandwidth_bytes_per_s=1e6),
        policy=Policy(
            technique="autoconverge",
            parameters={"downtime-limit": 20_000},
            capabilities={"postcopy-ram": False},
        ),
    )
    asked = set_model(lambda scenario: make_prediction(scenario, verdict="never"))
    assert suggest(make_prediction(scenario, verdict="never"), profile) == []
    assert asked == []


def test_more_time_is_suggested_to_what_is_cancelled(
    set_model: SetModel, make_prediction: MakePrediction, profile: HostProfile
) -> None:
    def answer(scenario: Scenario) -> Prediction:
        unlimited = scenario.limits == Limits()
        verdict = "completed" if unlimited else "cancelled"
        return make_prediction(scenario, verdict=verdict)

    set_model(answer)
    scenario = Scenario(
        guest=Guest(ram_bytes=GIB),
        workload=Workload(working_set_bytes=GIB),
        limits=Limits(max_time_s=10),
    )
    found = suggest(make_prediction(scenario, verdict="cancelled"), profile)
    assert [item.option for item in found] == ["no --max-time, no --max-iters"]
