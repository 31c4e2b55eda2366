"""`ctrl+o` in Search: saved and past searches are listed, made, saved, copied and deleted."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driving import notices_of, text_of, wait_until
from textual.pilot import Pilot
from textual.widgets import Input

from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.search.saved_dialog import Entry, SavedDialog
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms
from maap_tui.tui.widgets.key_line import KeyLine
from maap_tui.tui.widgets.row_list import RowList

L2 = "EarthCAREL2Validated_MAAP"
SAVED = f"""\
# Ours.
["two orbits"]
collection = "{L2}"
product = "CPR_CLD_2A"
baseline = "BC"
orbit = "8574-8575"
frame = "A"
"""

Make = Callable[..., MaapApp]

pytestmark = pytest.mark.usefixtures("prompt_keys")


@pytest.fixture
def make_app(make_app: Make) -> Make:
    return functools.partial(make_app, mode="search")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file of saved searches of the app's home."""
    return tmp_path / "maap" / "searches.toml"


def is_open(app: MaapApp, kind: type) -> Callable[[], bool]:
    return lambda: isinstance(app.screen, kind)


def rows(app: MaapApp) -> list[Entry]:
    return app.screen.query_one(RowList).rows


async def open_list(app: MaapApp, pilot: Pilot[Any], count: int) -> None:
    await pilot.press("ctrl+o")
    await wait_until(is_open(app, SavedDialog), pilot)
    await wait_until(lambda: len(rows(app)) == count, pilot)


async def found(app: MaapApp, pilot: Pilot[Any], count: int) -> SearchScreen:
    """The mode, once a search has found so many."""
    await wait_until(is_open(app, SearchScreen), pilot)
    screen = app.screen
    assert isinstance(screen, SearchScreen)
    await wait_until(lambda: not screen.is_searching and len(screen.results.rows) == count, pilot)
    return screen


async def test_saved_and_past_searches(make_app: Make, file: Path) -> None:
    app = make_app(prepare=lambda session: file.write_text(SAVED))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: "ctrl+o lists saved" in text_of(app), pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        # Enter makes a saved one, from the form too.
        await pilot.press("f")
        await open_list(app, pilot, 1)
        await wait_until(lambda: "not searched yet" in text_of(app), pilot)
        assert "two orbits" in text_of(app) and "CPR_CLD_2A BC orbit 8574-8575 frame A" in text_of(app)
        await pilot.press("s")
        assert "Choose a collection" in notices_of(app), "there is nothing in the form to save"
        await pilot.press("enter")
        await found(app, pilot, 2)
        assert screen.form.terms == Terms(L2, "CPR_CLD_2A", "BC", orbit="8574-8575", frames="A")
        # A second time it is known what is new.
        await open_list(app, pilot, 1)
        await wait_until(lambda: "2 granules found 2026-01-15" in text_of(app), pilot)
        await pilot.press("enter")
        await found(app, pilot, 2)
        await wait_until(lambda: "0 new since 2026-01-15" in text_of(app), pilot)
        # Another search is among the past ones, and gets a name.
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "newest", "2025-12-01", frames="A", maximum="3"))
        await pilot.press("ctrl+r")
        await found(app, pilot, 3)
        await open_list(app, pilot, 2)
        assert [one.name for one in rows(app)] == ["two orbits", ""]
        await pilot.press("down", "x")
        assert "the last 50 are kept" in notices_of(app)
        await pilot.press("s")
        await wait_until(is_open(app, PromptDialog), pilot)
        app.screen.query_one(Input).value = "-a"
        await pilot.press("enter")
        assert "cannot be the name" in text_of(app)
        app.screen.query_one(Input).value = "first three"
        await pilot.press("enter")
        await wait_until(is_open(app, SavedDialog), pilot)
        await wait_until(lambda: [one.name for one in rows(app)] == ["two orbits", "first three"], pilot)
        assert 'baseline = "newest"' in file.read_text() and file.read_text().startswith("# Ours.")
        assert f"Saved first three in {file}" in notices_of(app)
        await pilot.press("y")
        await wait_until(is_open(app, TextDialog), pilot)
        assert app.clipboard == "maap search --saved 'first three'"
        await pilot.press("escape")
        await wait_until(is_open(app, SavedDialog), pilot)
        await pilot.press("Y")
        await wait_until(is_open(app, TextDialog), pilot)
        assert app.clipboard.startswith("0 6 * * * maap sync --saved 'first three' >>")
        await pilot.press("escape")
        # Under a name that is taken it asks first.
        await wait_until(is_open(app, SavedDialog), pilot)
        await pilot.press("s")
        await wait_until(is_open(app, PromptDialog), pilot)
        app.screen.query_one(Input).value = "two orbits"
        await pilot.press("enter")
        await wait_until(is_open(app, ConfirmDialog), pilot)
        await pilot.press("escape")
        await wait_until(is_open(app, SavedDialog), pilot)
        assert 'orbit = "8574-8575"' in file.read_text()
        # It is deleted, and stays among the past ones.
        await pilot.click(KeyLine, offset=(len("enter searches  s saves  x"), 0))
        await wait_until(is_open(app, ConfirmDialog), pilot)
        assert "Delete the saved search first three?" in text_of(app)
        await pilot.press("y")
        await wait_until(is_open(app, SavedDialog), pilot)
        await wait_until(lambda: [one.name for one in rows(app)] == ["two orbits", ""], pilot)
        await pilot.press("escape")
        await found(app, pilot, 3)


async def test_the_palette_makes_a_saved_search(make_app: Make, file: Path) -> None:
    # A pipe holds its reader until something comes: keys are typed before any name is known.
    app = make_app(mode="browse", prepare=lambda session: os.mkfifo(file))
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("colon", *"two orb")
        await asyncio.to_thread(file.write_text, SAVED)
        file.unlink()
        file.write_text(SAVED)
        await wait_until(lambda: "two orbits  (saved search)" in text_of(app), pilot)
        await pilot.press("enter")
        await found(app, pilot, 2)


async def test_what_is_wrong_in_the_file_is_said(make_app: Make, file: Path) -> None:
    app = make_app(prepare=lambda session: file.write_text("[a]\nprodct = 'x'\n"))
    async with app.run_test(size=(100, 30)) as pilot:
        await wait_until(is_open(app, SearchScreen), pilot)
        await pilot.press("ctrl+o")
        await wait_until(is_open(app, ErrorDialog), pilot)
        assert "unknown key 'prodct' in [a]" in text_of(app)
        await pilot.press("escape")
        await wait_until(is_open(app, SavedDialog), pilot)
        # An area that the form cannot hold is not left out without a word.
        file.write_text(SAVED + 'area = """{"type": "Point"}"""\n')
        await pilot.press("escape")
        await open_list(app, pilot, 1)
        await pilot.click(KeyLine, offset=(2, 0))
        await wait_until(is_open(app, ErrorDialog), pilot)
        assert "GeoJSON" in text_of(app)
