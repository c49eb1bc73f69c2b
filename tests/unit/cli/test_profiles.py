from __future__ import annotations

import pytest

from migmodel.analysis.profiles import load_profile, profile_names
from migmodel.cli.main import run


def test_the_list_names_every_profile_and_the_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["profiles", "list"]) == 0
    listed = capsys.readouterr().out
    for name in profile_names():
        assert name in listed
    assert "kvm-generic (default)" in listed


def test_a_profile_is_shown_with_every_value_and_its_source(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["profiles", "show", "kvm-generic"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, parameter in load_profile("kvm-generic").parameters.items():
        assert f"{name} {parameter.value:.6g}" in shown
        assert parameter.source.split()[0] in shown
    assert "not validated on hardware" in shown


def test_a_profile_that_is_none_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["profiles", "show", "nobody"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
