"""A real granule of the imager in the app: its swath in words, when it was published, its quicklook."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms
from tests import verbatim
from tests.tui.driving import wait_until

MOMENT = datetime(2026, 1, 15, tzinfo=UTC)


async def test_the_swath_of_a_real_granule_is_described_in_words(tmp_path: Path) -> None:
    with verbatim.serving() as server:
        environ = server.environment(tmp_path / "home")
        async with Session.load(environ=environ) as before:
            await before.catalogue.queryables(verbatim.COLLECTION)
        app = MaapApp(Session.load(environ=environ, bulk=True, now=lambda: MOMENT), clock=lambda: MOMENT)
        async with app.run_test(size=(120, 60), notifications=True) as pilot:
            app.action_go("search")
            await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
            screen = app.screen
            assert isinstance(screen, SearchScreen)
            await wait_until(
                lambda: screen.is_ready and screen.form.known.queryables_of(verbatim.COLLECTION), pilot
            )
            screen.form.fill(Terms(verbatim.COLLECTION, "MSI_COP_2A", "BA", "2025-03-05"))
            await pilot.press("ctrl+r")
            await wait_until(lambda: screen.results.rows and not screen.is_searching, pilot)
            assert [row.granule.id for row in screen.results.rows] == [verbatim.FIRST]
            await pilot.press("enter")
            await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
            assert isinstance(app.screen, GranuleDialog)
            words = str(app.screen.words())
    assert re.search(r"The outline of a swath, 1[56]\d km wide; down its middle:", words)
    assert "From 22.4N 6.4E to 22.6S 2.3W, southward (descending)." in words
    assert "It crosses the equator." in words
    assert "Published      2025-10-11 12:02:35 UTC  (219 d" in words
    assert "Updated        2025-10-13 15:53:59 UTC" in words
    assert "Cite as        https://doi.org/10.57780/eca-94b4e53" in words
    assert f"{verbatim.FIRST}.BID_1.jpeg, the quicklook" in words
