"""Recordings made by hand: a migration whose every moment is known."""

from __future__ import annotations

from typing import Any

from migmodel.records import Guest, Policy, Raw, Scenario, Workload
from migmodel.units import MIB

STARTED_S = 1000.0  # monotonic
REALTIME_OFFSET_S = 1.7e9
GUEST_ZERO_S = 990.0  # monotonic time of the guest's zero
TOTAL = 64 * MIB


def scenario(**policy: Any) -> Scenario:
    return Scenario(
        guest=Guest(ram_bytes=TOTAL),
        workload=Workload(working_set_bytes=16 * MIB),
        policy=Policy(**policy),
    )


def event(at_s: float, side: str, name: str, **data: Any) -> list[Any]:
    """An event at a time on the Trace's clock; it arrives 20 ms late."""
    seconds, fraction = divmod(STARTED_S + REALTIME_OFFSET_S + at_s, 1)
    stamp = {"seconds": int(seconds), "microseconds": round(fraction * 1e6)}
    body = {"event": name, "data": data, "timestamp": stamp}
    return [STARTED_S + at_s + 0.02, side, body]


def query(at_s: float, status: str, **fields: Any) -> list[Any]:
    ram_names = ("transferred", "remaining", "dirty-sync-count", "normal", "duplicate")
    ram = {name: fields.pop(name.replace("-", "_"), 0) for name in ram_names}
    ram |= {"total": TOTAL, "dirty-pages-rate": 0, "postcopy-requests": 4}
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    reply = {"status": status, "ram": ram, **named}
    return [STARTED_S + at_s - 0.001, STARTED_S + at_s, reply]


def unit(
    at_s: float,
    blackout_s: float = 0.0,
    *,
    cpu: int = 0,
    late_s: float = 0.0,
    gap_ns: int = 1000,
    bad: int = 0,
) -> list[Any]:
    """A line of 0.1 s of work, printed at a time on the Trace's clock.

    The guest's clock has stood still for `blackout_s` by then.
    """
    t_ns = round((STARTED_S + at_s - GUEST_ZERO_S - blackout_s) * 1e9)
    line = (
        f"migstress unit cpu={cpu} t_ns={t_ns} dt_ns=100000000 pages=50 "
        f"gap_ns={gap_ns} bad={bad} sweeps=3"
    )
    return [STARTED_S + at_s + late_s, line]


def completed(**changes: Any) -> Raw:
    """Three passes, stopped at 2.0 s, running again at 2.25 s, completed at 2.2 s."""
    parts: dict[str, Any] = {
        "started_s": STARTED_S,
        "realtime_offset_s": REALTIME_OFFSET_S,
        "events": [
            event(0.001, "source", "MIGRATION", status="active"),
            event(0.002, "source", "MIGRATION_PASS", **{"pass": 1}),
            event(1.5, "source", "MIGRATION_PASS", **{"pass": 2}),
            event(2.0, "source", "STOP"),
            event(2.01, "source", "MIGRATION_PASS", **{"pass": 3}),
            event(2.2, "source", "MIGRATION", status="completed"),
            event(2.25, "destination", "RESUME"),
        ],
        "queries": [
            query(0.5, "active", transferred=20e6, remaining=40e6, dirty_sync_count=1),
            query(1.0, "active", transferred=40e6, remaining=20e6, dirty_sync_count=1),
            query(1.6, "active", transferred=64e6, remaining=8e6, dirty_sync_count=2),
            query(
                2.21,
                "completed",
                transferred=80e6,
                dirty_sync_count=3,
                total_time=2203,
                setup_time=2,
                downtime=180,
            ),
        ],
        "source_console": [unit(at / 10, late_s=0.003) for at in range(-9, 18)]
        + [unit(1.8, late_s=0.0), unit(1.95, late_s=0.01)],
        # The first unit began at 1.95 s, had 0.05 s before the stop and 0.05 s after.
        "destination_console": [
            unit(2.3 + at / 10, 0.25, late_s=0.002 * bool(at - 1)) for at in range(8)
        ],
        "cpu_samples": [
            [STARTED_S + at, side, {"process": 2.0 * at + 10, "CPU 0/TCG": at + 5}]
            for at in (-0.5, 0.0, 1.0, 2.2, 3.0)
            for side in ("source", "destination")
        ],
    }
    return Raw(**{**parts, **changes})
