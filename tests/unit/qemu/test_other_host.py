"""What is made of what the other host says: its clock, its CPU clocks, its name."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from migmodel.cli.host_options import hosts_from
from migmodel.errors import InputError
from migmodel.qemu.clocks import Reading, clock_offset, read_clock
from migmodel.qemu.guest import GuestImage
from migmodel.qemu.host import check_memory
from migmodel.qemu.remote import remote_argv
from migmodel.qemu.remote_process import RemoteClocks
from migmodel.qemu.story import Story
from migmodel.qemu.target import RemoteTarget
from migmodel.records import Guest, Link, Scenario, Workload
from migmodel.records.measurement import Raw

AHEAD_S = 1000.0


def _reading(sent_s: float, way_s: float, back_s: float) -> Reading:
    return Reading(sent_s, sent_s + way_s + AHEAD_S, sent_s + way_s + back_s)


def test_the_true_offset_is_within_the_stated_uncertainty() -> None:
    # However unequal the way there and the way back are.
    for way_s, back_s in ((0.001, 0.001), (0.0, 0.002), (0.002, 0.0)):
        reading = _reading(5.0, way_s, back_s)
        clock = clock_offset(reading, reading, 2)
        assert abs(clock.offset_s - AHEAD_S) <= clock.uncertainty_s + 1e-9
        assert clock.round_trip_s == pytest.approx(0.002)


def test_the_quickest_answer_counts() -> None:
    answers = iter(
        [_reading(1, 0.2, 0.0), _reading(2, 0.001, 0.001), _reading(3, 1, 1)]
    )
    assert read_clock(lambda: next(answers), 3).offset_s == pytest.approx(AHEAD_S)


def test_a_drift_makes_the_offset_less_sure() -> None:
    before = _reading(0.0, 0.001, 0.001)
    after = before._replace(there_s=before.there_s + 0.01)
    clock = clock_offset(before, after, 2)
    assert clock.drift_s == pytest.approx(0.01)
    assert clock.uncertainty_s == pytest.approx(0.001 + 0.005)


def test_events_of_the_other_host_are_put_on_our_clock() -> None:
    reading = _reading(0.0, 0.0, 0.0)
    stamp = {"seconds": int(AHEAD_S) + 12, "microseconds": 500_000}
    event = {"event": "RESUME", "timestamp": stamp}
    raw = Raw(
        started_s=10.0,
        realtime_offset_s=77.0,
        destination_clock=clock_offset(reading, reading, 2),
        events=[[13.0, "destination", event]],
    )
    assert Story(raw).first("destination", "RESUME") == pytest.approx(2.5)


def _lines(threads: dict[str, tuple[str, float]], ticks: int) -> list[str]:
    lines = [f"/proc/7/stat:7 (qemu (x) y) S {' '.join(['0'] * 10)} {ticks} 0 0"]
    for task, (name, spent_s) in threads.items():
        lines.append(f"/proc/7/task/{task}/comm:{name}")
        lines.append(f"/proc/7/task/{task}/schedstat:{spent_s * 1e9:.0f} 0 0")
    return lines


def test_cpu_clocks_of_threads_that_ended_still_count() -> None:
    clocks = RemoteClocks()
    first = clocks.read(_lines({"7": ("main", 0.5), "8": ("CPU 0/TCG", 1.25)}, 170))
    assert first == {"process": 1.75, "main": 0.5, "CPU 0/TCG": 1.25}
    # Ticks know of what the ended thread did after it was last seen.
    second = clocks.read(_lines({"7": ("main", 0.75)}, 240))
    assert second == {"process": 2.4, "main": 0.75}


def test_a_process_that_has_ended_has_no_clocks() -> None:
    assert RemoteClocks().read([]) is None
    (zombie,) = _lines({}, 100)
    assert RemoteClocks().read([zombie.replace(" S ", " Z ")]) is None


def test_the_other_hosts_files_take_the_place_of_ours() -> None:
    image = GuestImage("linux", Path("/here/initramfs"), Path("/here/vmlinuz"))
    argv = [
        "/here/qemu",
        "-kernel",
        "/here/vmlinuz",
        "-initrd",
        "/here/initramfs",
        "-m",
    ]
    assert remote_argv(argv, "/there/qemu", image, "/tmp/x") == [
        *("/there/qemu", "-kernel", "/tmp/x/kernel"),
        *("-initrd", "/tmp/x/image", "-m"),
    ]


@pytest.mark.parametrize(
    "host", ["me@other", "other", "a.b-c.example", "10.0.0.2", "fe80::1"]
)
def test_hosts_are_named_plainly(host: str) -> None:
    assert RemoteTarget(host=host).host == host


@pytest.mark.parametrize("host", ["", "-oProxyCommand=x", "a b", "a;b", "a@-b", "$(x)"])
def test_what_is_no_hosts_name_is_refused(host: str) -> None:
    with pytest.raises(InputError, match="--dst-host is host or user@host"):
        RemoteTarget(host=host)


def test_between_two_hosts_all_goes_over_tcp() -> None:
    options = dict.fromkeys(
        (
            *("dst_host", "dst_address", "dst_qemu", "ssh_config"),
            *("src_cpu_bind", "dst_cpu_bind", "src_mem_bind", "dst_mem_bind"),
            "keep_awake",
        )
    )
    flags = {"prealloc_pages": False, "locked_pages": False}
    scenario = Scenario(
        guest=Guest(ram_bytes=64 << 20),
        workload=Workload(working_set_bytes=4 << 20),
        link=Link(rtt_s=0.001),
    )
    here = hosts_from({**options, **flags})
    assert here.placed(scenario) == scenario
    there = hosts_from({**options, **flags, "dst_host": "other"})
    link = Link(transport="tcp", scope="two-hosts", rtt_s=0.001)
    assert there.placed(scenario) == msgspec.structs.replace(scenario, link=link)
    with pytest.raises(InputError, match="made on this host"):
        there.check_link("netns:1g")
    with pytest.raises(InputError, match="belong to --dst-host"):
        hosts_from({**options, **flags, "dst_qemu": "qemu"})


def test_one_side_needs_half_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("migmodel.qemu.host.available_memory_bytes", lambda: 3 << 30)
    check_memory(2 << 30, sides=1)
    with pytest.raises(InputError, match="as source and destination run on this host"):
        check_memory(2 << 30)
