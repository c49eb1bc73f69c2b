"""What is migrated, over what, and how: the input of both executors."""

from __future__ import annotations

from typing import Literal

from migmodel.errors import InputError
from migmodel.records.base import Record
from migmodel.records.checks import (
    require,
    require_not_negative,
    require_positive,
)
from migmodel.records.parameters import (
    NEWEST_QEMU,
    PARAMETERS,
    SUPPORTED_QEMU,
    ParameterValue,
    check_capabilities,
    check_parameters,
    parse_version,
)
from migmodel.units import MIB, MS_PER_S, PAGE_BYTES, TIB

SCENARIO_SCHEMA = 1

Technique = Literal["precopy", "pause", "autoconverge", "postcopy"]
TECHNIQUES: tuple[Technique, ...] = ("precopy", "pause", "autoconverge", "postcopy")
GuestKind = Literal["bare", "linux"]
Touch = Literal["sweep", "study", "page"]
Transport = Literal["unix", "tcp"]
MAX_VCPUS = 1024
MAX_RAM_BYTES = 256 * TIB
_TECHNIQUE_CAPABILITY: dict[Technique, str] = {
    "autoconverge": "auto-converge",
    "postcopy": "postcopy-ram",
}


class Guest(Record, frozen=True, kw_only=True):
    """The virtual machine.

    Parameters
    ----------
    ram_bytes : int
        Guest RAM [bytes], a multiple of 1 MiB, as QEMU's ``-m``.
    vcpus : int
        Number of virtual CPUs.
    kind : {'bare', 'linux'}
        Which stress guest runs in it, or which one it resembles: `bare` leaves all
        RAM but its working set zero, `linux` brings a kernel's own pages.
    """

    ram_bytes: int
    vcpus: int = 1
    kind: GuestKind = "bare"

    def __post_init__(self) -> None:
        require_positive("guest RAM", self.ram_bytes)
        require(
            self.ram_bytes <= MAX_RAM_BYTES,
            f"guest RAM must be at most {MAX_RAM_BYTES // TIB} TiB, not "
            f"{self.ram_bytes / TIB:.3g} TiB",
        )
        require(
            self.ram_bytes % MIB == 0,
            f"guest RAM must be a multiple of 1 MiB, not {self.ram_bytes} bytes",
        )
        require(
            1 <= self.vcpus <= MAX_VCPUS,
            f"vCPUs must be between 1 and {MAX_VCPUS}, not {self.vcpus}",
        )


class Workload(Record, frozen=True, kw_only=True):
    """What the guest writes: one thread a vCPU sweeps its share, for ever.

    Parameters
    ----------
    working_set_bytes : int
        Memory rewritten by all threads together [bytes]; 0 is an idle guest.
    rate_pps : float or None
        Pages written per second by all threads together; None is full speed.
    touch : {'sweep', 'study', 'page'}
        `sweep` rewrites every byte with a new key each time, `study` XORs with one
        fixed array (contents alternate between two), `page` writes one word a page.
    phase : float or None
        Where in its share each thread is when the migration begins, 0 to below 1; None:
        unknown, and it is drawn. It matters where a sweep takes longer than a pass.
    """

    working_set_bytes: int
    rate_pps: float | None = None
    touch: Touch = "sweep"
    phase: float | None = None

    def __post_init__(self) -> None:
        require(
            self.phase is None or 0 <= self.phase < 1,
            f"the phase is a fraction of a sweep, 0 to below 1, not {self.phase}",
        )
        require(
            self.phase is None or self.rate_pps is not None,
            "a phase needs a paced guest: give a rate",
        )
        require_not_negative("working set", self.working_set_bytes)
        require_positive("write rate", self.rate_pps, " pages/s")

    @property
    def pages(self) -> int:
        """Pages in the working set."""
        return self.working_set_bytes // PAGE_BYTES


class Link(Record, frozen=True, kw_only=True):
    """The connection between source and destination.

    Parameters
    ----------
    transport : {'unix', 'tcp'}
        Socket kind.
    bandwidth_bytes_per_s : float or None
        What the link itself carries [bytes/s]; None: as much as the two hosts can
        push through it. Not QEMU's max-bandwidth, which is a policy parameter.
    rtt_s : float
        Round-trip time [s] added by the link.
    """

    transport: Transport = "unix"
    bandwidth_bytes_per_s: float | None = None
    rtt_s: float = 0.0

    def __post_init__(self) -> None:
        require_positive("link bandwidth", self.bandwidth_bytes_per_s, " bytes/s")
        require_not_negative("round-trip time", self.rtt_s)


class Policy(Record, frozen=True, kw_only=True):
    """A technique, QEMU's parameters, and when a manager steps in.

    Parameters
    ----------
    technique : {'precopy', 'pause', 'autoconverge', 'postcopy'}
        What makes the migration complete.
    after_passes : int or None
        For `pause` and `postcopy`: act when that many passes over RAM are complete.
    parameters : dict
        QEMU migration parameters by their own names, e.g.
        ``{"downtime-limit": 300, "max-bandwidth": 125000000}`` in QEMU's units (ms,
        bytes/s, %). What is absent has QEMU's default.
    capabilities : dict
        QEMU migration capabilities switched on or off beside the technique's own.
    """

    technique: Technique = "precopy"
    after_passes: int | None = None
    parameters: dict[str, ParameterValue] = {}
    capabilities: dict[str, bool] = {}

    def __post_init__(self) -> None:
        require(
            self.technique in TECHNIQUES,
            f"unknown policy '{self.technique}'; known are " + ", ".join(TECHNIQUES),
        )
        acts = self.technique in ("pause", "postcopy")
        if self.after_passes is not None and not acts:
            raise InputError(
                f"--after belongs to the policies pause and postcopy, "
                f"not to {self.technique}"
            )
        require_not_negative("--after", self.after_passes)
        own = _TECHNIQUE_CAPABILITY.get(self.technique)
        if own is not None and self.capabilities.get(own) is False:
            raise InputError(f"policy {self.technique} needs the capability {own}")
        check_capabilities(self.all_capabilities)

    @property
    def all_capabilities(self) -> dict[str, bool]:
        """The technique's own capability and those asked for beside it."""
        own = _TECHNIQUE_CAPABILITY.get(self.technique)
        return {**({own: True} if own else {}), **self.capabilities}

    def parameter(self, name: str) -> ParameterValue:
        """Value of a QEMU parameter: as set, else QEMU's default."""
        return self.parameters.get(name, PARAMETERS[name].default)

    @property
    def max_bandwidth_bytes_per_s(self) -> int:
        """QEMU's max-bandwidth [bytes/s]; 0 is unlimited."""
        return int(self.parameter("max-bandwidth"))

    @property
    def downtime_limit_s(self) -> float:
        """QEMU's downtime-limit [s]."""
        return int(self.parameter("downtime-limit")) / MS_PER_S


class Limits(Record, frozen=True, kw_only=True):
    """When whoever runs the migration gives up and cancels it.

    Parameters
    ----------
    max_time_s : float or None
        Longest time [s].
    max_iters : int or None
        Most passes (dirty-sync-count).
    """

    max_time_s: float | None = None
    max_iters: int | None = None

    def __post_init__(self) -> None:
        require_positive("--max-time", self.max_time_s, " seconds")
        require_positive("--max-iters", self.max_iters)


class Scenario(Record, frozen=True, kw_only=True):
    """One migration, described; given to the simulator or to real QEMU.

    Raises
    ------
    InputError
        When the parts contradict each other.
    """

    guest: Guest
    workload: Workload
    link: Link = Link()
    policy: Policy = Policy()
    limits: Limits = Limits()
    qemu_version: str = NEWEST_QEMU
    name: str = ""
    schema: int = SCENARIO_SCHEMA

    @property
    def version(self) -> tuple[int, int]:
        """QEMU's version as a pair that compares."""
        return parse_version(self.qemu_version)

    def __post_init__(self) -> None:
        require(
            self.schema == SCENARIO_SCHEMA,
            f"scenario has schema {self.schema}, this program reads {SCENARIO_SCHEMA}",
        )
        require(
            self.workload.working_set_bytes <= self.guest.ram_bytes,
            f"the working set ({self.workload.working_set_bytes} bytes) is larger "
            f"than the guest's RAM ({self.guest.ram_bytes} bytes)",
        )
        version = ".".join(map(str, self.version))
        require(
            version in SUPPORTED_QEMU,
            f"QEMU {self.qemu_version} is not modelled; supported are "
            + ", ".join(SUPPORTED_QEMU),
        )
        check_parameters(self.policy.parameters, self.version)
