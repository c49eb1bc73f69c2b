"""Several migrations over one link, simulated together (Eq T2)."""

from __future__ import annotations

from collections.abc import Sequence

from migmodel.sim.migration import Migration, Process

_SAME = 1e-3  # relative: a share that changes by less is left as it is


class SharedLink:
    """A link that all running migrations share max-min fairly.

    One that its max-bandwidth keeps below an equal share leaves the rest to the others.

    Parameters
    ----------
    bytes_per_s : float
        What the link carries for all of them.
    migrations : sequence of Migration
        In one simulation; all begin together.
    """

    def __init__(self, bytes_per_s: float, migrations: Sequence[Migration]) -> None:
        self._bytes_per_s = bytes_per_s
        self._migrations = migrations
        self._own = [each.stream.link_bytes_per_s for each in migrations]

    def divide(self) -> None:
        """Give each running migration its share."""
        running = [
            (each, self._wanted(each, own))
            for each, own in zip(self._migrations, self._own, strict=True)
            if each.end_s is None
        ]
        left = self._bytes_per_s
        for count, (migration, wanted) in enumerate(
            sorted(running, key=lambda item: item[1])
        ):
            share = min(wanted, left / (len(running) - count))
            left -= share
            self._set(migration, share)

    def watch(self, migration: Migration) -> Process:
        """Divide the link anew when this migration has ended."""
        assert migration.process is not None
        yield migration.process
        self.divide()

    @staticmethod
    def _wanted(migration: Migration, own: float) -> float:
        limit = migration.settings.number("max-bandwidth")
        return min(own, float(limit)) if limit else own

    @staticmethod
    def _set(migration: Migration, share: float) -> None:
        stream = migration.stream
        if abs(stream.link_bytes_per_s - share) <= _SAME * share:
            return
        migration.drop_plan()
        stream.link_bytes_per_s = share
        if migration.env.now > 0:
            migration.poke()
