from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from migmodel.analysis.predict import predict
from migmodel.analysis.profiles import load_profile
from migmodel.analysis.runs import facts_from, read_any, read_run
from migmodel.errors import RecordError
from migmodel.guestperf.hardware import given_of
from migmodel.guestperf.reading import measurement_of
from migmodel.guestperf.report import Hardware as Block
from migmodel.guestperf.report import parse_report, read_report, write_report
from migmodel.guestperf.writing import report_of
from migmodel.records import (
    Guest,
    Limits,
    Link,
    Measurement,
    Policy,
    Prediction,
    Scenario,
    Workload,
)
from migmodel.records.files import read_record, write_record
from migmodel.records.hardware import Hardware
from migmodel.units import MIB

GOLDEN = Path(__file__).parents[2] / "golden"
REPORT = GOLDEN / "guestperf" / "ac10-250-1.json"


@pytest.fixture(scope="module")
def prediction() -> Prediction:
    scenario = Scenario(
        name="a name",
        guest=Guest(ram_bytes=768 * MIB, vcpus=2),
        workload=Workload(working_set_bytes=512 * MIB),
        policy=Policy(
            technique="autoconverge",
            parameters={"max-bandwidth": 250 * MIB, "downtime-limit": 400},
        ),
        limits=Limits(max_time_s=60, max_iters=25),
    )
    return predict(scenario, load_profile("tcg-2core"), draws=0)


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(REPORT.read_text())
    return loaded


def plot_accepts(written: dict[str, Any]) -> None:
    """What guestperf's report.py, progress.py and plot.py take for granted."""
    for part, names in {
        "hardware": "cpus mem src_cpu_bind src_mem_bind dst_cpu_bind dst_mem_bind "
        "prealloc_pages huge_pages locked_pages dirty_ring_size",
        "scenario": "name downtime bandwidth max_iters max_time pause pause_iters "
        "post_copy post_copy_iters auto_converge auto_converge_step compression_mt "
        "compression_mt_threads compression_xbzrle compression_xbzrle_cache multifd "
        "multifd_channels multifd_compression dirty_limit x_vcpu_dirty_limit_period "
        "vcpu_dirty_limit",
    }.items():
        assert set(names.split()) == set(written[part])
    entry = "status now duration downtime downtime_expected setup_time throttle_pcent"
    limits = "dirty_limit_throttle_time_per_round dirty_limit_ring_full_time"
    ram = (
        "transferred_bytes remaining_bytes total_bytes duplicate_pages skipped_pages "
        "normal_pages normal_bytes dirty_rate_pps transfer_rate_mbs iterations"
    )
    for it in written["progress_history"]:
        assert set(f"{entry} {limits} ram".split()) == set(it)
        assert set(ram.split()) == set(it["ram"])
    for name in ("binary", "dst_host", "kernel", "initrd", "transport", "sleep"):
        assert name in written
    timings = {
        name: written[name]
        for name in ("guest_timings", "qemu_timings", "vcpu_timings")
    }
    for rows in timings.values():
        assert rows
        assert all(set(row) == {"tid", "timestamp", "value"} for row in rows)
    # its plot.py stops with a NameError otherwise
    first = timings["qemu_timings"][0]["timestamp"]
    assert first < timings["guest_timings"][0]["timestamp"]


def test_a_prediction_can_be_written_and_read_back(
    prediction: Prediction, tmp_path: Path
) -> None:
    path = tmp_path / "prediction.json"
    write_report(path, report_of(prediction))
    plot_accepts(json.loads(path.read_text()))
    run = read_run(path, load_profile("tcg-2core"))
    there, back = prediction.trace.outcome, run.trace.outcome
    assert run.scenario == prediction.scenario
    assert back.verdict == there.verdict
    assert back.total_time_s == pytest.approx(there.total_time_s, abs=0.001)
    assert back.passes == there.passes
    assert back.peak_throttle_percent == there.peak_throttle_percent
    assert back.bytes_sent == pytest.approx(there.bytes_sent, abs=1)
    assert back.vcpu_cpu_s == pytest.approx(there.vcpu_cpu_s, rel=0.03)
    # lines come once a GiB, so the last one may be cut off
    touched = sum(run.trace.guest.pages)
    assert 0 <= sum(prediction.trace.guest.pages) - touched < 2 * 262144


@pytest.mark.parametrize("name", ["autoconverge", "postcopy", "pause", "cancelled"])
def test_a_measurement_can_be_written(name: str, tmp_path: Path) -> None:
    run = read_record(GOLDEN / f"measured-{name}.json.gz", Measurement)
    write_report(tmp_path / "report.json", report_of(run))
    written = json.loads((tmp_path / "report.json").read_text())
    plot_accepts(written)
    assert written["result"]["success"] == (run.trace.outcome.verdict == "completed")
    back = read_run(tmp_path / "report.json", load_profile("tcg-2core"))
    assert back.trace.went_postcopy == run.trace.went_postcopy
    assert back.trace.outcome.verdict == run.trace.outcome.verdict


def test_every_line_is_the_time_of_a_gib(prediction: Prediction) -> None:
    before = prediction.quantities["guest_before_ms_per_gib"].nominal
    values = [line.value for line in report_of(prediction).guest_timings]
    assert before is not None
    assert min(values) >= before * 0.99, "nobody is faster than at rest"
    assert max(values) > 2 * before, "the throttle shows"


def test_old_and_wrapped_forms_are_read() -> None:
    old = document()
    for name in ("multifd", "multifd_channels"):
        del old["scenario"][name]
    for entry in old["progress_history"]:
        del entry["throttle_pcent"]
    old["guest_timings"] = {"records": old["guest_timings"]}
    report = parse_report(old)
    assert not report.scenario.multifd
    assert len(report.guest_timings) == 47


def test_new_forms_are_read() -> None:
    new = document()
    new["hardware"]["dirty_ring_size"] = 4096
    new["scenario"] |= {
        "auto_converge": False,
        "dirty_limit": True,
        "x_vcpu_dirty_limit_period": 800,
        "vcpu_dirty_limit": 20,
        "multifd_compression": "",
    }
    new["result"] = {"success": True}
    host = facts_from(load_profile("kvm-generic"))
    run = measurement_of(parse_report(new), host, "9.0")
    assert run.scenario.policy.technique == "dirtylimit"
    assert run.scenario.policy.parameters["vcpu-dirty-limit"] == 20
    assert run.scenario.guest.dirty_ring_size == 4096


def test_a_report_between_two_hosts_is_predicted_between_two_hosts() -> None:
    profile = load_profile("tcg-2core")
    remote = document() | {"dst_host": "server-b", "transport": "tcp"}
    run = measurement_of(parse_report(remote), facts_from(profile))
    here = measurement_of(
        parse_report(document() | {"transport": "tcp"}), facts_from(profile)
    )
    assert (run.scenario.link.scope, here.scenario.link.scope) == (
        "two-hosts",
        "same-host",
    )
    assert run.destination_host == run.host
    assert here.destination_host is None
    # Whatever the profile says of the two sides, the report knows better.
    both = [
        [
            predict(
                it.scenario,
                msgspec.structs.replace(profile, same_host=same_host),
                draws=0,
            ).trace.outcome
            for it in (run, here)
        ]
        for same_host in (True, False)
    ]
    assert both[0] == both[1]
    assert both[0][0] != both[0][1]


def test_bindings_and_memory_are_read_and_written(tmp_path: Path) -> None:
    given = Hardware(
        source_cpus=(0, 1, 2, 8),
        destination_memory_nodes=(1,),
        prealloc=True,
        locked=True,
    )
    run = msgspec.structs.replace(
        read_record(GOLDEN / "measured-precopy.json.gz", Measurement), hardware=given
    )
    write_report(tmp_path / "report.json", report_of(run))
    block = json.loads((tmp_path / "report.json").read_text())["hardware"]
    assert block["src_cpu_bind"] == ["0", "1", "2", "8"]
    assert block["dst_cpu_bind"] == []
    back = read_run(tmp_path / "report.json", load_profile("tcg-2core"))
    assert back.hardware == given


def test_guestperfs_own_bindings_are_read() -> None:
    block = document()["hardware"] | {
        "src_cpu_bind": ["0-2", "2", "8"],
        "dst_cpu_bind": ["+0-1"],
        "src_mem_bind": None,
        "dst_mem_bind": ["0"],
        "locked_pages": "yes",
        "huge_pages": "",
    }
    given = given_of(parse_report(document() | {"hardware": block}).hardware)
    assert given.source_cpus == (0, 1, 2, 8)
    assert given.destination_cpus is None, "of which set they count is not said"
    assert given.source_memory_nodes is None
    assert given.destination_memory_nodes == (0,)
    assert given.locked
    assert not given.prealloc
    endless = Block(src_cpu_bind=["0-999999999999"])
    assert given_of(endless).source_cpus is None


@pytest.mark.parametrize(
    ("link", "name", "written"),
    [
        (Link(), None, "localhost"),
        (Link(), "server-b", "localhost"),
        (Link(transport="tcp", scope="two-hosts"), "server-b", "server-b"),
        (Link(transport="tcp", scope="two-hosts"), None, "destination"),
    ],
)
def test_the_destination_is_written_as_guestperf_names_it(
    prediction: Prediction, link: Link, name: str | None, written: str
) -> None:
    scenario = msgspec.structs.replace(prediction.scenario, link=link)
    placed = msgspec.structs.replace(prediction, scenario=scenario)
    report = report_of(placed, name)
    assert report.dst_host == written
    back = measurement_of(report, facts_from(load_profile("tcg-2core")))
    assert back.scenario == scenario
    # and without our own note of the scenario
    foreign = msgspec.structs.replace(report, migmodel={})
    scope = measurement_of(foreign, back.host).scenario.link.scope
    assert scope == ("same-host" if written == "localhost" else "two-hosts")


def test_a_run_that_was_cut_off_is_cancelled() -> None:
    cut = document()
    cut["progress_history"][-1]["status"] = "cancelled"
    cut["progress_history"][-1]["ram"]["iterations"] = 31
    run = measurement_of(parse_report(cut), facts_from(load_profile("tcg-2core")))
    assert run.trace.outcome.verdict == "cancelled"
    assert "30 passes" in run.trace.outcome.reason
    assert run.trace.phases.resume_s is None


def test_a_failed_or_silent_run_is_not_fit_for_comparing() -> None:
    failed = document()
    failed["progress_history"][-1]["status"] = "failed"
    failed["guest_timings"] = []
    run = measurement_of(parse_report(failed), facts_from(load_profile("tcg-2core")))
    assert not run.valid
    assert len(run.problems) == 2


EMPTY = '"scenario": {}, "progress_history": [], "guest_timings": []}'


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "not JSON"),
        ("[]", "no guestperf report"),
        ('{"hardware": {}}', "lacks progress_history"),
        ('{"hardware": {}, ' + EMPTY, "no progress"),
        ('{"hardware": {"cpus": "two"}, ' + EMPTY, "no valid"),
    ],
)
def test_what_is_no_report_is_refused(text: str, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(RecordError, match=reason):
        read_report(path)


def test_any_file_of_a_run_is_told_by_its_content(
    prediction: Prediction, tmp_path: Path
) -> None:
    profile = load_profile("tcg-2core")
    path = tmp_path / "it.json.gz"
    write_record(path, prediction)
    assert read_any(path, profile) == prediction
    with pytest.raises(RecordError, match="nothing was measured"):
        read_run(path, profile)
    measured = GOLDEN / "measured-pause.json.gz"
    assert read_any(measured, profile) == read_record(measured, Measurement)
    other = tmp_path / "other.json"
    other.write_text("{}")
    with pytest.raises(RecordError, match="neither"):
        read_any(other, profile)
