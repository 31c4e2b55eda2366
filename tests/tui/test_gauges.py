"""Bars, sparklines, rates, the graph of transfers, and figures that stand on a screen all day."""

from __future__ import annotations

from pathlib import Path

import pytest

from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.tui.gauges import Rates, bar, graph, percent, sparkline, steady
from maap_tui.tui.screens.downloads.queue_head import fold_parts
from maap_tui.tui.screens.downloads.transfers import Line, bar_cells
from maap_tui.tui.theme import ASCII, UNICODE


@pytest.mark.parametrize(
    ("shown", "now", "wanted"),
    [
        (None, 5, 5),
        (5, None, None),
        (100_000, 99_001, 100_000),
        (100_000, 100_999, 100_000),
        (100_000, 99_000, 99_000),
        (100_000, 101_000, 101_000),
        (0, 0, 0),
        (0, 1, 1),
    ],
)
def test_a_figure_stays_until_it_is_a_hundredth_away(
    shown: int | None, now: int | None, wanted: int | None
) -> None:
    assert steady(shown, now) == wanted


def test_the_rate_of_a_transfer_is_that_of_what_came_now() -> None:
    job = DownloadJob(
        DownloadRequest("http://x/1.h5", Path("/data/1.h5"), 10_000), state="running", size=10_000
    )
    line = Line("/data/1.h5", job.wanted.url, job=job)
    line.measure(10.0)
    job.since, job.received = 10.5, 8_000  # a part that was here before
    for now in (11.0, 12.0):
        line.measure(now)
        assert line.rate is None and line.seconds_left is None, "nothing came yet"
    job.received += 500
    line.measure(13.0)
    assert line.rate == pytest.approx(250)
    for now in (14.0, 15.0, 16.0, 17.0):
        line.measure(now)
    assert line.rate == 0, "it stands still"


@pytest.mark.parametrize(
    ("width", "wanted"),
    [
        (70, ["8 at once | 1 failed (R retries) | maap sync 77: 2 running 1.5 MiB/s"]),
        (60, ["8 at once | 1 failed (R retries)", "maap sync 77: 2 running 1.5 MiB/s"]),
        (24, ["8 at once | 1 failed (R", "retries) | maap sync 77…"]),
    ],
)
def test_a_note_is_broken_between_its_parts(width: int, wanted: list[str]) -> None:
    parts = ["8 at once", "1 failed (R retries)", "maap sync 77: 2 running 1.5 MiB/s"]
    assert fold_parts(parts, " | ", width, 2) == wanted


def test_a_sparkline_has_the_largest_value_full_and_nothing_lowest() -> None:
    levels = "_.:|"
    assert sparkline([0, 1, 2, 4], levels) == "_.:|"
    assert sparkline([0, 0], levels) == "__"
    assert sparkline([], levels) == ""


def test_a_bar_grows_by_eighths_and_is_full_only_when_all_is_here() -> None:
    shown = [bar(part, 4, UNICODE) for part in (0, 1 / 32, 0.5, 0.53125, 0.999, 1, 2, -1)]
    assert shown == ["░░░░", "▏░░░", "██░░", "██▏░", "███▉", "████", "████", "░░░░"]
    assert [bar(part, 4, ASCII) for part in (0.24, 0.25, 0.999, 1)] == ["----", "#---", "###-", "####"]
    assert [percent(part) for part in (0, 0.499, 0.999, 1)] == ["  0%", " 49%", " 99%", "100%"]
    assert [bar_cells(width) for width in (60, 80, 100, 120, 140, 200)] == [7, 7, 12, 17, 37, 40]


def test_the_graph_has_a_scale_and_the_largest_rate_is_full() -> None:
    rates = Rates()
    assert graph(rates, 120, 4, UNICODE.levels, "|") == []
    for rate in [2048.0] * 6 + [1024.0] * 3 + [100.0] * 3 + [0.0] * 5:
        rates.note(rate, is_active=True)
    assert graph(rates, 120, 4, UNICODE.levels, "|") == [
        " 2.0 KiB/s|██",
        "          |██",
        "          |███",
        "         0|███▂" + " " * 96 + " 5 min",
    ], "a column stands for three seconds; the last two are not a whole one"
    assert all(len(line) <= 80 for line in graph(rates, 80, 4, ASCII.levels, "|"))


def test_time_without_transfers_is_left_out_and_begins_a_new_mean() -> None:
    rates = Rates()
    for rate in (0.0, 100.0, 200.0):
        rates.note(rate, is_active=True)
    assert rates.mean == 150, "what came before a rate was known is in the first rate"
    for _ in range(9):
        rates.note(5.0, is_active=False)
    assert list(rates.seconds) == [0.0, 100.0, 200.0, 0.0] and rates.mean == 150
    rates.note(40.0, is_active=True)
    assert rates.mean == 40
    for at in range(700):
        rates.note(float(at), is_active=True)
    before = rates.columns(10)
    for _ in range(10):
        rates.note(0.0, is_active=True)
        now = rates.columns(10)
        assert now[-30:] in (before[-30:], [*before[-29:], now[-1]]), "a column keeps its value"
    assert now[-1] < before[-1], "and one more came"
