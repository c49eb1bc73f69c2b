"""What is asked of tc for a shaped link."""

from __future__ import annotations

import pytest

from migmodel.qemu import shaping
from migmodel.qemu.shaping import (
    delay_argv,
    payload_bytes_per_s,
    rate_argv,
    window_bytes,
)
from migmodel.qemu.testbed import link_problems
from migmodel.records import Link
from migmodel.records.link_facts import LinkFacts
from migmodel.units import MIB


def _value(argv: list[str], name: str) -> str:
    return argv[argv.index(name) + 1]


@pytest.mark.parametrize("rate", [1e5, 12.5e6, 125e6, 1.25e9])
def test_the_bucket_holds_a_packet_and_the_queue_more(rate: float) -> None:
    argv = rate_argv(rate, None)
    assert _value(argv, "rate") == f"{rate * 8:.0f}bit"
    burst, queue = int(_value(argv, "burst")), int(_value(argv, "limit"))
    assert burst >= 1514
    assert burst <= max(rate * 0.002, 16384)  # so little that a window hardly sees it
    assert queue >= burst + 8 * MIB


def test_the_rate_is_below_the_delay_where_netem_delays() -> None:
    delay, rate = delay_argv(125e6, 0.002), rate_argv(125e6, 0.002)
    assert _value(delay, "handle") + "1" == _value(rate, "parent")
    assert _value(delay, "delay") == "1000us"  # half the round trip at either end
    # Room for all packets on the way at that rate.
    assert int(_value(delay, "limit")) * 1500 >= 125e6 * 0.001


def test_a_window_keeps_the_link_busy_and_is_no_larger_than_the_kernels(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(shaping, "_largest_send_buffer_bytes", lambda: 4 * MIB)
    assert 125e6 * 0.002 < window_bytes(125e6, 0.002) < 2 * 125e6 * 0.002
    assert window_bytes(125e6, 1.0) == 4 * MIB
    assert window_bytes(None, 0.002) == 4 * MIB
    # Over a long way the window is the limit, not the rate.
    assert payload_bytes_per_s(125e6, 1.0) == 4 * MIB
    assert payload_bytes_per_s(125e6, 0.0) == pytest.approx(125e6 * 1448 / 1514)


def test_a_link_that_is_not_what_was_asked_for_is_a_problem() -> None:
    link = Link(transport="tcp", bandwidth_bytes_per_s=125e6, rtt_s=0.002)

    def facts(rtt_s: float, throughput: float) -> LinkFacts:
        return LinkFacts(
            made_of="namespaces", rtt_s=rtt_s, throughput_bytes_per_s=throughput
        )

    assert link_problems(link, None) == []
    assert link_problems(link, facts(0.0021, 119e6)) == []
    (slow,) = link_problems(link, facts(0.0021, 60e6))
    assert "too slow or too busy" in slow
    (late,) = link_problems(link, facts(0.02, 119e6))
    assert "round trip took 20" in late
