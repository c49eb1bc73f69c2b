"""A run's private folder, and what is left of runs that were killed."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from migmodel.qemu.folder import LOCK, PREFIX, private_folder

HOLD = """
import sys
from migmodel.qemu.folder import private_folder
with private_folder() as folder:
    (folder / "migration.sock").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@contextmanager
def another_run() -> Iterator[tuple[subprocess.Popen[str], Path]]:
    argv = [sys.executable, "-c", HOLD]
    pipe = subprocess.PIPE
    with subprocess.Popen(argv, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_it_is_private_and_goes_with_its_run(parent: Path) -> None:
    with private_folder() as folder:
        assert folder.parent == parent
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "migration.sock").touch()
    assert list(parent.iterdir()) == []


def test_a_killed_runs_folder_is_removed_by_the_next(parent: Path) -> None:
    with another_run() as (process, left):
        assert left.parent == parent
        process.kill()
        process.wait()
        assert (left / "migration.sock").exists()
        with private_folder():
            assert not left.exists()


def test_a_living_runs_folder_is_left_alone(parent: Path) -> None:
    with another_run() as (_, theirs), private_folder(), private_folder():
        assert (theirs / "migration.sock").exists()
        assert len(list(parent.iterdir())) == 3


def _open_to_all(folder: Path) -> None:
    (folder / LOCK).touch()
    folder.chmod(0o755)


def _without_lock(folder: Path) -> None:
    (folder / "data").touch()


def _with_another_files_lock(folder: Path) -> None:
    (folder.parent / "data").touch()
    (folder / LOCK).symlink_to(folder.parent / "data")


@pytest.mark.parametrize(
    "fill", [_open_to_all, _without_lock, _with_another_files_lock]
)
def test_what_is_not_provably_ours_is_left_alone(parent: Path, fill: object) -> None:
    theirs = parent / f"{PREFIX}theirs"
    theirs.mkdir(mode=0o700)
    assert callable(fill)
    fill(theirs)
    with private_folder():
        assert list(theirs.iterdir())


def test_a_link_to_a_stale_folder_is_left_alone(parent: Path) -> None:
    elsewhere = parent / "elsewhere"
    elsewhere.mkdir(mode=0o700)
    (elsewhere / LOCK).touch()
    (parent / f"{PREFIX}link").symlink_to(elsewhere)
    with private_folder():
        assert (elsewhere / LOCK).exists()
