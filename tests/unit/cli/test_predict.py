from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migmodel.analysis import predict as model
from migmodel.analysis import profiles
from migmodel.cli.main import run
from migmodel.records import HostProfile, Prediction, Scenario

MakePrediction = Callable[..., Prediction]
AUTOCONVERGE = ["--mem", "8", "--bw", "1g", "--policy", "autoconverge"]
EMPTY_PROFILE = {
    "name": "x",
    "kind": "fitted",
    "accel": "kvm",
    "host_cpus": 2,
    "same_host": True,
    "parameters": {},
}


@pytest.fixture
def asked(
    monkeypatch: pytest.MonkeyPatch,
    make_prediction: MakePrediction,
    profile: HostProfile,
) -> list[dict[str, Any]]:
    """What the model was asked for; it answers with 60 s and 300 ms."""
    calls: list[dict[str, Any]] = []

    def predict(
        scenario: Scenario, _: HostProfile, *, draws: int = 64, seed: int = 0
    ) -> Prediction:
        calls.append({"scenario": scenario, "draws": draws, "seed": seed})
        return make_prediction(
            scenario, draws=draws, total_time_s=60.0, downtime_stop_resume_s=0.3
        )

    monkeypatch.setattr(model, "predict", predict)
    monkeypatch.setattr(profiles, "load_profile", lambda _: profile)
    return calls


@pytest.mark.parametrize(
    ("arguments", "draws", "seed"),
    [
        ([], 64, 0),
        (["--nominal"], 0, 0),
        (["--draws", "8", "--seed", "3"], 8, 3),
    ],
)
def test_draws_and_seed_reach_the_model(
    arguments: list[str], draws: int, seed: int, asked: list[dict[str, Any]]
) -> None:
    assert run(["predict", "--mem", "8", *arguments]) == 0
    assert (asked[0]["draws"], asked[0]["seed"]) == (draws, seed)


def test_a_person_reads_the_verdict_and_what_was_assumed(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", *AUTOCONVERGE]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "It completes in 60 s, the guest stopped for 300 ms." in text
    assert "1 vCPU (--cpus)" in text
    assert "a guess" in text
    assert asked[0]["scenario"].policy.parameters == {"max-bandwidth": 125_000_000}


def test_a_program_reads_the_record(
    asked: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["predict", "--mem", "8", "--json"]) == 0
    record = msgspec.json.decode(capsys.readouterr().out, type=Prediction)
    assert record.scenario == asked[0]["scenario"]
    assert "1 vCPU (--cpus)" in record.assumptions
    assert len(asked) == 1, "a record needs no suggestions"


@pytest.mark.usefixtures("asked")
def test_a_figure_is_drawn(tmp_path: Path) -> None:
    figure = tmp_path / "figure.png"
    assert run(["predict", "--mem", "8", "--plot", str(figure)]) == 0
    assert figure.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mem", "-8"], "--mem: not a size"),
        (["--mem", "8", "--nominal", "--draws", "5"], "leave out --draws"),
        (["--mem", "8", "--draws", "0"], "--draws"),
        (["--mem", "8", "--plot", "a.txt"], "must end with .png"),
        (["--mem", "8", "--plot", "no/such/dir/a.png"], "there is no directory"),
        (["--scenario", "missing.json"], "cannot read missing.json"),
    ],
)
def test_bad_input_ends_before_the_model_is_asked(
    arguments: list[str],
    words: str,
    asked: list[dict[str, Any]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["predict", *arguments]) == 2
    captured = capsys.readouterr()
    assert words in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert asked == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is not JSON"),
        ('{"name": "x"}', "is no valid HostProfile"),
        (json.dumps(EMPTY_PROFILE), "lacks the parameter"),
    ],
)
def test_a_broken_profile_is_one_line(
    content: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "profile.json"
    file.write_text(content)
    assert run(["predict", "--mem", "8", "--profile", str(file)]) == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_an_unknown_profile_names_the_known(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "--mem", "8", "--profile", "nobody"]) == 2
    assert "kvm-generic" in capsys.readouterr().err


def test_a_migration_that_never_ends_is_a_result(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["predict", "--mem", "8", "--bw", "1g", "--nominal"]) == 0
    text = capsys.readouterr().out
    assert "It never completes" in text
    assert "--policy postcopy" in text
