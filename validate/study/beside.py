"""Findings that need runs beside the study's cells: F17 and F18."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from migmodel.errors import InputError
from migmodel.guestperf.report import GuestperfScenario
from migmodel.guestperf.scenarios import scenario_of
from migmodel.records import Scenario, Trace
from migmodel.records.scenario import Outage
from migmodel.sim.simulate import simulate_profile
from migmodel.units import PAGE_BYTES

from .cell_set import Cells, Missing
from .cells import GUESTS, LINKS, QEMU, TEN_GBE_BYTES_PER_S, study_profile

PACE = 0.7  # of the link: less than all of it, more than a half


def f17(cells: Cells) -> tuple[bool, str]:  # noqa: ARG001
    """Two guests in parallel share the link, so neither may complete."""
    whole = _remote(GuestperfScenario(name="plain", downtime=100), "10.0")
    rate = PACE * TEN_GBE_BYTES_PER_S / PAGE_BYTES
    whole = msgspec.structs.replace(
        whole, workload=msgspec.structs.replace(whole.workload, rate_pps=rate)
    )
    link = msgspec.structs.replace(
        whole.link, bandwidth_bytes_per_s=TEN_GBE_BYTES_PER_S / 2
    )
    half = msgspec.structs.replace(whole, link=link)
    alone, shared = (_run(it).outcome for it in (whole, half))
    ok = alone.verdict == "completed" and shared.verdict != "completed"
    return ok, (
        f"a guest that writes {PACE:.0%} of the link's speed: alone {alone.verdict}, "
        f"with half of the link {shared.verdict}"
    )


def f18(cells: Cells) -> tuple[bool, str]:  # noqa: ARG001
    """Losing the network in post-copy loses the guest; later QEMU recovers."""
    tried = GuestperfScenario(name="outage", post_copy=True, bandwidth=125)
    old = _broken(tried, QEMU, Outage(at_s=0.5))
    new = _broken(tried, "10.0", Outage(at_s=0.5, recovered_after_s=5.0))
    ends = [_run(it).outcome.verdict for it in (old, new)]
    return ends == ["failed", "completed"], (
        f"QEMU {QEMU}: {ends[0]}; QEMU 10.0, recovered after 5 s: {ends[1]}"
    )


def _broken(tried: GuestperfScenario, version: str, outage: Outage) -> Scenario:
    scenario = _remote(tried, version)
    link = msgspec.structs.replace(scenario.link, outage=outage)
    return msgspec.structs.replace(scenario, link=link)


def _remote(tried: GuestperfScenario, version: str) -> Scenario:
    scenario = scenario_of(tried, GUESTS["1cpu-1gb"], qemu_version=version)
    return msgspec.structs.replace(scenario, link=LINKS["tcp-remote"])


def _run(scenario: Scenario) -> Trace:
    try:
        return simulate_profile(scenario, study_profile())
    except InputError as error:
        raise Missing(str(error)) from None


BESIDE: dict[str, Callable[[Cells], tuple[bool, str]]] = {"F17": f17, "F18": f18}
