"""The bundled profiles, and what the documents say of their parameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from migmodel.analysis.profiles import load_profile, profile_names
from migmodel.errors import RecordError
from migmodel.physics.parameters import PARAMETERS

NOMENCLATURE = Path(__file__).parents[3] / "docs" / "nomenclature.md"


@pytest.mark.parametrize("name", profile_names())
def test_every_value_of_a_bundled_profile_has_a_source(name):
    profile = load_profile(name)
    assert set(profile.parameters) == set(PARAMETERS)
    assert all(item.source for item in profile.parameters.values())


def test_the_default_says_that_it_is_a_guess():
    profile = load_profile()
    assert profile.name == "kvm-generic"
    assert profile.kind == "documented"
    assert "not on hardware" in profile.facts["validated"]


def test_an_unknown_profile_names_the_known_ones():
    with pytest.raises(RecordError, match="kvm-generic"):
        load_profile("no-such-host")


def test_an_impossible_value_is_named(tmp_path):
    source = (Path(load_profile.__code__.co_filename).parents[1] / "profiles").glob(
        "kvm-generic.json"
    )
    text = (
        next(source)
        .read_text()
        .replace('"wakeup_s": {\n   "value": 0.0001', ('"wakeup_s": {\n   "value": -1'))
    )
    path = tmp_path / "bad.json"
    path.write_text(text)
    with pytest.raises(RecordError, match="wakeup_s"):
        load_profile(str(path))


def test_the_nomenclature_page_has_every_parameter_as_it_is():
    page = NOMENCLATURE.read_text(encoding="utf-8")
    for name, spec in PARAMETERS.items():
        row = f"| `{name}` | {spec.meaning} | {spec.lower:g} to {spec.upper:g} |"
        assert row in page
