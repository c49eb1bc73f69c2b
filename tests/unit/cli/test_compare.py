from __future__ import annotations

import sys
from pathlib import Path

import pytest

from migmodel.cli.main import run

GOLDEN = Path(__file__).parents[2] / "golden"
REPORT = str(GOLDEN / "guestperf" / "pause3-250-1.json")


def test_a_report_is_compared_with_its_prediction(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    figure = tmp_path / "both.png"
    arguments = ["--profile", "tcg-2core", "--draws", "0", "--plot", str(figure)]
    assert run(["compare", REPORT, *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    (total,) = [line for line in lines if line.split()[:1] == ["total_time_s"]]
    assert "12.9 s" in total
    assert figure.stat().st_size > 10_000


def test_a_wrong_verdict_is_a_failure(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "cut.json"
    text = Path(REPORT).read_text().replace('"completed"', '"cancelled"')
    path.write_text(text)
    arguments = ["--profile", "tcg-2core", "--draws", "0"]
    assert run(["compare", str(path), *arguments]) == 1
    assert "WRONG" in capsys.readouterr().out


def test_what_is_no_run_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(GOLDEN / "guestperf" / "README.md")]) == 2
    assert "not JSON" in capsys.readouterr().err


def test_plot_writes_a_picture_and_a_page_that_stands_alone(tmp_path: Path) -> None:
    picture, page = tmp_path / "a.png", tmp_path / "a.html"
    measured = str(GOLDEN / "measured-postcopy.json.gz")
    status = run(["plot", REPORT, measured, "-o", str(picture), "--html", str(page)])
    assert status == 0
    assert picture.stat().st_size > 10_000
    text = page.read_text()
    assert "pause3-250-1" in text
    assert "measured-postcopy" in text
    assert "ms per GiB" in text
    head = text[: text.index("<body")] + text[-2000:]
    assert "src=" not in head, "nothing is loaded from elsewhere"
    assert 'src="http' not in text


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "say where to"),
        (["-o", "picture.txt"], "must end with"),
        (["--html", "page.png"], "must end with .html"),
    ],
)
def test_plot_refuses_what_it_cannot_write(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["plot", REPORT, *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_a_page_without_plotly_is_refused_before_anything_is_drawn(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    picture, page = tmp_path / "a.png", tmp_path / "a.html"
    status = run(["plot", REPORT, "-o", str(picture), "--html", str(page)])
    assert status == 1
    error = capsys.readouterr().err
    assert "pip install 'migmodel[html]'" in error
    assert error.count("\n") == 1
    assert not picture.exists()


def test_the_batch_list_is_predicted_by_name(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    arguments = ["--profile", "tcg-2core", "--nominal", "--guestperf", str(tmp_path)]
    assert run(["predict", "--batch", "pause-iters-?", *arguments]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [
        f"pause-iters/pause-iters-{n}" for n in (0, 1, 5)
    ]
    assert (tmp_path / "pause-iters" / "pause-iters-5.json").exists()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--batch", "none*"], "no scenario fits"),
        (["--batch", "*", "--bw", "1g"], "--bw"),
        (["--batch", "*", "--mem", "512m"], "leaves 512 MiB"),
        (["--batch", "*", "--plot", "a.png"], "leave out --plot"),
        (["--batch", "*", "--shared-link", "1g"], "leave out --shared-link"),
    ],
)
def test_batch_refuses_what_contradicts_the_list(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", *arguments]) == 2
    assert reason in capsys.readouterr().err
