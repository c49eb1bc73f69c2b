from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from migmodel.errors import InputError
from migmodel.qemu.binary import QemuBinary
from migmodel.qemu.guest import GuestImage, check_guest, guest_argv
from migmodel.qemu.instance import machine_argv
from migmodel.records import Guest, Scenario, Workload
from migmodel.records.scenario import GuestKind
from migmodel.stress.command import guest_arguments
from migmodel.units import MIB

QEMU = QemuBinary(Path("/opt/qemu"), (10, 0), "10.0.0")


def _scenario(kind: GuestKind, rate_pps: float | None) -> Scenario:
    return Scenario(
        guest=Guest(ram_bytes=512 * MIB, vcpus=2, kind=kind),
        workload=Workload(working_set_bytes=64 * MIB + 5, rate_pps=rate_pps),
    )


def test_the_bare_guest_gets_its_settings() -> None:
    image = GuestImage("bare", Path("/images/bare.elf"))
    argv = guest_argv(_scenario("bare", 1500.4), image, 2599.9999)
    assert argv[:3] == ["-kernel", "/images/bare.elf", "-append"]
    assert argv[3] == (
        "-- ws=67108864 still=0 rate=1500 touch=sweep pattern=sweep content=random "
        "cpus=2 report_ms=75 seed=1 mhz=2599.999900"
    )


@pytest.mark.parametrize("kind", ["bare", "linux"])
@pytest.mark.parametrize(
    "content",
    [
        {"touch": "page", "pattern": "random"},
        {"content": "text", "compressibility": 0.625},
        {"content": "zero", "touch": "read"},
        {"content": "delta", "delta_bytes": 24},
    ],
)
def test_the_guests_builder_would_write_the_same(
    kind: GuestKind, content: dict[str, Any]
) -> None:
    kernel = Path("/boot/vmlinuz") if kind == "linux" else None
    workload = Workload(
        working_set_bytes=64 * MIB, still_bytes=32 * MIB, rate_pps=1500.0, **content
    )
    scenario = Scenario(
        guest=Guest(ram_bytes=512 * MIB, vcpus=2, kind=kind), workload=workload
    )
    image = GuestImage(kind, Path("/images/guest"), kernel)
    assert guest_argv(scenario, image, 2599.9999) == guest_arguments(
        kind,
        image.image,
        kernel,
        ws_bytes=64 * MIB,
        still_bytes=32 * MIB,
        rate_pps=1500,
        cpus=2,
        mhz=2599.9999,
        **content,
    )


@pytest.mark.parametrize(("kind", "room"), [("bare", 496), ("linux", 256)])
def test_what_is_left_still_needs_room_beside_the_working_set(
    kind: GuestKind, room: int, tmp_path: Path
) -> None:
    file = tmp_path / "guest"
    file.touch()
    image = GuestImage(kind, file, file)

    def scenario(still_mib: int) -> Scenario:
        return Scenario(
            guest=Guest(ram_bytes=512 * MIB, kind=kind),
            workload=Workload(working_set_bytes=64 * MIB, still_bytes=still_mib * MIB),
        )

    check_guest(scenario(room - 64), image)
    with pytest.raises(InputError, match=rf"together can be {room} MiB at most"):
        check_guest(scenario(room - 63), image)


def test_a_slow_guest_is_not_taken_for_one_at_full_speed() -> None:
    image = GuestImage("bare", Path("/images/bare.elf"))
    assert "rate=1 " in guest_argv(_scenario("bare", 0.2), image, None)[3]
    assert "rate=0 " in guest_argv(_scenario("bare", None), image, None)[3]


def test_the_linux_guest_gets_kernel_and_settings() -> None:
    image = GuestImage("linux", Path("/images/guest.gz"), Path("/boot/vmlinuz"))
    argv = guest_argv(_scenario("linux", None), image, None)
    assert argv[:4] == ["-kernel", "/boot/vmlinuz", "-initrd", "/images/guest.gz"]
    words = argv[argv.index("-append") + 1]
    kernel, settings = words.split(" -- ")
    assert "console=ttyS0" in kernel
    assert "mhz" not in settings


def test_both_sides_are_the_same_machine() -> None:
    guest = _scenario("bare", None).guest
    source, destination = (
        machine_argv(QEMU, "tcg", guest, ["-kernel", "x"], side)
        for side in ("source", "destination")
    )
    assert [word.replace("source", "destination") for word in source] == (
        destination[:-2]
    )
    assert destination[-2:] == ["-incoming", "defer"]
    assert "512M" in source
    assert "tcg,thread=multi" in source
    assert source[source.index("-smp") + 1] == "2"
