"""The options that describe a migration, shared by all commands that take one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import click

from migmodel.cli.link_option import LinkText, parse_link
from migmodel.cli.option_reader import DescribingOption, OptionReader
from migmodel.cli.option_values import (
    content,
    milliseconds,
    one_of,
    pages_per_s,
    part_of_ram,
    whole_number,
)
from migmodel.cli.policy_options import POLICY_OPTION, SETTINGS, policy_from
from migmodel.errors import InputError, RecordError
from migmodel.records.files import read_record
from migmodel.records.parameters import (
    DEFAULT_QEMU,
    NEWEST_QEMU,
    SUPPORTED_QEMU,
    parse_version,
)
from migmodel.records.scenario import (
    Guest,
    GuestKind,
    Limits,
    Link,
    Outage,
    Pattern,
    Scenario,
    Scope,
    Touch,
    Transport,
    Workload,
)
from migmodel.units import (
    PAGE_BYTES,
    parse_bytes,
    parse_duration,
)

SET = DescribingOption(
    "set",
    "NAME=VALUE",
    "Any QEMU migration parameter by its own name and in its own unit, e.g. "
    "cpu-throttle-increment=20; bytes/s may end in k, m, g (binary, as in QEMU). "
    "Repeatable.",
)
CAP = DescribingOption(
    "cap",
    "NAME=on|off",
    "Any QEMU migration capability beside the policy's own, e.g. xbzrle=on. "
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
        "still",
        "SIZE|%",
        "Memory beside the working set that holds data too, and is never written. [0]",
    ),
    DescribingOption(
        "touch",
        "|".join(get_args(Touch)),
        "What is written: every byte with a new key each sweep, the 2016 study's "
        "one fixed array, or one word a page. [sweep]",
    ),
    DescribingOption(
        "pattern",
        "|".join(get_args(Pattern)),
        "Which page comes next: in order of address, or any. [sweep]",
    ),
    DescribingOption(
        "content",
        "random|text[:SHARE]|zero|delta[:BYTES]",
        "What pages hold: random bytes, text of which that share repeats, zeros, or "
        "random bytes of which a touch changes few. [random]",
    ),
    DescribingOption(
        "bw",
        "RATE",
        "QEMU's max-bandwidth: 1g is Gbit/s, 125MB/s is bytes, or unlimited. "
        "[QEMU's default, 128MiB/s]",
    ),
    DescribingOption(
        "link",
        "RATE|tcp|unix|netns:RATE,rtt=TIME",
        "What the link itself carries, its socket, or a link of two network namespaces "
        "that measure makes and shapes. [all that the hosts push]",
    ),
    DescribingOption(
        "rtt", "TIME", "Round-trip time of the link; a bare number is ms. [0]"
    ),
    DescribingOption("transport", "|".join(get_args(Transport)), "Socket. [unix]"),
    DescribingOption(
        "socket_buffer", "SIZE", "What a connection's sockets hold. [the profile's]"
    ),
    DescribingOption(
        "scope",
        "|".join(get_args(Scope)),
        "Whether source and destination share one host's CPUs. [the profile's]",
    ),
    DescribingOption(
        "outage",
        "TIME",
        "The connection breaks, that long after the switch to post-copy. [never]",
    ),
    DescribingOption(
        "recover_after", "TIME", "Post-copy is recovered, that long after. [never]"
    ),
    DescribingOption(
        "downtime",
        "TIME",
        "QEMU's downtime-limit, e.g. 300ms or 2s; a bare number is ms, as in QEMU. "
        "[300ms]",
    ),
    POLICY_OPTION,
    *(setting.option for setting in SETTINGS),
    DescribingOption("max_time", "TIME", "Cancel after that time, e.g. 5m. [never]"),
    DescribingOption("max_iters", "N", "Cancel after that many passes. [never]"),
    DescribingOption(
        "qemu_version", "VERSION", f"QEMU on both sides. [{DEFAULT_QEMU}]"
    ),
    DescribingOption(
        "guest",
        "|".join(get_args(GuestKind)),
        "Bare: all RAM but the working set is zero; linux: with a kernel's own pages. "
        "[bare]",
    ),
    DescribingOption(
        "host_page", "SIZE", "Pages that back the guest's RAM: 4k, 2m or 1g. [4k]"
    ),
    DescribingOption("dirty_ring", "N", "Entries of KVM's dirty ring. [dirty bitmaps]"),
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
        multiple=True,
        callback=lambda _context, _option, files: _one_or_more(files),
        help="A described scenario; excludes all options above.",
    )
    command = file_option(command)
    for several in (CAP, SET):
        command = click.option(
            several.flag,
            several.name,
            metavar=several.metavar,
            multiple=True,
            help=several.help,
        )(command)
    for option in reversed(DESCRIBING):
        alone: dict[str, Any] = {}
        if option.alone is not None:
            alone = {"is_flag": False, "flag_value": option.alone}
        command = click.option(
            option.flag,
            option.name,
            metavar=option.metavar,
            help=option.help,
            **alone,
        )(command)
    return command


def _one_or_more(files: tuple[str, ...]) -> str | tuple[str, ...] | None:
    """None, the one file, or several (of which only `predict` makes something)."""
    if len(files) > 1:
        return files
    return files[0] if files else None


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
    if isinstance(options.get("scenario"), tuple):
        raise InputError(
            "several --scenario files are predicted together over one link: "
            "migmodel predict --scenario A.json --scenario B.json --shared-link 1g"
        )
    if options.get("scenario"):
        return _from_file(Path(options["scenario"]), given)
    if not options.get("mem"):
        raise InputError(
            "say how much RAM the guest has, e.g. --mem 8 (GiB), or describe the "
            "migration in a file: --scenario FILE.json"
        )
    reader = OptionReader(options)
    guest = _guest(reader)
    workload = _workload(reader, guest)
    said = options.get("guest") is not None or options.get("still") is not None
    if not said and workload.working_set_bytes < guest.ram_bytes:
        reader.assume("the RAM outside the working set is zero", "--still, --guest")
    qemu_version = reader.take(
        "qemu_version",
        str,
        DEFAULT_QEMU,
        f"QEMU {DEFAULT_QEMU}, the newest validated of {SUPPORTED_QEMU[0]} to "
        f"{NEWEST_QEMU}",
    )
    policy = policy_from(reader, guest.ram_bytes, parse_version(qemu_version))
    scenario = Scenario(
        guest=guest,
        workload=workload,
        policy=policy,
        link=_link(reader, switches=policy.technique == "postcopy"),
        limits=_limits(reader),
        qemu_version=qemu_version,
    )
    for idle in scenario.idle_settings:
        reader.assume(idle, "--set, --cap")
    return Described(scenario, reader.assumptions, given)


def _from_file(path: Path, given: frozenset[str]) -> Described:
    others = sorted(f"--{name.replace('_', '-')}" for name in given - {"scenario"})
    if others:
        raise InputError(
            f"--scenario describes the whole migration: leave out {', '.join(others)} "
            "or change the file"
        )
    names = {option.name for option in (*DESCRIBING, SET, CAP)}
    everything = frozenset(names | {"scenario"})
    try:
        return Described(read_record(path, Scenario), [], everything)
    except RecordError as error:
        # The likeliest slip: the whole of what --json printed.
        if "unknown field `scenario`" not in str(error):
            raise
        raise InputError(
            f"{path} is not a scenario but has one: give that alone, e.g. "
            f"jq .scenario {path} > scenario.json"
        ) from None


def _guest(reader: OptionReader) -> Guest:
    return Guest(
        ram_bytes=reader.take("mem", parse_bytes, 0, ""),
        vcpus=reader.take("cpus", whole_number, 1, "1 vCPU"),
        kind=reader.take(
            "guest",
            one_of(cast("tuple[GuestKind, ...]", get_args(GuestKind))),
            "bare",
            "",
        ),
        host_page_bytes=reader.take("host_page", parse_bytes, PAGE_BYTES, ""),
        dirty_ring_size=reader.take("dirty_ring", whole_number, None, ""),
    )


def _workload(reader: OptionReader, guest: Guest) -> Workload:
    kind, compressibility, delta_bytes = reader.take(
        "content", content, content("random"), ""
    )
    working_set_bytes = reader.take(
        "ws",
        lambda text: part_of_ram(text, guest.ram_bytes),
        guest.ram_bytes,
        "working set is all of the guest's RAM",
    )
    at_full_speed = "rewritten at full speed" if working_set_bytes else ""
    return Workload(
        content=kind,
        compressibility=compressibility,
        delta_bytes=delta_bytes,
        working_set_bytes=working_set_bytes,
        rate_pps=reader.take("rate", pages_per_s, None, at_full_speed),
        still_bytes=reader.take(
            "still", lambda text: part_of_ram(text, guest.ram_bytes), 0, ""
        ),
        touch=reader.take(
            "touch", one_of(cast("tuple[Touch, ...]", get_args(Touch))), "sweep", ""
        ),
        pattern=reader.take(
            "pattern",
            one_of(cast("tuple[Pattern, ...]", get_args(Pattern))),
            "sweep",
            "",
        ),
    )


def _link(reader: OptionReader, *, switches: bool) -> Link:
    said = reader.take("link", parse_link, LinkText(), "")
    if said.bandwidth_bytes_per_s is None:
        reader.assume("the link carries all that the hosts push", "--link")
    for option, value in (("transport", said.transport), ("rtt", said.rtt_s)):
        if value is not None and reader.options.get(option) is not None:
            raise InputError(f"--link and --{option} say the same: give one")
    rtt_s = said.rtt_s
    if rtt_s is None:
        rtt_s = reader.take("rtt", milliseconds, 0.0, "no round-trip time")
    # A UNIX socket ends on its host: what takes time on its way is TCP.
    far = rtt_s > 0 and said.transport is None
    transport: Transport = reader.take(
        "transport",
        one_of(cast("tuple[Transport, ...]", get_args(Transport))),
        "tcp" if far else "unix",
        "TCP, as a UNIX socket has no round-trip time" if far else "",
    )
    return Link(
        transport=said.transport or transport,
        bandwidth_bytes_per_s=said.bandwidth_bytes_per_s,
        rtt_s=rtt_s,
        socket_buffer_bytes=reader.take("socket_buffer", parse_bytes, None, ""),
        scope=reader.take(
            "scope", one_of(cast("tuple[Scope, ...]", get_args(Scope))), None, ""
        ),
        outage=_outage(reader, switches=switches),
    )


def _outage(reader: OptionReader, *, switches: bool) -> Outage | None:
    recovered = reader.take("recover_after", parse_duration, None, "")
    if reader.options.get("outage") is None:
        if recovered is not None:
            raise InputError("--recover-after needs --outage")
        return None
    if not switches:
        raise InputError(
            "--outage comes after the switch to post-copy: give --policy postcopy, or "
            "leave it out"
        )
    return Outage(
        at_s=reader.take("outage", parse_duration, 0.0, ""),
        recovered_after_s=recovered,
    )


def _limits(reader: OptionReader) -> Limits:
    limits = Limits(
        max_time_s=reader.take("max_time", parse_duration, None, ""),
        max_iters=reader.take("max_iters", whole_number, None, ""),
    )
    if limits == Limits():
        reader.assume("no limit of time or passes", "--max-time, --max-iters")
    return limits
