"""A search to make in the mode Search, and the ways to what it shows."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

from driving import wait_until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms

NOW = datetime(2026, 1, 15, tzinfo=UTC)
L2 = "EarthCAREL2Validated_MAAP"
ONE_DAY = Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01", frames="A")
HOSTILE = ["[/foo]", "[@click=app.quit]x[/]", "\x1b[2Jcleared"]

Make = Callable[..., MaapApp]


@asynccontextmanager
async def searching(app: MaapApp, size: tuple[int, int] = (80, 24)) -> Any:
    """The app in the mode Search, its names known."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(
            lambda: screen.is_ready and screen.form.known.queryables_of("JAXAL2Validated_MAAP"), pilot
        )
        yield screen, pilot


async def run_search(screen: SearchScreen, pilot: Pilot[int], terms: Terms = ONE_DAY) -> None:
    screen.form.fill(terms)
    await pilot.press("ctrl+r")
    await finished(screen, pilot)


async def finished(screen: SearchScreen, pilot: Pilot[int]) -> None:
    await wait_until(lambda: not screen.is_searching and not screen.states.is_looking, pilot)
    await pilot.pause()


def words_of(screen: SearchScreen, name: str) -> str:
    return str(screen.query_one(f"#{name}", Static).render())


async def type_text(pilot: Pilot[int], text: str) -> None:
    """Paste into the field that has the focus."""
    field = pilot.app.focused
    assert isinstance(field, Input)
    field.insert_text_at_cursor(text)
    await pilot.pause()
