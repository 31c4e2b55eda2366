"""The map of results: cursor, zoom, a box that becomes the area, the granule under the cursor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driving import text_of, wait_until
from textual.pilot import Pilot

from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.map import MapScreen, WorldMap
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms

pytestmark = pytest.mark.usefixtures("prompt_keys")

MakeApp = Callable[..., MaapApp]
SIZE = (80, 24)


async def open_map(app: MaapApp, pilot: Pilot[Any], *, searches: bool = True) -> WorldMap:
    await wait_until(lambda: isinstance(app.screen, SearchScreen), pilot)
    screen = app.screen
    assert isinstance(screen, SearchScreen)
    if searches:
        await wait_until(
            lambda: screen.is_ready and screen.form.known.queryables_of("EarthCAREL2Validated_MAAP"), pilot
        )
        screen.form.fill(Terms("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", "2025-12-01", frames="D"))
        await pilot.press("ctrl+r")
        await wait_until(lambda: screen.results.rows and not screen.is_searching, pilot)
        await wait_until(lambda: " enter Show " in text_of(app) and " ? Help " in text_of(app) + " ", pilot)
    await pilot.press("M")
    await wait_until(lambda: isinstance(app.screen, MapScreen) and app.screen.query(WorldMap), pilot)
    return app.screen.query_one(WorldMap)


async def test_the_cursor_says_where_it_is_and_enter_shows_the_granule(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=SIZE) as pilot:
        world = await open_map(app, pilot)
        await wait_until(lambda: "found 16" in text_of(app) or "found 15" in text_of(app), pilot)
        before = world.position
        await pilot.press("right", "up", "plus", "plus", "minus")
        await wait_until(lambda: world.frame.zoom == 1 and world.position != before, pilot)
        await pilot.press("0")
        await wait_until(lambda: world.frame.zoom == 0, pilot)
        track = world.tracks[0]
        x, y = world.frame.dot_of(*track.pieces[0][0])
        world.move((x >> 1) - world.column, (y >> 2) - world.row)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        await pilot.press("d")
        await wait_until(lambda: app.backend.transfers is not None, pilot)
        await pilot.press("escape", "escape")
        await wait_until(lambda: isinstance(app.screen, SearchScreen), pilot)


async def test_it_begins_with_the_area_and_the_granule_under_the_cursor(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=SIZE) as pilot:
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(
            lambda: screen.is_ready and screen.form.known.queryables_of("EarthCAREL2Validated_MAAP"), pilot
        )
        names = ("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", "2025-12")
        screen.form.fill(Terms(*names, area="hyytiala r100"))
        await pilot.press("ctrl+r")
        await wait_until(lambda: screen.results.rows and not screen.is_searching, pilot)
        await pilot.press("down")
        current = screen.results.current.granule
        world = await open_map(app, pilot, searches=False)
        await wait_until(lambda: f" {current.orbit_frame} " in text_of(app), pilot)
        assert world.frame.zoom > 2
        assert (world.frame.longitude, world.frame.latitude) == pytest.approx((24.29, 61.84), abs=0.5)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)


async def test_a_box_becomes_the_area(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=SIZE) as pilot:
        world = await open_map(app, pilot)
        await pilot.press("b", "right", "right", "down")
        await wait_until(lambda: "other corner" in text_of(app), pilot)
        corner, end = world.corner, world.position
        assert corner is not None
        await pilot.press("b")
        await wait_until(lambda: isinstance(app.screen, SearchScreen), pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        numbers = [float(word) for word in screen.form.terms.area.split(",")]
        assert numbers == pytest.approx([corner[0], end[1], end[0], corner[1]], abs=0.01)
        query = screen.form.query_now
        assert query is not None and query.box is not None and query.box.west == numbers[0]


async def test_a_map_without_results_and_a_box_that_is_dropped(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=SIZE) as pilot:
        world = await open_map(app, pilot, searches=False)
        await wait_until(lambda: "found 0" in text_of(app), pilot)
        await pilot.press("enter", "b", "escape")
        await wait_until(lambda: world.corner is None, pilot)
        for _ in range(3):
            await pilot.press("H")
        await wait_until(lambda: world.position[0] < -100, pilot)
        places = []
        for key in ("L", "left", "K", "J", "right", "down"):
            await pilot.press(key)
            places.append((world.column, world.row))
        (x, y) = places[0]
        assert places == [(x, y), (x - 1, y), (x - 1, y - 5), (x - 1, y), (x, y), (x, y + 1)]
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, SearchScreen), pilot)
