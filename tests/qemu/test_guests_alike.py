"""Both stress guests, paced alike and with as much data, are the same migration."""

from __future__ import annotations

import statistics
from pathlib import Path

import pytest

from migmodel.qemu.driver import measure
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.options import DriverOptions
from migmodel.records import Guest, Measurement, Policy, Scenario, Workload
from migmodel.records.scenario import GuestKind
from migmodel.stress.builder import build_bare, build_linux
from migmodel.stress.errors import StressError
from migmodel.stress.kernel import kernel_image
from migmodel.units import MIB, PAGE_BYTES

pytestmark = pytest.mark.qemu

REPEATS = 2
ALIKE = 0.03  # what is claimed
MOST = 0.08  # and what a restless host may add to it in all
RAM_BYTES = 512 * MIB
WORKING_SET_BYTES = 64 * MIB
FIRMWARE_PAGES = 130
BARE_DATA_PAGES = 140  # firmware's and its own, of the pages that are sent


@pytest.fixture(scope="module")
def images() -> dict[GuestKind, GuestImage]:
    try:
        linux = GuestImage("linux", build_linux(), kernel_image(None))
        return {"bare": GuestImage("bare", build_bare()), "linux": linux}
    except StressError as error:
        pytest.skip(str(error))


def run(
    qemu: Path, image: GuestImage, still_pages: int = 0, rate_pps: float = 11_000
) -> Measurement:
    """16,000 pages that are rewritten each 1.5 s, over 60 MB/s, from their begin."""
    scenario = Scenario(
        guest=Guest(ram_bytes=RAM_BYTES, kind=image.kind),
        workload=Workload(
            working_set_bytes=WORKING_SET_BYTES,
            rate_pps=rate_pps,
            phase=0.0,
            still_bytes=still_pages * PAGE_BYTES,
        ),
        policy=Policy(parameters={"max-bandwidth": 60_000_000, "downtime-limit": 100}),
    )
    options = DriverOptions(image=image, qemu=str(qemu), baseline_s=0.5, after_s=0.5)
    measurement = measure(scenario, options)
    assert measurement.problems == []
    return measurement


def own_pages(linux: Measurement) -> int:
    """Pages with data that Linux has and the bare guest has not: those sent as such.

    Zero pages are sent once each, but for a few that Linux gives out and takes back.
    """
    assert linux.raw is not None
    zero_pages = linux.raw.queries[-1][2]["ram"]["duplicate"]
    data_pages = RAM_BYTES // PAGE_BYTES + FIRMWARE_PAGES - zero_pages
    return int(data_pages - WORKING_SET_BYTES // PAGE_BYTES - BARE_DATA_PAGES)


def check_alike(ours: list[float], theirs: list[float]) -> None:
    """Medians agree as well as is claimed, and the repeats allow to see."""
    spread = max((max(runs) - min(runs)) / min(runs) for runs in (ours, theirs))
    expected = statistics.median(theirs)
    allowed = min(ALIKE + spread, MOST)
    assert statistics.median(ours) == pytest.approx(expected, rel=allowed)


def test_paced_guests_with_as_much_data_migrate_alike(
    qemu_binary: Path, images: dict[GuestKind, GuestImage]
) -> None:
    linux = [run(qemu_binary, images["linux"]) for _ in range(REPEATS)]
    still_pages = own_pages(linux[0])
    assert still_pages > 5000  # a kernel is there
    bare = [run(qemu_binary, images["bare"], still_pages) for _ in range(REPEATS)]
    for name in ("total_time_s", "bytes_sent"):
        ours, theirs = (
            [getattr(it.trace.outcome, name) for it in runs] for runs in (linux, bare)
        )
        check_alike(ours, theirs)
