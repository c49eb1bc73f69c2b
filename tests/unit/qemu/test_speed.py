from __future__ import annotations

import pytest

from migmodel.qemu.speed import guest_story
from migmodel.qemu.story import Story
from migmodel.qemu.trace import build_trace
from migmodel.qemu.validity import problems
from migmodel.records import Raw

from .recorded import STARTED_S, completed, event, query, scenario, unit


def _story(raw: Raw):  # type: ignore[no-untyped-def]
    return guest_story(raw, Story(raw))


def _problems(raw: Raw) -> list[str]:
    return problems(raw, build_trace(raw, scenario()))


def test_units_are_on_the_hosts_clock_whatever_delayed_their_lines() -> None:
    speed = _story(completed()).speed
    # The line at 0.5 s came 3 ms late, one at 1.8 s in time: its clock is right.
    row = speed.end_s.index(min(speed.end_s, key=lambda at: abs(at - 0.5)))
    assert speed.end_s[row] == pytest.approx(0.5, abs=1e-6)
    assert speed.start_s[row] == pytest.approx(0.4, abs=1e-6)


def test_the_gap_across_the_switch_is_the_blackout_and_what_the_guest_saw() -> None:
    story = _story(completed())
    assert story.downtime_s == pytest.approx(0.25 + 1e-6, abs=1e-6)
    # The unit that spans it is as long as that, though its own clock said 0.1 s.
    lengths = [
        end - start
        for start, end in zip(story.speed.start_s, story.speed.end_s, strict=True)
    ]
    assert max(lengths) == pytest.approx(0.35, abs=1e-6)


def test_a_torn_line_is_put_together() -> None:
    raw = completed()
    at, whole = raw.destination_console[0]
    torn = completed(
        source_console=[*raw.source_console, [STARTED_S + 1.999, whole[:31]]],
        destination_console=[[at, whole[31:]], *raw.destination_console[1:]],
    )
    assert len(_story(torn).speed.vcpu) == len(_story(raw).speed.vcpu)
    assert _story(torn).downtime_s == _story(raw).downtime_s


def test_without_the_line_that_spans_it_the_gap_is_the_blackout() -> None:
    raw = completed()
    lost = completed(destination_console=raw.destination_console[1:])
    assert _story(lost).downtime_s == pytest.approx(0.25, abs=1e-6)


def test_the_longest_gap_of_any_vcpu_counts() -> None:
    raw = completed()
    two = [unit(2.3 + at / 10, 0.25, cpu=1, gap_ns=40_000_000) for at in range(8)]
    both = completed(destination_console=raw.destination_console + two)
    assert _story(both).downtime_s == pytest.approx(0.29, abs=1e-4)


def test_a_guest_clock_that_runs_fast_is_put_right() -> None:
    # 100 ppm over 60 s: 6 ms, which would otherwise count as delay.
    fast = [unit(at / 10 * 1.0001) for at in range(600)]
    raw = completed(
        source_console=[[STARTED_S + k / 10, line] for k, (_, line) in enumerate(fast)],
        destination_console=[],
        queries=[query(60.0, "active")],
        events=[],
    )
    speed = _story(raw).speed
    assert speed.end_s[0] == pytest.approx(0.0, abs=5e-4)
    assert speed.end_s[-1] == pytest.approx(59.9, abs=5e-4)


def test_corruption_is_counted_once_wherever_it_is_printed() -> None:
    raw = completed(
        source_console=[unit(at / 10, bad=2) for at in range(-5, 20)],
        destination_console=[unit(2.3 + at / 10, 0.25, bad=5) for at in range(8)],
    )
    assert _story(raw).bad_pages == 5
    assert _problems(raw) == [
        "the guest found 5 pages that did not hold what was written last"
    ]


def test_a_good_run_has_no_problems() -> None:
    assert _problems(completed()) == []


def test_silence_on_the_source_is_a_problem() -> None:
    raw = completed(source_console=completed().source_console[:12])
    assert "stopped printing on the source" in _problems(raw)[0]


def test_a_throttled_guest_may_be_silent_for_as_long_as_it_sleeps() -> None:
    lines = completed().source_console[:15]
    assert _problems(completed(source_console=lines))
    queries = [
        query(0.5, "active", cpu_throttle_percentage=99),
        *completed().queries[1:],
    ]
    assert _problems(completed(source_console=lines, queries=queries)) == []


def test_the_blackout_is_no_silence() -> None:
    raw = completed(
        events=[
            *completed().events[:-1],
            event(9.0, "destination", "RESUME"),
        ],
        destination_console=[unit(9.05 + at / 10, 7.0) for at in range(8)],
    )
    assert _problems(raw) == []


def test_a_destination_without_a_word_is_a_problem() -> None:
    raw = completed(destination_console=[])
    assert _problems(raw) == ["the guest never printed on the destination"]
    assert _story(raw).downtime_s is None


def test_an_error_line_is_a_problem() -> None:
    lines = [*completed().destination_console, [STARTED_S + 3.2, "migstress error x y"]]
    assert _problems(completed(destination_console=lines)) == ["the guest: x y"]
