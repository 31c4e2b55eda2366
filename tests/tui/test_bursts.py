"""Keys that come faster than the app draws: typed ahead, pasted, or sent by another program."""

from __future__ import annotations

from collections.abc import Callable

from driving import notices_of, text_of, wait_until
from textual import events
from textual.widgets import Input

from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.screens.log.screen import LogScreen
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.widgets.row_list import RowList

MakeApp = Callable[..., MaapApp]
L2 = "EarthCAREL2Validated_MAAP"


def send(app: MaapApp, *keys: str) -> None:
    """Hand keys over as a terminal does that read all of them at once; a text is typed letter by letter."""
    for key in keys:
        for one in (key,) if key in NAMED else key:
            app.post_message(events.Key(one, one if len(one) == 1 else None))


NAMED = ("enter", "escape", "slash", "home")


async def test_a_whole_search_is_typed_in_one_burst(make_app: MakeApp) -> None:
    app = make_app(mode="browse")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(lambda: app.current_mode == "browse", pilot)
        send(app, "2", "f", L2, "enter", "CPR_CLD_2A", "enter", "BC", "enter", "2025-12-01", "enter")
        await wait_until(lambda: app.screen.query("#results") and app.screen.results.rows, pilot)  # type: ignore[attr-defined]
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        terms = screen.form.terms
        assert (terms.collection, terms.product_type, terms.baseline, terms.time) == (
            L2,
            "CPR_CLD_2A",
            "BC",
            "2025-12-01",
        )
        # A dialog that a key opens takes what is typed behind it.
        await wait_until(lambda: not screen.is_searching, pilot)
        send(app, "o", "/tmp/a/b")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        await wait_until(lambda: app.screen.query_one(Input).value.endswith("/tmp/a/b"), pilot)
        # What closes it gives the keys back to the list.
        cursor = screen.results.cursor
        send(app, "escape", "j", "j")
        await wait_until(lambda: screen.results.cursor == cursor + 2, pilot)


async def test_a_filter_is_typed_in_one_burst(make_app: MakeApp) -> None:
    app = make_app(mode="log")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        for words in ("alpha beta", "gamma delta", "alpha gamma"):
            app.backend.write_log("warning", words)
        await wait_until(lambda: isinstance(app.screen, LogScreen) and "gamma delta" in text_of(app), pilot)
        rows = app.screen.query(RowList).first()
        assert rows.cursor > 0
        send(app, "slash", "alpha", "enter", "home")
        await wait_until(lambda: rows.needle == "alpha" and app.focused is rows and not rows.cursor, pilot)
        assert not notices_of(app)
