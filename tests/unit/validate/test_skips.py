"""What cannot be run is said, and is remembered."""

from __future__ import annotations

from pathlib import Path

import msgspec

from migmodel.errors import InputError
from migmodel.records import Scenario
from migmodel.validate.skips import read_skips, skip_notes, sort_out, write_skips


def test_the_others_are_run(paced: Scenario, tmp_path: Path) -> None:
    names = ("here", "netns", "newer", "rtt")
    reasons = {"netns": "needs root", "newer": "needs QEMU, 11.1", "rtt": "needs root"}

    def check(scenario: Scenario) -> None:
        if scenario.name in reasons:
            raise InputError(reasons[scenario.name])

    able, skips = sort_out(
        [msgspec.structs.replace(paced, name=name) for name in names], check
    )
    assert [it.name for it in able] == ["here"]
    assert skips == reasons
    write_skips(skips, tmp_path)
    assert read_skips(tmp_path) == reasons
    assert skip_notes(skips, ["netns", "newer", "rtt"]) == [
        "skipped: netns, rtt: needs root",
        "skipped: newer: needs QEMU, 11.1",
    ]
    assert skip_notes(skips, ["other"]) == []


def test_nothing_is_remembered_where_nothing_was_run(tmp_path: Path) -> None:
    assert read_skips(tmp_path) == {}
