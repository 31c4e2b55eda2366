from __future__ import annotations

import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.download.tally import RATE_WINDOW_S, Tally, sum_sizes
from maap_tui.engine.events import (
    BytesReceived,
    DayFailed,
    Event,
    FileFailed,
    FileFinished,
    FileQueued,
    FileRetried,
    FileSkipped,
    FileStarted,
    FileStateChanged,
    Noted,
    PageFetched,
)

PATH = Path("a")


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def fold(tally: Tally, *events: Event) -> Tally:
    for event in events:
        tally.apply(event)
    return tally


def queued(url: str, size: int | None = 100) -> FileQueued:
    return FileQueued(url, PATH, size)


def started(url: str, offset: int = 0, size: int | None = 100) -> FileStarted:
    return FileStarted(url, PATH, size, offset)


def finished(url: str, size: int = 100) -> FileFinished:
    return FileFinished(url, PATH, size, size, 1.0)


def failed(url: str) -> FileFailed:
    return FileFailed(url, PATH, "gone", False, 1)


def test_an_empty_tally_says_nothing() -> None:
    shown = Tally(Clock()).snapshot()
    assert (shown.queued, shown.done, shown.active, shown.bytes_done, shown.bytes_total) == (0, 0, 0, 0, 0)
    assert (shown.rate, shown.seconds_left) == (0.0, None)


def test_files_are_counted_through_their_life() -> None:
    tally = fold(Tally(Clock()), *(queued(url) for url in "abcd"), started("a"), BytesReceived("a", 40))
    shown = tally.snapshot()
    assert (shown.queued, shown.active, shown.bytes_done, shown.bytes_total) == (4, 1, 40, 400)
    fold(tally, BytesReceived("a", 60), finished("a"), FileSkipped("b", PATH, 100, "here"), failed("c"))
    shown = tally.snapshot()
    assert (shown.finished, shown.skipped, shown.failed, shown.done, shown.active) == (1, 1, 1, 3, 0)
    assert (shown.bytes_done, shown.bytes_total) == (200, 300)


def test_a_resumed_part_counts_once() -> None:
    tally = fold(Tally(Clock()), queued("a"), started("a"), BytesReceived("a", 70))
    fold(tally, FileRetried("a", "cut", 1, 0.1))
    assert tally.snapshot().active == 0
    fold(tally, started("a", 70), BytesReceived("a", 10))
    assert tally.snapshot().bytes_done == 80
    fold(tally, started("a", 0))
    assert tally.snapshot().bytes_done == 0


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_a_file_that_was_given_up_can_come_back(how: str) -> None:
    tally = fold(Tally(Clock()), queued("a"), queued("b"))
    fold(tally, failed("a") if how == "failed" else FileStateChanged("a", "cancelled"))
    assert tally.snapshot().bytes_total == 100
    fold(tally, FileStateChanged("a", "waiting"))
    shown = tally.snapshot()
    assert (shown.queued, shown.failed, shown.bytes_total) == (2, 0, 200)
    fold(tally, started("a"), finished("a"), finished("b"))
    shown = tally.snapshot()
    assert (shown.queued, shown.done, shown.failed, shown.bytes_done) == (2, 2, 0, 200)


def test_a_file_that_was_given_up_can_be_queued_again() -> None:
    shown = fold(Tally(Clock()), queued("a"), failed("a"), queued("a"), finished("a")).snapshot()
    assert (shown.queued, shown.finished, shown.failed) == (1, 1, 0)


def test_a_cancelled_file_is_no_longer_awaited() -> None:
    shown = fold(Tally(Clock()), queued("a"), queued("b"), FileStateChanged("a", "cancelled")).snapshot()
    assert (shown.queued, shown.bytes_total) == (1, 100)


def test_files_of_unknown_size_are_taken_to_be_like_the_others() -> None:
    tally = fold(Tally(Clock()), queued("a", 100), queued("b", 300), queued("c", None), queued("d", None))
    assert tally.snapshot().bytes_total == 800
    assert fold(Tally(Clock()), queued("a", None)).snapshot().bytes_total == 0
    fold(tally, started("c", size=50))
    assert tally.snapshot().bytes_total == 450 + 150


def test_sizes_that_are_guessed_and_unknown_are_counted_and_ended_files_are_guessed_by_too() -> None:
    tally = fold(Tally(Clock()), *(queued(url, None) for url in "abc"))
    shown = tally.snapshot()
    assert (shown.bytes_total, shown.unknown, shown.guessed) == (0, 3, 0)
    shown = fold(tally, started("a", size=100), finished("a")).snapshot()
    assert (shown.bytes_done, shown.bytes_total, shown.unknown, shown.guessed) == (100, 300, 0, 2)
    shown = fold(tally, failed("b"), finished("c", 200)).snapshot()
    assert (shown.bytes_total, shown.unknown, shown.guessed) == (300, 0, 0)


def test_sizes_are_guessed_by_files_that_are_alike() -> None:
    sizes = [("A", 100), ("A", None), ("A", 300), ("B", None), ("B", None)]
    assert sum_sizes(sizes) == (600, 2, 1)
    assert sum_sizes([]) == (0, 0, 0)


def test_the_rate_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    tally = fold(Tally(clock), queued("a", 10_000), started("a", size=10_000))
    for _ in range(100):
        clock.now += 0.5
        tally.apply(BytesReceived("a", 50))
    shown = tally.snapshot()
    assert shown.rate == pytest.approx(100, rel=0.1)
    assert shown.seconds_left == pytest.approx(50, rel=0.1)
    for _ in range(40):
        clock.now += 0.5
        tally.apply(BytesReceived("a", 100))
    assert tally.snapshot().rate == pytest.approx(200, rel=0.1)
    clock.now += 10 * RATE_WINDOW_S
    assert tally.snapshot().rate < 1
    fold(tally, FileStateChanged("a", "paused"))
    assert (tally.snapshot().rate, tally.snapshot().seconds_left) == (0.0, None)


def test_pages_and_days_are_counted() -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    tally = fold(Tally(Clock()), PageFetched(start, 100, 124), PageFetched(None, 24, None))
    fold(tally, DayFailed("2026-01-02", "503"))
    shown = tally.snapshot()
    assert (shown.pages, shown.items, shown.matched, shown.failed_days) == (2, 124, 124, 1)


def test_the_version_grows_with_every_event() -> None:
    tally = Tally(Clock())
    fold(tally, Noted("a"), Noted("b"))
    assert tally.version == 2


URLS = st.sampled_from("abc")
EVENTS = st.lists(
    st.one_of(
        st.builds(queued, URLS, st.none() | st.integers(0, 500)),
        st.builds(started, URLS, st.integers(0, 500), st.none() | st.integers(0, 500)),
        st.builds(BytesReceived, URLS, st.integers(0, 500)),
        st.builds(finished, URLS, st.integers(0, 500)),
        st.builds(failed, URLS),
        st.builds(FileStateChanged, URLS, st.sampled_from(["waiting", "paused", "cancelled"])),
        st.builds(FileRetried, URLS, st.just("cut"), st.just(1), st.just(0.1)),
    ),
    max_size=40,
)


@given(EVENTS)
def test_bytes_never_go_below_zero_or_above_their_total(events: list[Event]) -> None:
    clock = Clock()
    tally = Tally(clock)
    for event in events:
        clock.now += 0.3
        tally.apply(event)
        shown = tally.snapshot()
        assert 0 <= shown.bytes_done <= shown.bytes_total
        assert shown.rate >= 0
        assert shown.failed >= 0
        assert shown.seconds_left is None or shown.seconds_left > 0


def test_no_snapshot_has_half_of_an_event() -> None:
    tally = Tally()
    seen = []

    def work() -> None:
        for number in range(10_000):
            fold(tally, queued(str(number)), started(str(number)), finished(str(number)))

    before = sys.getswitchinterval()
    try:
        sys.setswitchinterval(1e-6)
        worker = threading.Thread(target=work)
        worker.start()
        while worker.is_alive():
            seen.append(tally.snapshot())
        worker.join()
    finally:
        sys.setswitchinterval(before)
    # Each file has 100 bytes: one that is counted without them was half taken in.
    assert {one.bytes_total - 100 * one.queued for one in seen} == {0}
    assert tally.snapshot().finished == 10_000
