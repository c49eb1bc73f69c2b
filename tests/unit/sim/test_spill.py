"""compress-wait-thread=off: what goes out compressed, what as it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
import simpy

from migmodel.analysis.profiles import load_profile
from migmodel.physics import wire
from migmodel.records import Guest, Limits, Link, Policy, Scenario, Workload
from migmodel.sim.memory import PageKind
from migmodel.sim.migration import Migration
from migmodel.sim.recorder import Recorder
from migmodel.sim.simulate import draw_host, simulate
from migmodel.units import MIB

TCG = draw_host(load_profile("tcg-2core"))
KVM = draw_host(load_profile("kvm-generic"))
MBIT_100 = 12_500_000


def described(
    wait,
    *,
    threads=2,
    bw=0,
    content="text",
    technique="compress",
    version="7.2",
    capabilities=(),
    link=None,
    **workload,
):
    parameters = {"max-bandwidth": bw, "downtime-limit": 20}
    if technique == "compress":
        parameters["compress-threads"] = threads
        if wait is not None:
            parameters["compress-wait-thread"] = wait
    if content == "text":
        workload.setdefault("compressibility", 0.5)
    return Scenario(
        guest=Guest(ram_bytes=192 * MIB),
        workload=Workload(
            **{
                "working_set_bytes": 128 * MIB,
                "touch": "read",
                "content": content,
                **workload,
            }
        ),
        link=link or Link(),
        policy=Policy(
            technique=technique,
            parameters=parameters,
            capabilities=dict.fromkeys(capabilities, True),
        ),
        limits=Limits(max_time_s=60.0),
        qemu_version=version,
    )


def both(host=TCG, **described_as):
    """Outcomes with wait-thread on and off."""
    return tuple(
        simulate(described(wait, **described_as), host).outcome
        for wait in (True, False)
    )


def run(scenario, host=TCG):
    env = simpy.Environment()
    migration = Migration(scenario, host, Recorder(1, detailed=False), env)
    migration.process = env.process(migration.run())
    env.run(until=migration.process)
    return migration


@pytest.mark.parametrize("version", ["7.2", "8.2", "9.0"])
@pytest.mark.parametrize("bw", [0, 10 * MBIT_100, MBIT_100])
def test_every_page_goes_out_once_compressed_or_as_it_is(bw, version):
    migration = run(described(False, bw=bw, version=version))
    stream, tally = migration.stream, migration.stream.tally
    assert tally.pages == pytest.approx(migration.memory.total_pages)
    assert 0 < tally.encoded_pages < tally.pages - tally.zero_pages
    plain = tally.pages - tally.zero_pages - tally.encoded_pages
    sent = tally.encoded_bytes + plain * wire.NORMAL_PAGE_BYTES
    sent += tally.zero_pages * wire.ZERO_PAGE_BYTES
    sent += TCG["device_state_bytes"]
    assert stream.sent_bytes == pytest.approx(sent, rel=1e-6)


@pytest.mark.parametrize("host", [TCG, KVM], ids=["tcg", "kvm"])
@pytest.mark.parametrize("content", ["text", "random"])
@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_where_the_link_is_fast_not_waiting_is_never_slower(host, content, threads):
    on, off = both(host, threads=threads, content=content)
    assert off.total_time_s <= on.total_time_s * (1 + 1e-9)
    if content == "text":
        assert off.bytes_sent >= on.bytes_sent * (1 - 1e-9)
    assert off.compression_ratio == pytest.approx(on.compression_ratio)


def test_threads_that_take_no_time_leave_nothing_to_send_plainly():
    fast = {"compress_block_s": 1e-9, "zlib_1_text_s": 1e-8, "zlib_1_zero_s": 1e-9}
    host = replace(KVM, values={**KVM.values, **fast})
    on, off = both(host, threads=8)
    assert off == on


def test_threads_that_never_end_leave_plain_precopy():
    host = replace(TCG, values={**TCG.values, "compress_random_s": 10.0})
    off, plain = (
        simulate(
            described(False, technique=technique, content="random", bw=MBIT_100), host
        ).outcome
        for technique in ("compress", "precopy")
    )
    assert off.bytes_sent == pytest.approx(plain.bytes_sent, rel=1e-3)
    # Zero pages are handed over still.
    assert off.total_time_s == pytest.approx(plain.total_time_s, rel=0.03)


def test_more_threads_compress_more():
    sent = [both(KVM, threads=threads)[1].bytes_sent for threads in (1, 2, 4, 8, 16)]
    assert sent == sorted(sent, reverse=True)
    assert sent[-1] < 0.8 * sent[0]


def test_a_limiter_gives_the_threads_no_more_to_do():
    """What it stops is who hands pages to them: the time is that of plain pages."""
    on, off = both(bw=MBIT_100)
    unlimited = both()[1]
    assert off.bytes_sent == pytest.approx(unlimited.bytes_sent, rel=0.02)
    assert off.total_time_s == pytest.approx(off.bytes_sent / MBIT_100, rel=0.02)
    assert on.total_time_s < 0.6 * off.total_time_s


def test_a_link_that_takes_bytes_in_a_trickle_leaves_time_for_all():
    on, off = both(link=Link(bandwidth_bytes_per_s=MBIT_100 / 2))
    assert off.bytes_sent == pytest.approx(on.bytes_sent, rel=1e-3)


def test_full_sockets_are_filled_in_bursts():
    link = Link(transport="tcp", bandwidth_bytes_per_s=MBIT_100)
    migration = run(described(False, link=link, threads=8), KVM)
    tally = migration.stream.tally
    share = tally.encoded_pages / (tally.pages - tally.zero_pages)
    assert 0.1 < share < 0.9


def test_a_zero_page_has_nine_bytes_whoever_finds_it():
    on, off = both(threads=1, working_set_bytes=0)
    others = on.bytes_sent - on.zero_pages * wire.ZERO_PAGE_BYTES
    assert off.bytes_sent == pytest.approx(on.bytes_sent, abs=2 * others)
    assert off.zero_pages == pytest.approx(on.zero_pages)
    assert off.total_time_s < on.total_time_s


def test_with_postcopy_each_page_is_waited_for_anyway():
    on, off = both(capabilities=["postcopy-ram"])
    assert off == on


def test_before_the_parameter_came_all_waited():
    scenario = described(None, version="2.6")
    first = run(scenario)
    assert first.stream.costs[PageKind.NORMAL].encoded_share == 1.0
    tally = first.stream.tally
    assert tally.encoded_pages == pytest.approx(tally.pages - tally.zero_pages)


def test_after_xbzrle_has_begun_nothing_is_compressed():
    off = simulate(
        described(
            False,
            capabilities=["xbzrle"],
            content="delta",
            delta_bytes=64,
            touch="sweep",
            rate_pps=2000.0,
            bw=10 * MBIT_100,
        ),
        TCG,
    ).outcome
    assert off.verdict == "completed"
