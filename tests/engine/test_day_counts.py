"""Granules counted by the day they start on, from counts of what overlaps a range, and kept."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.catalogue import day_counts
from maap_tui.engine.model import TimeRange

FIRST, LAST = date(2025, 1, 1), date(2025, 6, 30)
BEGIN = datetime(2024, 12, 20, tzinfo=UTC)
MINUTES = 220 * 24 * 60


class Archive:
    """Granules with a start and a length in minutes; counts those that overlap a range."""

    def __init__(self, granules: list[tuple[int, int]]) -> None:
        self.spans = [
            (BEGIN + timedelta(minutes=at), BEGIN + timedelta(minutes=at + length)) for at, length in granules
        ]
        self.asked = 0

    async def total(self, span: TimeRange) -> int:
        self.asked += 1
        return sum(start < span.end and end >= span.start for start, end in self.spans)

    def days(self) -> dict[date, int]:
        days = Counter(start.date() for start, _ in self.spans)
        return {day: days[day] for day in sorted(days) if FIRST <= day <= LAST}

    def count(self, known: dict[date, int] | None = None) -> dict[date, int]:
        return asyncio.run(day_counts.count_days(FIRST, LAST, self.total, known or {}, parallel=4))


@given(st.lists(st.tuples(st.integers(0, MINUTES), st.sampled_from([0, 11, 90, 3000, MINUTES])), max_size=40))
def test_each_granule_counts_on_the_day_it_starts(granules: list[tuple[int, int]]) -> None:
    archive = Archive(granules)
    assert archive.count() == archive.days()


def test_what_is_known_saves_requests_and_what_changed_is_found() -> None:
    archive = Archive([(minute, 11) for minute in range(0, MINUTES, 700)])
    known = archive.count()
    first = archive.asked
    assert first > 150 and known == archive.days()

    archive.asked = 0
    assert archive.count(known) == known
    assert archive.asked <= 12

    archive.spans.append((datetime(2025, 3, 9, 7, tzinfo=UTC), datetime(2025, 3, 9, 7, 11, tzinfo=UTC)))
    archive.asked = 0
    assert archive.count(known) == archive.days() != known
    assert archive.asked <= 20


def test_an_empty_stretch_takes_few_requests() -> None:
    archive = Archive([(30 * 24 * 60, 11)])
    assert archive.count() == {date(2025, 1, 19): 1}
    assert archive.asked < 20
    assert Archive([]).count() == {}


def test_counts_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "days" / "X" / "P_BC.json"
    assert day_counts.load(file) == {}
    counts = {date(2025, 1, 2): 3, date(2025, 1, 1): 125}
    day_counts.save(file, counts)
    assert day_counts.load(file) == counts


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"days": {"2025-01-01": "x"}}', '{"days": {"x": 1}}', '{"days": {"2025-01-01": -1}}'],
)
def test_a_damaged_file_is_counted_again(text: str, tmp_path: Path) -> None:
    file = tmp_path / "x.json"
    file.write_text(text)
    assert day_counts.load(file) == {}


def test_a_folder_that_refuses_them_is_not_a_failure(tmp_path: Path) -> None:
    (tmp_path / "days").write_text("a file")
    day_counts.save(tmp_path / "days" / "x.json", {date(2025, 1, 1): 1})
