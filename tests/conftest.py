"""What all tests share: a real QEMU, or the reason why there is none.

A test marked ``qemu`` skips where there is none. Where real migrations are required
(``MIGMODEL_REQUIRE_QEMU=1``, as in CI) it fails when it skips, for whatever reason.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

from migmodel.errors import InputError
from migmodel.qemu.binary import find_qemu

OLDEST_QEMU = (9, 0)  # before it, a migration under TCG loses dirty pages


@pytest.fixture(scope="session")
def qemu_binary() -> Path:
    """The QEMU that the tests drive."""
    try:
        found = find_qemu()
    except InputError as error:
        pytest.skip(str(error))
    if found.version < OLDEST_QEMU:
        pytest.skip(
            f"{found.path} is QEMU {found.release}, too old to migrate under TCG; "
            "./dev setup qemu gets a newer one"
        )
    return found.path


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
