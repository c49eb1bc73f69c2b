"""What of each host's hardware a side is given, and how."""

from __future__ import annotations

from migmodel.records.base import Record
from migmodel.records.checks import require

Numbers = tuple[int, ...]


class Hardware(Record, frozen=True, kw_only=True):
    """Binding and memory of both sides, as guestperf has them.

    It belongs to how a host is set up, as its profile does, not to the migration: a
    prediction takes it from a profile that was calibrated with the same. Huge pages and
    the dirty ring are the Guest's.

    Parameters
    ----------
    source_cpus, destination_cpus : tuple of int or None
        Host CPUs that all threads of that side's QEMU may run on; None is all.
    source_memory_nodes, destination_memory_nodes : tuple of int or None
        NUMA nodes that that side's guest RAM comes from; None is any.
    prealloc : bool
        Guest RAM is all there before the guest starts.
    locked : bool
        All memory of QEMU is locked.
    """

    source_cpus: Numbers | None = None
    destination_cpus: Numbers | None = None
    source_memory_nodes: Numbers | None = None
    destination_memory_nodes: Numbers | None = None
    prealloc: bool = False
    locked: bool = False

    def __post_init__(self) -> None:
        for name, numbers in (
            ("CPUs of the source", self.source_cpus),
            ("CPUs of the destination", self.destination_cpus),
            ("memory nodes of the source", self.source_memory_nodes),
            ("memory nodes of the destination", self.destination_memory_nodes),
        ):
            if numbers is None:
                continue
            require(bool(numbers), f"{name}: none is named")
            require(
                min(numbers) >= 0 and len(set(numbers)) == len(numbers),
                f"{name}: each is a number from 0 on, named once",
            )

    def cpus(self, side: str) -> Numbers | None:
        """Host CPUs of one side."""
        return self.source_cpus if side == "source" else self.destination_cpus

    def memory_nodes(self, side: str) -> Numbers | None:
        """NUMA nodes of one side."""
        if side == "source":
            return self.source_memory_nodes
        return self.destination_memory_nodes

    @property
    def binds_memory(self) -> bool:
        """Whether a side's RAM comes from chosen nodes."""
        return (
            self.source_memory_nodes is not None
            or self.destination_memory_nodes is not None
        )
