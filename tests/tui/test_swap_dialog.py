"""A baseline swapped from the Registry and from Browse: what is asked, what comes, and swapped back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from driving import text_of, wait_until
from textual.pilot import Pilot

from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.prompt import PromptDialog

SIZE = (80, 24)
L2 = "EarthCAREL2Validated_MAAP"
START = datetime(2025, 3, 14, tzinfo=UTC)
MakeApp = Callable[..., MaapApp]

pytestmark = pytest.mark.usefixtures("prompt_keys")


def prepare(session: Session) -> None:
    """Two granules of AB are here, one of them marked."""

    async def sync() -> None:
        async with session:
            time = TimeRange(START, START + timedelta(minutes=30))
            await session.sync(Query(L2, "CPR_CLD_2A", "AB", time=time))

    asyncio.run(sync())
    session.mark([session.tracker(L2, "CPR_CLD_2A", "AB").pending_marks()[0].path])


@pytest.fixture
def app(make_app: MakeApp) -> MaapApp:
    return make_app(mode="registry", prepare=prepare)


@pytest.fixture
def browsing(make_app: MakeApp) -> MaapApp:
    return make_app(mode="browse", prepare=prepare)


async def ask(app: MaapApp, pilot: Pilot[None], baseline: str) -> None:
    """Press the key and name the baseline; the plan is shown."""
    await pilot.press("w")
    await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
    await pilot.press("backspace", "backspace", *baseline.lower(), "enter")


def words(app: MaapApp) -> str:
    """What is shown, without the line ends and edges of a dialog."""
    return " ".join(text_of(app).replace("│", " ").split())


def pending(app: MaapApp, baseline: str) -> int:
    return len(app.backend.session.tracker(L2, "CPR_CLD_2A", baseline).pending_marks())


async def test_swapped_and_swapped_back(app: MaapApp) -> None:
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: "CPR_CLD_2A" in text_of(app), pilot)
        await ask(app, pilot, "BB")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await wait_until(lambda: "Swap 2 granules of CPR_CLD_2A AB for BB?" in text_of(app), pilot)
        assert "2 to fetch" in text_of(app) and "To fetch: 291 KiB beside" in text_of(app)
        await pilot.press("escape")
        await wait_until(lambda: not isinstance(app.screen, ConfirmDialog), pilot)
        assert pending(app, "AB") == 1 and pending(app, "BB") == 0
        await ask(app, pilot, "BB")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await pilot.press("y")
        await wait_until(lambda: "Swapped 2 granules for BB." in text_of(app), pilot)
        assert pending(app, "AB") == 0 and pending(app, "BB") == 2
        await pilot.press("3")
        await wait_until(lambda: "_04497G.h5" in text_of(app), pilot)
        await pilot.press("4", "w")
        await wait_until(
            lambda: "It was swapped for BB: enter shows that, and u undoes it" in words(app), pilot
        )
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await wait_until(lambda: "Undo the swap of CPR_CLD_2A AB for BB?" in text_of(app), pilot)
        assert "The same as: maap swap undo" in text_of(app) and "Swap (y)" not in text_of(app)
        await pilot.press("u")
        await wait_until(lambda: "2 granules as before the swap." in text_of(app), pilot)
        assert pending(app, "AB") == 1


async def test_what_the_archive_does_not_have_is_said(app: MaapApp) -> None:
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: "CPR_CLD_2A" in text_of(app), pilot)
        await ask(app, pilot, "ZZ")
        await wait_until(lambda: "Name one of" in text_of(app), pilot)
        await pilot.press("backspace", "backspace", "b", "c", "enter")
        await wait_until(lambda: "AB for BC: 2 granules: 2 waiting. 2 have no" in text_of(app), pilot)


async def test_the_palette_leads_to_it_from_a_mode_before_the_registry_was_seen(browsing: MaapApp) -> None:
    app = browsing
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: app.current_mode == "browse" and "EarthCARE" in text_of(app), pilot)
        await pilot.press("ctrl+p", *"swap the baseline", "enter")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        assert "Swap CPR_CLD_2A AB for which baseline?" in text_of(app)


async def test_browse_leads_to_it_too(app: MaapApp) -> None:
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("1")
        await wait_until(lambda: app.current_mode == "browse", pilot)
        await pilot.press("w")
        await wait_until(lambda: "Put the cursor on a baseline" in text_of(app), pilot)
        await pilot.press("4", "ctrl+p", *"swap the baseline", "enter")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
