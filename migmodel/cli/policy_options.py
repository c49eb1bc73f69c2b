"""The options that describe how a migration is made to complete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from migmodel.cli.option_reader import DescribingOption, OptionReader
from migmodel.cli.option_values import (
    capabilities,
    downtime_ms,
    megabytes_per_s,
    on_off,
    share_of_ram,
    whole_number,
)
from migmodel.errors import InputError
from migmodel.managers import DEFAULT_AFTER_PASSES
from migmodel.records.parameters import PARAMETERS, ParameterValue, Version
from migmodel.records.policy import (
    ACTING,
    DEFAULT_RISE,
    TECHNIQUES,
    TUNED,
    Policy,
    Technique,
    Tuning,
)
from migmodel.units import (
    format_bandwidth,
    format_bytes,
    parse_bandwidth,
    parse_duration,
)

_MULTIFD = tuple(name for name in TECHNIQUES if name.startswith("multifd"))
_LEVELS: dict[Technique, str] = {
    "compress": "compress-level",
    "multifd-zlib": "multifd-zlib-level",
    "multifd-zstd": "multifd-zstd-level",
    "multifd-qatzip": "multifd-qatzip-level",
}


class Setting(NamedTuple):
    """An option that belongs to some policies alone."""

    option: DescribingOption
    owners: tuple[Technique, ...]


SETTINGS: tuple[Setting, ...] = (
    Setting(
        DescribingOption(
            "after",
            "N",
            f"Pause, or switch to post-copy, after N passes. [{DEFAULT_AFTER_PASSES}]",
        ),
        ACTING,
    ),
    Setting(
        DescribingOption(
            "preempt",
            "on|off",
            "Post-copy: urgent pages on a channel of their own.",
            "on",
        ),
        ("postcopy",),
    ),
    Setting(
        DescribingOption("cache", "SIZE|%", "XBZRLE's cache, or share of RAM. [64m]"),
        ("xbzrle",),
    ),
    Setting(DescribingOption("channels", "N", "Of multifd. [2]"), _MULTIFD),
    Setting(
        DescribingOption("level", "N", "Of compression, higher is slower. [1]"),
        tuple(_LEVELS),
    ),
    Setting(
        DescribingOption("threads", "N", "Of multi-thread compression. [8]"),
        ("compress",),
    ),
    Setting(
        DescribingOption("limit", "MB/S", "Dirty-limit: quota of each vCPU. [1]"),
        ("dirtylimit",),
    ),
    Setting(
        DescribingOption(
            "tune_to", "VALUE", "Tuning: the last value. [10 x the first]"
        ),
        tuple(TUNED),
    ),
    Setting(DescribingOption("tune_steps", "N", "Tuning: steps. [10]"), tuple(TUNED)),
    Setting(
        DescribingOption("tune_every", "TIME", "Tuning: time between two. [10s]"),
        tuple(TUNED),
    ),
)
POLICY_OPTION = DescribingOption(
    "policy", "NAME", f"What makes it complete: {', '.join(TECHNIQUES)}. [precopy]"
)
OWNERS: dict[str, tuple[Technique, ...]] = {
    setting.option.name: setting.owners for setting in SETTINGS
}


def policy_from(reader: OptionReader, ram_bytes: int, version: Version) -> Policy:
    """Make the policy of its options."""
    technique: Technique = reader.take(
        "policy", _technique, "precopy", "plain pre-copy"
    )
    _refuse_foreign(reader, technique)
    parameters = reader.settings()

    def note(name: str, flag: str, parse: Callable[[str], int]) -> None:
        if reader.options.get(flag) is None:
            return
        if name in parameters:
            shown = flag.replace("_", "-")
            raise InputError(f"--{shown} and --set {name} say the same: give one")
        parameters[name] = reader.take(flag, parse, 0, "")

    note("max-bandwidth", "bw", parse_bandwidth)
    note("downtime-limit", "downtime", downtime_ms)
    note("multifd-channels", "channels", whole_number)
    note("compress-threads", "threads", whole_number)
    note("vcpu-dirty-limit", "limit", megabytes_per_s)
    note("xbzrle-cache-size", "cache", lambda text: share_of_ram(text, ram_bytes))
    if technique in _LEVELS:
        note(_LEVELS[technique], "level", whole_number)
    if (reader.options.get("cache") or "").endswith("%"):
        size = format_bytes(int(parameters["xbzrle-cache-size"]))
        reader.assume(f"a cache of {size}: QEMU takes powers of two", "--cache")
    _assume_defaults(reader, technique, parameters, version)
    passes = f"acts after {DEFAULT_AFTER_PASSES} passes" if technique in ACTING else ""
    return Policy(
        technique=technique,
        after_passes=reader.take("after", whole_number, None, passes),
        parameters=parameters,
        capabilities=_capabilities(reader),
        tuning=_tuning(reader, technique, parameters, version),
    )


def _technique(text: str) -> Technique:
    for name in TECHNIQUES:
        if name == text:
            return name
    raise InputError(f"'{text}' is unknown; it is one of {', '.join(TECHNIQUES)}")


def _refuse_foreign(reader: OptionReader, technique: Technique) -> None:
    for name, owners in OWNERS.items():
        if reader.options.get(name) is None or technique in owners:
            continue
        plural = "policies" if len(owners) > 1 else "policy"
        raise InputError(
            f"--{name.replace('_', '-')} belongs to the {plural} "
            f"{', '.join(owners)}, not to {technique}"
        )


def _capabilities(reader: OptionReader) -> dict[str, bool]:
    try:
        found = capabilities(reader.options.get("cap") or ())
    except InputError as error:
        raise InputError(f"--cap: {error}") from None
    preempt = reader.take("preempt", on_off, None, "")
    if preempt is not None:
        if "postcopy-preempt" in found:
            raise InputError(
                "--preempt and --cap postcopy-preempt say the same: give one"
            )
        found["postcopy-preempt"] = preempt
    return found


def _tuning(
    reader: OptionReader,
    technique: Technique,
    parameters: dict[str, ParameterValue],
    version: Version,
) -> Tuning | None:
    name = TUNED.get(technique)
    if name is None:
        return None
    default = Tuning()
    in_ms = name == "downtime-limit"
    maximum = reader.take(
        "tune_to",
        downtime_ms if in_ms else parse_bandwidth,
        None,
        f"{name} rises to {DEFAULT_RISE} times its first value",
    )
    first = int(parameters.get(name, PARAMETERS[name].default_of(version)))
    if not in_ms and not first:
        raise InputError(
            f"{technique} raises {name}, and unlimited is the most: give --bw"
        )
    if maximum is not None and maximum <= first:
        shown = f"{first} ms" if in_ms else format_bandwidth(first)
        raise InputError(
            f"--tune-to: {technique} raises {name}: give more than the first, {shown} "
            f"({'--downtime' if in_ms else '--bw'})"
        )
    return Tuning(
        maximum=maximum,
        steps=reader.take(
            "tune_steps", whole_number, default.steps, f"in {default.steps} steps"
        ),
        interval_s=reader.take(
            "tune_every",
            parse_duration,
            default.interval_s,
            f"one every {default.interval_s:g} s",
        ),
    )


def _assume_defaults(
    reader: OptionReader,
    technique: Technique,
    parameters: dict[str, ParameterValue],
    version: Version,
) -> None:
    def default(name: str) -> Any:
        return PARAMETERS[name].default_of(version)

    if "max-bandwidth" not in parameters:
        rate = default("max-bandwidth")
        reader.assume(
            f"QEMU's default max-bandwidth, {format_bytes(rate)}/s = "
            f"{format_bandwidth(rate)}",
            "--bw",
        )
    if "downtime-limit" not in parameters:
        reader.assume(
            f"QEMU's default downtime-limit, {default('downtime-limit')} ms",
            "--downtime",
        )
    if technique == "autoconverge" and not any("throttle" in key for key in parameters):
        start, step, top = (
            default(name)
            for name in (
                "cpu-throttle-initial",
                "cpu-throttle-increment",
                "max-cpu-throttle",
            )
        )
        reader.assume(
            f"QEMU's default throttle, {start} % and {step} % more up to {top} %",
            "--set",
        )
    for policies, flag, name, unit in (
        (_MULTIFD, "channels", "multifd-channels", "channels"),
        (("compress",), "threads", "compress-threads", "threads"),
        (("xbzrle",), "cache", "xbzrle-cache-size", ""),
        (("dirtylimit",), "limit", "vcpu-dirty-limit", "MB/s a vCPU"),
        *(((policy,), "level", level, "") for policy, level in _LEVELS.items()),
    ):
        if technique in policies and name not in parameters:
            value = default(name)
            shown = (unit and f"{value} {unit}") or f"{value}"
            if name == "xbzrle-cache-size":
                shown = format_bytes(value)
            reader.assume(f"QEMU's default {name}, {shown}", f"--{flag}")
