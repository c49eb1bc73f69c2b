"""A prediction as a text that a person can act on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from migmodel.analysis.suggestions import Suggestion, completes, nominal
from migmodel.analysis.why import why
from migmodel.records.prediction import Interval, Prediction
from migmodel.records.profile import HostProfile
from migmodel.records.scenario import Scenario
from migmodel.show.tables import aligned, wrapped
from migmodel.units import format_bandwidth, format_bytes, format_duration

MARGIN = 10
POSTCOPY_RISK = (
    "if the link or the destination fails after the switch, the guest is lost"
)

NOTHING_HELPS = (
    "No single change of policy, downtime limit, bandwidth or time limit makes it "
    "complete."
)


def _percent(value: float) -> str:
    return f"{value:.0f} %"


def _count(value: float) -> str:
    return f"{value:.0f}"


def _speed(value: float) -> str:
    digits = f"{value:.0f}" if value >= 100 else f"{value:.3g}"
    return f"{digits} ms/GiB"


class Row(NamedTuple):
    """One line of the table of quantities."""

    label: str
    quantity: str
    write: Callable[[float], str]


_BLOCKTIME = "postcopy_blocktime_s"
ROWS: tuple[Row, ...] = (
    Row("total time", "total_time_s", format_duration),
    Row("downtime, stop to resume", "downtime_stop_resume_s", format_duration),
    Row("  as QEMU reports it", "downtime_reported_s", format_duration),
    Row("  as the guest feels it", "downtime_guest_s", format_duration),
    Row("data sent", "bytes_sent", format_bytes),
    Row("passes over RAM", "passes", _count),
    Row("peak throttle", "peak_throttle_percent", _percent),
    Row("post-copy page requests", "postcopy_requests", _count),
    Row("  fault latency, median", "fault_latency_p50_s", format_duration),
    Row("  90th percentile", "fault_latency_p90_s", format_duration),
    Row("  99th percentile", "fault_latency_p99_s", format_duration),
    Row("  blocktime, all vCPUs", _BLOCKTIME, format_duration),
    Row("guest before", "guest_before_ms_per_gib", _speed),
    Row("  while migrating, mean", "guest_precopy_ms_per_gib", _speed),
    Row("  in post-copy, mean", "guest_postcopy_ms_per_gib", _speed),
    Row("  at its worst", "guest_worst_ms_per_gib", _speed),
    Row("  below half speed for", "guest_slow_s", format_duration),
    Row("host CPU, source", "source_cpu_s", format_duration),
    Row("  destination", "destination_cpu_s", format_duration),
    Row("  vCPUs of the guest", "vcpu_cpu_s", format_duration),
    Row("extra memory, source", "source_extra_memory_bytes", format_bytes),
    Row("  destination", "destination_extra_memory_bytes", format_bytes),
)
_COMPARED = (
    "guest_precopy_ms_per_gib",
    "guest_postcopy_ms_per_gib",
    "guest_worst_ms_per_gib",
)
_LISTED_VCPUS = 4  # each by itself; of more, the least and the most


def verdict_text(
    prediction: Prediction, profile: HostProfile, suggestions: Sequence[Suggestion]
) -> str:
    """Write a prediction for a person.

    Parameters
    ----------
    prediction : Prediction
        With or without draws.
    profile : HostProfile
        The profile that it was made with.
    suggestions : sequence of Suggestion
        Alternatives that help.

    Returns
    -------
    str
        Lines of at most 88 columns, without a newline at the end.
    """
    parts = [
        describe(prediction.scenario),
        "",
        *_verdict(prediction),
        "",
        *_table(prediction),
        "",
        *_paragraph("profile", [profile_text(profile)]),
    ]
    if prediction.assumptions:
        parts += _paragraph("assumed", prediction.assumptions)
    if suggestions:
        parts += ["", *_suggestions(suggestions)]
    elif not completes(prediction):
        parts += ["", NOTHING_HELPS]
    return "\n".join(parts)


def describe(scenario: Scenario) -> str:
    """Describe a scenario in one or two lines."""
    guest, workload, policy = scenario.guest, scenario.workload, scenario.policy
    rate, link = workload.rate_pps, scenario.link.bandwidth_bytes_per_s
    pace = "at full speed" if rate is None else f"at {rate:g} pages/s"
    where = " at random" if workload.pattern == "random" else ""
    writes = f"rewriting {format_bytes(workload.working_set_bytes)}{where} {pace}"
    parts = [
        f"{format_bytes(guest.ram_bytes)} guest",
        "1 vCPU" if guest.vcpus == 1 else f"{guest.vcpus} vCPUs",
        writes if workload.working_set_bytes else "idle",
        technique(scenario),
        f"max-bandwidth {format_bandwidth(policy.max_bandwidth_bytes_per_s)}",
        f"downtime-limit {format_duration(policy.downtime_limit_s)}",
        f"QEMU {scenario.qemu_version}",
    ]
    if link is not None:
        parts.insert(5, f"a link of {format_bandwidth(link)}")
    if workload.still_bytes:
        parts.insert(3, f"{format_bytes(workload.still_bytes)} of data left still")
    return "\n".join(wrapped(", ".join(parts)))


def profile_text(profile: HostProfile) -> str:
    """Say which profile was used and how far it can be trusted."""
    text = f"{profile.name}: {profile.kind}, {profile.accel.upper()}"
    if profile.kind == "fitted":
        return text
    return (
        f"{text}, not validated on hardware; its figures are a guess for your host "
        "until you calibrate it (migmodel calibrate --out profile.json) and give that "
        "file to --profile"
    )


def _verdict(prediction: Prediction) -> list[str]:
    outcome, end_s = prediction.trace.outcome, prediction.trace.phases.end_s
    probability = prediction.completes_probability
    divided = probability != float(completes(prediction))
    if divided:
        share = f"in {_percent(100 * probability)} of the draws"
        text = ", ".join([f"It completes {share}", *_figures(prediction)])
    elif completes(prediction):
        text = f"It completes {', '.join(_figures(prediction))}".rstrip()
    elif outcome.verdict == "never":
        text = (
            f"It never completes, as is certain after {format_duration(end_s)}; the "
            "figures are those until then"
        )
    elif outcome.verdict == "cancelled":
        text = f"It does not complete: cancelled after {format_duration(end_s)}"
    else:
        text = "It fails"
    lines = wrapped(f"{text}.")
    reason = why(prediction)
    if reason:
        lead = f"Nominal run, {outcome.verdict}: " if divided else "Why: "
        lines += wrapped(f"{lead}{reason}.")
    return lines


def _figures(prediction: Prediction) -> list[str]:
    total = _expected(prediction, "total_time_s")
    down = _expected(prediction, "downtime_stop_resume_s")
    figures = []
    if total is not None:
        figures.append(f"in {format_duration(total)}")
    if down is not None:
        figures.append(f"the guest stopped for {format_duration(down)}")
    return figures


def _expected(prediction: Prediction, name: str) -> float | None:
    interval = prediction.quantities.get(name)
    return None if interval is None else _middle(interval)


def _middle(interval: Interval) -> float | None:
    return interval.nominal if interval.median is None else interval.median


def _table(prediction: Prediction) -> list[str]:
    header = ("", "expected", "80 % interval" if prediction.draws else "", "")
    cells = [header]
    before = _expected(prediction, "guest_before_ms_per_gib")
    for row in ROWS:
        interval = prediction.quantities.get(row.quantity)
        middle = None if interval is None else _middle(interval)
        if interval is None or middle is None:
            continue
        note = ""
        if row.quantity in _COMPARED and before:
            note = f"{middle / before:.3g} x before"
        cells.append((row.label, row.write(middle), _range(interval, row.write), note))
        if row.quantity == _BLOCKTIME:
            cells += _by_vcpu(prediction)
    return aligned(cells)


def _by_vcpu(prediction: Prediction) -> list[tuple[str, str, str, str]]:
    """How long each vCPU stood still for itself: in the nominal run, undrawn."""
    each_s = prediction.trace.outcome.postcopy_vcpu_blocktime_s or []
    if len(each_s) < 2:
        return []
    if len(each_s) > _LISTED_VCPUS:
        each_s = [min(each_s), max(each_s)]
        joint = " to "
    else:
        joint = ", "
    note = "nominal run" if prediction.draws else ""
    texts = [format_duration(seconds) for seconds in each_s]
    return [("  blocktime by vCPU", _joined(texts, joint), "", note)]


def _range(interval: Interval, write: Callable[[float], str]) -> str:
    if interval.low is None or interval.high is None:
        return ""
    low, high = write(interval.low), write(interval.high)
    return "" if low == high else _joined([low, high], " to ")


def _joined(texts: Sequence[str], joint: str) -> str:
    """Numbers with their units; a unit that all have comes once, at the end."""
    units = {text.partition(" ")[2] for text in texts}
    if len(units) > 1:
        return joint.join(texts)
    return joint.join([*(text.partition(" ")[0] for text in texts[:-1]), texts[-1]])


def _paragraph(title: str, texts: Iterable[str]) -> list[str]:
    first, others = title.ljust(MARGIN), " " * MARGIN
    return wrapped("; ".join(texts), first=first, others=others)


def _suggestions(suggestions: Sequence[Suggestion]) -> list[str]:
    rows = [(f"  {item.option}", _promise(item.prediction)) for item in suggestions]
    lines = ["What would help (one change each, nominal):", *aligned(rows)]
    if any("postcopy" in item.option for item in suggestions):
        lines += wrapped(f"With post-copy: {POSTCOPY_RISK}.", first="  ", others="  ")
    return lines


def _promise(prediction: Prediction) -> str:
    parts = ["completes"]
    for name, text in (
        ("total_time_s", "in {}"),
        ("downtime_stop_resume_s", "stopped {}"),
        ("guest_slow_s", "slow for {}"),
    ):
        value = nominal(prediction, name)
        if value is not None:
            parts.append(text.format(format_duration(value)))
    return f"{parts[0]} {', '.join(parts[1:])}" if len(parts) > 1 else parts[0]


def technique(scenario: Scenario) -> str:
    """Name the technique for a person, with the pass after which it acts."""
    policy = scenario.policy
    after = policy.after_passes
    names = {
        "precopy": "plain pre-copy",
        "autoconverge": "auto-converge",
        "pause": "pause",
        "postcopy": "post-copy",
    }
    name = names.get(policy.technique, policy.technique)
    return name + ("" if after is None else f" after {after} passes")
