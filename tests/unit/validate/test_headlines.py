"""The headline figures against numbers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from migmodel.validate.baselines import BaselineResult
from migmodel.validate.compare import CPU_TOTAL, Comparison
from migmodel.validate.headline import Headline, p90
from migmodel.validate.headlines import headlines, spread
from migmodel.validate.tolerances import FULL, Tolerances

from .conftest import MakeComparison


def figure(
    comparisons: Sequence[Comparison],
    name: str,
    group: str = "all",
    tolerances: Tolerances | None = None,
) -> Headline:
    found = headlines(comparisons, tolerances or Tolerances())
    return next(it for it in found if it.name == name and it.group == group)


def timed(
    make: MakeComparison, errors: Sequence[float], **fields: object
) -> list[Comparison]:
    """Scenarios of 10 s whose predictions are off by these shares."""
    return [
        make(
            f"s{index}",
            total_time_s=((10.0, 10.0, 10.0), 0.0, 10.0 * (1 + error), 99.0),
            **fields,
        )
        for index, error in enumerate(errors)
    ]


def test_p90_is_not_exceeded_by_nine_of_ten() -> None:
    assert p90([float(value) for value in range(1, 11)]) == 9.0
    assert p90([1.0, 2.0, 3.0]) == 3.0
    assert p90([0.0] * 18 + [math.inf] * 2) == 0.0
    assert p90([0.0] * 17 + [math.inf] * 3) == math.inf


def test_total_time_in_all_and_by_technique(make_comparison: MakeComparison) -> None:
    every = [
        *timed(make_comparison, [0.01, 0.02, -0.03]),
        *timed(make_comparison, [0.30], technique="postcopy"),
    ]
    median = "total time, median error"
    assert figure(every, median).value == pytest.approx(0.025)
    assert figure(every, median).passed is True
    assert figure(every, median, "precopy").value == pytest.approx(0.02)
    assert figure(every, median, "postcopy").passed is False
    assert figure(every, "total time, p90 error").value == pytest.approx(0.30)
    assert figure(every, "total time, p90 error").passed is False


def test_a_run_that_is_cut_off_has_no_time_to_be_right_about(
    make_comparison: MakeComparison,
) -> None:
    cut = make_comparison("cut", verdicts="xxx", probability=0.0)
    every = [*timed(make_comparison, [0.01]), cut]
    assert figure(every, "total time, median error").detail == "1 scenario"


def test_wrong_verdicts_are_listed_and_spoil_the_times(
    make_comparison: MakeComparison,
) -> None:
    every = timed(make_comparison, [0.0], probability=0.0)
    verdicts = figure(every, "wrong verdicts")
    assert (verdicts.value, verdicts.passed) == (1, False)
    assert verdicts.detail.startswith("s0: predicted 0% to complete")
    assert figure(every, "total time, median error").text == "no answer"


def test_runs_that_are_missed_are_counted_and_explained(
    make_comparison: MakeComparison,
) -> None:
    def off(name: str, runs: tuple[float, ...], **more: object) -> Comparison:
        return make_comparison(name, total_time_s=(runs, 0.0, 10.0, 99.0), **more)

    name = "runs with a wrong verdict or 25% off"
    good = off("good", (9.0, 10.0, 12.0))
    far = off("far", (10.0, 10.0, 14.0))  # 10 is 29 % below 14
    assert figure([good], name, tolerances=FULL).value == 0
    missed = figure([good, far], name, tolerances=FULL)
    assert (missed.value, missed.passed) == (1, True)
    assert missed.detail == "far: 1, predicted 10.00 s, measured 10.00, 10.00, 14.00 s"
    wrong = off("wrong", (10.0, 10.0), verdicts="cc", probability=0.0)
    missed = figure([far, wrong], name, tolerances=FULL)
    assert (missed.value, missed.passed) == (3, False)
    assert "wrong: 2, predicted 0% to complete" in missed.detail
    # Where the repeats disagree and that was said, no run is wrong.
    open_ = off("open", (10.0,), verdicts="cxx", probability=0.3)
    sure = off("sure", (10.0,), verdicts="cxx", probability=0.0)
    assert figure([open_], name, tolerances=FULL).value == 0
    assert figure([sure], name, tolerances=FULL).value == 1


def test_the_full_suite_has_tolerances_of_its_own(
    make_comparison: MakeComparison,
) -> None:
    every = [
        *timed(make_comparison, [0.01] * 8),
        *timed(make_comparison, [0.07, 0.11], technique="xbzrle", qemu="11.1"),
    ]
    median, ninety = "total time, median error", "total time, p90 error"

    def passed(name: str, group: str = "all") -> bool | None:
        return figure(every, name, group, FULL).passed

    assert passed(median) is True
    assert passed(ninety) is True
    assert passed(median, "xbzrle") is False  # 9 %, where 8 are allowed
    assert passed(ninety, "xbzrle") is None
    assert passed(median, "QEMU 11.1") is None
    assert passed("valid runs") is False
    worse = [*every, *timed(make_comparison, [0.105, 0.105])]
    assert figure(worse, ninety, tolerances=FULL).passed is False
    assert figure(worse, ninety).passed is True  # the standard suite's 12 %


def test_bytes_are_judged_in_all_and_shown_by_technique_and_version(
    make_comparison: MakeComparison,
) -> None:
    every = [
        make_comparison(technique=technique, qemu=qemu, bytes_sent=((1e8,), 0, said, 0))
        for technique, qemu, said in (
            ("precopy", "10.0", 1.0e8),
            ("xbzrle", "10.0", 1.04e8),
            ("xbzrle", "11.1", 1.2e8),
        )
    ]
    name = "bytes sent, median error"
    whole = figure(every, name, tolerances=FULL)
    assert whole.value == pytest.approx(0.04)
    assert whole.passed is True
    assert figure(every, name).passed is None
    groups = {it.group: it.value for it in headlines(every, FULL) if it.name == name}
    assert groups["xbzrle"] == pytest.approx(0.12)
    assert groups["QEMU 10.0"] == pytest.approx(0.02)
    assert groups["QEMU 11.1"] == pytest.approx(0.2)


def test_the_worst_second_of_each_phase(make_comparison: MakeComparison) -> None:
    every = [make_comparison(guest_postcopy_worst_ms_per_gib=((100.0,), 0, 120.0, 0))]
    name = "guest ms/GiB, postcopy, worst second, median error"
    assert figure(every, name, tolerances=FULL).passed is False
    assert figure(every, name).passed is None


def test_passes(make_comparison: MakeComparison) -> None:
    def passes(off: float) -> Comparison:
        return make_comparison(passes=((10.0, 11.0, 12.0), 0.0, 11.0 + off, 99.0))

    share = figure([passes(2), passes(-2), passes(0), passes(0)], "passes within 2")
    assert (share.value, share.passed) == (1.0, True)
    share = figure([passes(2), passes(3), passes(0), passes(0)], "passes within 2")
    assert (share.value, share.passed) == (0.75, False)


def test_throttle_is_counted_in_the_scenarios_own_steps(
    make_comparison: MakeComparison,
) -> None:
    def throttled(off: float, increment: int) -> Comparison:
        return make_comparison(
            f"{off}/{increment}",
            technique="autoconverge",
            parameters={"cpu-throttle-increment": increment},
            peak_throttle_percent=((60.0,), 0.0, 60.0 + off, 99.0),
        )

    name, group = "peak throttle, most steps off", "autoconverge"
    assert figure([throttled(20, 20), throttled(-10, 10)], name, group).passed is True
    worst = figure([throttled(20, 10), throttled(10, 10)], name, group)
    assert (worst.value, worst.passed) == (2.0, False)


def test_downtime_may_be_off_by_the_larger_of_two(
    make_comparison: MakeComparison,
) -> None:
    def stopped(measured_s: float, off_s: float, technique: str) -> Comparison:
        return make_comparison(
            technique=technique,
            downtime_stop_resume_s=((measured_s,), 0.0, measured_s + off_s, 9.0),
        )

    every = [
        stopped(0.030, 0.018, "precopy"),  # 20 ms are allowed
        stopped(2.0, -0.27, "pause"),  # 300 ms are allowed
        stopped(0.010, 0.030, "postcopy"),  # 20 ms are allowed
    ]
    name = "downtime, STOP to RESUME, p90 error over the allowed one"
    assert figure(every, name, "pre-copy of any kind").value == pytest.approx(0.9)
    assert figure(every, name, "pause").value == pytest.approx(0.9)
    assert figure(every, name, "pause").passed is True
    assert figure(every, name, "post-copy").value == pytest.approx(1.5)
    assert figure(every, name, "post-copy").passed is False


def test_the_other_two_downtimes_decide_nothing(
    make_comparison: MakeComparison,
) -> None:
    every = [make_comparison(downtime_guest_s=((0.01,), 0.0, 5.0, 9.0))]
    name = "downtime, as the guest feels it, p90 error over the allowed one"
    found = figure(every, name, "pre-copy of any kind")
    assert found.value is not None
    assert found.value > 1
    assert found.passed is None


def test_guest_speed_and_host_cpu(make_comparison: MakeComparison) -> None:
    every = [
        make_comparison(
            guest_precopy_ms_per_gib=((100.0,), 0.0, 100.0 + off, 999.0),
            **{CPU_TOTAL: ((10.0,), 0.0, 10.0 - off / 10, 999.0)},
        )
        for off in (14.0, 16.0, 30.0)
    ]
    guest = figure(every, "guest ms/GiB, precopy, median error")
    assert guest.value == pytest.approx(0.16)
    assert guest.passed is False
    cpu = figure(every, "host CPU seconds, median error")
    assert cpu.value == pytest.approx(0.16)
    assert cpu.passed is True


def test_coverage_counts_runs_and_width_is_relative(
    make_comparison: MakeComparison,
) -> None:
    every = [
        make_comparison(total_time_s=((9.0, 10.0, 11.0, 12.0), 9.5, 10.0, 11.5)),
        make_comparison(total_time_s=((10.0, 10.0, 10.0, 20.0), 9.0, 10.0, 12.8)),
    ]
    covered = figure(every, "total time, runs within the 80 % interval")
    assert covered.value == pytest.approx(5 / 8)
    assert covered.passed is False
    width = figure(every, "total time, median width of the 80 % interval")
    assert width.value == pytest.approx(0.29)  # of 0.2 and 0.38
    assert width.passed is True


def test_the_noise_ratio_by_hand(make_comparison: MakeComparison) -> None:
    # Runs 9, 10, 11: each against the median of the other two, over 10:
    # |9 - 10.5| = 1.5, |10 - 10| = 0, |11 - 9.5| = 1.5, in shares 0.15, 0, 0.15.
    every = [make_comparison(total_time_s=((9.0, 10.0, 11.0), 8.0, 10.3, 12.0))]
    found = figure(every, "noise ratio", "bare guest")
    assert found.value == pytest.approx(0.03 / 0.15)
    assert "noise 15.0%" in found.detail
    assert "indicative: 0 have 5 repeats, 8 should" in found.detail


def test_noise_is_at_least_one_per_cent(make_comparison: MakeComparison) -> None:
    found = figure(timed(make_comparison, [0.03]), "noise ratio", "bare guest")
    assert found.value == pytest.approx(3.0)


def test_the_noise_ratio_has_a_limit_in_the_full_suite(
    make_comparison: MakeComparison,
) -> None:
    name, group = "noise ratio", "bare guest"

    def repeated(error: float) -> list[Comparison]:
        runs = (10.0,) * 5
        one = (runs, 10 * (1 - error), 10 * (1 - error), 11.0)
        return [make_comparison(verdicts="c" * 5, total_time_s=one) for _ in range(8)]

    assert figure(repeated(0.051), name, group, FULL).passed is False
    assert figure(repeated(0.049), name, group, FULL).passed is True
    assert figure(repeated(0.051), name, group).passed is None
    # Too few have repeats enough: said, not judged.
    assert figure(repeated(0.051)[:7], name, group, FULL).passed is None


def test_one_run_says_nothing_of_noise(make_comparison: MakeComparison) -> None:
    every = [make_comparison(total_time_s=((10.0,), 9.0, 10.0, 11.0))]
    names = {it.name for it in headlines(every, Tolerances())}
    assert "noise ratio" not in names


def test_baselines_must_be_beaten_on_plain_precopy_and_on_all(
    make_comparison: MakeComparison,
) -> None:
    def against(technique: str, gudkov: BaselineResult) -> Comparison:
        good = BaselineResult("completed", 10.0)
        results = {"geometric": good, "gudkov": gudkov, "cloudsim": gudkov}
        return timed(make_comparison, [0.02], technique=technique, baselines=results)[0]

    every = [
        against("precopy", BaselineResult("completed", 11.0)),
        against("autoconverge", BaselineResult("never")),
    ]
    name = "total time, median error of "
    assert figure(every, f"{name}gudkov", "plain pre-copy").value == pytest.approx(0.1)
    assert figure(every, f"{name}gudkov", "plain pre-copy").passed is True
    assert figure(every, f"{name}gudkov").text == "no answer"
    assert figure(every, f"{name}gudkov").passed is True
    assert "1 wrong verdicts of 2" in figure(every, f"{name}gudkov").detail
    # without error where we are off by 2 %: not beaten
    assert figure(every, f"{name}geometric").passed is False


@pytest.mark.parametrize("spread_seen", [0.3, 10.0])
def test_a_restless_host_loosens_nothing_beyond_twice(spread_seen: float) -> None:
    loose, standard = Tolerances().following(spread_seen), Tolerances()
    for name in ("total_time_median", "total_time_p90", "guest", "cpu"):
        assert getattr(loose, name) == pytest.approx(2 * getattr(standard, name))


def test_smoke_tolerances_follow_the_spread(make_comparison: MakeComparison) -> None:
    every = [
        make_comparison(total_time_s=((9.8, 10.0, 10.2), 8.0, 10.0, 12.0)),
        make_comparison(total_time_s=((10.0, 10.1, 10.2), 8.0, 10.0, 12.0)),
    ]
    assert spread(every) == pytest.approx(0.04)
    loose = Tolerances().following(spread(every))
    assert loose.total_time_median == pytest.approx(0.05 + 0.04)
    assert loose.total_time_p90 == pytest.approx(0.12 + 0.04)
    # One scenario's error is no median.
    assert loose.technique_median == loose.technique_p90 == loose.total_time_p90
    assert loose.downtime_s == pytest.approx(0.04)
    covered = figure(
        every, "total time, runs within the 80 % interval", tolerances=loose
    )
    assert covered.passed is None


def test_smoke_allows_a_guests_speed_its_own_spread(
    make_comparison: MakeComparison,
) -> None:
    """In post-copy the scheduler chooses: of 1000 to 4000 any may be the median."""
    speeds = ((1000.0, 2000.0, 4000.0), 500.0, 4000.0, 5000.0)
    every = [make_comparison(technique="postcopy", guest_postcopy_ms_per_gib=speeds)]
    name = "guest ms/GiB, postcopy, median error"
    assert figure(every, name).passed is False
    loose = Tolerances().following(0.0)
    assert figure(every, name, tolerances=loose).passed is True
    steady = ((2000.0, 2000.0, 2000.0), 500.0, 4000.0, 5000.0)
    every = [make_comparison(technique="postcopy", guest_postcopy_ms_per_gib=steady)]
    assert figure(every, name, tolerances=loose).passed is False
