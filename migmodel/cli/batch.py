"""guestperf's batch list as scenarios: `--batch PATTERN` of predict and measure."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import click
import msgspec

from migmodel.cli.scenario_options import scenario_from
from migmodel.errors import InputError
from migmodel.records.scenario import Limits, Scenario
from migmodel.units import GIB

# What guestperf's list says of each scenario; the rest is the guest and the link.
_SAID_BY_LIST = ("scenario", "set", "cap", "bw", "downtime", "policy", "after")
# guestperf's own guest: Linux, 1 GiB rewritten in 1.5 GiB, with one fixed array.
_DEFAULTS = {"mem": "1536m", "guest": "linux", "touch": "study"}
_EXTRA_BYTES = GIB // 2


class Batched(NamedTuple):
    """A name of the list, and its scenario, or why it cannot be run."""

    comparison: str
    name: str
    scenario: Scenario | None
    refused: str = ""


def batch_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--batch` to a command that takes the describing options."""
    return click.option(
        "--batch",
        metavar="PATTERN",
        help="All scenarios of QEMU guestperf's comparison list whose names fit, e.g. "
        "'post-copy-*' or 'compr-mt/*'. Without --mem: its guest, 1 GiB rewritten in "
        "1.5 GiB; with it, 512 MiB of that are not rewritten, unless --ws says.",
    )(command)


def batched(pattern: str, options: dict[str, Any]) -> list[Batched]:
    """Scenarios of the list whose names fit.

    Parameters
    ----------
    pattern : str
        Of ``scenario`` or ``comparison/scenario``.
    options : dict
        The describing options as the command received them.

    Raises
    ------
    InputError
        When none fits, or an option says what the list says.
    """
    doubled = [f"--{name}" for name in _SAID_BY_LIST if options.get(name)]
    if doubled:
        raise InputError(
            f"--batch: guestperf's list says {', '.join(doubled)}: leave that out"
        )
    base = _base(options)
    return list(_scenarios(pattern, base))


def _base(options: dict[str, Any]) -> Scenario:
    given = {name: value for name, value in options.items() if value}
    described = scenario_from(**{**options, **_DEFAULTS, **given})
    if given.get("ws"):
        return described.scenario
    ram = described.scenario.guest.ram_bytes
    working = ram - _EXTRA_BYTES
    if working <= 0:
        raise InputError(
            "--batch: guestperf leaves 512 MiB of --mem alone: give more, or --ws"
        )
    workload = msgspec.structs.replace(
        described.scenario.workload, working_set_bytes=working
    )
    return msgspec.structs.replace(described.scenario, workload=workload)


def _scenarios(pattern: str, base: Scenario) -> Iterator[Batched]:
    from migmodel.guestperf.batch import chosen
    from migmodel.guestperf.report import Hardware
    from migmodel.guestperf.scenarios import policy_of

    hardware = Hardware(
        cpus=base.guest.vcpus, mem=base.workload.working_set_bytes / GIB
    )
    for comparison, tried in chosen(pattern):
        limits = Limits(
            max_time_s=base.limits.max_time_s or tried.max_time,
            max_iters=base.limits.max_iters or tried.max_iters,
        )
        try:
            scenario = msgspec.structs.replace(
                base,
                name=tried.name,
                policy=policy_of(tried, hardware, base.qemu_version),
                limits=limits,
            )
        except InputError as error:
            yield Batched(comparison, tried.name, None, str(error))
        else:
            yield Batched(comparison, tried.name, scenario)
