"""The runs that tell what pre-copy, pause, auto-converge and post-copy cost a host."""

from __future__ import annotations

from .recipe import COLD_PPS, Recipe

# What every figure hangs on.
BASIC = (
    Recipe(
        "zero",
        "zero pages, set-up, sync, device state, switch",
        (
            *("zero_page_source_s", "zero_page_destination_s", "setup_s", "stop_s"),
            *("device_save_s", "switch_s", "gap_s"),
        ),
        share=0.007,
        rate_pps=COLD_PPS,
        downtime_ms=20,
        expected_s=0.3,
    ),
    Recipe(
        "cold",
        "pages the destination has no memory for, CPU competition",
        ("fresh_page_s", "setup_s", "switch_s"),
        share=0.8,
        rate_pps=COLD_PPS,
        downtime_ms=20,
        expected_s=0.3,
    ),
    Recipe(
        "paced-cpu",
        "CPU cost of a page on both sides",
        (
            "page_source_s",
            "page_destination_s",
            "fresh_page_s",
            "window_source_s",
            "window_destination_s",
        ),
        repeats=2,  # it lasts long, and its repeats agree
        quick_repeats=1,
        share=0.5,
        rate_pps=9000,
        bandwidth=55_000_000,
        downtime_ms=100,
        expected_s=9.0,
    ),
    Recipe(
        "limited",
        "guest speed while pages are copied, sync, cost of a manager's pause",
        (
            *("page_source_s", "page_destination_s", "sync_page_s"),
            *("sync_dirty_page_s", "cont_s", "gap_s", "sweep_touch_s"),
            "logging_gain_s",
        ),
        quick_repeats=1,
        share=0.5,
        bandwidth=180_000_000,
        technique="pause",
        after=5,
        expected_s=4.7,
    ),
    Recipe(
        "unlimited",
        "throughput when threads compete, noise of a window",
        (
            *("pipeline_overlap", "flush_handoff_s", "guest_interference"),
            *("crowded_flush_s", "crowded_wait_s", "separation_s"),
        ),
        share=0.8,
        downtime_ms=40,
        technique="pause",
        after=6,
        expected_s=1.2,
    ),
    Recipe(
        "stop",
        "throughput and switch of a long stop phase",
        (
            *("pipeline_overlap", "flush_handoff_s", "guest_interference", "stop_s"),
            *("switch_s", "gap_s", "separation_s"),
        ),
        quick_repeats=1,
        share=0.5,
        bandwidth=90_000_000,
        downtime_ms=2000,
        expected_s=2.0,
    ),
    Recipe(
        "still",
        "guest speed while pages are copied that it does not write",
        ("copy_interference",),
        quick_repeats=1,
        share=0.05,
        still=0.9,
        bandwidth=300_000_000,
        downtime_ms=20,
        technique="pause",
        after=1,
        expected_s=1.2,
    ),
    Recipe(
        "throttle",
        "how a throttled guest runs",
        (
            *("sync_page_s", "sync_dirty_page_s"),
            *("throttle_sleep_extra_s", "console_line_s"),
        ),
        share=0.2,
        bandwidth=160_000_000,
        technique="autoconverge",
        parameters=(("cpu-throttle-increment", 20),),  # few levels, long enough each
        expected_s=10.0,
    ),
    Recipe(
        "throttle-held",
        "first writes, console lines: a guest that hardly runs makes little else",
        ("first_write_s", "console_line_s"),
        repeats=4,  # a guest that slept runs now well, now badly: medians of more
        quick_repeats=2,
        share=0.2,
        bandwidth=100_000_000,  # less than it writes
        downtime_ms=1,
        technique="autoconverge",
        parameters=(("cpu-throttle-initial", 90), ("max-cpu-throttle", 90)),
        max_time_s=4.8,
        expected_s=4.8,
    ),
    Recipe(
        "postcopy-cold",
        "placing pages in post-copy, of a guest that hardly asks for any",
        ("postcopy_page_s", "discard_page_s", "postcopy_switch_s"),
        quick_repeats=1,
        share=0.95,
        rate_pps=COLD_PPS,
        # So slow that the switch comes first, with nearly everything missing.
        bandwidth=20_000_000,
        downtime_ms=20,
        technique="postcopy",
        after=0,
        expected_s=0.5,
    ),
    Recipe(
        "postcopy",
        "post-copy switch, stream and faults",
        ("device_save_s", "postcopy_switch_s", "fault_pages", "placed_touch_s"),
        share=0.8,
        bandwidth=180_000_000,
        technique="postcopy",
        after=1,
        expected_s=1.8,
    ),
    Recipe(
        "two-vcpus",
        "memory bandwidth and CPU competition",
        ("memory_pages_per_s", "crowded_sync_s"),
        share=0.5,
        vcpus=2,
        bandwidth=180_000_000,
        technique="pause",
        after=3,
        expected_s=3.3,
    ),
)
# What sharpens the rest.
MORE = (
    Recipe(
        "stop-large",
        "a stop phase twice as long: what is a page's cost, what the switch's",
        ("pipeline_overlap", "flush_handoff_s", "switch_s", "separation_s"),
        repeats=3,
        share=0.6,
        # The limit carries a little more than the working set: the guest is stopped
        # when nothing else is left. The stream is busy until then: after one that has
        # slept for most of its windows a page of the stop phase takes a fifth longer.
        filling=0.63 / 1.2,
        downtime_ms=1200,
        largest=True,
        expected_s=2.0,
    ),
    Recipe(
        "touch-page",
        "a word a page: cost of first writes",
        ("page_touch_s", "first_write_s"),
        share=0.5,
        touch="page",
        bandwidth=180_000_000,
        technique="pause",
        after=3,
        expected_s=5.0,
    ),
    Recipe(
        "touch-study",
        "the 2016 study's way of writing",
        ("study_touch_s",),
        share=0.5,
        touch="study",
        bandwidth=180_000_000,
        technique="pause",
        after=2,
        expected_s=4.0,
    ),
    Recipe(
        "postcopy-page",
        "faults of a guest that is faster than the stream",
        ("fault_s", "placed_touch_s"),
        share=0.8,
        touch="page",
        bandwidth=180_000_000,
        technique="postcopy",
        after=1,
        repeats=4,  # whether stream or faults lead is chance: medians of more
        expected_s=2.5,
    ),
    Recipe(
        "postcopy-early",
        "post-copy with most pages missing",
        ("postcopy_page_s", "discard_page_s", "postcopy_switch_s"),
        share=0.8,
        bandwidth=180_000_000,
        technique="postcopy",
        after=0,
        repeats=4,  # whether stream or faults lead is chance: medians of more
        expected_s=1.0,
    ),
    Recipe(
        "two-unlimited",
        "two vCPUs and an unlimited stream",
        ("crowded_flush_s", "crowded_wait_s", "crowded_sync_s"),
        share=0.8,
        vcpus=2,
        downtime_ms=40,
        technique="pause",
        after=10,
        repeats=4,  # who is put where is chance, and changes from pass to pass
        expected_s=1.8,
    ),
)
