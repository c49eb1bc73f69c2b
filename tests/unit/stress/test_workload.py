"""The workload's contents and its oracle, run as an ordinary program."""

from __future__ import annotations

import itertools
import math
import subprocess
import zlib
from pathlib import Path

import pytest

from migmodel.stress.builder import COMMON, FREESTANDING, SOURCES, WORKLOAD
from migmodel.stress.command import PAGE_BYTES
from migmodel.stress.console import Line, read_line

PAGES = 16
# Any frequency will do here, and the PIT is no program's to read.
SETTINGS = f"ws={PAGES * PAGE_BYTES} report_ms=50 mhz=1000.5"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("harness")
    objects = []
    for source, flags in (
        *((SOURCES / name, FREESTANDING) for name in WORKLOAD),
        (Path(__file__).with_name("harness.c"), COMMON),
    ):
        _gcc(*flags, "-Werror", "-I", SOURCES, "-c", source, folder=folder)
        objects.append(f"{source.stem}.o")
    _gcc("-no-pie", "-o", "harness", *objects, folder=folder)
    return folder / "harness"


def _gcc(*arguments: str | Path, folder: Path) -> None:
    subprocess.run(["gcc", *arguments], check=True, cwd=folder)


def _run(
    harness: Path, settings: str, lines: int = 8, *more: str
) -> tuple[list[Line], list[bytes]]:
    """Return the lines, and the memory after each from `ready` on."""
    dump = harness.with_name("dump")
    done = subprocess.run(
        [harness, settings, str(lines), dump, *more],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    read = [read_line(text) for text in done.stdout.splitlines()]
    content = dump.read_bytes()
    size = len(content) // lines
    memories = [content[at : at + size] for at in range(0, len(content), size)]
    return [line for line in read if line is not None], memories


def _pages(memory: bytes) -> list[bytes]:
    return [memory[at : at + PAGE_BYTES] for at in range(0, len(memory), PAGE_BYTES)]


def test_lines_come_in_order_and_add_up(harness: Path) -> None:
    lines, _ = _run(harness, f"{SETTINGS} seed=7")
    assert [line.kind for line in lines] == ["start", "ready"] + ["unit"] * 7
    assert lines[0].text == (
        f"version=1 kind=test cpus=1 ws_bytes={PAGES * PAGE_BYTES} rate_pps=0 "
        "touch=sweep content=random report_ms=50 page_bytes=4096 base=0 seed=7 "
        "still_bytes=0 repeat_bytes=0 delta_bytes=0 pattern=sweep"
    )
    units = [{k: int(v) for k, v in line.fields.items()} for line in lines[2:]]
    for before, after in itertools.pairwise(units):
        assert after["t_ns"] - after["dt_ns"] == pytest.approx(before["t_ns"], abs=2)
    for unit in units:
        assert unit["dt_ns"] >= 50_000_000 - 2  # each of its ends is rounded
        assert 0 < unit["gap_ns"] <= unit["dt_ns"]
        assert unit["bad"] == 0
    pages = sum(unit["pages"] for unit in units)
    assert units[-1]["sweeps"] == pages // PAGES


@pytest.mark.parametrize("touch", ["sweep", "study", "page"])
def test_pages_never_compress_and_are_all_different(harness: Path, touch: str) -> None:
    _, memories = _run(harness, f"{SETTINGS} touch={touch}", 6)
    for memory in memories:
        pages = _pages(memory)
        assert len(set(pages)) == PAGES
        assert all(len(zlib.compress(page, 9)) > PAGE_BYTES for page in pages)
        assert len(zlib.compress(memory, 9)) > len(memory)


def test_sweep_makes_pages_new(harness: Path) -> None:
    _, (first, *_, last) = _run(harness, SETTINGS, 6)
    assert len({*_pages(first), *_pages(last)}) == 2 * PAGES
    # Nor does the change compress, as XBZRLE would see it.
    change = bytes(a ^ b for a, b in zip(first, last, strict=True))
    assert all(len(zlib.compress(page, 9)) > PAGE_BYTES for page in _pages(change))


def test_study_alternates_between_two_contents_with_one_key(harness: Path) -> None:
    _, memories = _run(harness, f"{SETTINGS} touch=study", 12)
    seen = [set(column) for column in zip(*map(_pages, memories), strict=True)]
    assert all(len(contents) <= 2 for contents in seen)
    keys = {
        bytes(x ^ y for x, y in zip(*contents, strict=True))
        for contents in seen
        if len(contents) == 2
    }
    assert len(keys) == 1


def test_page_changes_the_first_word_only(harness: Path) -> None:
    _, memories = _run(harness, f"{SETTINGS} touch=page", 4)
    for before, after in zip(_pages(memories[0]), _pages(memories[-1]), strict=True):
        assert before[:8] != after[:8]
        assert before[8:] == after[8:]


@pytest.mark.parametrize("touch", ["sweep", "study"])
def test_zero_is_zero_at_any_time(harness: Path, touch: str) -> None:
    settings = f"{SETTINGS} content=zero touch={touch} still={PAGE_BYTES}"
    lines, memories = _run(harness, settings, 6)
    assert not any(map(any, memories))
    assert int(lines[-1].fields["sweeps"]) > 0


@pytest.mark.parametrize("repeat", [0, 8, 32, 56])
def test_text_compresses_by_what_repeats(harness: Path, repeat: int) -> None:
    settings = f"{SETTINGS} content=text repeat={repeat}"
    _, memories = _run(harness, settings, 6)
    for memory in memories:
        lines = [memory[at : at + 64] for at in range(0, len(memory), 64)]
        # The dump is made in the middle of a sweep: pages before and after it.
        assert len({line[:repeat] for line in lines}) <= 2
        assert len({line[repeat:] for line in lines}) == len(lines)
        random = len(memory) * (64 - repeat) / 64
        # A copy takes zlib four bytes at most, and incompressible bytes one each.
        most = random + len(lines) * (4 if repeat else 0)
        assert random < len(zlib.compress(memory, 9)) < most * 1.01 + 100
    first, last = (_pages(memory)[0] for memory in (memories[0], memories[-1]))
    words = range(0, PAGE_BYTES, 8)
    assert all(first[at : at + 8] != last[at : at + 8] for at in words)


@pytest.mark.parametrize("touch", ["sweep", "study"])
@pytest.mark.parametrize("delta", [8, 24, 4096])
def test_delta_changes_so_many_bytes_of_a_page(
    harness: Path, touch: str, delta: int
) -> None:
    settings = f"{SETTINGS} content=delta delta={delta} touch={touch} rate=10"
    _, (first, *_, last) = _run(harness, settings, 6)
    changed = {
        tuple(at for at in range(PAGE_BYTES) if before[at] != after[at])
        for before, after in zip(_pages(first), _pages(last), strict=True)
    }
    # 250 ms at that pace are a small part of a sweep: a page was touched once or not.
    assert tuple(range(delta)) in changed
    assert changed <= {(), tuple(range(delta))}
    assert all(len(zlib.compress(page, 9)) > PAGE_BYTES for page in _pages(last))


def test_read_writes_nothing_and_goes_through_all(harness: Path) -> None:
    lines, memories = _run(harness, f"{SETTINGS} touch=read content=text repeat=32", 6)
    assert len(set(memories)) == 1
    units = [{k: int(v) for k, v in line.fields.items()} for line in lines[2:]]
    whole = sum(unit["pages"] for unit in units) // PAGES
    assert whole > 1
    assert units[-1]["sweeps"] in (whole, whole - 1)  # printed at its very end


def test_still_memory_is_filled_and_left_alone(harness: Path) -> None:
    _, memories = _run(harness, f"{SETTINGS} still={3 * PAGE_BYTES}", 4)
    still = [memory[PAGES * PAGE_BYTES :] for memory in memories]
    assert len(set(still)) == 1
    assert len(zlib.compress(still[0], 9)) > 3 * PAGE_BYTES


@pytest.mark.parametrize("pattern", ["sweep", "random"])
@pytest.mark.parametrize("touch", ["sweep", "study", "page", "read"])
@pytest.mark.parametrize("content", ["random", "text repeat=48", "zero", "delta"])
def test_a_lost_write_is_found_and_counts_once(
    harness: Path, pattern: str, touch: str, content: str
) -> None:
    if content in ("zero", "delta"):
        touch = touch.replace("page", "sweep")
    if pattern == "random":
        touch = touch.replace("study", "sweep")
    settings = f"{SETTINGS} touch={touch} pattern={pattern} content={content}"
    settings += " delta=16" * (content == "delta")
    lines, _ = _run(harness, settings, 10, "corrupt")
    bad = [int(line.fields["bad"]) for line in lines if line.kind == "unit"]
    assert bad[:3] == [0, 0, 0]
    assert bad == sorted(bad)
    assert bad[-1] == 1


def test_a_paced_thread_keeps_its_rate(harness: Path) -> None:
    lines, _ = _run(harness, f"{SETTINGS} rate=2000", 12)
    ready_ns = int(lines[1].fields["t_ns"])
    units = [{k: int(v) for k, v in line.fields.items()} for line in lines[2:]]
    elapsed_s = (units[-1]["t_ns"] - ready_ns) / 1e9
    pages, due = sum(unit["pages"] for unit in units), 2000 * elapsed_s
    # Never ahead; behind by what came due while it was off the CPU, on a busy host.
    off_s = max(unit["gap_ns"] for unit in units) / 1e9
    assert due - 2000 * off_s - 2 <= pages <= due + 2


def test_random_touches_miss_pages_as_chance_does(harness: Path) -> None:
    pages, rate = 4096, 8000
    settings = f"ws={pages * PAGE_BYTES} report_ms=50 mhz=1000.5 rate={rate}"
    lines, memories = _run(harness, f"{settings} pattern=random touch=page", 8)
    first, last = (_pages(memory) for memory in (memories[0], memories[-1]))
    changed = [before != after for before, after in zip(first, last, strict=True)]
    touches = sum(int(line.fields["pages"]) for line in lines[2:])
    expected = -math.expm1(-touches / pages)
    spread = math.sqrt(expected * (1 - expected) / pages)
    assert sum(changed) / pages == pytest.approx(expected, abs=5 * spread)
    # and all over the share: no part is left out or preferred
    for part in range(4):
        some = changed[part * pages // 4 : (part + 1) * pages // 4]
        assert sum(some) / len(some) == pytest.approx(expected, abs=10 * spread)


@pytest.mark.parametrize("content", ["random", "text repeat=32", "delta delta=24"])
def test_random_touches_keep_the_content(harness: Path, content: str) -> None:
    settings = f"{SETTINGS} pattern=random rate=100 content={content}"
    lines, (first, *_, last) = _run(harness, settings, 12)
    assert int(lines[-1].fields["bad"]) == 0
    changed = {
        tuple(at for at in range(PAGE_BYTES) if before[at] != after[at])
        for before, after in zip(_pages(first), _pages(last), strict=True)
    } - {()}
    if content.startswith("delta"):
        assert changed == {tuple(range(24))}
    else:
        assert all(len(places) > 0.99 * PAGE_BYTES for places in changed)
    if content.startswith("text"):
        for page in _pages(last):
            starts = {page[at : at + 32] for at in range(0, PAGE_BYTES, 64)}
            assert len(starts) == 1
    else:
        assert all(len(zlib.compress(page, 9)) > PAGE_BYTES for page in _pages(last))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ("ws=4096 pattern=any", "pattern is sweep or random"),
        ("ws=4096 pattern=random touch=study", "touch=study sweeps"),
        ("rate=1", "ws is a multiple of 4096"),
        ("ws=4095", "ws is a multiple of 4096"),
        ("ws=4096 cpus=2", "at least a page a vCPU"),
        ("ws=-4096", "whole number >= 0 for ws"),
        ("ws=99999999999999999999999", "whole number >= 0 for ws"),
        ("ws=", "no number given for ws"),
        ("ws=4096 still=1", "still is a multiple of 4096"),
        ("ws=4096 cpus=65", "cpus is 1 to 64"),
        ("ws=4096 report_ms=49", "report_ms is 50 to 1000"),
        ("ws=4096 rate=1000000001", "rate is at most"),
        ("ws=4096 touch=sweeps", "touch is sweep, study, page or read"),
        ("ws=4096 content=zeros", "content is random, text, zero or delta"),
        ("ws=4096 repeat=8", "repeat is for content=text"),
        ("ws=4096 content=text repeat=12", "a multiple of 8 bytes, at most 56"),
        ("ws=4096 content=text repeat=64", "a multiple of 8 bytes, at most 56"),
        ("ws=4096 content=delta", "needs delta, and it alone"),
        ("ws=4096 delta=8", "needs delta, and it alone"),
        ("ws=4096 content=delta delta=4104", "a multiple of 8 bytes, at most 4096"),
        ("ws=4096 content=delta delta=8 touch=page", "no content=zero or delta"),
        ("ws=4096 content=zero touch=page", "no content=zero or delta"),
        ("ws=4096 mhz=1.x", "number of MHz for mhz"),
        ("ws=4096 mhz=0.5", "cannot measure the TSC"),
        ("ws=4096 speed=1", "unknown setting"),
    ],
)
def test_wrong_settings_are_refused(
    harness: Path, settings: str, complaint: str
) -> None:
    # A frequency first: without any it would be measured.
    done = subprocess.run(
        [harness, f"mhz=1000 {settings}", "1", harness.with_name("dump")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 3
    assert done.stdout.startswith("migstress error ")
    assert complaint in done.stdout
