from __future__ import annotations

from migmodel.records import Guest, Policy, Scenario, Workload
from migmodel.sim.settings import Settings
from migmodel.units import GIB


def scenario_of(policy: Policy, version: str = "10.0") -> Scenario:
    return Scenario(
        guest=Guest(ram_bytes=GIB),
        workload=Workload(working_set_bytes=GIB),
        policy=policy,
        qemu_version=version,
    )


def settings_of(version: str = "10.0", **parameters: int) -> Settings:
    named = {name.replace("_", "-"): value for name, value in parameters.items()}
    policy = Policy(technique="autoconverge", parameters=named)
    return Settings(scenario_of(policy, version))


def test_a_change_is_seen_after_a_default_was_looked_up() -> None:
    settings = settings_of()
    assert settings.number("downtime-limit") == 300
    settings.change({"downtime-limit": 0})
    assert settings.number("downtime-limit") == 0


def test_a_change_is_its_own_migrations_alone() -> None:
    policy = Policy(technique="precopy", parameters={"downtime-limit": 500})
    scenario = scenario_of(policy)
    Settings(scenario).change({"downtime-limit": 900})
    assert Settings(scenario).number("downtime-limit") == 500


def test_the_throttles_first_names_count_in_qemu_2_6() -> None:
    settings = settings_of("2.6", x_cpu_throttle_initial=40)
    assert settings.throttle_rule.initial == 40
