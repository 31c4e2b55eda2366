"""Keys that come faster than the app draws: typed ahead, pasted, or sent by another program."""

from __future__ import annotations

import json
import os
import select
import socket
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import date

import pytest
from driving import notices_of, text_of, wait_until
from textual import events
from textual.widgets import Input

from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.search_history import SearchHistory
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.screens.log.screen import LogScreen
from maap_tui.tui.screens.registry.screen import RegistryScreen
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms
from maap_tui.tui.widgets.row_list import RowList
from tests.homes import PATIENCE_S

MakeApp = Callable[..., MaapApp]
L2 = "EarthCAREL2Validated_MAAP"
KEY = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
DEAD = 2**22 + 1
"""No process has this number."""


def send(app: MaapApp, *keys: str) -> None:
    """Hand keys over as a terminal does that read all of them at once; a text is typed letter by letter."""
    for key in keys:
        for one in (key,) if key in NAMED else key:
            app.post_message(events.Key(one, one if len(one) == 1 else None))


NAMED = ("enter", "escape", "slash", "home", "ctrl+r", "ctrl+o")


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


async def test_a_mode_and_a_key_in_it_are_typed_at_once(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.inputs.READY_S", PATIENCE_S)
    app = make_app(mode="browse")
    memory = app.backend.session.dirs.cache_file("search.json")
    memory.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(memory)  # who reads it waits until it was written and closed
    written = os.open(memory, os.O_RDWR)
    terms = Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        try:
            await wait_until(lambda: app.current_mode == "browse", pilot)
            send(app, "2", "ctrl+r", "s")
            await wait_until(lambda: "No search yet" in text_of(app), pilot)
            os.write(written, json.dumps({"terms": terms.as_dict(), "sort": ["start", False]}).encode())
            await wait_until(lambda: not select.select([written], [], [], 0)[0], pilot)
        finally:
            memory.unlink(missing_ok=True)
            os.close(written)
        # The form as it was left is searched for; the list is sorted the other way round.
        await wait_until(lambda: app.screen.query_one("#results", RowList).rows, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(lambda: not screen.is_searching and screen.results.sort_reversed, pilot)
        assert not notices_of(app)
        # The last search is made again from the list of past ones.
        await wait_until(lambda: SearchHistory(app.backend.session.dirs).past(), pilot)
        screen.form.fill(Terms())
        send(app, "ctrl+o", "enter")
        await wait_until(lambda: screen.form.terms.product_type == "CPR_CLD_2A", pilot)


async def test_the_app_ends_while_keys_wait(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maap_tui.tui.inputs.READY_S", PATIENCE_S)
    monkeypatch.setattr("maap_tui.tui.inputs.LOOK_S", 0.0001)
    app = make_app(mode="browse")
    memory = app.backend.session.dirs.cache_file("search.json")
    memory.parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(memory)
    written = os.open(memory, os.O_RDWR)
    try:
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await wait_until(lambda: app.current_mode == "browse", pilot)
            send(app, "2", "ctrl+r")
            await wait_until(lambda: "No search yet" in text_of(app), pilot)
        assert app.crash is None and app.current_mode == "search"
    finally:
        memory.unlink(missing_ok=True)
        os.close(written)


class Returned(events.Key):
    """A key that no widget took."""

    is_forwarded = True


Returned.handler_name = events.Key.handler_name  # as its class has it


async def test_a_key_that_comes_back_after_the_last_screen_is_left(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test():
        pass
    assert not app.screen_stack
    await app.on_event(Returned("3", "3"))


async def test_a_mode_gets_what_is_for_it_though_another_one_is_shown(make_app: MakeApp) -> None:
    app = make_app(mode="browse")
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(lambda: app.current_mode == "browse", pilot)
        app.go("search", collection=L2, product_type="CPR_CLD_2A")
        app.action_go("registry")
        await wait_until(lambda: app.current_mode == "registry", pilot)
        await pilot.press("2")
        await wait_until(lambda: app.screen.query("#product_type"), pilot)
        field = app.screen.query_one("#product_type", Input)
        await wait_until(lambda: field.value == "CPR_CLD_2A", pilot)


def track(session: Session) -> None:
    """A baseline with a file that is not here."""
    session.registry.add([TrackedFile(KEY, date(2025, 12, 1), "https://x.invalid/a.h5")])


@pytest.mark.parametrize("keys", [("4", "enter"), ("0", "enter")])
async def test_the_first_row_of_a_mode_is_opened_in_one_burst(
    make_app: MakeApp, keys: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.inputs.READY_S", PATIENCE_S)
    app = make_app(mode="browse", prepare=track)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(lambda: app.current_mode == "browse", pilot)
        send(app, *keys)
        await wait_until(lambda: app.current_mode == "registry", pilot)
        screen = app.screen
        assert isinstance(screen, RegistryScreen)
        await wait_until(lambda: screen.opened == KEY, pilot)


async def test_what_a_crash_left_goes_on_by_keys_in_one_burst(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.inputs.READY_S", PATIENCE_S)

    def crash(session: Session) -> None:
        folder = session.dirs.data_dir
        queue = Queue(session.dirs.queue_file)
        row = QueueRow(str(folder / "a.h5"), "http://127.0.0.1:9/a.h5", "running", root=str(folder))
        assert queue.save(
            [replace(row, pid=DEAD, host=socket.gethostname(), verb="get", changed=time.time())]
        )
        queue.close()

    app = make_app(mode="browse", prepare=crash)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)  # go on? Later: 3, then T
        send(app, "escape", "3", "T")
        await wait_until(lambda: app.current_mode == "downloads", pilot)
        await wait_until(lambda: notices_of(app), pilot)
        assert "Going on with" in notices_of(app)
