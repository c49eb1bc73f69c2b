"""CPUs are kept awake where that can be, as long as the request is open."""

from __future__ import annotations

from pathlib import Path

import pytest

from migmodel.errors import InputError
from migmodel.qemu import awake


@pytest.fixture
def requests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A virtual host that can be kept awake, and where requests to it go."""
    requests, driver = tmp_path / "requests", tmp_path / "driver"
    requests.touch()
    driver.write_text("haltpoll\n")
    monkeypatch.setattr(awake, "_REQUESTS", requests)
    monkeypatch.setattr(awake, "_DRIVER", driver)
    monkeypatch.setattr(awake, "may_be_virtual", lambda: True)
    return requests


def _open_files(path: Path) -> int:
    fds = Path("/proc/self/fd").iterdir()
    return sum(fd.resolve() == path for fd in fds if fd.exists())


def test_the_request_is_for_no_latency_and_ends_with_the_run(requests: Path) -> None:
    with awake.cpus_awake(None) as kept:
        assert kept
        assert requests.read_bytes() == bytes(4)
        assert _open_files(requests) == 1
    assert _open_files(requests) == 0


def test_nothing_is_asked_of_bare_metal_unless_it_is_wanted(
    requests: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awake, "may_be_virtual", lambda: False)
    with awake.cpus_awake(None) as kept:
        assert not kept
        assert requests.read_bytes() == b""
    with awake.cpus_awake(True) as kept:
        assert kept


def test_nor_where_it_is_not_wanted(requests: Path) -> None:
    with awake.cpus_awake(False) as kept:
        assert not kept
    assert requests.read_bytes() == b""


@pytest.mark.parametrize("driver", ["none\n", None])
def test_a_kernel_that_can_only_sleep(
    requests: Path, driver: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = requests.parent / "driver"
    path.unlink()
    if driver is not None:
        path.write_text(driver)
    with awake.cpus_awake(None) as kept:
        assert not kept
    with pytest.raises(InputError, match="no other way to idle"):
        awake.check_awake(True)
    monkeypatch.setattr(awake, "may_be_virtual", lambda: False)
    awake.check_awake(None)


def test_another_user_may_not_ask(requests: Path) -> None:
    requests.unlink()
    with awake.cpus_awake(None) as kept:
        assert not kept
    with pytest.raises(InputError, match="root alone"):
        awake.check_awake(True)
