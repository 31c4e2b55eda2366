"""A search of one product, and what it finds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Any

from maap_tui.engine.catalogue.reader import Page
from maap_tui.engine.catalogue.search import Search
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from tests.engine.raw_server import COLLECTION

Make = Callable[..., Session]

L2 = COLLECTION

DAY = TimeRange.of_day(date(2025, 12, 1))


def days(first: date, count: int) -> TimeRange:
    start = TimeRange.of_day(first).start
    return TimeRange(start, start + timedelta(days=count))


def cld(**changes: Any) -> Query:
    return Query(L2, "CPR_CLD_2A", **{"baseline": "BC", "time": DAY, **changes})


async def run(session: Session, query: Query) -> tuple[list[Granule], Search]:
    async with session:
        search = session.search(query)
        return await search.granules(), search


async def pages_of(search: Search) -> list[Page]:
    return [found async for found in search]
