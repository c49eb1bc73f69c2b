"""Hardware options: in the command line, or refused with the reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from migmodel.cli.host_options import hardware_from
from migmodel.errors import InputError
from migmodel.qemu import hardware, instance
from migmodel.qemu.accel import Accel
from migmodel.qemu.binary import QemuBinary
from migmodel.qemu.hardware import check_accel, check_here, memory_argv, parse_numbers
from migmodel.qemu.instance import machine_argv
from migmodel.records import Guest
from migmodel.records.hardware import Hardware
from migmodel.units import MIB

GUEST = Guest(ram_bytes=64 * MIB)
HUGE = Guest(ram_bytes=64 * MIB, host_page_bytes=2 * MIB)


def _memory(hardware: Hardware, guest: Guest, side: str) -> dict[str, object]:
    argv = memory_argv(hardware, guest, side)
    memory: dict[str, object] = json.loads(argv[argv.index("-object") + 1])
    return memory


def test_nothing_asked_for_changes_nothing() -> None:
    assert memory_argv(Hardware(), GUEST, "source") == []


def test_both_sides_have_the_same_memory_when_one_is_bound() -> None:
    bound = Hardware(source_memory_nodes=(0, 2), prealloc=True)
    source, destination = (
        _memory(bound, GUEST, it) for it in ("source", "destination")
    )
    assert source["host-nodes"] == [0, 2]
    assert source["policy"] == "bind"
    assert "host-nodes" not in destination
    for name in ("qom-type", "id", "size", "prealloc"):
        assert source[name] == destination[name]


def test_huge_pages_and_locking() -> None:
    memory = _memory(Hardware(), HUGE, "source")
    assert memory["hugetlb"] is True
    assert memory["hugetlbsize"] == 2 * MIB
    assert memory_argv(Hardware(locked=True), GUEST, "source") == [
        "-overcommit",
        "mem-lock=on",
    ]


def test_a_dirty_ring_is_kvms() -> None:
    ring = Guest(ram_bytes=64 * MIB, dirty_ring_size=4096)
    qemu = QemuBinary(Path("qemu"), (10, 0), "10.0")
    argv = machine_argv(qemu, "kvm", ring, [], "source")
    assert argv[argv.index("-accel") + 1] == "kvm,dirty-ring-size=4096"
    check_accel(ring, "kvm")
    with pytest.raises(InputError, match="the dirty ring is KVM's"):
        check_accel(ring, "tcg")


@pytest.mark.parametrize(
    ("accel", "flags", "without"),
    [("kvm", False, True), ("kvm", True, False), ("tcg", False, False)],
)
def test_a_kvm_that_emulates_gets_a_cpu_that_it_can(
    monkeypatch: pytest.MonkeyPatch, accel: Accel, flags: bool, without: bool
) -> None:
    monkeypatch.setattr(instance, "has_hardware_virtualization", lambda: flags)
    qemu = QemuBinary(Path("qemu"), (10, 0), "10.0")
    for side in ("source", "destination"):
        argv = machine_argv(qemu, accel, GUEST, [], side)
        assert ("-cpu" in argv) == without
        assert not without or argv[argv.index("-cpu") + 1] == "qemu64,-pni"


def test_what_this_host_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    sides = ("source", "destination")
    for wanted, complaint in (
        (Hardware(destination_cpus=(4095,)), "no CPU 4095 to bind to"),
        (Hardware(source_memory_nodes=(1023,)), "no memory node 1023 to bind to"),
    ):
        with pytest.raises(InputError, match=complaint):
            check_here(wanted, GUEST, sides)
    monkeypatch.setattr(hardware, "_may_lock", lambda: False)
    monkeypatch.setattr("resource.getrlimit", lambda _: (8 * MIB, 8 * MIB))
    with pytest.raises(InputError, match="this user may lock 8 MiB"):
        check_here(Hardware(locked=True), GUEST, sides)


def test_too_few_huge_pages_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(hardware, "_HUGE_PAGES", tmp_path)
    with pytest.raises(InputError, match="no pages of 2 MiB"):
        check_here(Hardware(), HUGE, ("source",))
    (tmp_path / "hugepages-2048kB").mkdir()
    free = tmp_path / "hugepages-2048kB" / "free_hugepages"
    free.write_text("63\n")
    check_here(Hardware(), HUGE, ("source",))
    with pytest.raises(InputError, match="64 pages of 2 MiB are needed, 63 are free"):
        check_here(Hardware(), HUGE, ("source", "destination"))


def test_lists_of_numbers() -> None:
    assert parse_numbers("0-2,5\n".strip()) == {0, 1, 2, 5}
    assert parse_numbers("") == set()
    given = dict.fromkeys(("dst_cpu_bind", "src_mem_bind", "dst_mem_bind"))
    flags = {"prealloc_pages": False, "locked_pages": True}
    read = hardware_from({"src_cpu_bind": "0-2,5", **given, **flags})
    assert read == Hardware(source_cpus=(0, 1, 2, 5), locked=True)
    for text in ("a", "1-", "", "3-1", "-1"):
        with pytest.raises(InputError):
            hardware_from({"src_cpu_bind": text, **given, **flags})
    with pytest.raises(InputError, match="named once"):
        Hardware(source_cpus=(1, 1))
