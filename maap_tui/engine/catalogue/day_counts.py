"""How many granules of a baseline start on each day at the archive: counted by few requests, and kept.

The archive counts what overlaps a time range. Granules that overlap two ranges with the same begin differ by
those that start between their ends, whatever their length: so one request a day is enough, and none where two
ends have the same count. What is known from before saves the requests of stretches whose sum did not change.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from maap_tui.engine.errors import MaapError
from maap_tui.engine.model import TimeRange
from maap_tui.engine.storage import files
from maap_tui.engine.together import together

TRUSTED_DAYS = 31
"""Longest stretch whose days are taken from what is known because its sum is the same: in a longer one, a
granule that came may hide one that went."""

_DAY = timedelta(days=1)


async def count_days(
    first: date,
    last: date,
    total: Callable[[TimeRange], Awaitable[int]],
    known: Mapping[date, int],
    *,
    parallel: int,
) -> dict[date, int]:
    """Count what starts on each day.

    Args:
        first: the first day.
        last: the last one, included.
        total: counts what overlaps a time range, by a request.
        known: counts from before.
        parallel: requests at once.

    Returns:
        The days that have something, in order.

    Raises:
        CatalogError: when the archive does not answer.
    """
    if last < first:
        return {}
    slots = asyncio.Semaphore(parallel)
    # What began before the first day and overlaps it is in every count, the first one too.
    begin = TimeRange.of_day(first - _DAY).start

    async def until(day: date) -> int:
        async with slots:
            return await total(TimeRange(begin, TimeRange.of_day(day).start))

    async def part(start: date, end: date, before: int, after: int) -> dict[date, int]:
        count, length = after - before, (end - start).days
        if count <= 0:
            return {}
        if length == 1:
            return {start: count}
        if length <= TRUSTED_DAYS:
            here = {
                day: known[day] for day in map(start.__add__, map(timedelta, range(length))) if day in known
            }
            if sum(here.values()) == count:
                return here
        middle = start + timedelta(days=length // 2)
        between = await until(middle)
        earlier, later = await together(
            part(start, middle, before, between), part(middle, end, between, after)
        )
        return earlier | later

    before, after = await together(until(first), until(last + _DAY))
    return await part(first, last + _DAY, before, after)


def load(file: Path) -> dict[date, int]:
    """The counts that are kept; {} where there are none that can be read, as they can be had again."""
    with suppress(OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        days = json.loads(file.read_bytes())["days"]
        if all(type(count) is int and count > 0 for count in days.values()):
            return {date.fromisoformat(day): count for day, count in days.items()}
    return {}


def save(file: Path, days: Mapping[date, int]) -> None:
    """Keep counts; a folder that refuses them is not a failure."""
    data = {"schema": "1.0", "days": {day.isoformat(): count for day, count in sorted(days.items())}}
    with suppress(MaapError, OSError):
        files.make_folder(file.parent)
        files.write_atomic(file, json.dumps(data, indent=1) + "\n")
