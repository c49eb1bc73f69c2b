"""The options that describe a migration, shared by all commands that take one."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast, get_args

import click

from migmodel.cli.option_values import (
    downtime_ms,
    milliseconds,
    one_of,
    pages_per_s,
    qemu_parameters,
    whole_number,
    working_set,
)
from migmodel.errors import InputError
from migmodel.managers import DEFAULT_AFTER_PASSES
from migmodel.records.files import read_record
from migmodel.records.parameters import (
    NEWEST_QEMU,
    PARAMETERS,
    SUPPORTED_QEMU,
    ParameterValue,
)
from migmodel.records.scenario import (
    TECHNIQUES,
    Guest,
    GuestKind,
    Limits,
    Link,
    Policy,
    Scenario,
    Technique,
    Touch,
    Transport,
    Workload,
)
from migmodel.units import (
    format_bandwidth,
    parse_bandwidth,
    parse_bytes,
    parse_duration,
)

Value = TypeVar("Value")
_DEFAULT_BANDWIDTH = int(PARAMETERS["max-bandwidth"].default)
_DEFAULT_DOWNTIME_MS = int(PARAMETERS["downtime-limit"].default)


class DescribingOption(NamedTuple):
    """One option; its name is also the keyword that `scenario_from` takes."""

    name: str
    metavar: str
    help: str

    @property
    def flag(self) -> str:
        """The option as it is typed."""
        return "--" + self.name.replace("_", "-")


SET = DescribingOption(
    "set",
    "NAME=VALUE",
    "Any QEMU migration parameter by its own name and in its own unit, e.g. "
    "cpu-throttle-increment=20; bytes/s may end in k, m, g (binary, as in QEMU). "
    "Repeatable.",
)
DESCRIBING: tuple[DescribingOption, ...] = (
    DescribingOption("mem", "SIZE", "Guest RAM: 8 is GiB, 512m is MiB."),
    DescribingOption("cpus", "N", "vCPUs, each with one writing thread. [1]"),
    DescribingOption(
        "ws",
        "SIZE|%",
        "Working set: memory that the guest keeps rewriting, e.g. 2g or 50%; "
        "0 is an idle guest. [all RAM]",
    ),
    DescribingOption(
        "rate", "PAGES/S|full", "Pages written per second, all threads. [full speed]"
    ),
    DescribingOption(
        "touch",
        "|".join(get_args(Touch)),
        "What is written: every byte with a new key each sweep, the 2016 study's "
        "one fixed array, or one word a page. [sweep]",
    ),
    DescribingOption(
        "bw",
        "RATE",
        "QEMU's max-bandwidth: 1g is Gbit/s, 125MB/s is bytes, or unlimited. "
        "[QEMU's default, 128MiB/s]",
    ),
    DescribingOption(
        "link", "RATE", "What the link itself carries. [all that the hosts push]"
    ),
    DescribingOption(
        "rtt", "TIME", "Round-trip time of the link; a bare number is ms. [0]"
    ),
    DescribingOption("transport", "|".join(get_args(Transport)), "Socket. [unix]"),
    DescribingOption(
        "downtime",
        "TIME",
        "QEMU's downtime-limit, e.g. 300ms or 2s; a bare number is ms, as in QEMU. "
        "[300ms]",
    ),
    DescribingOption(
        "policy", "|".join(TECHNIQUES), "What makes it complete. [precopy]"
    ),
    DescribingOption(
        "after",
        "N",
        f"Pause, or switch to post-copy, after N passes. [{DEFAULT_AFTER_PASSES}]",
    ),
    DescribingOption("max_time", "TIME", "Cancel after that time, e.g. 5m. [never]"),
    DescribingOption("max_iters", "N", "Cancel after that many passes. [never]"),
    DescribingOption("qemu_version", "VERSION", f"QEMU on both sides. [{NEWEST_QEMU}]"),
    DescribingOption(
        "guest",
        "|".join(get_args(GuestKind)),
        "Bare: all RAM but the working set is zero; linux: with a kernel's own pages. "
        "[bare]",
    ),
)


class Described(NamedTuple):
    """A scenario, and how much of it was said.

    Parameters
    ----------
    scenario : Scenario
        What to migrate, over what, and how.
    assumptions : list of str
        What was assumed because nobody said otherwise, with the option that says it.
    given : frozenset of str
        Names of the options that were given; with a scenario file, all.
    """

    scenario: Scenario
    assumptions: list[str]
    given: frozenset[str]


def scenario_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the describing options to a command.

    The command receives them as texts under their names, None where not given, and
    hands them to `scenario_from`.
    """
    file_option = click.option(
        "--scenario",
        metavar="FILE.json",
        help="A described scenario; excludes all options above.",
    )
    command = file_option(command)
    command = click.option(
        SET.flag, "set", metavar=SET.metavar, multiple=True, help=SET.help
    )(command)
    for option in reversed(DESCRIBING):
        command = click.option(
            option.flag, option.name, metavar=option.metavar, help=option.help
        )(command)
    return command


def scenario_from(**options: Any) -> Described:
    """Make a scenario of the describing options.

    Parameters
    ----------
    **options : str, sequence of str (`set`) or None
        As `scenario_options` hands them to a command.

    Raises
    ------
    InputError
        When a value cannot be read or the values contradict each other.
    """
    given = frozenset(name for name, value in options.items() if value)
    if options.get("scenario"):
        return _from_file(Path(options["scenario"]), given)
    if not options.get("mem"):
        raise InputError(
            "say how much RAM the guest has, e.g. --mem 8 (GiB), or describe the "
            "migration in a file: --scenario FILE.json"
        )
    reader = _Reader(options)
    guest = _guest(reader)
    workload = _workload(reader, guest)
    if options.get("guest") is None and workload.working_set_bytes < guest.ram_bytes:
        reader.assume("the RAM outside the working set is zero", "--guest")
    scenario = Scenario(
        guest=guest,
        workload=workload,
        policy=_policy(reader),
        link=_link(reader),
        limits=_limits(reader),
        qemu_version=reader.take(
            "qemu_version",
            str,
            NEWEST_QEMU,
            f"QEMU {NEWEST_QEMU}, the newest of {SUPPORTED_QEMU[0]} to {NEWEST_QEMU}",
        ),
    )
    return Described(scenario, reader.assumptions, given)


def _from_file(path: Path, given: frozenset[str]) -> Described:
    others = sorted(f"--{name.replace('_', '-')}" for name in given - {"scenario"})
    if others:
        raise InputError(
            f"--scenario describes the whole migration: leave out {', '.join(others)} "
            "or change the file"
        )
    everything = frozenset(option.name for option in DESCRIBING) | {"scenario", "set"}
    return Described(read_record(path, Scenario), [], everything)


class _Reader:
    """Reads options one by one and collects what had to be assumed."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.options = options
        self.assumptions: list[str] = []

    def take(
        self, name: str, parse: Callable[[str], Value], default: Value, assumed: str
    ) -> Value:
        """Value of an option, or its default, of which a note is kept."""
        flag = "--" + name.replace("_", "-")
        text = self.options.get(name)
        if text is None:
            self.assume(assumed, flag)
            return default
        too_large = InputError(f"{flag}: too large: '{text}'")
        try:
            value = parse(text)
        except InputError as error:
            raise InputError(f"{flag}: {error}") from None
        except OverflowError:
            raise too_large from None
        if value == math.inf:
            raise too_large
        return value

    def settings(self) -> dict[str, ParameterValue]:
        """QEMU parameters given by their own names."""
        try:
            return qemu_parameters(self.options.get("set") or ())
        except InputError as error:
            raise InputError(f"--set: {error}") from None

    def assume(self, what: str, flag: str) -> None:
        """Note what was assumed, unless it goes without saying."""
        if what:
            self.assumptions.append(f"{what} ({flag})")


def _guest(reader: _Reader) -> Guest:
    return Guest(
        ram_bytes=reader.take("mem", parse_bytes, 0, ""),
        vcpus=reader.take("cpus", whole_number, 1, "1 vCPU"),
        kind=reader.take(
            "guest",
            one_of(cast("tuple[GuestKind, ...]", get_args(GuestKind))),
            "bare",
            "",
        ),
    )


def _workload(reader: _Reader, guest: Guest) -> Workload:
    return Workload(
        working_set_bytes=reader.take(
            "ws",
            lambda text: working_set(text, guest.ram_bytes),
            guest.ram_bytes,
            "working set is all of the guest's RAM",
        ),
        rate_pps=reader.take("rate", pages_per_s, None, "rewritten at full speed"),
        touch=reader.take(
            "touch", one_of(cast("tuple[Touch, ...]", get_args(Touch))), "sweep", ""
        ),
    )


def _link(reader: _Reader) -> Link:
    return Link(
        transport=reader.take(
            "transport",
            one_of(cast("tuple[Transport, ...]", get_args(Transport))),
            "unix",
            "",
        ),
        bandwidth_bytes_per_s=reader.take(
            "link",
            lambda text: parse_bandwidth(text) or None,
            None,
            "the link carries all that the hosts push",
        ),
        rtt_s=reader.take("rtt", milliseconds, 0.0, "no round-trip time"),
    )


def _limits(reader: _Reader) -> Limits:
    limits = Limits(
        max_time_s=reader.take("max_time", parse_duration, None, ""),
        max_iters=reader.take("max_iters", whole_number, None, ""),
    )
    if limits == Limits():
        reader.assume("no limit of time or passes", "--max-time, --max-iters")
    return limits


def _policy(reader: _Reader) -> Policy:
    technique: Technique = reader.take(
        "policy", one_of(TECHNIQUES), "precopy", "plain pre-copy"
    )
    passes = f"acts after {DEFAULT_AFTER_PASSES} passes"
    acts = technique in ("pause", "postcopy")
    parameters = reader.settings()
    for name, option, parse in (
        ("max-bandwidth", "bw", parse_bandwidth),
        ("downtime-limit", "downtime", downtime_ms),
    ):
        if reader.options.get(option) is None:
            continue
        if name in parameters:
            raise InputError(f"--{option} and --set {name} say the same: give one")
        parameters[name] = reader.take(option, parse, 0, "")
    _assume_defaults(reader, technique, parameters)
    return Policy(
        technique=technique,
        after_passes=reader.take("after", whole_number, None, passes if acts else ""),
        parameters=parameters,
    )


def _assume_defaults(
    reader: _Reader, technique: Technique, parameters: dict[str, ParameterValue]
) -> None:
    if "max-bandwidth" not in parameters:
        rate = format_bandwidth(_DEFAULT_BANDWIDTH)
        reader.assume(f"QEMU's default max-bandwidth, 128 MiB/s = {rate}", "--bw")
    if "downtime-limit" not in parameters:
        reader.assume(
            f"QEMU's default downtime-limit, {_DEFAULT_DOWNTIME_MS} ms", "--downtime"
        )
    if technique == "autoconverge" and not any("throttle" in key for key in parameters):
        start, step, top = (
            PARAMETERS[name].default
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
    for name in parameters:
        if name in PARAMETERS and not PARAMETERS[name].effect:
            reader.assume(f"{name} changes none of the figures predicted", "--set")
