"""Each technique's mechanism: closed forms, limits, and what must order how."""

from __future__ import annotations

from dataclasses import replace

import pytest

from migmodel.analysis.profiles import load_profile
from migmodel.calibrate.fit import with_values
from migmodel.errors import InputError
from migmodel.physics.versions import behaviour
from migmodel.records import (
    Guest,
    Limits,
    Link,
    Outage,
    Policy,
    Scenario,
    Tuning,
    Workload,
)
from migmodel.sim.period import Period
from migmodel.sim.settings import Settings
from migmodel.sim.simulate import draw_host, simulate
from migmodel.sim.throttle_clock import ThrottleClock
from migmodel.units import GIB, MIB, PAGE_BYTES

TCG = draw_host(load_profile("tcg-2core"))
KVM = draw_host(load_profile("kvm-generic"))
MBIT_100 = 12_500_000
WS = 64 * MIB
WS_PAGES = WS / PAGE_BYTES


def described(
    technique="precopy",
    *,
    bw=MBIT_100,
    rate=None,
    version="10.0",
    capabilities=(),
    parameters=None,
    link=None,
    limits=None,
    guest=None,
    after=None,
    tuning=None,
    **workload,
):
    return Scenario(
        guest=guest or Guest(ram_bytes=256 * MIB),
        workload=Workload(**{"working_set_bytes": WS, "rate_pps": rate, **workload}),
        link=link or Link(),
        policy=Policy(
            technique=technique,
            after_passes=after,
            capabilities=dict.fromkeys(capabilities, True),
            parameters={"max-bandwidth": bw, **(parameters or {})},
            tuning=tuning,
        ),
        limits=limits or Limits(max_time_s=30.0),
        qemu_version=version,
    )


def outcome(scenario, host=TCG):
    return simulate(scenario, host).outcome


# -- XBZRLE --


def test_a_cache_larger_than_the_working_set_misses_each_page_once():
    it = outcome(described("xbzrle", content="delta", delta_bytes=64))
    assert it.xbzrle_cache_misses == pytest.approx(WS_PAGES, rel=0.05)
    assert it.xbzrle_pages > 5 * WS_PAGES
    assert it.xbzrle_overflows == 0


def test_a_cache_half_the_working_set_keeps_half_of_it():
    """Direct-mapped, and what is refreshed each pass is never put out."""
    it = outcome(
        described(
            "xbzrle",
            content="delta",
            delta_bytes=64,
            parameters={"xbzrle-cache-size": 32 * MIB},
            limits=Limits(max_time_s=60.0),
        )
    )
    hits = it.xbzrle_pages / (it.xbzrle_pages + it.xbzrle_cache_misses)
    assert hits == pytest.approx(0.5, abs=0.06)


def test_an_encoded_page_has_the_length_of_its_change():
    """64 changed bytes: two lengths of a byte, and 3 bytes that the cache counts."""
    it = outcome(described("xbzrle", content="delta", delta_bytes=64))
    assert it.xbzrle_bytes / it.xbzrle_pages == pytest.approx(64 + 2 + 3, rel=0.02)


def test_the_destination_reads_what_is_encoded_as_it_reads_pages():
    """Half a page of changes is half a page to read, and copied once more."""

    def destination_s(delta_bytes):
        """Of a page found: what more of them cost more."""
        bandwidth = delta_bytes * 40_000
        runs = [
            described(
                "xbzrle",
                bw=bandwidth,
                content="delta",
                delta_bytes=delta_bytes,
                rate=60_000.0,
                parameters={"downtime-limit": 1},
                limits=Limits(max_time_s=seconds),
            )
            for seconds in (20.0, 25.0)
        ]
        alone = replace(TCG, values={**TCG.values, "crowded_flush_s": 0.0})
        short, long = (outcome(run, alone) for run in runs)
        pages = long.xbzrle_pages - short.xbzrle_pages
        assert pages > 50_000
        return (long.destination_cpu_s - short.destination_cpu_s) / pages

    slower = 1 + TCG["guest_interference"]
    half_s = (TCG["page_destination_s"] + TCG["xbzrle_insert_s"]) / 2 * slower
    more_s = destination_s(2048) - destination_s(1024)
    assert more_s == pytest.approx(half_s / 2, rel=0.3)


def test_pages_rewritten_wholly_overflow_and_save_nothing():
    plain, cached = outcome(described()), outcome(described("xbzrle"))
    assert cached.xbzrle_overflows > 0.9 * cached.xbzrle_pages
    assert cached.bytes_sent == pytest.approx(plain.bytes_sent, rel=0.05)
    assert cached.source_cpu_s > plain.source_cpu_s


def test_the_study_alternates_between_two_contents_so_half_is_identical():
    it = outcome(described("xbzrle", touch="study", limits=Limits(max_time_s=60.0)))
    same = 1 - it.xbzrle_overflows / it.xbzrle_pages
    assert 0.2 < same < 0.8


def test_smaller_changes_leave_less_to_send():
    sent = [
        outcome(
            described("xbzrle", rate=3000.0, content="delta", delta_bytes=size)
        ).bytes_sent
        for size in (8, 512, 2048)
    ]
    assert sent == sorted(sent)
    assert sent[0] < outcome(described(rate=3000.0)).bytes_sent


# -- multifd and compression --


def test_multifd_packets_overshoot_the_limit_by_those_in_hand():
    """A window of 1.25 MB sends 3 packets of 525,632 bytes, and one a channel more."""
    it = outcome(described("multifd", rate=100.0))
    seconds = it.multifd_bytes / (5 * 525_632) * 0.1
    assert it.total_time_s == pytest.approx(seconds, rel=0.1)


def test_an_old_multifd_counts_what_it_queues_and_has_a_floor():
    """QEMU 7.2 at 1 MB/s sends a packet a window: 5.26 MB/s."""
    it = outcome(described("multifd", rate=100.0, bw=1_000_000, version="7.2"))
    assert it.multifd_bytes / it.total_time_s == pytest.approx(5.26e6, rel=0.05)


def test_compression_counts_only_from_8_1_on():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5}
    old = outcome(described("multifd-zstd", version="8.0", **text))
    new = outcome(described("multifd-zstd", version="8.2", **text))
    assert old.bytes_sent > 1.8 * new.bytes_sent
    assert old.total_time_s > 1.2 * new.total_time_s


def test_compression_threads_are_handed_zero_pages_too():
    """4 GiB more of zeros are a million hand-overs more, each on either side."""
    small, large = (
        outcome(described("compress", version="7.2", bw=0, rate=1.0, guest=guest))
        for guest in (Guest(ram_bytes=GIB), Guest(ram_bytes=5 * GIB))
    )
    handovers = 2 * 4 * GIB / PAGE_BYTES * TCG["compress_page_s"]
    assert large.source_cpu_s - small.source_cpu_s > handovers
    assert large.bytes_sent - small.bytes_sent < 4 * GIB / 400


def test_random_pages_compress_to_themselves():
    plain = outcome(described("multifd", rate=100.0))
    packed = outcome(described("multifd-zstd", rate=100.0))
    assert packed.compression_ratio == pytest.approx(1.0, abs=0.01)
    assert packed.bytes_sent == pytest.approx(plain.bytes_sent, rel=0.01)


def test_text_compresses_by_what_repeats():
    for share, ratio in ((0.5, 1.95), (0.875, 7.0)):
        it = outcome(
            described("multifd-zstd", rate=100.0, content="text", compressibility=share)
        )
        assert it.compression_ratio == pytest.approx(ratio, rel=0.1)


def test_a_codec_pays_on_a_slow_link_and_costs_on_a_fast_one():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5}
    narrow = Link(bandwidth_bytes_per_s=2_500_000)
    slow = [outcome(described(t, bw=0, link=narrow, **text)) for t in MULTIFD_TWO]
    fast = [outcome(described(t, bw=0, **text)) for t in MULTIFD_TWO]
    assert slow[1].total_time_s < slow[0].total_time_s
    assert fast[1].total_time_s > fast[0].total_time_s


MULTIFD_TWO = ("multifd", "multifd-zlib")


def test_a_higher_level_takes_more_cpu():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5}
    costs = [
        outcome(
            described("multifd-zstd", parameters={"multifd-zstd-level": level}, **text)
        ).source_cpu_s
        for level in (1, 2, 3, 6, 10, 19)
    ]
    assert costs == sorted(costs)
    old = [
        outcome(
            described(
                "multifd-zstd",
                parameters={"multifd-zstd-level": level},
                version="8.2",
                **text,
            )
        )
        for level in (1, 19)
    ]
    assert old[0] == old[1]  # the level is ignored there


def test_more_channels_are_never_slower_where_cpus_are_free():
    text = {"rate": 5000.0, "content": "text", "compressibility": 0.5}
    times = [
        outcome(
            described(
                "multifd-zstd",
                bw=0,
                guest=Guest(ram_bytes=8 * GIB),
                working_set_bytes=2 * GIB,
                parameters={"multifd-channels": channels},
                **text,
            ),
            KVM,
        ).total_time_s
        for channels in (1, 2, 4, 8)
    ]
    assert times == sorted(times, reverse=True)
    assert times[1] < 0.7 * times[0]


def test_compression_threads_share_the_work_until_the_feeder_binds():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5, "bw": 0}
    times = [
        outcome(
            described(
                "compress",
                version="7.2",
                parameters={"compress-threads": threads, "decompress-threads": 8},
                **text,
            ),
            KVM,
        ).total_time_s
        for threads in (1, 2, 4)
    ]
    assert times[1] < 0.7 * times[0]
    assert times == sorted(times, reverse=True)


def test_compress_with_postcopy_waits_for_every_page():
    text = {"rate": 100.0, "content": "text", "compressibility": 0.5, "bw": 0}
    alone = outcome(described("compress", version="7.2", **text), KVM)
    waiting = described(
        "compress", version="7.2", capabilities=["postcopy-ram"], **text
    )
    assert outcome(waiting, KVM).total_time_s > 2 * alone.total_time_s


def test_zero_pages_go_where_the_version_sends_them():
    idle = {"working_set_bytes": 0, "bw": 0}
    old = outcome(described("multifd", version="8.2", **idle))
    new = outcome(described("multifd", version="10.0", **idle))
    plain = described("multifd", parameters={"zero-page-detection": "none"}, **idle)
    assert new.multifd_bytes - old.multifd_bytes == pytest.approx(
        new.zero_pages * 10.5, rel=0.01
    )
    assert new.zero_pages == pytest.approx(256 * MIB / PAGE_BYTES, rel=0.01)
    assert outcome(plain).bytes_sent > 256 * MIB


# -- post-copy --


@pytest.mark.parametrize("version", ["10.0", "10.1"])
def test_preempt_answers_faults_sooner_where_the_stream_is_slow(version):
    narrow = {"link": Link(bandwidth_bytes_per_s=10_000_000), "limits": Limits()}
    vanilla = outcome(described("postcopy", after=0, **narrow))
    preempt = outcome(
        described(
            "postcopy",
            after=0,
            **narrow,
            capabilities=["postcopy-preempt"],
            version=version,
        )
    )
    assert preempt.fault_latency_mean_s < vanilla.fault_latency_mean_s


def test_the_histogram_counts_every_request():
    it = outcome(described("postcopy", after=1, guest=Guest(ram_bytes=GIB, vcpus=2)))
    assert len(it.fault_latency_histogram) == 24
    assert sum(it.fault_latency_histogram) == pytest.approx(
        it.postcopy_requests, rel=0.01, abs=1
    )
    p = [it.fault_latency_p50_s, it.fault_latency_p90_s, it.fault_latency_p99_s]
    assert p == sorted(p)


def test_huge_pages_make_a_fault_as_long_as_the_page():
    """At 10 MB/s a page of 2 MiB takes 0.21 s."""
    it = outcome(
        described(
            "postcopy",
            after=0,
            guest=Guest(ram_bytes=256 * MIB, host_page_bytes=2 * MIB),
            link=Link(bandwidth_bytes_per_s=10_000_000),
            limits=Limits(),
        )
    )
    assert it.fault_latency_mean_s == pytest.approx(0.21, rel=0.2)


def test_a_limit_makes_postcopy_last_as_long_as_its_bytes():
    """10.1 sends all of it within the limit; 10.0 not what fits the downtime limit."""
    full = {
        "parameters": {"max-postcopy-bandwidth": 10_000_000},
        "still_bytes": 188 * MIB,
        "rate": 1.0,
        "limits": Limits(),
    }
    new = outcome(described("postcopy", after=0, version="10.1", **full))
    old = outcome(described("postcopy", after=0, **full))
    # A window's million bytes go out in 8 flushes of 32 pages.
    windows = 256 * MIB / PAGE_BYTES / (8 * 32)
    assert new.total_time_s == pytest.approx(windows * 0.1, rel=0.03)
    assert new.total_time_s - old.total_time_s == pytest.approx(0.3, abs=0.05)


@pytest.mark.parametrize(
    ("version", "recovered", "verdict"),
    [("2.6", 5.0, "failed"), ("10.0", None, "failed"), ("10.0", 5.0, "completed")],
)
def test_a_broken_connection_in_postcopy(version, recovered, verdict):
    link = Link(outage=Outage(at_s=0.02, recovered_after_s=recovered))
    it = outcome(described("postcopy", after=1, link=link, version=version))
    assert it.verdict == verdict
    if verdict == "completed":
        whole = outcome(described("postcopy", after=1))
        assert it.total_time_s - whole.total_time_s == pytest.approx(5.0, abs=0.2)
        assert it.bytes_sent == pytest.approx(whole.bytes_sent, rel=0.01)
    else:
        assert it.reason


def test_a_broken_connection_before_the_switch_leaves_the_guest():
    link = Link(outage=Outage(at_s=1.0, since="migrate"))
    it = outcome(described(rate=1000.0, link=link))
    assert it.verdict == "failed"
    assert it.total_time_s == pytest.approx(1.0)
    assert it.downtime_stop_resume_s is None


def test_with_11_1_postcopy_ram_syncs_at_every_call():
    """The throttle is judged by the second; managers count passes by what is sent."""
    busy = {"capabilities": ["postcopy-ram"], "limits": Limits(max_time_s=30.0)}
    old = outcome(described("autoconverge", version="10.1", **busy))
    new = outcome(described("autoconverge", version="11.1", **busy))
    assert new.peak_throttle_percent > old.peak_throttle_percent + 10
    passes = [
        outcome(described("postcopy", after=2, version=version)).passes
        for version in ("10.1", "11.1")
    ]
    assert abs(passes[0] - passes[1]) <= 1


@pytest.mark.parametrize(
    ("ram_mib", "ws_mib", "vcpus", "measured_bytes"),
    [(256, 128, 1, 399.3e6), (384, 160, 2, 508.6e6)],
)
def test_with_11_1_a_manager_counts_passes_between_syncs(
    ram_mib, ws_mib, vcpus, measured_bytes
):
    """When it looks, the window's pages have been sent: it switches two windows sooner.

    Measured with QEMU 11.1.2 at 1 Gbit/s; a window is 12.5 MB.
    """
    it = outcome(
        described(
            "postcopy",
            after=2,
            version="11.1",
            bw=125_000_000,
            parameters={"max-postcopy-bandwidth": 60_000_000},
            guest=Guest(ram_bytes=ram_mib * MIB, vcpus=vcpus),
            working_set_bytes=ws_mib * MIB,
        )
    )
    assert it.bytes_sent == pytest.approx(measured_bytes, rel=0.015)


def test_a_limit_keeps_a_request_waiting_for_the_next_window():
    """20,000 pages at 20 MB/s: 512 pages a window, then the guest stands still.

    Measured with QEMU 10.0.2, 80 MiB at 20 MB/s: 3.8 s, 3.7 of them on a CPU.
    """
    it = outcome(
        described(
            "postcopy", after=0, parameters={"max-postcopy-bandwidth": 20_000_000}
        )
    )
    windows = (WS_PAGES - 0.5 * 20e6 / PAGE_BYTES) / 512
    waits = it.fault_latency_histogram[16]  # 66 to 131 ms
    assert waits == pytest.approx(windows, rel=0.2)
    assert it.postcopy_blocktime_s > 0.9 * windows * 0.1
    assert it.downtime_guest_s - it.downtime_stop_resume_s > 0.09
    assert it.source_cpu_s > 0.9 * windows * 0.1


def test_with_preempt_a_thread_asks_for_what_the_limit_leaves():
    """From 10.1: 32 pages a window from the stream, the others one by one."""
    it = outcome(
        described(
            "postcopy",
            after=0,
            version="10.1",
            parameters={"max-postcopy-bandwidth": 1_000_000},
            capabilities=["postcopy-preempt"],
        )
    )
    assert 0.95 * WS_PAGES < it.postcopy_requests < WS_PAGES
    assert it.fault_latency_mean_s < 1e-3


def test_each_request_costs_both_sides():
    slow = {"max-postcopy-bandwidth": 1_000_000}
    preempt = ["postcopy-preempt"]
    scenario = described(
        "postcopy", after=0, version="10.1", parameters=slow, capabilities=preempt
    )
    dear = {"request_source_s": 1e-4, "request_destination_s": 2e-4}
    more, none = (
        outcome(scenario, replace(KVM, values={**KVM.values, **costs}))
        for costs in (dear, dict.fromkeys(dear, 0.0))
    )
    requests = more.postcopy_requests
    assert requests > 1000
    added = more.source_cpu_s - none.source_cpu_s
    assert added == pytest.approx(1e-4 * requests, rel=0.01)
    added = more.destination_cpu_s - none.destination_cpu_s
    assert added == pytest.approx(2e-4 * requests, rel=0.01)


@pytest.mark.parametrize("version", ["10.0", "10.1"])
def test_a_vcpu_wakes_up_later_than_qemu_says(version):
    slow = {"max-postcopy-bandwidth": 1_000_000}
    scenario = described(
        "postcopy",
        after=0,
        version=version,
        parameters=slow,
        capabilities=["postcopy-preempt"],
    )
    late, soon = (
        outcome(scenario, replace(KVM, values={**KVM.values, "preempt_wakeup_s": it}))
        for it in (1e-3, 0.0)
    )
    assert late.fault_latency_mean_s == pytest.approx(soon.fault_latency_mean_s)
    stalls = 1e-3 * late.postcopy_requests
    added = late.total_time_s - soon.total_time_s
    assert added == pytest.approx(stalls, rel=0.1)
    assert late.postcopy_blocktime_s == pytest.approx(
        late.postcopy_requests * late.fault_latency_mean_s, rel=0.1
    )


# -- managers, dirty-limit, links --


def test_a_raised_downtime_limit_lets_it_complete():
    never = described(rate=20_000.0)
    tuned = described(
        "downtime-tuning",
        rate=20_000.0,
        tuning=Tuning(maximum=9000, steps=3, interval_s=4.0),
    )
    assert outcome(never).verdict == "cancelled"
    it = outcome(tuned)
    assert it.verdict == "completed"
    assert it.total_time_s > 4.0


def test_a_raised_bandwidth_lets_it_complete():
    tuned = described(
        "bandwidth-tuning",
        rate=20_000.0,
        tuning=Tuning(maximum=2 * GIB, steps=3, interval_s=4.0),
    )
    it = outcome(tuned)
    assert it.verdict == "completed"
    assert 4.0 < it.total_time_s < 13.0


def test_dirty_limit_slows_a_guest_that_dirties_too_fast():
    guest = Guest(ram_bytes=8 * GIB, vcpus=4, dirty_ring_size=4096)
    busy = {"bw": 125_000_000, "working_set_bytes": 2 * GIB, "guest": guest}
    free = outcome(described(limits=Limits(max_time_s=200.0), **busy), KVM)
    limited = described("dirtylimit", limits=Limits(max_time_s=200.0), **busy)
    assert free.verdict == "cancelled"
    assert outcome(limited, KVM).verdict == "completed"


def test_a_dirty_ring_needs_kvm():
    guest = Guest(ram_bytes=GIB, dirty_ring_size=4096)
    with pytest.raises(InputError, match="needs KVM"):
        simulate(described(guest=guest), TCG)


def test_an_old_rdma_ignores_the_limit():
    rdma = {"link": Link(transport="rdma"), "rate": 100.0}
    old = outcome(described(version="7.2", **rdma), KVM)
    new = outcome(described(version="10.0", **rdma), KVM)
    assert old.total_time_s < 0.2 * new.total_time_s


def test_a_tcp_connection_has_its_buffers_in_flight_a_round_trip():
    """1 MiB every 100 ms."""
    link = Link(
        transport="tcp",
        bandwidth_bytes_per_s=1e9,
        rtt_s=0.1,
        socket_buffer_bytes=MIB,
        scope="two-hosts",
    )
    it = outcome(described(bw=0, rate=10.0, link=link), KVM)
    assert it.total_time_s == pytest.approx(it.bytes_sent / (10 * MIB), rel=0.1)


def test_both_ends_of_tcp_work_at_the_same_time_at_costs_of_their_own():
    link = Link(transport="tcp")
    costs = {"tcp_page_source_s": 4e-5, "tcp_page_destination_s": 5e-5}
    slow = draw_host(with_values(load_profile("kvm-generic"), costs))
    cold = {"bw": 0, "rate": 50.0}
    tcp = outcome(described(link=link, **cold), slow)
    each_s = 5e-5 + slow["fresh_page_s"]
    assert tcp.total_time_s == pytest.approx(WS_PAGES * each_s, rel=0.15)
    assert tcp.source_cpu_s == pytest.approx(WS_PAGES * 4e-5, rel=0.2)
    unix = outcome(described(**cold), slow)
    assert unix == outcome(described(**cold), KVM)


def test_the_2_6_throttle_takes_three_hits():
    busy = {"limits": Limits(max_time_s=30.0), "bw": MBIT_100}
    old = outcome(described("autoconverge", version="2.6", **busy))
    new = outcome(described("autoconverge", version="7.2", **busy))
    assert old.peak_throttle_percent < new.peak_throttle_percent


def test_in_2_6_the_first_period_never_counts_for_the_throttle():
    """Dirty pages a second are not known before: 20 % come at the fourth judgement."""

    def stepped_after(version):
        scenario = described("autoconverge", version=version)
        clock = ThrottleClock(0.0)
        period = Period(Settings(scenario), clock)
        period.begin(0.0)
        for second in range(1, 9):
            period.add(1000.0, 4096.0 * second, 1.1 * second)
            if clock.percent:
                return second
        return None

    assert stepped_after("2.6") == 1 + 3
    assert stepped_after("7.2") == 2


@pytest.mark.parametrize(
    ("version", "transport", "verdict"),
    [
        ("2.6", "rdma", "failed"),
        ("7.2", "rdma", "completed"),
        ("2.6", "tcp", "completed"),
    ],
)
def test_postcopy_over_an_old_rdma_fails_before_anything_is_sent(
    version, transport, verdict
):
    link = Link(transport=transport)
    it = outcome(described("postcopy", version=version, link=link, after=1), KVM)
    assert it.verdict == verdict
    assert (it.bytes_sent == 0) == (verdict == "failed")
    assert ("return path" in it.reason) == (verdict == "failed")


def test_rdma_has_a_return_path_since_3_1():
    assert [behaviour(it).rdma_returns for it in ((3, 0), (3, 1))] == [False, True]


def test_precopy_over_an_old_rdma_needs_no_return_path():
    link = Link(transport="rdma")
    it = outcome(described(version="2.6", rate=100.0, link=link), KVM)
    assert it.verdict == "completed"


def test_pages_that_are_zero_cost_nothing_to_rewrite():
    it = outcome(described(content="zero"))
    assert it.verdict == "completed"
    assert it.bytes_sent < 10 * MIB
