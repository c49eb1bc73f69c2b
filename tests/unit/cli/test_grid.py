from __future__ import annotations

from pathlib import Path

import pytest

from migmodel.cli.grid import grid_from, plotted_axes
from migmodel.cli.scenario_options import scenario_from
from migmodel.errors import InputError
from migmodel.records.files import write_record
from migmodel.units import GIB


def test_the_grid_is_the_full_product_in_the_order_typed() -> None:
    grid = grid_from(mem="8,4", bw="10g,1g", policy="precopy,postcopy", cpus="2")
    assert grid.axes == {
        "mem": ["8", "4"],
        "bw": ["10g", "1g"],
        "policy": ["precopy", "postcopy"],
    }
    described = [
        (s.guest.ram_bytes // GIB, s.policy.parameters["max-bandwidth"])
        for s in grid.scenarios
    ]
    assert len(grid.scenarios) == 8
    assert described[0] == (8, 1_250_000_000)
    assert described[-1] == (4, 125_000_000)
    assert {s.guest.vcpus for s in grid.scenarios} == {2}


def test_any_option_is_an_axis() -> None:
    grid = grid_from(
        mem="4",
        ws="10%,1g",
        downtime="300,2s",
        qemu_version="7.2,10.0",
        set=["cpu-throttle-increment=10,20", "max-cpu-throttle=80"],
        policy="autoconverge",
    )
    assert len(grid.scenarios) == 16
    steps = {s.policy.parameters["cpu-throttle-increment"] for s in grid.scenarios}
    assert steps == {10, 20}
    assert "set cpu-throttle-increment" in grid.axes
    assert "set max-cpu-throttle" not in grid.axes


def test_scenario_files_can_be_swept(tmp_path: Path) -> None:
    for name in ("1", "2"):
        write_record(tmp_path / name, scenario_from(mem=name).scenario)
    grid = grid_from(scenario=f"{tmp_path / '1'},{tmp_path / '2'}")
    assert [s.guest.ram_bytes for s in grid.scenarios] == [GIB, 2 * GIB]


def test_after_counts_for_the_policies_that_act_after_passes() -> None:
    grid = grid_from(mem="4", policy="precopy,postcopy", after="1,5")
    acting = [(s.policy.technique, s.policy.after_passes) for s in grid.scenarios]
    assert acting == [("precopy", None), ("postcopy", 1), ("postcopy", 5)]
    assert len(grid.combinations) == 4
    assert [acting[index][0] for index in grid.point_of] == [
        combination["policy"] for combination in grid.combinations
    ]


def test_after_is_refused_where_no_policy_can_act() -> None:
    with pytest.raises(InputError, match="--after belongs to"):
        grid_from(mem="4,8", policy="precopy", after="1")


def test_a_link_keeps_its_own_comma() -> None:
    links = "1g,netns:1gbit,rtt=2ms,netns:10gbit,rtt=5ms"
    grid = grid_from(mem="4", link=links)
    assert grid.axes == {"link": ["1g", "netns:1gbit,rtt=2ms", "netns:10gbit,rtt=5ms"]}
    found = [(s.link.bandwidth_bytes_per_s, s.link.rtt_s) for s in grid.scenarios]
    assert found == [(125e6, 0.0), (125e6, 0.002), (1.25e9, 0.005)]
    assert grid_from(mem="4", link="netns:1gbit,rtt=2ms").axes == {}


def test_a_value_given_twice_counts_once() -> None:
    assert len(grid_from(mem="4,4, 8").scenarios) == 2


def test_assumptions_are_those_of_all_points_each_once() -> None:
    assumptions = grid_from(mem="4,8", policy="precopy,postcopy").assumptions
    assert len(assumptions) == len(set(assumptions))
    assert "acts after 5 passes (--after)" in assumptions


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"mem": "4,-8"}, "--mem: not a size: '-8'"),
        ({"mem": "4,,8"}, "--mem: an empty value in '4,,8'"),
        ({"mem": "4", "link": "netns:1g,,rtt=2"}, "--link: an empty value in"),
        ({"mem": "4", "link": "1g,rtt=2ms"}, "(at --link rtt=2ms)"),
        ({"mem": "4,8", "ws": "6"}, "(at --mem 4)"),
        ({"mem": "4", "policy": "precopy,foo"}, "(at --policy foo)"),
        ({"mem": "4", "set": ["downtime-limit="]}, "write name=value"),
        ({"mem": "4", "set": ["a=1", "a=2"]}, "given twice"),
        ({"bw": "1g,10g"}, "--mem 8 (GiB)"),
    ],
)
def test_bad_input_names_the_combination(options: dict[str, str], words: str) -> None:
    with pytest.raises(InputError) as caught:
        grid_from(**options)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("swept", "chosen"),
    [
        (["mem", "bw", "policy"], ("bw", "mem", "policy")),
        (["policy", "mem"], ("mem", "policy", None)),
        (["cpus"], ("cpus", None, None)),
        (["downtime", "bw"], ("bw", "downtime", None)),
        (["ws", "mem", "bw"], ("bw", "mem", "ws")),
    ],
)
def test_bandwidth_and_memory_span_the_heat_map(
    swept: list[str], chosen: tuple[str | None, ...]
) -> None:
    assert plotted_axes(swept) == chosen


@pytest.mark.parametrize("swept", [[], ["mem", "bw", "policy", "cpus"]])
def test_more_than_a_heat_map_can_show_is_refused(swept: list[str]) -> None:
    with pytest.raises(InputError, match="--plot shows one to three"):
        plotted_axes(swept)
