"""The options that say where each side runs, and on what of its host."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import click
import msgspec

from migmodel.cli.link_option import parse_link
from migmodel.errors import InputError
from migmodel.records.hardware import Hardware, Numbers
from migmodel.records.scenario import Link, Scenario

if TYPE_CHECKING:
    from migmodel.qemu.target import RemoteTarget

_OPTIONS = (
    click.option(
        "--dst-host",
        metavar="[USER@]HOST",
        help="Run the destination there, over ssh. [on this host]",
    ),
    click.option(
        "--dst-address",
        metavar="ADDRESS",
        help="Address of that host that the migration goes to. [as ssh has it]",
    ),
    click.option(
        "--dst-qemu", metavar="FILE", help="QEMU on that host. [set-up's or PATH's]"
    ),
    click.option(
        "--ssh-config", metavar="FILE", help="Configuration for ssh. [the user's]"
    ),
    click.option("--src-cpu-bind", metavar="LIST", help="CPUs of the source. [all]"),
    click.option(
        "--dst-cpu-bind", metavar="LIST", help="CPUs of the destination. [all]"
    ),
    click.option(
        "--src-mem-bind", metavar="LIST", help="Memory nodes of the source. [any]"
    ),
    click.option(
        "--dst-mem-bind", metavar="LIST", help="Memory nodes of the destination. [any]"
    ),
    click.option(
        "--prealloc-pages", is_flag=True, help="Allocate guest RAM before the start."
    ),
    click.option("--locked-pages", is_flag=True, help="Lock all memory of QEMU."),
    click.option(
        "--keep-awake/--no-keep-awake",
        default=None,
        help="Keep this host's CPUs from sleeping meanwhile. [where it is virtual]",
    ),
)


class Hosts(NamedTuple):
    """Where each side runs.

    Parameters
    ----------
    hardware : Hardware
        What of its host each side is given.
    remote : RemoteTarget or None
        The destination's host; None is this one.
    keep_awake : bool or None
        Keep this host's CPUs from sleeping; None: where it is virtual.
    """

    hardware: Hardware
    remote: RemoteTarget | None
    keep_awake: bool | None

    @property
    def other_name(self) -> str | None:
        """Name of the destination's host without a user's; None is this one."""
        return None if self.remote is None else self.remote.host.rpartition("@")[2]

    def placed(self, scenario: Scenario, link: Link | None = None) -> Scenario:
        """A scenario over another link, and as it is between these hosts."""
        link = link or scenario.link
        if self.remote is not None:
            link = msgspec.structs.replace(link, transport="tcp", scope="two-hosts")
        return msgspec.structs.replace(scenario, link=link)

    def check_link(self, text: str | None) -> None:
        """Refuse a link that is made on one host between two.

        Raises
        ------
        InputError
            Says so.
        """
        if self.remote is not None and text and parse_link(text).shaped:
            raise InputError(
                "--link netns is made on this host, with --dst-host the link is what "
                "it is: say what it carries, like --link 1gbit"
            )


def host_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, which hands them to `hosts_from`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def hosts_from(options: dict[str, Any]) -> Hosts:
    """Take these options out of a command's.

    Raises
    ------
    InputError
        When one cannot be read, or needs another.
    """
    hardware = hardware_from(options)
    keep_awake = options.pop("keep_awake")
    host = options.pop("dst_host")
    others = {
        "address": options.pop("dst_address"),
        "qemu": options.pop("dst_qemu"),
        "ssh_config": options.pop("ssh_config"),
    }
    if host is None:
        if any(others.values()):
            raise InputError(
                "--dst-address, --dst-qemu and --ssh-config belong to --dst-host"
            )
        return Hosts(hardware, None, keep_awake)
    from migmodel.qemu.target import RemoteTarget

    return Hosts(hardware, RemoteTarget(host=host, **others), keep_awake)


def hardware_from(options: dict[str, Any]) -> Hardware:
    """Take these options out of a command's, as a record.

    Raises
    ------
    InputError
        When a list cannot be read.
    """
    return Hardware(
        source_cpus=_numbers("--src-cpu-bind", options.pop("src_cpu_bind")),
        destination_cpus=_numbers("--dst-cpu-bind", options.pop("dst_cpu_bind")),
        source_memory_nodes=_numbers("--src-mem-bind", options.pop("src_mem_bind")),
        destination_memory_nodes=_numbers(
            "--dst-mem-bind", options.pop("dst_mem_bind")
        ),
        prealloc=options.pop("prealloc_pages"),
        locked=options.pop("locked_pages"),
    )


def _numbers(flag: str, text: str | None) -> Numbers | None:
    """Read a list like ``0-3,8``."""
    if text is None:
        return None
    found: list[int] = []
    try:
        for part in text.split(","):
            first, dash, last = part.partition("-")
            found += range(int(first), int(last if dash else first) + 1)
    except ValueError:
        raise InputError(
            f"{flag}: a list of numbers like 0-3,8, not '{text}'"
        ) from None
    if not found:
        raise InputError(f"{flag}: '{text}' names none")
    return tuple(found)
