"""Where the Linux guest's kernel comes from."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest

from migmodel.stress.errors import SettingError, StressError
from migmodel.stress.kernel import kernel_image


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "migmodel"


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with nothing but a shell's needs, for programs that play apt."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "cat", "cp"):
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_the_users_choice_comes_first(cache: Path, tmp_path: Path) -> None:
    (cache / "kernel").mkdir(parents=True)
    (cache / "kernel" / "vmlinuz").touch()
    mine = tmp_path / "mine"
    mine.touch()
    assert kernel_image(mine) == mine
    assert kernel_image() == cache / "kernel" / "vmlinuz"


def test_a_choice_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="no kernel can be read at"):
        kernel_image(tmp_path / "none")


@pytest.mark.usefixtures("cache")
def test_the_hosts_own(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz-6.1").touch()
    assert kernel_image(boot=tmp_path) == tmp_path / "vmlinuz-6.1"


def test_unpacked_from_the_package(cache: Path, programs: Path, tmp_path: Path) -> None:
    (tmp_path / "vmlinuz-6.1").write_text("a kernel")
    with tarfile.open(tmp_path / "package", "w") as package:
        package.add(tmp_path / "vmlinuz-6.1", "./boot/vmlinuz-6.1")
    _script(programs / "apt-cache", "echo '  Depends: linux-image-6.1-amd64'")
    _script(
        programs / "apt-get",
        f'[ "$3" = linux-image-6.1-amd64 ] && cp {tmp_path}/package kernel.deb',
    )
    _script(programs / "dpkg-deb", 'cat "$2"')
    found = kernel_image(boot=tmp_path / "empty")
    assert found == cache / "kernel" / "vmlinuz"
    assert found.read_text() == "a kernel"


@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize(
    ("cache_says", "get_says", "complaint"),
    [
        (":", ":", "apt offers no linux-image-amd64"),
        ("echo 'Depends: linux-image-6'", "echo E: no net >&2; exit 100", "E: no net"),
    ],
)
def test_apt_without_a_kernel_is_one_line(
    programs: Path, tmp_path: Path, cache_says: str, get_says: str, complaint: str
) -> None:
    _script(programs / "apt-cache", cache_says)
    _script(programs / "apt-get", get_says)
    _script(programs / "dpkg-deb", ":")
    with pytest.raises(StressError, match=complaint) as error:
        kernel_image(boot=tmp_path / "empty")
    assert "--kernel" in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.usefixtures("cache", "programs")
def test_no_apt_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(StressError, match="name a kernel with --kernel"):
        kernel_image(boot=tmp_path / "empty")
