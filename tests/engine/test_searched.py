"""The days that whole searches looked at: written by sync and save, merged, and never in the way."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from maap_tui.demo import Archive
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.registry.searched import SearchedDays, merged

NAMES = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC")
KEY = Key("EarthCARE", *NAMES)
DAY = datetime(2025, 12, 1, tzinfo=UTC)


def days(start: datetime, count: float) -> TimeRange:
    return TimeRange(start, start + timedelta(days=count))


def test_runs_that_touch_are_one() -> None:
    first = date(2025, 12, 1)
    some = [first + timedelta(days=number) for number in range(12)]
    runs = [
        (some[8], some[9]),
        (some[0], some[2]),
        (some[3], some[4]),
        (some[1], some[1]),
        (some[7], some[6]),
    ]
    assert merged(runs) == [(some[0], some[4]), (some[8], some[9])]


def test_what_cannot_be_read_or_written_counts_as_not_searched(tmp_path: Path) -> None:
    searched = SearchedDays(tmp_path)
    run = (date(2025, 12, 1), date(2025, 12, 3))
    searched.add(str(KEY), run)
    (file,) = tmp_path.rglob("*.txt")
    file.write_bytes(b"\xff\nnonsense\n2025-12-01|2025-12-03\n2025-12-09|\n")
    assert SearchedDays(tmp_path).load(str(KEY)) == [run]
    file.unlink()
    file.mkdir()
    searched.add(str(KEY), run)
    assert searched.load(str(KEY)) == []


@pytest.mark.parametrize(
    ("span", "changes", "expected"),
    [
        (days(DAY, 2), {}, [(date(2025, 12, 1), date(2025, 12, 2))]),
        (days(DAY + timedelta(hours=6), 2), {}, [(date(2025, 12, 2), date(2025, 12, 2))]),
        (days(DAY, 0.5), {}, []),
        (days(DAY, 1), {"frames": ("D",)}, []),
    ],
)
async def test_a_sync_notes_the_days_that_it_saw_whole(
    session: Callable, span: TimeRange, changes: dict, expected: list
) -> None:
    async with session(bulk=True) as opened:
        await opened.sync(Query(*NAMES, time=span, max_items=1, **changes))
        assert opened.registry.baseline(KEY).searched_days() == expected


async def test_a_day_that_failed_is_not_searched(session: Callable, archive: Archive) -> None:
    archive.faults.add(failing_day="2025-12-02")
    async with session(bulk=True) as opened:
        report = await opened.sync(Query(*NAMES, time=days(DAY, 3), max_items=1))
        assert report.failed_days
        assert opened.registry.baseline(KEY).searched_days() == []
