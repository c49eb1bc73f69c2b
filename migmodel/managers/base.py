"""What a management policy is: a pure object, shown a status, answering actions."""

from __future__ import annotations

from typing import Protocol

from migmodel.records.status import Action, MigrationStatus


class Manager(Protocol):
    """A management policy, run by the simulator and by the real driver alike.

    Attributes
    ----------
    poll_interval_s : float
        How often it looks at query-migrate [s].
    deadline_s : float or None
        Elapsed time at which its answer may change although no pass has ended [s].
        Between passes and deadlines its answer depends on nothing, so the simulator
        need not ask.
    """

    poll_interval_s: float
    deadline_s: float | None

    def decide(self, status: MigrationStatus) -> list[Action]:
        """Answer a status with what is to be done now, often nothing.

        Each action is answered once: the manager remembers what it has done.
        """
        ...
