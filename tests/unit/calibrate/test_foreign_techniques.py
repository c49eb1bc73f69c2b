"""Runs made for another purpose, of techniques: grouped by use, fitted in turn."""

from __future__ import annotations

import msgspec
import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate import calibration
from migmodel.calibrate.calibration import calibrate
from migmodel.calibrate.fit import with_values
from migmodel.calibrate.groups import by_plan, by_use, techniques_of
from migmodel.calibrate.plan import Bounds, plan_runs
from migmodel.calibrate.recipe import identified_by
from migmodel.calibrate.remarks import remarks_of
from migmodel.calibrate.technique_runs import TECHNIQUE_RUNS
from migmodel.cli.main import run
from migmodel.errors import FitError
from migmodel.records import Guest, Link, Measurement, Policy, Scenario, Workload
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import MIB

from .facts import FACTS


def measured(scenario, host):
    return Measurement(
        scenario=scenario,
        trace=simulate(scenario, host),
        host=FACTS,
        started_at="2026-01-01",
    )


def old_runs(profile, names):
    """Runs that a host with this profile would give, of names that tell nothing."""
    host = draw_host(profile)
    planned = plan_runs(Bounds(), techniques=list(TECHNIQUE_RUNS))
    scenarios = {it.scenario.name.removeprefix("cal-"): it.scenario for it in planned}
    return [
        measured(msgspec.structs.replace(scenarios[name], name=f"old {number}"), host)
        for number, name in enumerate(names)
    ]


def parameters_of(technique):
    return list(identified_by(TECHNIQUE_RUNS[technique]))


def described(technique="precopy", link=None, version="10.0", **policy):
    return Scenario(
        guest=Guest(ram_bytes=64 * MIB),
        workload=Workload(working_set_bytes=8 * MIB),
        link=link or Link(),
        policy=Policy(technique=technique, **policy),
        qemu_version=version,
    )


@pytest.mark.parametrize(
    ("scenario", "used"),
    [
        (described("autoconverge"), []),
        (described("postcopy", after_passes=1), []),
        (described(link=Link(transport="rdma")), []),
        (described(link=Link(transport="tcp")), ["tcp"]),
        (described("multifd"), ["multifd"]),
        (described("multifd-zstd"), ["multifd", "zstd"]),
        (
            described(
                "autoconverge",
                capabilities={"multifd": True},
                parameters={"multifd-compression": "zlib"},
            ),
            ["multifd", "zlib"],
        ),
        (described("xbzrle", link=Link(transport="tcp")), ["tcp", "xbzrle"]),
        # Accepted, and does nothing.
        (
            described("xbzrle", version="8.1", capabilities={"multifd": True}),
            ["multifd"],
        ),
        (
            described(
                "postcopy",
                after_passes=1,
                capabilities={"postcopy-preempt": True},
            ),
            ["preempt"],
        ),
    ],
)
def test_what_a_run_uses_is_told_by_its_scenario(scenario, used):
    assert techniques_of(scenario) == used


def bare(name, scenario):
    """A run of which only the scenario counts."""
    trace = simulate(described(), draw_host(load_profile("tcg-2core")))
    return Measurement(
        scenario=msgspec.structs.replace(scenario, name=name),
        trace=trace,
        host=FACTS,
        started_at="2026-01-01",
    )


def test_a_run_of_several_techniques_is_the_last_ones():
    tcp = Link(transport="tcp")
    runs = [
        bare("plain", described()),
        bare("over tcp", described(link=tcp)),
        bare("channels", described("multifd", link=tcp)),
        bare("packed", described("multifd-zlib", link=tcp)),
        bare("by hardware", described("multifd-qpl")),
    ]
    groups = by_use(runs)
    assert groups.basic == [runs[0]]
    found = {name: own for name, own in groups.techniques.items() if own}
    assert found == {"tcp": [runs[1]], "multifd": [runs[2]], "zlib": [runs[3]]}
    assert groups.left_out == [runs[4]]
    assert not groups.basic_over_tcp
    # Where all go over TCP, what TCP costs more cannot be told from what a page does.
    far = by_use(runs[1:])
    assert far.basic == [runs[1]]
    assert far.techniques["tcp"] == []
    assert far.basic_over_tcp


def test_planned_runs_are_grouped_by_name():
    planned = plan_runs(Bounds(), techniques=list(TECHNIQUE_RUNS))
    trace = simulate(described(), draw_host(load_profile("tcg-2core")))
    groups = by_plan(
        [
            Measurement(
                scenario=it.scenario, trace=trace, host=FACTS, started_at="2026-01-01"
            )
            for it in planned
        ]
    )
    assert len(groups.basic) == len(plan_runs(Bounds()))
    for technique, own in groups.techniques.items():
        names = {it.scenario.name.removeprefix("cal-") for it in own}
        assert names == {recipe.name for recipe in TECHNIQUE_RUNS[technique]}


def test_what_was_left_is_said_a_line_each():
    runs = [
        bare("packed", described("multifd-zlib")),
        bare("encoded", described("xbzrle")),
        bare("by hardware", described("multifd-qpl")),
    ]
    lines = remarks_of(by_use(runs), {"zlib": ["zlib_1_random_s"]}, "start")
    others = len(parameters_of("zlib")) - 1
    all_of_it = len(parameters_of("xbzrle"))
    xbzrle = "xbzrle: its runs (1) tell none of its parameters: all"
    zlib = "zlib: its runs (1) tell zlib_1_random_s; its other parameters"
    assert lines == [
        "by hardware: left out, no run tells what the codec qpl costs",
        "every run uses a technique: the basic parameters stay start's",
        f"{zlib} ({others}) stay start's",
        "zlib: fitted on top of start's costs of multifd",
        f"{xbzrle} {all_of_it} stay start's",
    ]


def changed(fit, start):
    found = fit.profile.parameters.items()
    return {name for name, it in found if it != start.parameters.get(name)}


def test_only_what_the_runs_determine_is_fitted_and_the_rest_is_said():
    start = load_profile("tcg-2core")
    true = {"xbzrle_insert_s": 2 * start["xbzrle_insert_s"]}
    # Pages that the cache does not hold: nothing is compared, encoded or decoded.
    runs = old_runs(with_values(start, true), ["xbzrle-missed"])
    fit = calibrate(start, runs, name="found", planned=False)
    assert changed(fit, start) == set(true)
    for name, value in true.items():
        assert fit.profile[name] == pytest.approx(value, rel=0.1)
    assert fit.badly_determined == []
    assert fit.profile.facts["techniques"] == "xbzrle"
    others = len(parameters_of("xbzrle")) - 1
    told = "xbzrle: its runs (1) tell xbzrle_insert_s; its other parameters"
    assert fit.remarks == [
        "every run uses a technique: the basic parameters stay tcg-2core's",
        f"{told} ({others}) stay tcg-2core's",
    ]


def test_runs_that_tell_nothing_are_refused():
    host = draw_host(load_profile("tcg-2core"))
    # All sent once, before anything is in the cache.
    idle = msgspec.structs.replace(
        described("xbzrle"), workload=Workload(working_set_bytes=0)
    )
    with pytest.raises(FitError, match="none of these 1 runs tells"):
        calibrate(
            load_profile("tcg-2core"), [measured(idle, host)], name="x", planned=False
        )


@pytest.fixture
def few_basics(monkeypatch):
    """The search is quick where hardly anything basic may be told."""
    few = ("page_source_s", "page_destination_s")
    kept = {name: calibration.IDENTIFIED_BY[name] for name in few}
    monkeypatch.setattr(calibration, "IDENTIFIED_BY", kept)
    return few


def test_techniques_come_after_the_basic_ones_and_do_not_bend_them(few_basics):
    start = load_profile("tcg-2core")
    true = {name: 1.3 * start[name] for name in few_basics}
    true["zlib_1_random_s"] = 3 * start["zlib_1_random_s"]
    host = with_values(start, true)
    plain = old_runs(host, ["paced-cpu"])
    both = old_runs(host, ["paced-cpu", "zlib-1-random"])
    alone = calibrate(start, plain, name="alone", planned=False)
    fit = calibrate(start, both, name="both", planned=False)
    assert changed(alone, start) == set(few_basics)
    assert set(true) <= changed(fit, start) <= {*few_basics, *parameters_of("zlib")}
    for name in changed(fit, start):
        assert fit.profile[name] == pytest.approx(host[name], rel=0.1), name
    for name in few_basics:
        assert fit.profile.parameters[name] == alone.profile.parameters[name]
    assert any(
        "fitted on top of tcg-2core's costs of multifd" in it for it in fit.remarks
    )


def test_where_all_went_over_tcp_its_pages_are_among_the_basics(few_basics):
    start = load_profile("tcg-2core")
    true = {name: 1.4 * start[name] for name in parameters_of("tcp")}
    runs = old_runs(with_values(start, true), ["tcp-paced"])
    fit = calibrate(start, runs, name="far", planned=False)
    for name, value in true.items():
        assert fit.profile[name] == pytest.approx(value, rel=0.1)
    for name in few_basics:
        assert fit.profile.parameters[name] == start.parameters[name]
    assert fit.remarks == []


@pytest.mark.parametrize(
    "given",
    [
        ["--techniques", "all"],
        ["--accel", "tcg"],
        ["--link", "tcp"],
        ["--dst-host", "server-b"],
        ["--dst-address", "10.0.0.2"],
        ["--src-cpu-bind", "0"],
        ["--locked-pages"],
        ["--plan"],
        ["--mem", "1g"],
    ],
    ids=lambda it: it[0],
)
def test_what_only_runs_would_heed_is_refused(given, tmp_path, capsys):
    out = str(tmp_path / "out.json")
    assert run(["calibrate", "--out", out, "--from", str(tmp_path), *given]) == 2
    (said,) = capsys.readouterr().err.strip().splitlines()
    assert f"--from runs nothing: leave out {given[0]};" in said


def test_an_option_at_its_default_is_no_contradiction(tmp_path, capsys):
    out = str(tmp_path / "out.json")
    given = ["--techniques", "basic", "--cpus", "1", "--start", "tcg-2core"]
    assert run(["calibrate", "--out", out, "--from", str(tmp_path), *given]) != 0
    assert "no valid run" in capsys.readouterr().err
