from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from migmodel.analysis import predict as model
from migmodel.analysis import sweep as analysis
from migmodel.cli.main import run
from migmodel.records import HostProfile, Prediction, Scenario
from migmodel.show import heatmap
from migmodel.units import GIB

MakePrediction = Callable[..., Prediction]
GRID = ["--mem", "4,8", "--bw", "1g,10g,25g", "--policy", "precopy,postcopy"]


@pytest.fixture
def model_answers(
    monkeypatch: pytest.MonkeyPatch, make_prediction: MakePrediction
) -> None:
    """Big guests never complete by plain pre-copy; all else takes 60 s."""

    def predict(
        scenario: Scenario, _: HostProfile, *, draws: int, **__: object
    ) -> Prediction:
        big = scenario.guest.ram_bytes > 4 * GIB
        if big and scenario.policy.technique == "precopy":
            return make_prediction(scenario, verdict="never", draws=draws)
        return make_prediction(scenario, draws=draws, total_time_s=60.0)

    monkeypatch.setattr(model, "predict", predict)


@pytest.mark.usefixtures("model_answers")
@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_the_table_has_a_row_for_every_migration(
    suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / f"out.{suffix}"
    assert run(["sweep", *GRID, "--out", str(out)]) == 0
    if suffix == "csv":
        with out.open(newline="") as stream:
            rows: list[dict[str, Any]] = list(csv.DictReader(stream))
    else:
        rows = pyarrow.parquet.read_table(out).to_pylist()
    assert len(rows) == 12
    assert [float(row["ram_bytes"]) for row in rows] == [4 * GIB] * 6 + [8 * GIB] * 6
    assert {row["verdict"] for row in rows} == {"completed", "never"}
    assert float(rows[0]["total_time_s"]) == 60.0
    assert not rows[6]["total_time_s"], "what never completes has no total time"
    assert {path.name for path in tmp_path.iterdir()} == {out.name}
    said = capsys.readouterr().out
    assert "12 migrations" in said
    assert "9 complete, 3 do not" in said
    assert "1 vCPU (--cpus)" in said


@pytest.mark.usefixtures("model_answers")
def test_a_heat_map_is_drawn(tmp_path: Path) -> None:
    out, plot = tmp_path / "out.csv", tmp_path / "map.png"
    assert run(["sweep", *GRID, "--out", str(out), "--plot", str(plot)]) == 0
    assert plot.read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("model_answers")
def test_the_heat_map_is_of_what_was_swept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[tuple[list[heatmap.Cell], dict[str, str]]] = []

    def draw(cells: list[heatmap.Cell], _: Path, **names: str) -> None:
        drawn.append((cells, names))

    monkeypatch.setattr(heatmap, "heatmap", draw)
    grid = ["--mem", "8,4", "--after", "1,5", "--policy", "precopy,postcopy"]
    files = ["--out", str(tmp_path / "o.csv"), "--plot", str(tmp_path / "p.png")]
    assert run(["sweep", *grid, *files]) == 0
    ((cells, names),) = drawn
    assert {(cell.x, cell.y, cell.panel) for cell in cells} == {
        (mem, after, policy)
        for mem in ("8 GiB", "4 GiB")
        for after in ("1", "5")
        for policy in ("precopy", "postcopy")
    }, "also where a policy does not care for an option"
    assert [c.completes_probability for c in cells if c.panel == "precopy"] == [
        *(0.0, 0.0),
        *(1.0, 1.0),
    ]
    assert names == {"x_name": "guest RAM", "y_name": "--after"}


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_an_interruption_keeps_the_rows_so_far(
    suffix: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    make_prediction: MakePrediction,
) -> None:
    asked: list[Scenario] = []

    def predict(scenario: Scenario, *_: object, **__: object) -> Prediction:
        asked.append(scenario)
        if len(asked) == 6:
            raise KeyboardInterrupt
        return make_prediction(scenario, total_time_s=1.0)

    monkeypatch.setattr(model, "predict", predict)
    out = tmp_path / f"out.{suffix}"
    assert run(["sweep", *GRID, "--out", str(out)]) == 130
    error = capsys.readouterr().err.strip()
    (kept,) = tmp_path.iterdir()
    assert error == f"migmodel: interrupted: 5 of 12 rows are kept in {kept}"
    lines = kept.read_text().splitlines()
    if suffix == "csv":
        assert len(list(csv.DictReader(lines))) == 5
    else:
        assert [json.loads(line)["total_time_s"] for line in lines] == [1.0] * 5


def test_rows_are_on_disk_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.csv"
    seen: list[int] = []

    def rows(*_: object, **__: object) -> Iterator[dict[str, Any]]:
        for _ in range(3):
            seen.append(len(out.read_text().splitlines()))
            yield {"verdict": "never", "completes_probability": 0.0}

    monkeypatch.setattr(analysis, "sweep", rows)
    assert run(["sweep", "--mem", "1,2,3", "--out", str(out)]) == 0
    assert seen == [1, 2, 3], "the header, then one line more each time"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mem", "4,-8", "--out", "o.csv"], "--mem: not a size: '-8'"),
        (["--mem", "4,8", "--out", "o.xlsx"], "must end with .csv or .parquet"),
        (["--mem", "4,8", "--out", "no/dir/o.csv"], "there is no directory no/dir"),
        (["--mem", "4", "--out", "o.csv", "--plot", "p.png"], "one to three options"),
        (["--mem", "4,8", "--out", "o.csv", "--plot", "p.gif"], "must end with .png"),
        (["--mem", "4", "--out", "o.csv", "--profile", "nobody"], "no profile named"),
        (["--mem", "4", "--out", "o.csv", "--jobs", "0"], "--jobs"),
        (["--mem", "4", "--out", "."], "must end with"),
    ],
)
def test_bad_input_ends_before_anything_is_written(
    arguments: list[str],
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["sweep", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []
