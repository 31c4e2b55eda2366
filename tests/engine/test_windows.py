"""Cutting a long range into windows that fit a page."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.catalogue.windows import WHOLE_UP_TO, Plan
from maap_tui.engine.model import TimeRange

START = datetime(2025, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def lengths(plan: Plan[None], count: int | None, shown: int) -> list[float]:
    """Days of every window, when each answer of a day announces `count` items and shows `shown`."""
    found = []
    while (window := plan.next()) is not None:
        assert window.range is not None
        days = window.range.duration / DAY
        found.append(days)
        total = None if count is None else round(count * days)
        window.note_count(window.range, total, shown if total is None else min(shown, total))
    assert plan.is_done
    return found


@given(
    start=st.integers(0, 86_400 * 3),
    seconds=st.integers(1, 86_400 * 60),
    newest_first=st.booleans(),
    counts=st.lists(st.none() | st.integers(0, 5000), min_size=1),
)
def test_windows_hold_every_moment_once(
    start: int, seconds: int, newest_first: bool, counts: list[int | None]
) -> None:
    begin = START + timedelta(seconds=start)
    span = TimeRange(begin, begin + timedelta(seconds=seconds))
    plan: Plan[None] = Plan(span, page_size=1000, newest_first=newest_first)
    found: list[TimeRange] = []
    while (window := plan.next()) is not None:
        assert window.range is not None
        found.append(window.range)
        count = counts[len(found) % len(counts)]
        window.note_count(window.range, count, min(1000, count or 0))
    if newest_first:
        found.reverse()
    assert (found[0].start, found[-1].end) == (span.start, span.end)
    assert all(a.end == b.start for a, b in itertools.pairwise(found))
    assert all(one.duration <= WHOLE_UP_TO for one in found)
    assert all((one.start - START) % timedelta(minutes=1) == timedelta() for one in found[1:])
    assert len(found) == 1 or all(one.first_day == one.last_day for one in found if one.duration < DAY)


@pytest.mark.parametrize(
    ("count", "shown", "length"),
    [(122, 1000, 8), (1, 1000, 10), (0, 1000, 10), (2778, 1000, 1 / 3), (None, 1000, 1), (122, 100, 1 / 2)],
)
def test_windows_are_as_long_as_a_page_holds(count: int | None, shown: int, length: int) -> None:
    plan: Plan[None] = Plan(TimeRange(START, START + 90 * DAY), page_size=1000)
    first, *rest, _ = lengths(plan, count, shown)
    assert first == 1
    assert set(rest) == {length}


def test_a_window_of_a_part_of_a_day_ends_with_it() -> None:
    """Seven parts of a day are of 206 minutes, and the last of them is of 204."""
    plan: Plan[None] = Plan(TimeRange(START, START + 11 * DAY), page_size=1000)
    _, *rest = lengths(plan, 6900, 1000)
    assert {round(length * 24 * 60) for length in rest} == {206, 204}
    assert sum(rest) == pytest.approx(10)


def test_granules_longer_than_the_parts_of_a_day_are_asked_for_by_day() -> None:
    """Two thousand overlap any moment, so that a short window has hardly less than a long one."""
    plan: Plan[None] = Plan(TimeRange(START, START + 30 * DAY), page_size=1000)
    found = []
    while (window := plan.next()) is not None:
        assert window.range is not None
        found.append(window.range.duration / DAY)
        window.note_count(window.range, round(2000 + 500 * window.range.duration / DAY), 1000)
    assert found[:2] == [1, 1 / 3] and set(found[3:]) == {1}


def test_nothing_is_cut_before_the_first_count_is_known() -> None:
    plan: Plan[None] = Plan(TimeRange(START, START + 90 * DAY), page_size=1000)
    first = plan.next()
    assert first is not None and plan.next() is None and not plan.is_done
    first.note_count(first.range, None, 0)
    assert plan.next() is not None


def test_a_known_count_needs_no_first_answer() -> None:
    plan: Plan[None] = Plan(TimeRange(START, START + 90 * DAY), page_size=1000, per_day=200.0)
    found = [plan.next() for _ in range(8)]
    assert [one.range.duration / DAY for one in found if one and one.range] == [5.0] * 8


@pytest.mark.parametrize(("days", "is_divided"), [(10, True), (90, False)])
def test_what_is_not_divided_is_one_window(days: int, is_divided: bool) -> None:
    span = TimeRange(START, START + days * DAY)
    assert lengths(Plan(span, page_size=1000, is_divided=is_divided), 5000, 1000) == [days]
