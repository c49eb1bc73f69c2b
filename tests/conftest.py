"""What all tests share: a real QEMU, or the reason why there is none.

A test marked ``qemu`` skips where there is none. Where real migrations are required
(``MIGMODEL_REQUIRE_QEMU=1``, as in CI) it fails when it skips, for whatever reason.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

OLDEST_QEMU = 9  # before 9.0 a migration under TCG loses dirty pages


def _candidates() -> list[Path]:
    """Where a QEMU may be: the user's choice, else the set-up's and the host's."""
    named = os.environ.get("MIGMODEL_QEMU")
    if named:
        return [Path(named)]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    on_path = shutil.which("qemu-system-x86_64")
    return [
        cache / "migmodel" / "qemu" / "10" / "qemu-system-x86_64",
        *([Path(on_path)] if on_path else []),
    ]


def _major_version(binary: Path) -> int:
    """The major version that the binary states; 0 when it is no QEMU."""
    try:
        stated = subprocess.run(
            [binary, "--version"],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r"QEMU emulator version (\d+)\.", stated.stdout)
    return int(found[1]) if found else 0


@functools.cache
def _real_qemu() -> Path | None:
    fit = (path for path in _candidates() if _major_version(path) >= OLDEST_QEMU)
    return next(fit, None)


@pytest.fixture(scope="session")
def qemu_binary() -> Path:
    """The QEMU that the tests drive."""
    binary = _real_qemu()
    if binary is None:
        pytest.skip(
            f"no QEMU of version {OLDEST_QEMU} or newer is "
            f"{' or '.join(map(str, _candidates()))}; ./dev setup qemu gets one"
        )
    return binary


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give every test marked ``qemu`` the fixture, and with it the skip."""
    for item in items:
        if item.get_closest_marker("qemu") and isinstance(item, pytest.Function):
            item.fixturenames.insert(0, "qemu_binary")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Turn a skip into a failure where real migrations are required."""
    report = yield
    if (
        os.environ.get("MIGMODEL_REQUIRE_QEMU") == "1"
        and item.get_closest_marker("qemu")
        and report.skipped
        and not hasattr(report, "wasxfail")
    ):
        report.outcome = "failed"
        report.longrepr = f"skipped where it must run: {report.longrepr}"
    return report
