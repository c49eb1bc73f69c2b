"""What holds for every management policy."""

from __future__ import annotations

import pytest

from migmodel.managers import AfterPasses, GiveUp, Tune, managers_for
from migmodel.records import (
    Cancel,
    Guest,
    Limits,
    MigrationStatus,
    PauseGuest,
    Policy,
    Scenario,
    SetParameters,
    StartPostcopy,
    Tuning,
    Workload,
)
from migmodel.units import GIB


def status(elapsed_s=1.0, passes=1, word="active"):
    return MigrationStatus(status=word, elapsed_s=elapsed_s, dirty_sync_count=passes)


EVERY = [
    lambda: AfterPasses(2, PauseGuest()),
    lambda: AfterPasses(0, StartPostcopy()),
    lambda: GiveUp(Limits(max_time_s=5.0)),
    lambda: GiveUp(Limits(max_iters=3)),
    lambda: Tune("downtime-limit", 300, Tuning(steps=1, interval_s=5.0)),
]


@pytest.mark.parametrize("make", EVERY)
def test_each_acts_once_and_never_after_the_end(make):
    manager = make()
    assert manager.poll_interval_s > 0
    actions = [
        action
        for second in range(20)
        for action in manager.decide(status(float(second), second))
    ]
    assert len(actions) == 1
    over = make()
    for word in ("completed", "failed", "cancelled", "postcopy-active"):
        assert over.decide(status(100.0, 100, word)) == []


@pytest.mark.parametrize("make", EVERY)
def test_between_passes_and_deadlines_nothing_changes(make):
    """What lets the simulator ask so seldom."""
    manager = make()
    deadline = manager.deadline_s or float("inf")
    first = manager.decide(status(0.5, 1))
    again = [manager.decide(status(0.5 + k / 10, 1)) for k in range(30)]
    assert all(not answer for answer in again) or deadline < 3.5 or first


def test_n_passes_are_complete_when_the_next_has_begun():
    manager = AfterPasses(2, PauseGuest())
    assert manager.decide(status(passes=2)) == []
    assert manager.decide(status(passes=3)) == [PauseGuest()]


def test_limits_say_why():
    (late,) = GiveUp(Limits(max_time_s=5.0)).decide(status(5.0))
    (often,) = GiveUp(Limits(max_iters=3)).decide(status(passes=4))
    assert isinstance(late, Cancel)
    assert "5 s" in late.reason
    assert isinstance(often, Cancel)
    assert "3 passes" in often.reason


def test_a_policy_brings_its_managers():
    def for_(technique, limits=None):
        scenario = Scenario(
            guest=Guest(ram_bytes=GIB),
            workload=Workload(working_set_bytes=0),
            policy=Policy(technique=technique),
            limits=limits or Limits(),
        )
        return [type(manager) for manager in managers_for(scenario)]

    assert for_("precopy") == []
    assert for_("autoconverge") == []
    assert for_("pause") == [AfterPasses]
    assert for_("postcopy", Limits(max_time_s=1.0)) == [AfterPasses, GiveUp]


def test_tuning_rises_evenly_to_its_last_value():
    manager = Tune("downtime-limit", 300, Tuning(maximum=900, steps=3, interval_s=2.0))
    seen = {}
    for tenth in range(100):
        assert manager.deadline_s is None or manager.deadline_s > 0
        for action in manager.decide(status(tenth / 10)):
            assert isinstance(action, SetParameters)
            seen[tenth / 10] = action.parameters
    assert seen == {
        2.0: {"downtime-limit": 500},
        4.0: {"downtime-limit": 700},
        6.0: {"downtime-limit": 900},
    }
    assert manager.deadline_s is None


def test_a_late_poll_skips_the_steps_that_are_past():
    manager = Tune("max-bandwidth", 100, Tuning(maximum=400, steps=3, interval_s=1.0))
    assert manager.decide(status(2.5)) == [
        SetParameters(parameters={"max-bandwidth": 300})
    ]
    assert manager.deadline_s == 3.0


def test_a_tuning_policy_brings_its_manager():
    described = Scenario(
        guest=Guest(ram_bytes=GIB),
        workload=Workload(working_set_bytes=0),
        policy=Policy(technique="downtime-tuning", parameters={"downtime-limit": 200}),
    )
    [manager] = managers_for(described)
    [action] = manager.decide(status(1e6))
    assert action == SetParameters(parameters={"downtime-limit": 2000})
