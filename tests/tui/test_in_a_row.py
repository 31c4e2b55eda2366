"""What is asked for right after something else: both are done, and the second does not end the first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from driving import wait_until

from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.today.screen import TodayScreen
from maap_tui.tui.widgets.row_list import RowList

L2 = "EarthCAREL2Validated_MAAP"
DAY = date(2025, 12, 1)
PRODUCTS = (("CPR_CLD_2A", "BC"), ("ATL_EBD_2A", "BC"))


async def register_one(session: Session, product: str, baseline: str) -> Path:
    """Register the first file of a day; returns where it is to be."""
    query = Query(L2, product, baseline, time=TimeRange.of_day(DAY), max_items=1)
    (granule,) = await session.search(query).granules()
    (one,) = session.filing.requests_of(granule, granule.files(session.formats_of(query)), refuse=print)
    key = Key("EarthCARE", L2, product, baseline)
    session.registry.baseline(key).add([TrackedFile(key, DAY, one.url, str(one.path))])
    return one.path


@pytest.mark.usefixtures("prompt_keys")
async def test_what_is_missing_of_two_baselines_is_fetched(make_app: Callable[..., MaapApp]) -> None:
    app = make_app(mode="today")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        paths = [
            await app.backend.ask(lambda session, names=names: register_one(session, *names))
            for names in PRODUCTS
        ]
        screen = app.screen
        assert isinstance(screen, TodayScreen)
        lacks = next(one for one in screen.query(RowList) if one.has_focus)
        await wait_until(lambda: len(lacks.rows) == 2, pilot)
        for at in (0, 1):
            lacks.move_to(at)
            await screen.run_action("fetch")
        await wait_until(lambda: all(path.exists() for path in paths), pilot, seconds=10)
