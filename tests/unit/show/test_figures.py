from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from matplotlib.figure import Figure

from migmodel.records import Outcome, Phases, Trace
from migmodel.records.trace import HostLoad
from migmodel.show.figures import plot_trace
from migmodel.show.heatmap import Cell, heatmap
from migmodel.units import GIB

MakeTrace = Callable[..., Trace]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that were saved, still to be looked into."""
    figures: list[Figure] = []
    save = Figure.savefig

    def keep(figure: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(figure)
        save(figure, *arguments, **options)

    monkeypatch.setattr(Figure, "savefig", keep)
    return figures


def lines_of(figure: Figure, label: str) -> list[Any]:
    """Data lines of the panel with that y label."""
    (axes,) = [axes for axes in figure.axes if axes.get_ylabel().startswith(label)]
    return [line for line in axes.get_lines() if len(line.get_xdata()) > 2]


def test_panels_share_the_time_and_have_units(
    drawn: list[Figure], make_trace: MakeTrace, tmp_path: Path
) -> None:
    trace = make_trace(vcpus=2, throttle=40.0, downtime_stop_resume_s=0.3)
    plot_trace([("predicted", trace)], tmp_path / "one.png", title="a title")
    (figure,) = drawn
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert labels == ["remaining\n[GiB]", "throttle\n[%]", "guest\n[ms per GiB]"]
    assert figure.axes[-1].get_xlabel().endswith("[s]")
    assert len({axes.get_xlim() for axes in figure.axes}) == 1
    assert len(lines_of(figure, "guest")) == 2, "one line a vCPU"
    (remaining,) = lines_of(figure, "remaining")
    assert list(remaining.get_ydata()) == [8.0, 4.0, 0.0]


def test_the_guest_speed_is_time_for_a_gib(
    drawn: list[Figure], make_trace: MakeTrace, tmp_path: Path
) -> None:
    # 262144 pages of 4 KiB are a GiB; each took 1 s
    plot_trace([("predicted", make_trace())], tmp_path / "one.png")
    (line,) = lines_of(drawn[0], "guest")
    assert set(line.get_ydata()) == {1000.0}


def test_what_was_not_throttled_has_no_such_panel(
    drawn: list[Figure], make_trace: MakeTrace, tmp_path: Path
) -> None:
    plot_trace([("predicted", make_trace(throttle=0.0))], tmp_path / "one.png")
    assert len(drawn[0].axes) == 2


def test_repeats_share_a_colour_and_the_legend_names_each_label_once(
    drawn: list[Figure], make_trace: MakeTrace, tmp_path: Path
) -> None:
    trace = make_trace(downtime_stop_resume_s=0.3)
    plot_trace(
        [("measured", trace), ("measured", trace), ("predicted", trace)],
        tmp_path / "three.png",
    )
    lines = lines_of(drawn[0], "remaining")
    assert lines[0].get_color() == lines[1].get_color() != lines[2].get_color()
    texts = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert texts == [
        "measured",
        "predicted",
        "guest stopped (measured, 300 ms)",
        "guest stopped (predicted, 300 ms)",
        "end",
    ]


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_trace_without_any_samples_is_drawn_all_the_same(
    suffix: str, tmp_path: Path
) -> None:
    empty = Trace(outcome=Outcome(verdict="failed"), phases=Phases(end_s=1.0))
    path = tmp_path / f"empty.{suffix}"
    plot_trace([("measured", empty)], path)
    assert path.stat().st_size > 0


def test_a_guest_that_stands_still_is_a_gap(
    drawn: list[Figure], make_trace: MakeTrace, tmp_path: Path
) -> None:
    trace = make_trace()
    pages = [1e-7, *trace.guest.pages[1:]]
    pages[0], pages[1] = pages[1], pages[0]
    guest = msgspec.structs.replace(trace.guest, pages=pages)
    trace = msgspec.structs.replace(trace, guest=guest)
    plot_trace([("predicted", trace)], tmp_path / "one.png")
    (line,) = lines_of(drawn[0], "guest")
    levels = [float(it) for it in line.get_ydata()]
    assert any(math.isnan(it) for it in levels)
    assert max(it for it in levels if not math.isnan(it)) < 1e6


def test_a_wide_range_of_guest_speeds_gets_a_logarithmic_axis(
    drawn: list[Figure], make_trace: MakeTrace, tmp_path: Path
) -> None:
    trace = make_trace()
    pages = [1000.0 if i == 40 else p for i, p in enumerate(trace.guest.pages)]
    guest = msgspec.structs.replace(trace.guest, pages=pages)
    slow = msgspec.structs.replace(trace, guest=guest)
    plot_trace([("predicted", trace)], tmp_path / "even.png")
    plot_trace([("predicted", slow)], tmp_path / "slow.png")
    assert [figure.axes[-1].get_yscale() for figure in drawn] == ["linear", "log"]


def test_what_is_left_falls_in_straight_lines_also_where_some_is_left_in_the_end(
    drawn: list[Figure], make_trace: MakeTrace, tmp_path: Path
) -> None:
    trace = make_trace(verdict="cancelled")
    left = [8.0 * GIB, 4.0 * GIB, 0.01 * GIB]
    progress = msgspec.structs.replace(trace.progress, remaining_bytes=left)
    trace = msgspec.structs.replace(trace, progress=progress)
    plot_trace([("predicted", trace)], tmp_path / "cut.png")
    assert drawn[0].axes[0].get_yscale() == "linear"


def test_the_legend_shows_lines_as_they_are_drawn(
    drawn: list[Figure], make_trace: MakeTrace, tmp_path: Path
) -> None:
    both = [("measured", make_trace()), ("predicted", make_trace())]
    plot_trace(both, tmp_path / "both.png")
    shown = drawn[0].legends[0].get_lines()[:2]
    for key, line in zip(shown, lines_of(drawn[0], "remaining"), strict=True):
        assert key.get_linewidth() == line.get_linewidth()
        assert key.get_alpha() == line.get_alpha()


def test_a_page_has_the_dashes_its_labels_name_and_explains_its_shades(
    make_trace: MakeTrace,
) -> None:
    from migmodel.show.interactive import interactive

    trace = make_trace()
    pages = [1000.0 if i == 40 else p for i, p in enumerate(trace.guest.pages)]
    guest = msgspec.structs.replace(trace.guest, pages=pages)
    load = HostLoad(
        time_s=[30.0, 60.0],
        vcpu_cores=[1.0, 1.0],
        source_cores=[0.5, 0.5],
        destination_cores=[0.2, 0.2],
    )
    trace = msgspec.structs.replace(trace, guest=guest, load=load)
    page = interactive([("one", trace)])
    dashes = [it.line.dash for it in page.data if it.line.dash][-3:]
    assert dashes == ["solid", "dash", "dot"], "vCPUs, -- source, ... dest."
    assert "guest stopped (one)" in [it.name for it in page.data]
    assert page.layout.yaxis2.type == "log", "the guest's, as in the picture"


def cells(*probabilities: float) -> list[Cell]:
    """Two by two cells of one panel, row by row from below."""
    return [
        Cell(x, y, "precopy", probability, 10.0 * GIB / GIB)
        for (x, y), probability in zip(
            [("1g", "4"), ("10g", "4"), ("1g", "8"), ("10g", "8")],
            probabilities,
            strict=True,
        )
    ]


def frontier(figure: Figure) -> set[tuple[tuple[float, ...], tuple[float, ...]]]:
    """Edges drawn in the first panel, as (x, y) pairs of their ends."""
    return {
        (tuple(line.get_xdata()), tuple(line.get_ydata()))
        for line in figure.axes[0].get_lines()
    }


@pytest.mark.parametrize(
    ("probabilities", "edges"),
    [
        ((1, 1, 1, 1), set()),
        ((0, 0, 0, 0), set()),
        ((1, 1, 0, 1), {((1, 1), (1, 2)), ((0, 1), (1, 1))}),
        ((0.4, 0.6, 0.4, 0.6), {((1, 1), (0, 1)), ((1, 1), (1, 2))}),
    ],
)
def test_the_frontier_parts_what_completes_from_what_does_not(
    probabilities: tuple[float, ...],
    edges: set[object],
    drawn: list[Figure],
    tmp_path: Path,
) -> None:
    heatmap(cells(*probabilities), tmp_path / "map.png", x_name="bw", y_name="mem")
    assert frontier(drawn[0]) == edges


@pytest.mark.parametrize(
    ("probabilities", "explained"),
    [
        ((1, 1, 1, 1), []),
        ((0, 0, 0, 0), ["not completing"]),
        ((1, 1, 0, 1), ["not completing", "frontier of completion"]),
    ],
)
def test_a_heat_map_explains_what_it_shows_and_nothing_else(
    probabilities: tuple[float, ...],
    explained: list[str],
    drawn: list[Figure],
    tmp_path: Path,
) -> None:
    heatmap(cells(*probabilities), tmp_path / "map.png", x_name="bw", y_name="mem")
    legends = drawn[0].legends
    assert [it.get_text() for legend in legends for it in legend.get_texts()] == (
        explained
    )


def test_cells_show_their_time_or_that_there_is_none(
    drawn: list[Figure], tmp_path: Path
) -> None:
    heatmap(cells(1, 0, 0.7, 1), tmp_path / "map.png", x_name="bw", y_name="mem")
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert texts == ["10 s", "no", "10 s\n70 %", "10 s"]


def test_every_policy_has_a_panel(drawn: list[Figure], tmp_path: Path) -> None:
    policies = ["precopy", "pause", "autoconverge", "postcopy"]
    grid = [
        cell._replace(panel=name) for name in policies for cell in cells(1, 1, 1, 1)
    ]
    heatmap(grid, tmp_path / "map.png", x_name="bw", y_name="mem")
    shown = [axes for axes in drawn[0].axes if axes.get_title(loc="left")]
    assert [axes.get_title(loc="left") for axes in shown] == policies
