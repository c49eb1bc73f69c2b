"""The numbers of a host: their names, meaning and bounds, in one place."""

from __future__ import annotations

from collections.abc import Mapping

from migmodel.errors import InputError
from migmodel.physics.technique_parameters import TECHNIQUE_PARAMETERS, ParameterSpec
from migmodel.records import HostProfile

PARAMETERS: dict[str, ParameterSpec] = {
    "page_source_s": ParameterSpec(
        "CPU time of the migration thread for a normal page", 1e-8, 1e-4
    ),
    "page_destination_s": ParameterSpec(
        "CPU time of the destination for a normal page", 1e-8, 1e-4
    ),
    "fresh_page_s": ParameterSpec(
        "more of it for a page that the destination holds no memory for yet", 0, 1e-3
    ),
    "zero_page_source_s": ParameterSpec(
        "CPU time of the migration thread for a zero page", 1e-9, 1e-4
    ),
    "zero_page_destination_s": ParameterSpec(
        "CPU time of the destination for a zero page", 1e-9, 1e-4
    ),
    "postcopy_page_s": ParameterSpec(
        "CPU time of the destination to place a page in post-copy", 1e-8, 1e-3
    ),
    "pipeline_overlap": ParameterSpec(
        "how far source and destination work at the same time: 0 in turns, 1 fully",
        1e-3,
        1,
    ),
    "separation_s": ParameterSpec(
        "until both ends of a UNIX socket that share a CPU have one each, when vCPUs "
        "leave one idle",
        0,
        0.5,
    ),
    "flush_handoff_s": ParameterSpec(
        "time in which neither side works, at each flush of the stream", 0, 1e-3
    ),
    "crowded_flush_s": ParameterSpec(
        "CPU time more a flush of a destination that has no CPU to itself", 0, 1e-2
    ),
    "crowded_wait_s": ParameterSpec(
        "time in which a vCPU has the CPU that the woken end of the stream waits "
        "for, at each flush",
        0,
        1e-2,
    ),
    "window_source_s": ParameterSpec(
        "CPU time of the migration thread for a window, beside its pages", 0, 0.05
    ),
    "window_destination_s": ParameterSpec(
        "CPU time of the destination for a window, beside its pages", 0, 0.05
    ),
    "link_bytes_per_s": ParameterSpec("what the connection carries at most", 1e5, 1e12),
    "socket_buffer_bytes": ParameterSpec(
        "what the sockets hold between source and destination", 0, 1e9
    ),
    "device_state_bytes": ParameterSpec("device state and its description", 0, 1e10),
    "setup_s": ParameterSpec("migrate command to the first page", 0, 60),
    "wakeup_s": ParameterSpec(
        "how much later than asked the rate limiter's sleep ends", 0, 0.05
    ),
    "sync_fixed_s": ParameterSpec("bitmap sync, whatever the size", 0, 10),
    "sync_page_s": ParameterSpec("bitmap sync, a page of RAM", 0, 1e-5),
    "sync_dirty_page_s": ParameterSpec("bitmap sync, a page found dirty", 0, 1e-4),
    "crowded_sync_s": ParameterSpec(
        "bitmap sync under TCG, mean wait for vCPUs that crowd the CPUs", 0, 1
    ),
    "stop_s": ParameterSpec("decision to stop until STOP", 0, 60),
    "device_save_s": ParameterSpec("saving the device state", 0, 60),
    "switch_s": ParameterSpec(
        "last byte of RAM sent until the destination runs", 0, 60
    ),
    "cont_s": ParameterSpec(
        "a paused guest's migration is complete until a manager has continued it",
        0,
        60,
    ),
    "gap_s": ParameterSpec(
        "how much longer the guest stands still than STOP to RESUME", 0, 60
    ),
    "discard_page_s": ParameterSpec("post-copy switch, a page discarded", 0, 1e-4),
    "postcopy_switch_s": ParameterSpec(
        "post-copy switch, device state sent until the destination runs", 0, 60
    ),
    "postcopy_finish_s": ParameterSpec(
        "last page of post-copy until the source is told", 0, 60
    ),
    "fault_s": ParameterSpec(
        "stall of a post-copy fault beside the page's transfer", 0, 1
    ),
    "fault_pages": ParameterSpec(
        "pages after which a thread as fast as the stream runs into its front", 1, 1e4
    ),
    "placed_touch_s": ParameterSpec(
        "what the first touch of a page just placed takes longer: cold caches",
        0,
        1e-3,
        1e-6,
    ),
    "sweep_touch_s": ParameterSpec(
        "a vCPU's time to rewrite a page, every byte with a new key", 1e-9, 1e-2
    ),
    "study_touch_s": ParameterSpec(
        "a vCPU's time to rewrite a page, every byte with one fixed array", 1e-9, 1e-2
    ),
    "page_touch_s": ParameterSpec(
        "a vCPU's time to write one word of a page", 1e-10, 1e-2
    ),
    "memory_pages_per_s": ParameterSpec(
        "pages that all vCPUs together can rewrite: memory bandwidth", 1e3, 1e12
    ),
    "first_write_s": ParameterSpec(
        "extra time for the first write to a protected page", 0, 1e-2
    ),
    "logging_gain_s": ParameterSpec(
        "how much sooner a vCPU has rewritten a page while dirty pages are logged",
        0,
        1e-3,
        0.0,
    ),
    "copy_interference": ParameterSpec(
        "relative slowdown of the guest for each core that copies pages", 0, 10
    ),
    "guest_interference": ParameterSpec(
        "relative slowdown of the stream for each CPU that others keep busy", 0, 10
    ),
    "throttle_sleep_extra_s": ParameterSpec(
        "what each sleep of a throttled vCPU costs it beside: waking late, then cold",
        0,
        0.05,
    ),
    "console_line_s": ParameterSpec(
        "what a line on the console costs the stress guest's vCPU that prints it",
        0,
        0.02,
        0.0,
    ),
    "noise_run_sd": ParameterSpec("relative spread of CPU costs from run to run", 0, 1),
    "noise_guest_sd": ParameterSpec(
        "relative spread of the guest's speed from run to run", 0, 1
    ),
    "noise_crowded_sd": ParameterSpec(
        "relative spread of the stream's CPU costs while vCPUs leave no CPU idle",
        0,
        2,
        "noise_run_sd",
    ),
    "noise_codec_sd": ParameterSpec(
        "relative spread of what compressing a page takes from run to run",
        0,
        1,
        "noise_run_sd",
    ),
    "noise_zstd_sd": ParameterSpec(
        "the same of zstd, whose tables need more of the caches that others share",
        0,
        1,
        "noise_codec_sd",
    ),
    "noise_throttled_sd": ParameterSpec(
        "relative spread of what a throttled guest gets done, from level to level",
        0,
        1,
        "noise_guest_sd",
    ),
    "noise_turn_s": ParameterSpec(
        "spread of what a throttled guest's turns leave it to run, from turn to turn",
        0,
        0.01,
        0.0,
    ),
    "noise_total_sd": ParameterSpec(
        "relative spread of what the model leaves unexplained in total times", 0, 1
    ),
    "noise_window_sd": ParameterSpec(
        "relative spread of the bandwidth of one 100 ms window", 0, 1
    ),
    **TECHNIQUE_PARAMETERS,
}


def with_defaults(values: Mapping[str, float]) -> dict[str, float]:
    """Fill in what a profile made before a technique was known does not say."""
    filled = dict(values)
    for name, spec in PARAMETERS.items():
        if name not in filled and spec.default is not None:
            default = spec.default
            filled[name] = filled[default] if isinstance(default, str) else default
    return filled


def check_profile(profile: HostProfile) -> None:
    """Refuse a profile that lacks a parameter, has an unknown or an impossible one.

    Raises
    ------
    InputError
        Names the parameter.
    """
    for name, spec in PARAMETERS.items():
        if spec.default is not None and name not in profile.parameters:
            continue
        value = profile[name]
        if not spec.lower <= value <= spec.upper:
            raise InputError(
                f"{name} is {value}, allowed is {spec.lower:g} to {spec.upper:g}"
            )
    for name in profile.parameters:
        if name not in PARAMETERS:
            raise InputError(
                f"unknown parameter {name}: if another version of migmodel fitted it, "
                "calibrate again with this one"
            )
