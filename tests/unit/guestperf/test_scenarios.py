from __future__ import annotations

import pytest

from migmodel.errors import InputError
from migmodel.guestperf.batch import chosen, comparisons
from migmodel.guestperf.report import GuestperfScenario, Hardware
from migmodel.guestperf.scenarios import described, policy_of, scenario_of
from migmodel.units import GIB, MIB

TWO = Hardware(cpus=2, mem=2)


@pytest.mark.parametrize(("asked", "after"), [(0, 0), (1, 0), (2, 1), (5, 4), (20, 19)])
def test_it_acts_in_the_nth_pass(asked: int, after: int) -> None:
    for tried in (
        GuestperfScenario(pause=True, pause_iters=asked),
        GuestperfScenario(post_copy=True, post_copy_iters=asked),
    ):
        assert policy_of(tried, TWO).after_passes == after


def test_the_guest_has_512_mib_beside_what_it_rewrites() -> None:
    scenario = scenario_of(GuestperfScenario(), TWO, transport="tcp")
    assert scenario.guest.ram_bytes == 2 * GIB + 512 * MIB
    assert scenario.workload.working_set_bytes == 2 * GIB
    assert scenario.link.transport == "tcp"
    assert scenario.policy.technique == "precopy"
    assert scenario.limits.max_time_s == 300


@pytest.mark.parametrize(
    ("dst_host", "scope"),
    [
        ("localhost", "same-host"),
        ("127.0.0.1", "same-host"),
        ("server-b", "two-hosts"),
        (None, None),
    ],
)
def test_where_the_destination_was_says_whose_cpus_it_took(
    dst_host: str | None, scope: str | None
) -> None:
    scenario = scenario_of(GuestperfScenario(), TWO, transport="tcp", dst_host=dst_host)
    assert scenario.link.scope == scope


def test_a_unix_socket_to_another_host_is_refused() -> None:
    with pytest.raises(InputError, match="use tcp or rdma"):
        scenario_of(GuestperfScenario(), TWO, dst_host="server-b")


def test_the_cache_is_a_size_that_qemu_takes() -> None:
    tried = GuestperfScenario(compression_xbzrle=True, compression_xbzrle_cache=20)
    policy = policy_of(tried, TWO)
    assert policy.technique == "xbzrle"
    assert policy.parameters["xbzrle-cache-size"] == 256 * MIB  # of 410 MiB asked for


def test_the_throttle_has_its_old_name_in_old_versions() -> None:
    tried = GuestperfScenario(auto_converge=True, auto_converge_step=5)
    new, old = policy_of(tried, TWO, "10.0"), policy_of(tried, TWO, "2.6")
    assert new.parameters["cpu-throttle-increment"] == 5
    assert old.parameters["x-cpu-throttle-increment"] == 5


def test_several_at_once_are_one_technique_and_capabilities() -> None:
    tried = GuestperfScenario(post_copy=True, auto_converge=True)
    policy = policy_of(tried, TWO)
    assert policy.technique == "postcopy"
    assert policy.has("auto-converge")


@pytest.mark.parametrize("tried", [it for its in comparisons().values() for it in its])
def test_what_is_described_is_what_was_said(tried: GuestperfScenario) -> None:
    version = "9.0"  # has all of them
    hardware = Hardware(cpus=2, mem=2, dirty_ring_size=4096)
    try:
        scenario = scenario_of(tried, hardware, qemu_version=version)
    except InputError as error:
        assert "9.1" in str(error)  # noqa: PT017, the codecs that came later
        return
    back_hardware, back = described(scenario)
    assert back_hardware == hardware
    assert scenario_of(back, back_hardware, qemu_version=version) == scenario


def test_the_list_has_guestperfs_names_and_its_mistake_mended() -> None:
    assert len(comparisons()) == 11
    assert [it.name for _, it in chosen("post-copy-*")] == [
        *(f"post-copy-bw-{w}" for w in ("100mbs", "300mbs", "1gbs", "10gbs", "100gbs")),
        *(f"post-copy-iters-{n}" for n in (0, 1, 5, 20)),
    ]
    ((comparison, twenty),) = chosen("compr-xbzrle/*-20")
    assert comparison == "compr-xbzrle"
    assert twenty.compression_xbzrle_cache == 20, "guestperf's own list says 10"


def test_a_pattern_that_fits_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="comparisons are pause-iters"):
        list(chosen("nothing-*"))
