"""A suite's guests: built when needed, and the Linux one done without."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from migmodel.cli.main import run
from migmodel.errors import InputError, JobError
from migmodel.qemu import binary, driver, images
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.options import DriverOptions
from migmodel.records import HostProfile, Measurement, Scenario
from migmodel.records.files import write_record
from migmodel.records.scenario import GuestKind
from migmodel.validate.guests import Guests
from migmodel.validate.skips import read_skips

from .conftest import MakeMeasurement

NO_KERNEL = "cannot build the linux guest: no kernel"


class Builder:
    """Stands in for the images: notes what is built, and refuses a kind."""

    def __init__(self, *refused: GuestKind) -> None:
        self.calls: list[tuple[GuestKind, Path | None]] = []
        self._refused = refused

    def __call__(self, kind: GuestKind, kernel: Path | None = None) -> GuestImage:
        self.calls.append((kind, kernel))
        if kind in self._refused:
            raise JobError(f"cannot build the {kind} guest: no kernel")
        return GuestImage(kind, Path(kind))

    def options(self, kind: GuestKind) -> DriverOptions:
        return DriverOptions(image=self(kind))


def test_a_guest_is_built_once_and_when_it_is_asked_for() -> None:
    builder = Builder()
    guests = Guests(builder.options)
    assert builder.calls == []
    assert guests.options("linux").image.kind == "linux"
    assert guests.options("linux") is guests.options("linux")
    assert builder.calls == [("linux", None)]


def test_without_the_linux_guest_its_scenarios_alone_are_refused() -> None:
    builder = Builder("linux")
    guests = Guests(builder.options)
    for _ in range(2):
        with pytest.raises(InputError, match=NO_KERNEL):
            guests.options("linux")
    assert builder.calls == [("linux", None)], "it is not tried for each scenario"
    assert guests.options("bare").image.kind == "bare"


def test_without_the_bare_guest_nothing_goes_on() -> None:
    with pytest.raises(JobError, match="cannot build the bare guest"):
        Guests(Builder("bare").options).options("bare")


@pytest.fixture
def measured() -> list[str]:
    """Names of the scenarios that were run."""
    return []


@pytest.fixture
def validate(
    monkeypatch: pytest.MonkeyPatch,
    make_measurement: MakeMeasurement,
    host_profile: HostProfile,
    measured: list[str],
    tmp_path: Path,
) -> Callable[..., int]:
    """`migmodel validate` of the suite full, on a driver that makes runs up."""
    profile = tmp_path / "profile.json"
    write_record(profile, host_profile)

    def measure(
        scenario: Scenario, options: DriverOptions, *, repeat: int, **_: Any
    ) -> Measurement:
        assert options.image.kind == scenario.guest.kind
        measured.append(scenario.name)
        return make_measurement(scenario, repeat)

    monkeypatch.setattr(driver, "measure", measure)
    monkeypatch.setattr(driver, "check", lambda *_: None)
    monkeypatch.setattr(
        binary, "find_qemu", lambda _, wanted: SimpleNamespace(version=wanted)
    )

    def call(builder: Builder, *more: str) -> int:
        monkeypatch.setattr(images, "build_image", builder)
        return run(
            [
                *("validate", "--suite", "full", "--profile", str(profile)),
                *("--out", str(tmp_path / "out"), "--repeat", "1", *more),
            ]
        )

    return call


def test_without_a_kernel_what_needs_linux_is_skipped_and_told(
    validate: Callable[..., int],
    measured: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = "pre-fit,pre-linux,auto-linux"
    assert validate(Builder("linux"), "--only", names) in (0, 1)
    assert measured == ["pre-fit"]
    printed = capsys.readouterr()
    assert f"skipped: pre-linux, auto-linux: {NO_KERNEL}" in printed.err
    assert "1 runs, about" in printed.err
    skips = read_skips(tmp_path / "out")
    assert skips == dict.fromkeys(("pre-linux", "auto-linux"), NO_KERNEL)


def test_the_named_kernel_is_the_linux_guests(
    validate: Callable[..., int], measured: list[str], tmp_path: Path
) -> None:
    kernel = tmp_path / "vmlinuz"
    kernel.touch()
    builder = Builder()
    names = ("--only", "pre-fit,pre-linux")
    assert validate(builder, *names, "--kernel", str(kernel)) in (0, 1)
    assert measured == ["pre-fit", "pre-linux"]
    assert sorted(builder.calls) == [("bare", None), ("linux", kernel)]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--kernel", "{}/none"], "does not exist"),
        (["--kernel", "{}/profile.json", "--only", "pre-fit"], "leave it out"),
        (["--kernel", "{}/profile.json", "--suite", "smoke"], "leave it out"),
    ],
)
def test_a_kernel_that_serves_nothing_is_refused(
    validate: Callable[..., int],
    measured: list[str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    said: str,
) -> None:
    assert validate(Builder(), *(word.format(tmp_path) for word in more)) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert measured == []
