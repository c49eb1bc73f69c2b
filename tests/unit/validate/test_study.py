"""The 2016 study: what is modelled is predicted, findings come from the cells."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from migmodel.cli.main import run
from migmodel.sim.simulate import draw_host
from migmodel.sim.stream import link_bytes_per_s
from migmodel.validate.study import cells as study_cells
from migmodel.validate.study.cell_set import can_send, passes_before
from migmodel.validate.study.cells import (
    GUESTS,
    LINKS,
    Cell,
    run_cells,
    study_profile,
    tried,
)
from migmodel.validate.study.findings import Finding, findings

# These hang on rules of QEMU that are known exactly, or on what the study states.
CERTAIN = (
    *("F1", "F2", "F3", "F4", "F6", "F7", "F9", "F10", "F12", "F13", "F17", "F22"),
)


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    return list(run_cells())


@pytest.fixture(scope="module")
def found(cells: list[Cell]) -> dict[str, Finding]:
    return {it.name: it for it in findings(cells)}


def test_there_are_264_cells_by_guestperfs_names(cells: list[Cell]) -> None:
    assert len(cells) == 264
    assert len({(it.guest, it.link, it.name) for it in cells}) == 264
    assert len(tried()) == 33
    assert len(GUESTS) * len(LINKS) == 8


def test_a_cell_is_predicted_or_says_why_not(cells: list[Cell]) -> None:
    for cell in cells:
        assert (cell.trace is None) == bool(cell.refused)
        if cell.scenario is not None:
            assert cell.scenario.qemu_version == "2.6"
            assert cell.scenario.policy.downtime_limit_s == 0.488


def test_one_profile_whose_every_value_has_a_source() -> None:
    profile = study_profile()
    assert all(item.source for item in profile.parameters.values())
    own = ("stated: ", "derived: ", "assumed: ")
    marked = [it for it in profile.parameters.values() if it.source.startswith(own)]
    assert len(marked) >= 8


def test_all_findings_are_checked_in_order(found: dict[str, Finding]) -> None:
    assert list(found) == [f"F{number}" for number in range(1, 23)]
    for finding in found.values():
        assert finding.numbers
        assert finding.says


@pytest.mark.parametrize("name", CERTAIN)
def test_findings_that_rest_on_known_rules_are_reproduced(
    name: str, found: dict[str, Finding]
) -> None:
    assert found[name].reproduced, found[name].line


def test_10_gbe_carries_what_fits_its_frames_and_a_local_socket_what_cpus_can() -> None:
    """TCP's payload is 1448 of the 1538 bytes that a frame takes on the wire."""
    host = draw_host(study_profile())
    remote, local = (link_bytes_per_s(LINKS[it], host) for it in ("tcp-remote", "unix"))
    assert remote == pytest.approx(1.25e9 * 1448 / 1538)
    assert local > 10 * remote


def test_what_no_migration_can_send_in_time_does_not_count(cells: list[Cell]) -> None:
    """Four passes over 1 GiB take 341 s at 12 MiB/s and 111 s at 37."""
    switched = {
        (it.guest, it.name[13:])
        for it in cells
        if it.name.startswith("post-copy-bw") and it.link == "unix"
        if not can_send(it, passes_before(it))
    }
    assert switched == {
        ("1cpu-1gb", "100mbs"),
        ("4cpu-8gb", "100mbs"),
        ("4cpu-8gb", "300mbs"),
    }


def test_postcopy_over_rdma_fails_in_every_cell(cells: list[Cell]) -> None:
    found = [it for it in cells if it.link == "rdma-remote" and "post-copy" in it.name]
    assert len(found) == 18
    assert all(it.trace and it.trace.outcome.verdict == "failed" for it in found)


def test_lines_and_pages(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["reproduce", "study-2016", "--html", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    (seventh,) = [line for line in lines if line.startswith("F7 ")]
    assert seventh.startswith("F7 reproduced: 200 -> ")
    index = (tmp_path / "index.html").read_text()
    assert "F22" in index
    assert "assumed: " in index
    page = (tmp_path / "4cpu-8gb-tcp-remote.html").read_text()
    assert "auto-converge-step-10: " in page
    assert 'src="http' not in page


def test_pages_without_plotly_are_refused_before_a_cell_is_predicted(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    predicted: list[str] = []
    monkeypatch.setattr(study_cells, "run_cells", lambda: predicted.append("all"))
    assert run(["reproduce", "study-2016", "--html", str(tmp_path)]) == 1
    assert not predicted
    assert "pip install 'migmodel[html]'" in capsys.readouterr().err
