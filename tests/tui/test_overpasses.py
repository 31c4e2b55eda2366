"""The overpasses of a place in the app: found, fetched, written; what cannot be is said in the dialog."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from driving import text_of, wait_until
from textual.widgets import Input

from maap_tui.demo import Archive
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.screens.search.map import MapScreen
from maap_tui.tui.screens.search.overpasses import OverpassDialog
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms
from maap_tui.tui.widgets.row_list import RowList

pytestmark = pytest.mark.usefixtures("prompt_keys")

MakeApp = Callable[..., MaapApp]
L2 = "EarthCAREL2Validated_MAAP"


def declare(archive: Archive, names: Path, home: Path) -> Path:
    """A home with a command of the user's, made of one that knows the names."""
    shutil.copytree(names, home)
    archive.prepare(home)
    run = json.dumps(
        shlex.join([sys.executable, "-c", "import sys; print('GOT', sys.argv[1])", "{orbit}{frame}"])
    )
    with open(home / "config.toml", "a") as config:
        config.write(f"[commands.say]\nrun = {run}\nkey = '#'\noutput = 'background'\n")
    return home


def logged(app: MaapApp) -> list[str]:
    return [line.text for line in app.backend.log_lines]


async def test_passes_of_a_site_are_listed_fetched_and_written(
    make_app: MakeApp, archive: Archive, names: Path, tmp_path: Path
) -> None:
    app = make_app(mode="search", home=declare(archive, names, tmp_path / "maap"))
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        screen.form.fill(Terms(L2, "cpr_cld_2a", "Newest", area="hyytiala r100"))
        await pilot.press("escape", "O")
        await wait_until(lambda: isinstance(app.screen, OverpassDialog), pilot)
        dialog = app.screen
        # The circle of the form is the place; without a time, what is to come.
        await wait_until(lambda: "repeat cycle" in text_of(app), pilot)
        assert "overpasses of Hyytiälä" in text_of(app)
        await pilot.press("d")
        await wait_until(lambda: "What is to come cannot be fetched yet" in text_of(app), pilot)

        dialog.query_one("#when", Input).value = "2025-12-04..2025-12-10"
        await pilot.press("f", "tab", "enter")
        await wait_until(lambda: "3 overpasses of Hyytiälä" in text_of(app), pilot)
        assert "2025-12-04 23:26:43" in text_of(app) and "34.6 km" in text_of(app)
        assert "08636B" in text_of(app) and "archive" in text_of(app)
        await pilot.press("space")
        assert len(dialog.query_one(RowList).marks) == 1
        await pilot.press("a", "d")
        await wait_until(lambda: "Queued 3 files" in text_of(app), pilot)
        # The registry hears of files some at a time.
        tracker = app.backend.session.tracker(L2, "CPR_CLD_2A", "BC")
        await wait_until(lambda: len(list(tracker.downloads())) == 3, pilot)
        await pilot.press("f", "tab", "enter")
        await wait_until(lambda: text_of(app).count("CPR_CLD_2A") >= 4, pilot)
        assert "# say" in text_of(app)
        await pilot.press("a", "home", "number_sign")
        await wait_until(lambda: "say: GOT 08636B" in logged(app), pilot)
        await pilot.press("a", "d")
        await wait_until(lambda: "All of it is here" in text_of(app), pilot)

        file = tmp_path / "site.ics"
        file.write_text("older")
        for answer in ("n", "y"):
            await pilot.press("e")
            await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
            app.screen.query_one(Input).value = str(file)
            await pilot.press("enter")
            await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
            await pilot.press(answer)
            await wait_until(lambda: app.screen is dialog, pilot)
            assert answer == "y" or file.read_text() == "older"
        await wait_until(lambda: "Wrote 3 overpasses" in text_of(app), pilot)
        assert file.read_bytes().count(b"BEGIN:VEVENT\r\n") == 3
        await pilot.press("escape")
        await wait_until(lambda: not isinstance(app.screen, OverpassDialog), pilot)
        # Any baseline is the newest of each granule.
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "any", area="hyytiala r100"))
        await pilot.press("O")
        await wait_until(lambda: "overpasses of Hyytiälä" in text_of(app), pilot)
        assert "Overpasses of CPR_CLD_2A" in text_of(app)


async def test_a_place_that_cannot_be_read_is_typed_on(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=(80, 24)) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        await pilot.press("escape", "O")
        await wait_until(lambda: isinstance(app.screen, OverpassDialog), pilot)
        await pilot.press("enter")
        await wait_until(lambda: "Write a place" in text_of(app), pilot)
        await pilot.press(*"hyytiala r1", "enter")
        await wait_until(lambda: "of Hyytiälä" in text_of(app), pilot)


@pytest.mark.long
async def test_what_cannot_be_is_said_in_the_dialog(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        await pilot.press("escape", "O")
        await wait_until(lambda: isinstance(app.screen, OverpassDialog), pilot)
        dialog = app.screen
        assert "Overpasses" in text_of(app) and dialog.query_one("#where", Input).has_focus
        for where, when, said in (
            ("nowhere", "next 14d", "'nowhere' is not"),
            ("1,2,3,4", "next 14d", "Write a place"),
            ("hyytiala r20", "next soon", "'soon' is not a length of time"),
            ("hyytiala r20", "later", "'later' is not a date"),
            ("hyytiala r20", "missing 7d", "The word missing is for searches"),
            ("hyytiala r1", "2025-12-01", "0 overpasses of Hyytiälä"),
        ):
            dialog.query_one("#where", Input).value = where
            dialog.query_one("#when", Input).value = when
            dialog.query_one("#where", Input).focus()
            await pilot.press("enter")
            await wait_until(lambda said=said: said in text_of(app), pilot)  # type: ignore[misc]
        assert dialog.query_one(RowList).rows == []
        archive.faults.set(status=503, target="search")
        dialog.query_one("#when", Input).value = "2025-12-02"
        await pilot.press("f", "enter")
        await wait_until(lambda: "2 parts of the time" in text_of(app), pilot)
        await pilot.press("escape")
        await wait_until(lambda: not isinstance(app.screen, OverpassDialog), pilot)


async def test_overpasses_of_the_place_under_the_cursor_of_the_map(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        await pilot.press("escape", "M")
        await wait_until(lambda: isinstance(app.screen, MapScreen), pilot)
        await pilot.press("O")
        await wait_until(lambda: isinstance(app.screen, OverpassDialog), pilot)
        place = app.screen.query_one("#where", Input).value
        assert place.endswith(" r100")
        await wait_until(lambda: "repeat cycle" in text_of(app) or "orbit prediction" in text_of(app), pilot)
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, MapScreen), pilot)


async def test_granules_near_a_ship_are_listed_and_fetched(make_app: MakeApp, tmp_path: Path) -> None:
    rows = "2025-12-04T20:00Z,61.8,24.3\n2025-12-05T01:00Z,61.9,24.0\nsoon,1,1\n"
    (tmp_path / "ship.csv").write_text(f"time,lat,lon\n{rows}")
    app = make_app(mode="search")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await pilot.press("escape", "m")
        await wait_until(lambda: "Choose a collection" in text_of(app), pilot)
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC"))
        await pilot.press("m")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = str(tmp_path / "ship.csv")
        await pilot.press("enter")
        await wait_until(lambda: "How near in time and space" in text_of(app), pilot)
        app.screen.query_one(Input).value = "30m far"
        await wait_until(lambda: "'far' is not a distance" in text_of(app), pilot)
        app.screen.query_one(Input).value = "30m 100km"
        await pilot.press("enter")
        await wait_until(lambda: "1 granule near the track, 1 not here" in text_of(app), pilot)
        assert "08636B" in text_of(app) and "1 position" in text_of(app)
        await pilot.press("d")
        folder = app.backend.session.dirs.data_dir
        await wait_until(lambda: len(list(folder.rglob("*_08636B.h5"))) == 1, pilot)
