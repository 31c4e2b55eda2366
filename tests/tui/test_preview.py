"""The preview below the results: it follows the cursor, asks nobody, and opens where there is room."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from driving import notices_of, text_of, wait_until
from textual.pilot import Pilot

from maap_tui.demo import Archive
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.search import search_run
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms
from tests.tui.test_mouse import click

pytestmark = pytest.mark.usefixtures("prompt_keys")

MakeApp = Callable[..., MaapApp]
L2 = "EarthCAREL2Validated_MAAP"
WIDE = (120, 40)


@asynccontextmanager
async def found(app: MaapApp, size: tuple[int, int]) -> AsyncIterator[tuple[SearchScreen, Pilot[Any]]]:
    """The app with 16 granules in its list."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(lambda: screen.is_ready and screen.form.known.queryables_of(L2), pilot)
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01", frames="D"))
        await pilot.press("ctrl+r")
        await wait_until(lambda: screen.results.rows and not screen.is_searching, pilot)
        await wait_until(lambda: not screen.states.is_looking, pilot)
        yield screen, pilot


def is_open(app: MaapApp) -> bool:
    """Whether the pane is drawn, which has what no row of the list has."""
    return "Published" in text_of(app)


async def test_it_follows_the_cursor_and_asks_nobody(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(mode="search")
    async with found(app, WIDE) as (screen, pilot):
        rows = screen.results.rows
        await wait_until(lambda: rows[0].granule.id in text_of(app), pilot)
        await pilot.press("down", "down", "down")
        await wait_until(lambda: rows[3].granule.id in text_of(app), pilot)
        assert f"Orbit     {rows[3].granule.orbit_frame}  descending" in text_of(app)
        asked = [one["path"] for one in archive.stats.show()["last_requests"]]
        assert not [path for path in asked if "/items/" in path or path.startswith("/data/")]
        await pilot.press("d")
        await wait_until(lambda: "State     here, " in text_of(app), pilot)
        await click(pilot, "DOI")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        await pilot.press("escape")
        # A filter that leaves nothing leaves nothing to preview.
        await pilot.press("slash", *"no such row")
        await wait_until(lambda: not is_open(app), pilot)


async def test_a_key_hides_it_and_that_is_remembered(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with found(app, WIDE) as (_, pilot):
        await wait_until(lambda: is_open(app), pilot)
        await pilot.press("p")
        await wait_until(lambda: not is_open(app), pilot)
        memory = app.backend.session.dirs.cache_file("search.json")
        await wait_until(
            lambda: memory.exists() and json.loads(memory.read_text())["preview"] is False, pilot
        )
        await pilot.press("p")
        await wait_until(lambda: is_open(app), pilot)


async def test_it_opens_by_itself_where_there_is_room(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with found(app, (80, 24)) as (_, pilot):
        await pilot.press("p")
        await wait_until(lambda: "The preview needs 120 columns" in notices_of(app), pilot)
        assert not is_open(app)
        await pilot.resize_terminal(120, 24)
        await pilot.press("p")
        await wait_until(lambda: is_open(app), pilot)
        await pilot.resize_terminal(110, 40)
        await wait_until(lambda: not is_open(app), pilot)


async def test_low_bandwidth_opens_it_only_when_asked_to(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_run, "KEPT_WHOLE", 0)
    app = make_app(mode="search", low_bandwidth=True)
    async with found(app, WIDE) as (_, pilot):
        assert not is_open(app)
        await pilot.press("p")
        await wait_until(lambda: is_open(app) and "Track     enter fetches it" in text_of(app), pilot)
