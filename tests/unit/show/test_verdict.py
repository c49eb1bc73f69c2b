from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from migmodel.analysis.suggestions import Suggestion
from migmodel.records import HostProfile, Prediction, Round, Scenario, Trace
from migmodel.show.verdict import describe, profile_text, verdict_text
from migmodel.units import GIB

MakePrediction = Callable[..., Prediction]
MakeScenario = Callable[..., Scenario]


def flat(text: str) -> str:
    """A text without its line breaks and columns."""
    return " ".join(text.split())


@pytest.mark.parametrize(
    ("made", "words"),
    [
        (
            {"total_time_s": 300.0, "downtime_stop_resume_s": 0.25},
            "It completes in 5.0 min, the guest stopped for 250 ms.",
        ),
        ({}, "It completes."),
        ({"verdict": "never"}, "It never completes, as is certain after 60 s"),
        (
            {"verdict": "cancelled", "reason": "time limit of 60 s reached"},
            "cancelled after 60 s. Why: time limit of 60 s reached.",
        ),
        ({"verdict": "failed", "reason": "no way"}, "It fails. Why: no way."),
        (
            {"probability": 0.62, "draws": 50, "total_time_s": 60.0},
            "It completes in 62 % of the draws, in 60 s. Nominal run, completed:",
        ),
        (
            {"verdict": "never", "probability": 0.1, "draws": 50, "reason": "so"},
            "It completes in 10 % of the draws. Nominal run, never: so.",
        ),
    ],
)
def test_the_verdict_says_whether_and_why(
    made: dict[str, Any],
    words: str,
    make_prediction: MakePrediction,
    profile: HostProfile,
) -> None:
    assert words in flat(verdict_text(make_prediction(**made), profile, []))


def test_quantities_have_units_and_intervals(
    make_prediction: MakePrediction, profile: HostProfile
) -> None:
    prediction = make_prediction(
        draws=64,
        total_time_s=(50.0, 60.0, 75.0),
        downtime_stop_resume_s=(0.5, 0.9, 1.5),
        bytes_sent=(8.0 * GIB, 9.0 * GIB, 10.0 * GIB),
        passes=(7, 7, 7),
        peak_throttle_percent=99,
        guest_before_ms_per_gib=(40.0, 50.0, 60.0),
        guest_worst_ms_per_gib=(400.0, 500.0, 600.0),
        source_extra_memory_bytes=65536,
    )
    lines = [flat(line) for line in verdict_text(prediction, profile, []).splitlines()]
    for line in (
        "total time 60 s 50 to 75 s",
        "downtime, stop to resume 900 ms 500 ms to 1.5 s",
        "data sent 9 GiB 8 to 10 GiB",
        "passes over RAM 7",
        "peak throttle 99 %",
        "at its worst 500 ms/GiB 400 to 600 ms/GiB 10 x before",
        "extra memory, source 64 KiB",
    ):
        assert line in lines
    assert not any(line.startswith("post-copy page requests") for line in lines)


def test_post_copy_tells_how_faults_waited(
    make_prediction: MakePrediction, profile: HostProfile
) -> None:
    prediction = make_prediction(
        draws=64,
        fault_latency_p50_s=(0.0019, 0.002, 0.0022),
        fault_latency_p90_s=0.05,
        fault_latency_p99_s=0.1,
        postcopy_blocktime_s=(1.5, 1.6, 1.7),
    )
    lines = [flat(line) for line in verdict_text(prediction, profile, []).splitlines()]
    for line in (
        "fault latency, median 2 ms 1.9 to 2.2 ms",
        "90th percentile 50 ms",
        "99th percentile 100 ms",
        "blocktime, all vCPUs 1.6 s 1.5 to 1.7 s",
    ):
        assert line in lines
    precopy = verdict_text(make_prediction(total_time_s=60.0), profile, [])
    assert not any(word in precopy for word in ("fault", "percentile", "blocktime"))


@pytest.mark.parametrize(
    ("each_s", "draws", "words"),
    [
        ([1.5], 0, None),
        ([1.5, 1.75], 0, "1.5, 1.75 s"),
        ([0.9, 1.5, 0.0], 64, "900 ms, 1.5 s, 0 ms nominal run"),
        ([1.5, 1.75, 1.25, 1.5, 1.5], 0, "1.25 to 1.75 s"),
    ],
)
def test_several_vcpus_have_a_blocktime_each(
    each_s: list[float],
    draws: int,
    words: str | None,
    make_prediction: MakePrediction,
    make_trace: Callable[..., Trace],
    profile: HostProfile,
) -> None:
    prediction = msgspec.structs.replace(
        make_prediction(draws=draws, postcopy_blocktime_s=0.5),
        trace=make_trace(postcopy_vcpu_blocktime_s=each_s),
    )
    lines = [flat(line) for line in verdict_text(prediction, profile, []).splitlines()]
    found = [line for line in lines if line.startswith("blocktime by vCPU")]
    assert found == ([] if words is None else [f"blocktime by vCPU {words}"])


def test_a_nominal_run_claims_no_interval(
    make_prediction: MakePrediction, profile: HostProfile
) -> None:
    text = verdict_text(make_prediction(total_time_s=60.0), profile, [])
    assert "interval" not in text
    assert " to 60" not in text


def test_an_uncalibrated_profile_is_called_a_guess(profile: HostProfile) -> None:
    text = profile_text(profile)
    assert "not validated on hardware" in text
    assert "migmodel calibrate" in text
    fitted = msgspec.structs.replace(profile, kind="fitted")
    assert "guess" not in profile_text(fitted)


def test_suggestions_say_what_to_type_and_what_it_gives(
    make_prediction: MakePrediction, profile: HostProfile
) -> None:
    better = make_prediction(
        total_time_s=80.0, downtime_stop_resume_s=0.06, guest_slow_s=12.0
    )
    text = verdict_text(
        make_prediction(verdict="never"),
        profile,
        [
            Suggestion("--policy postcopy --after 1", better),
            Suggestion("--downtime 5s", better),
        ],
    )
    promise = "completes in 80 s, stopped 60 ms, slow for 12 s"
    assert f"--policy postcopy --after 1 {promise}" in flat(text)
    assert f"--downtime 5s {promise}" in flat(text)
    assert "the guest is lost" in flat(text), "the risk of post-copy is told"


def test_what_nothing_helps_is_told(
    make_prediction: MakePrediction, profile: HostProfile
) -> None:
    assert "No single change" in verdict_text(
        make_prediction(verdict="never"), profile, []
    )


def test_lines_fit_a_terminal_and_units_stay_with_their_numbers(
    make_prediction: MakePrediction, profile: HostProfile
) -> None:
    prediction = msgspec.structs.replace(
        make_prediction(total_time_s=60.0),
        assumptions=[f"assumption number {i} of 300 ms" for i in range(20)],
    )
    lines = verdict_text(prediction, profile, []).splitlines()
    assert max(map(len, lines)) <= 88
    assert not any(line.strip().startswith(("ms", "Gbit/s", "GiB")) for line in lines)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ({}, "plain pre-copy, max-bandwidth 1.074 Gbit/s, downtime-limit 300 ms"),
        ({"technique": "pause", "after_passes": 3}, "pause after 3 passes"),
        ({"parameters": {"max-bandwidth": 0}}, "max-bandwidth unlimited"),
    ],
)
def test_a_scenario_is_described(
    policy: dict[str, Any], words: str, make_scenario: MakeScenario
) -> None:
    text = flat(describe(make_scenario(**policy)))
    assert text.startswith("8 GiB guest, 1 vCPU, rewriting 8 GiB at full speed, ")
    assert words in text


def test_random_writes_are_described(make_scenario: MakeScenario) -> None:
    scenario = make_scenario()
    workload = msgspec.structs.replace(scenario.workload, pattern="random")
    text = flat(describe(msgspec.structs.replace(scenario, workload=workload)))
    assert "rewriting 8 GiB at random at full speed" in text


def test_why_it_never_completes_is_put_in_numbers(
    make_prediction: MakePrediction, profile: HostProfile
) -> None:
    never = make_prediction(verdict="never")
    last = Round(
        index=16,
        start_s=0.0,
        end_s=8.0,
        pending_bytes=8.0 * GIB,
        sent_bytes=1e9,
    )
    trace = msgspec.structs.replace(never.trace, rounds=[last])
    never = msgspec.structs.replace(never, trace=trace)
    assert (
        "leaves 8 GiB to send again in every pass, of which 1 Gbit/s carries 35.8 MiB "
        "within the downtime limit of 300 ms"
    ) in flat(verdict_text(never, profile, []))


def test_no_downtime_at_all_lets_nothing_fit(
    make_prediction: MakePrediction, make_scenario: MakeScenario, profile: HostProfile
) -> None:
    """QEMU then stops the guest at the end of a pass, however much is left."""
    scenario = make_scenario(parameters={"downtime-limit": 0})
    text = flat(verdict_text(make_prediction(scenario), profile, []))
    assert "stops the guest at the end of a pass, whatever it wrote meanwhile" in text
    assert "fits" not in text
