"""Whether a run may be compared with and fitted to, and if not, why."""

from __future__ import annotations

from itertools import pairwise

from migmodel.qemu.guest import REPORT_MS
from migmodel.qemu.outage import paused_s
from migmodel.qemu.speed import guest_story, unit_lines
from migmodel.qemu.story import Story
from migmodel.records.console import ErrorLine, parse_line
from migmodel.records.measurement import Raw
from migmodel.records.scenario import UNRECOVERED
from migmodel.records.trace import Trace
from migmodel.units import MS_PER_S

_LONGEST_SILENCE_S = max(1.0, 10 * REPORT_MS / MS_PER_S)
_THROTTLE_SLICE_S = 0.010  # QEMU migration/cpu-throttle.c: run time between sleeps


def problems(raw: Raw, trace: Trace) -> list[str]:
    """What makes a run useless: a broken QEMU, a guest that is silent or corrupted."""
    found = []
    if trace.outcome.verdict == "failed" and trace.outcome.reason != UNRECOVERED:
        found.append(trace.outcome.reason)
    guest = guest_story(raw, Story(raw))
    if guest.bad_pages:
        found.append(
            f"the guest found {guest.bad_pages} pages that did not hold what was "
            "written last"
        )
    for console in (raw.source_console, raw.destination_console):
        lines = (parse_line(text) for _, text in console)
        found += [f"the guest: {it.text}" for it in lines if isinstance(it, ErrorLine)]
    return found + _silences(raw, trace)


def _silences(raw: Raw, trace: Trace) -> list[str]:
    """Stretches in which the guest should have printed and did not."""
    source, destination = ([at for at, _ in lines] for lines in unit_lines(raw))
    phases, found = trace.phases, []
    stopped_s = phases.end_s if phases.stop_s is None else phases.stop_s
    allowed_s = _LONGEST_SILENCE_S + _longest_sleep_s(trace)
    here = [at for at in source if at <= stopped_s]
    silence = _silence([*here, stopped_s], allowed_s)
    if trace.outcome.verdict != "failed" and silence:
        found.append(f"the guest stopped printing on the source {silence}")
    if phases.resume_s is None or trace.outcome.reason == UNRECOVERED:
        return found
    if not destination:
        found.append("the guest never printed on the destination")
        return found
    allowed_s = _LONGEST_SILENCE_S + paused_s(trace)
    silence = _silence([phases.resume_s, *destination], allowed_s)
    if silence:
        found.append(f"the guest stopped printing on the destination {silence}")
    return found


def _silence(times_s: list[float], allowed_s: float) -> str | None:
    for before, after in pairwise(times_s):
        if after - before > allowed_s:
            return f"for {after - before:.1f} s, {before:.1f} s after the start"
    return None


def _longest_sleep_s(trace: Trace) -> float:
    share = max(trace.progress.throttle_percent, default=0.0) / 100.0
    return _THROTTLE_SLICE_S * share / (1.0 - share) if share < 1.0 else 0.0
