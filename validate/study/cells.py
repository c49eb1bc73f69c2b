"""The study's 264 cells: 8 tables of 33, and the host that they are predicted on.

Source: D. Berrangé, "Analysis of techniques for ensuring migration completion with
KVM", 12 May 2016. guestperf's own values stand for its bandwidths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files

import msgspec

from migmodel.analysis.predict import quantities_of
from migmodel.analysis.profiles import load_profile
from migmodel.errors import InputError
from migmodel.guestperf.batch import BANDWIDTHS, comparisons
from migmodel.guestperf.report import GuestperfScenario, Hardware
from migmodel.guestperf.scenarios import scenario_of
from migmodel.records import HostProfile, Link, Parameter, Policy, Scenario, Trace
from migmodel.sim.simulate import simulate_profile
from migmodel.units import MS_PER_S

from ..tables import Assumed

QEMU = "2.6"
# Frames as TCP's share counts them: 1514 bytes of the 1538 that one takes on the wire.
TEN_GBE_BYTES_PER_S = 1.25e9 * 1514 / 1538
# RoCE at the largest path MTU that Ethernet's 1500 bytes leave room for: 1024 bytes,
# and 94 of preamble, Ethernet, GRH, BTH, checksums and gap around them. Assumed: the
# study names neither protocol nor MTU.
ROCE_BYTES_PER_S = 1.25e9 * 1024 / 1118
# guestperf gives seconds / 1024 for its milliseconds (engine.py, migrate_set_downtime).
DOWNTIME_MS_PER_S = 1024
LINKS = {
    "unix": Link(transport="unix", scope="same-host"),
    "tcp-local": Link(transport="tcp", scope="same-host"),
    "tcp-remote": Link(
        transport="tcp",
        scope="two-hosts",
        bandwidth_bytes_per_s=TEN_GBE_BYTES_PER_S,
        rtt_s=1e-4,
    ),
    "rdma-remote": Link(
        transport="rdma",
        scope="two-hosts",
        bandwidth_bytes_per_s=ROCE_BYTES_PER_S,
        rtt_s=1e-4,
    ),
}
GUESTS = {"1cpu-1gb": Hardware(cpus=1, mem=1), "4cpu-8gb": Hardware(cpus=4, mem=8)}
_GROUPS = (
    "pause-iters",
    "post-copy-iters",
    "post-copy-bandwidth",
    "auto-converge-iters",
    "auto-converge-bandwidth",
    "compr-mt",
    "compr-xbzrle",
)


class _Host(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    host_cpus: int
    parameters: dict[str, Assumed]


@dataclass(frozen=True)
class Cell:
    """One cell: what was tried, and what the model makes of it.

    Attributes
    ----------
    trace : Trace or None
        None where QEMU 2.6 or the simulator refuses it; `refused` says why.
    """

    guest: str
    link: str
    name: str
    scenario: Scenario | None
    trace: Trace | None
    refused: str = ""

    @cached_property
    def quantities(self) -> dict[str, float | None]:
        """The numbers of its Trace."""
        return {} if self.trace is None else quantities_of(self.trace)

    @property
    def completed(self) -> bool:
        """Whether the migration ended by itself."""
        return self.trace is not None and self.trace.outcome.verdict == "completed"


def study_profile() -> HostProfile:
    """The study's hosts; each value says whether it is stated, derived or assumed."""
    text = (files("migmodel.validate.study") / "hosts.toml").read_bytes()
    host = msgspec.toml.decode(text, type=_Host)
    base = load_profile()
    known = {
        name: Parameter(value=it.value, source=it.source)
        for name, it in host.parameters.items()
    }
    return msgspec.structs.replace(
        base,
        name="study-2016",
        host_cpus=host.host_cpus,
        description="The hosts of the 2016 study. Not validated on hardware.",
        parameters={**base.parameters, **known},
    )


def tried() -> list[GuestperfScenario]:
    """The 33 scenarios of a table."""
    known = comparisons()
    found = [it for group in _GROUPS for it in known[group]]
    pauses = [
        GuestperfScenario(name=f"pause-bw-{word}", pause=True, bandwidth=rate)
        for word, rate in BANDWIDTHS.items()
    ]
    return found[:4] + pauses + found[4:]


def run_cells() -> Iterator[Cell]:
    """Predict all cells, table by table."""
    profile = study_profile()
    for guest, hardware in GUESTS.items():
        for link in LINKS:
            for scenario in tried():
                yield run_cell(guest, hardware, link, scenario, profile)


def run_cell(
    guest: str,
    hardware: Hardware,
    link: str,
    scenario: GuestperfScenario,
    profile: HostProfile,
) -> Cell:
    """Predict one cell: the nominal run under QEMU 2.6's rules."""
    name = scenario.name
    try:
        described = scenario_of(scenario, hardware, qemu_version=QEMU)
        described = msgspec.structs.replace(
            described, link=LINKS[link], policy=_with_true_downtime(described.policy)
        )
        trace = simulate_profile(described, profile)
    except InputError as error:
        return Cell(guest, link, name, None, None, str(error))
    return Cell(guest, link, name, described, trace)


def _with_true_downtime(policy: Policy) -> Policy:
    """The downtime limit that guestperf's seconds come to, in whole milliseconds."""
    limit_s = policy.downtime_limit_s * MS_PER_S / DOWNTIME_MS_PER_S
    parameters = {**policy.parameters, "downtime-limit": round(limit_s * MS_PER_S)}
    return msgspec.structs.replace(policy, parameters=parameters)
