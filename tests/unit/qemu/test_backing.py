"""Memory that is ready for the destination: taken, handed out in time, never kept."""

from collections.abc import Callable
from pathlib import Path

import pytest

from migmodel.qemu.backing import (
    Backing,
    listed_bytes,
    most_listed_bytes,
    taken_bytes,
)
from migmodel.records import Guest, Scenario, Workload
from migmodel.records.scenario import GuestKind
from migmodel.records.status import MigrationStatus
from migmodel.units import MIB

SIZE_BYTES = 192 * MIB
RATE = 64.0 * MIB


def resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096


def active(
    elapsed_s: float, remaining_bytes: float, passes: int = 1
) -> MigrationStatus:
    return MigrationStatus(
        status="active",
        elapsed_s=elapsed_s,
        dirty_sync_count=passes,
        remaining_bytes=remaining_bytes,
        total_bytes=SIZE_BYTES,
    )


@pytest.fixture
def held_mib() -> Callable[[], float]:
    """More memory than at the test's begin."""
    before = resident_bytes()
    return lambda: (resident_bytes() - before) / MIB


def test_all_of_it_is_resident_until_it_begins(held_mib: Callable[[], float]) -> None:
    backing = Backing(SIZE_BYTES, None)
    backing.touch()
    assert held_mib() == pytest.approx(192, abs=8)
    backing.begin()
    assert held_mib() == pytest.approx(0, abs=8)


def test_a_limited_stream_is_given_a_second_ahead_of_what_it_took(
    held_mib: Callable[[], float],
) -> None:
    backing = Backing(SIZE_BYTES, RATE)
    backing.touch()
    backing.begin()
    assert held_mib() == pytest.approx(128, abs=20)
    backing.follow(active(1.0, SIZE_BYTES - RATE))
    assert held_mib() == pytest.approx(64, abs=20)
    # Faster than its limit, as zero pages and compressed ones make it.
    backing.follow(active(1.1, SIZE_BYTES - 1.9 * RATE))
    assert held_mib() == pytest.approx(0, abs=8)


def test_what_is_not_known_yet_gives_nothing_away(
    held_mib: Callable[[], float],
) -> None:
    backing = Backing(SIZE_BYTES, RATE)
    backing.touch()
    backing.begin()
    backing.follow(MigrationStatus(status="setup", elapsed_s=0.0))
    assert held_mib() == pytest.approx(128, abs=20)


def test_the_second_pass_needs_no_new_memory(held_mib: Callable[[], float]) -> None:
    backing = Backing(SIZE_BYTES, RATE)
    backing.touch()
    backing.follow(active(0.5, SIZE_BYTES, passes=2))
    assert held_mib() == pytest.approx(0, abs=8)


def test_taking_after_release_keeps_nothing(held_mib: Callable[[], float]) -> None:
    """A run that is broken off while a thread still takes memory."""
    backing = Backing(SIZE_BYTES, None)
    backing.release()
    backing.touch()
    assert held_mib() == pytest.approx(0, abs=8)


def test_a_destination_that_takes_none_is_given_none(
    held_mib: Callable[[], float],
) -> None:
    backing = Backing(0, RATE)
    backing.touch()
    backing.begin()
    assert held_mib() == pytest.approx(0, abs=8)


@pytest.mark.parametrize(
    ("kind", "still_mib", "least_mib", "most_mib"),
    [
        # What is zero takes no memory there.
        ("bare", 0, 64, 96),
        ("bare", 32, 96, 128),
        ("linux", 0, 64 + 47, 64 + 96),
        # Never more than there is.
        ("linux", 192, 256, 256),
    ],
)
def test_as_much_is_made_ready_as_the_guest_has_data(
    kind: GuestKind, still_mib: int, least_mib: int, most_mib: int
) -> None:
    scenario = Scenario(
        guest=Guest(ram_bytes=256 * MIB, kind=kind),
        workload=Workload(working_set_bytes=64 * MIB, still_bytes=still_mib * MIB),
    )
    assert least_mib <= taken_bytes(scenario) / MIB <= most_mib


def test_what_stays_in_lists_of_single_cpus_is_given_besides(
    held_mib: Callable[[], float],
) -> None:
    listed = iter([0, 0, *[64 * MIB] * 3])
    backing = Backing(SIZE_BYTES, None, 96 * MIB, lambda: next(listed))
    backing.touch()
    assert held_mib() == pytest.approx(192 + 96, abs=8)
    backing.begin()
    # What others do not need stays held: free for long, it would be taken back.
    assert held_mib() == pytest.approx(32, abs=8)
    backing.release()
    assert held_mib() == pytest.approx(0, abs=8)


def test_lists_of_all_cpus_and_zones_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zones = tmp_path / "zoneinfo"
    zones.write_text(
        "Node 0, zone   Normal\n  pages free     592870\n  pagesets\n"
        "    cpu: 0\n              count:    4973\n              high:     5712\n"
        "              high_min: 5082\n              high_max: 45056\n"
        "    cpu: 1\n              count:    27\n              high_max: 40000\n",
        encoding="ascii",
    )
    monkeypatch.setattr("migmodel.qemu.backing._ZONES", zones)
    assert listed_bytes() == 5000 * 4096
    assert most_listed_bytes() == 45056 * 4096


def test_nothing_is_added_where_the_kernel_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("migmodel.qemu.backing._ZONES", tmp_path / "none")
    assert listed_bytes() == most_listed_bytes() == 0
