"""The mode Search: form, results, and what is done with them, against the embedded archive.

What the fields mean, and the order of results, is tested without an app in `test_search_terms.py`.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
import os
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from driving import confirm, notices_of, text_of, wait_until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from maap_tui.demo.archive import Archive
from maap_tui.engine.download.queue_store import QueueRow
from maap_tui.engine.errors import NoCollectionError
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.quality.sheets import read_sheet
from maap_tui.engine.quality.store import Stored
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.text import format_bytes, format_duration
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.coverage import GapsDialog
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.search import search_run
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.results import COLUMNS, NARROW_COLUMNS, SLICE, result_of
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms

NOW = datetime(2026, 1, 15, tzinfo=UTC)
L2 = "EarthCAREL2Validated_MAAP"
ONE_DAY = Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01", frames="A")
HOSTILE = ["[/foo]", "[@click=app.quit]x[/]", "\x1b[2Jcleared"]

Make = Callable[..., MaapApp]


@pytest.fixture
def make_app(make_app: Make) -> Make:
    """The shared fixture; the app opens with this mode."""
    return functools.partial(make_app, mode="search")


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


# The form


async def test_the_form_is_walked_by_keys_and_completes_names(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        # Nothing was searched yet: the mode says what to do.
        assert "f goes to the form" in text_of(app)
        assert "$ maap search" not in text_of(app)
        await pilot.press("d", "w", "e", "o", "enter")
        assert "There are no results yet" in notices_of(app)
        await pilot.press("ctrl+r")
        await wait_until(lambda: screen.form.field_in_hand == "collection", pilot)
        assert "Choose a collection" in notices_of(app)
        # Escape leaves the form, and nothing else.
        for _ in range(2):
            await pilot.press("escape")
            assert app.focused is screen.results
        # Arrows walk through the matches.
        await pilot.press("f")
        await wait_until(lambda: screen.form.field_in_hand == "collection", pilot)
        await type_text(pilot, "EarthCAREL2")
        await pilot.press("down", "up", "down", "enter")
        assert screen.form.terms.collection == screen.form.matches_of("collection")[0].name
        assert screen.form.field_in_hand == "product_type"
        await pilot.press("escape")
        assert app.focused is screen.results
        # Right takes what is suggested.
        screen.form.fill(Terms(L2))
        await pilot.press("f")
        await type_text(pilot, "CPR_CLD")
        await pilot.pause()
        await pilot.press("right")
        assert screen.form.terms.product_type == "CPR_CLD_2A"
        await pilot.press("down")
        assert screen.form.field_in_hand == "baseline", "without matches the arrows go to the next field"
        # Tab takes the suggestion, and then goes on.
        await pilot.press("escape")
        screen.form.fill(Terms())
        await pilot.press("f")
        await type_text(pilot, "EarthCAREL2V")
        await pilot.press("tab")
        assert screen.form.terms.collection == L2
        assert screen.form.field_in_hand == "product_type"
        await pilot.press("tab")
        assert screen.form.field_in_hand == "baseline"
        # A click takes a match.
        await pilot.press("escape")
        screen.form.fill(Terms())
        await pilot.resize_terminal(120, 40)
        await pilot.press("f")
        await type_text(pilot, "jaxal2")
        await pilot.click("#matches", offset=(4, 1))
        assert screen.form.terms.collection.startswith("JAXAL2")


async def test_the_form_says_what_is_wrong_and_commands_are_copied(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await pilot.press("y")
        assert "Choose a collection" in notices_of(app)
        screen.form.fill(ONE_DAY)
        await pilot.press("y")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        command = f"maap search {L2} CPR_CLD_2A BC --date 2025-12-01 --frame A"
        assert app.clipboard == command
        await pilot.press("escape", "Y")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert app.clipboard.startswith("0 6 * * * maap sync") and "--days-back 1" in app.clipboard
        await pilot.press("escape")
        # What is wrong leaves the last command that was right.
        assert words_of(screen, "command").endswith(command)
        screen.form.fill(dataclasses.replace(ONE_DAY, time="25-12-01"))
        assert words_of(screen, "command").endswith(command)
        assert screen.query_one("#command").has_class("-old")
        # Wrong names are shown with near ones.
        screen.form.fill(Terms(L2, "CPR_CLX_2A"))
        assert "CPR_CLD_2A" in words_of(screen, "verdict")
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "ZZ"))
        assert "there is no 'ZZ'" in words_of(screen, "verdict")
        screen.form.fill(Terms("NoSuchCollection", "CPR_CLD_2A"))
        await wait_until(lambda: "There is no collection" in words_of(screen, "verdict"), pilot)
        screen.form.fill(Terms(L2, "CPR_CLD_2A", time="2025-02-30"))
        await pilot.press("ctrl+r")
        assert not screen.is_searching
        assert "is not a date" in notices_of(app)
        await wait_until(lambda: screen.form.field_in_hand == "time", pilot)


async def test_a_product_is_typed_and_counted_and_its_results_filtered_and_selected(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await pilot.press("f", "tab")
        assert screen.form.field_in_hand == "product_type"
        await type_text(pilot, "cld")
        assert "CPR_CLD_2A" in text_of(app) and "cloud and precipitation" in text_of(app)
        await pilot.press("enter")
        assert screen.query_one("#collection", Input).value == L2
        assert screen.form.field_in_hand == "baseline"
        await type_text(pilot, "bc")
        await pilot.press("enter")
        await type_text(pilot, "2025-12-01")
        assert f"$ maap search {L2} CPR_CLD_2A BC --date 2025-12-01" in text_of(app)
        await wait_until(lambda: "126 granules" in screen.form.note, pilot)
        await pilot.press("enter")
        await finished(screen, pilot)
        assert len(screen.results.rows) == 125
        assert app.focused is screen.results
        await pilot.press("slash")
        await type_text(pilot, "08575")
        await wait_until(lambda: len(screen.results.shown) == 8, pilot)
        await pilot.press("enter", "a")
        await wait_until(lambda: "Selected: 8 files" in words_of(screen, "sum"), pilot)
        await pilot.press("i")
        assert not screen.results.marks
        await pilot.press("space", "down", "v")
        assert len(screen.results.marks) == 3
        await pilot.press("slash", "escape")
        assert len(screen.results.shown) == 125
        await pilot.press("s")
        assert screen.results.sort_key == "start"
        await wait_until(lambda: "free" in words_of(screen, "sum"), pilot)


async def test_another_mode_fills_the_form(make_app: Make) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        app.go("search", collection=L2, product_type="CPR_CLD_2A", baseline="BC")
        await wait_until(lambda: isinstance(app.screen, SearchScreen), pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(lambda: screen.query("#time") and screen.form.field_in_hand == "time", pilot)
        assert screen.form.terms == Terms(L2, "CPR_CLD_2A", "BC")
        query = Query(L2, "ATL_NOM_1B", "BA", orbits=((7655, 7655),), frames=("C",), newest_first=True)
        screen.receive(query=query)
        assert screen.form.terms == Terms(
            L2, "ATL_NOM_1B", "BA", orbit="07655", frames="C", newest_first=True
        )


def shows_names(screen: SearchScreen) -> bool:
    return "name" in [column.key for column in screen.results.columns]


async def test_form_and_results_share_the_screen_in_every_size(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        # The form is a line while results are looked at.
        assert screen.has_class("-folded")
        assert "2025-12-01" in words_of(screen, "summary")
        assert "Name" not in text_of(app) and "Longitude" in text_of(app)
        await pilot.resize_terminal(60, 16)
        # The folded form is cut with a mark.
        await wait_until(lambda: text_of(app).splitlines()[1].endswith("…"), pilot)
        await see_all(screen, pilot)
        assert not screen.has_class("-wide")
        await pilot.press("escape")
        # Names of granules are shown where they fit.
        for width, has_names in ((180, True), (120, False)):
            await pilot.resize_terminal(width, 40)
            await wait_until(lambda has_names=has_names: ("Name" in text_of(app)) is has_names, pilot)
            assert ("Longitude" in text_of(app)) is not has_names
            assert screen.has_class("-wide")
        # So they are below a dialog.
        await pilot.press("c")
        await wait_until(lambda: isinstance(app.screen, ColumnsDialog), pilot)
        for width, has_names in ((180, True), (120, False)):
            await pilot.resize_terminal(width, 40)
            await wait_until(lambda has_names=has_names: shows_names(screen) is has_names, pilot)
        await pilot.press("escape")
        await wait_until(lambda: "newest first" in text_of(app), pilot)
        await see_all(screen, pilot)
        await pilot.press("escape")
        # Results of another search than the form's say so.
        assert "earlier search" not in text_of(app)
        screen.form.fill(dataclasses.replace(ONE_DAY, time="2025-12-02"))
        await wait_until(lambda: "an earlier search" in words_of(screen, "progress"), pilot)
        screen.form.fill(ONE_DAY)
        await pilot.resize_terminal(80, 24)
        await wait_until(lambda: "newest first" not in text_of(app), pilot)
        assert not screen.query_one("#collection").display or screen.query_one("#fields").size.height == 0
        await pilot.click("#summary")
        await wait_until(lambda: screen.form.field_in_hand == "time", pilot)
        assert not screen.has_class("-folded")
        assert len([line for line in text_of(app).splitlines() if " 2025-12-01 " in line]) >= 8
        await pilot.press("escape")
        assert screen.has_class("-folded")


async def see_all(screen: SearchScreen, pilot: Pilot[int]) -> None:
    """Go to the form, and see that its fields, the results and the command are shown together."""
    await pilot.press("f")
    await wait_until(lambda: screen.form.field_in_hand, pilot)
    await pilot.pause()
    text = text_of(pilot.app)
    assert "Collection" in text and " 2025-12-01 " in text and "$ maap search" in text


async def test_ascii_without_colours_shows_all_of_it(make_app: Make) -> None:
    app = make_app(is_ascii=True, no_colour=True)
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("space")
        await wait_until(lambda: "Selected: 1 file" in words_of(screen, "sum"), pilot)
        assert "*" in text_of(app)
        # Columns are on or off.
        await pilot.press("c")
        await wait_until(lambda: isinstance(app.screen, ColumnsDialog), pilot)
        lines = text_of(app).splitlines()
        assert next("X" in line.partition("Orbit")[0] for line in lines if "Orbit" in line)
        assert not next("X" in line.partition("Sensing end")[0] for line in lines if "Sensing end" in line)
        await pilot.press("space", "down", "space", "escape")
        assert [column.key for column in screen.results.columns] == [
            column.key for column in COLUMNS if column.key in NARROW_COLUMNS[2:]
        ]
        screen.form.fill(Terms())
        await pilot.press("f")
        await wait_until(lambda: "| newest first" in text_of(app), pilot)
        assert "| | newest first" in text_of(app)
        screen.form.fill(Terms(newest_first=True))
        await wait_until(lambda: "|X| newest first" in text_of(app), pilot)


# The run


async def test_results_stream_in_and_can_be_stopped(make_app: Make, archive: Archive) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        archive.faults.add(target="search", latency_s=30.0, after=3)
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-11-20..2026-01-10"))
        await pilot.press("ctrl+r")
        await wait_until(lambda: screen.results.rows, pilot)
        assert screen.is_searching
        assert "ctrl+r stops it" in text_of(app)
        screen.action_mark()
        screen.action_run()
        await finished(screen, pilot)
        assert "Stopped" in words_of(screen, "progress")
        assert 0 < len(screen.results.rows) < 6000
        assert len(screen.results.marks) == 1


async def test_a_filter_that_finds_nothing_is_said_beside_the_results(
    make_app: Make, archive: Archive
) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        archive.faults.add(blind="version")
        await run_search(screen, pilot)
        assert len(screen.results.rows) == 15
        assert "by baseline" in words_of(screen, "progress")
        assert any("filtered here" in line.text for line in app.backend.log_lines if line.level == "warning")


async def test_what_a_search_found_left_out_or_missed_is_said(make_app: Make, archive: Archive) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2024-07-01"))
        assert "nothing that matches" in text_of(app)
        # The newest baseline is looked up.
        await run_search(screen, pilot, Terms(L2, "CPR_CLD_2A", "newest", "2025-12-01", maximum="5"))
        assert {row.granule.baseline for row in screen.results.rows} == {"BC"}
        assert "CPR_CLD_2A BC --date" in words_of(screen, "command")
        assert "cut at the maximum" in words_of(screen, "progress")
        # A day that fails; the others are in their order.
        archive.faults.add(failing_day="2025-12-03")
        days = Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01..2025-12-12", frames="A", newest_first=True)
        await run_search(screen, pilot, days)
        assert "FAILED DAY: 2025-12-03" in words_of(screen, "progress")
        starts = [row.granule.sensing_start for row in screen.results.rows]
        assert starts == sorted(starts, reverse=True)
        assert date(2025, 12, 3) not in {start.date() for start in starts}
        archive.faults.clear()
        # Sorted newest first, the newest is seen.
        screen.results.sort_by("start", is_reversed=True)
        await run_search(screen, pilot, dataclasses.replace(ONE_DAY, time="2025-12-01..2025-12-03"))
        assert screen.results.cursor == 0
        assert screen.results.current.granule.sensing_start.day == 3


async def test_a_search_without_an_answer_shows_why_and_the_app_lives(
    make_app: Make, archive: Archive
) -> None:
    app = make_app(overrides={"api.retries": 0})
    async with searching(app) as (screen, pilot):
        archive.faults.add(target="search", status=400)
        screen.form.fill(ONE_DAY)
        await wait_until(lambda: screen.form.note.startswith("Not counted"), pilot)
        await pilot.press("ctrl+r")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        await pilot.press("escape")
        assert "failed" in words_of(screen, "progress")
        assert "ctrl+r tries it again" in text_of(app)
        archive.faults.clear()
        await pilot.press("ctrl+r")
        await finished(screen, pilot)
        assert screen.results.rows


async def test_columns_sort_and_form_are_remembered(make_app: Make, tmp_path: Path) -> None:
    home = tmp_path / "kept"
    app = make_app(home=home)
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        screen.results.set_columns(["start", "state", "name"])
        screen.results.post_message(ColumnsDialog.Changed(screen.results))
        screen.results.sort_by("state", is_reversed=True)
        kept = app.backend.session.dirs.cache_file("search.json")
        wanted = {"sort": ["state", True], "columns": ["start", "state", "name"]}
        await wait_until(
            lambda: kept.exists() and wanted.items() <= json.loads(kept.read_text()).items(), pilot
        )
        app.action_go("log")
        await pilot.pause()
        app.action_go("search")
        await pilot.pause()
        assert screen.results.rows and screen.form.terms == ONE_DAY, "its state survives a visit elsewhere"
    async with searching(make_app(home=home)) as (screen, pilot):
        await wait_until(lambda: screen.form.terms == ONE_DAY, pilot)
        assert [column.key for column in screen.results.columns] == ["start", "state", "name"]
        assert (screen.results.sort_key, screen.results.sort_reversed) == ("state", True)
    kept.write_text('{"columns": "x", "sort": [1], "terms": {"time": [')
    async with searching(make_app(home=home)) as (screen, pilot):
        assert screen.results.sort_key is None


# What is done with results


async def test_the_forecast_counts_the_queue_once(
    make_app: Make, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.faults.add(target="data", stall_after=0)
    monkeypatch.setattr("maap_tui.tui.synced.ASK_ABOVE", 1)
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "d")
        await wait_until(lambda: f"Queue {len(screen.results.rows)} files, " in text_of(app), pilot)
        assert app.backend.transfers is None
        await confirm(app, pilot)
        await wait_until(lambda: all(row.state == "queued" for row in screen.results.rows), pilot)
        size = sum(row.size for row in screen.results.rows)
        app.backend.last_rate = 1024.0
        screen.sum_again()
        words = f"{format_duration(size / 1024)} with the queue"
        await wait_until(lambda: words in words_of(screen, "sum"), pilot)


async def test_files_are_queued_and_their_state_follows(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        assert {row.state for row in screen.results.rows} == {"new"}
        # To another folder: they are not tracked.
        await pilot.press("o")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = str(tmp_path / "away")
        await pilot.press("enter")
        name = screen.results.rows[0].files[0].name
        await wait_until(lambda: (tmp_path / "away" / name).exists(), pilot)
        assert not list(app.backend.session.registry.tracked())
        (tmp_path / "plain").write_text("x")
        await pilot.press("o")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = str(tmp_path / "plain")
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        assert "is a file" in app.screen.message
        await pilot.press("escape")
        # To their place in the archive's folders.
        await pilot.press("space", "space", "d")
        await wait_until(lambda: "Queued 2 files, 318 KiB" in notices_of(app), pilot)
        await wait_until(
            lambda: [row.state for row in screen.results.rows[:3]] == ["here", "here", "new"], pilot
        )
        await wait_until(lambda: "2 here" in words_of(screen, "sum"), pilot)
        await pilot.press("d")
        await wait_until(lambda: "Nothing to queue" in notices_of(app), pilot)
        row = screen.results.rows[0]
        path = app.backend.session.filing.request_of(row.granule, row.files[0]).path
        assert path.stat().st_size == row.size
        # What happens to them elsewhere is seen on the next visit.
        app.backend.session.mark([str(path)])
        second, third = screen.results.rows[1:3]
        app.backend.session.filing.request_of(second.granule, second.files[0]).path.unlink()
        elsewhere = QueueRow(
            "/x/y.h5", third.files[0].href, "running", pid=os.getppid(), host="elsewhere", changed=2e9
        )
        app.backend.session.queue.save([elsewhere])
        app.action_go("log")
        await pilot.pause()
        app.action_go("search")
        await wait_until(
            lambda: [row.state for row in screen.results.rows[:3]] == ["marked", "missing", "queued"], pilot
        )
        assert "marked" in text_of(app) and "missing" in text_of(app)
        # A line of the registry whose file was never here.
        url = f"{app.backend.session.settings.api.catalog_url.removesuffix('catalogue/')}data/none.h5"
        tracker = app.backend.session.registry.baseline(Key("EarthCARE", L2, "CPR_CLD_2A", "BC"))
        tracker.add([TrackedFile(tracker.key, date(2025, 12, 1), url, "/nowhere/none.h5")])
        tracker.record(url, "/nowhere/none.h5", date(2025, 12, 1))
        asset = Asset("h5", url, "none.h5", "h5", 10)
        start = datetime(2025, 12, 1, 5, tzinfo=UTC)
        granule = Granule("none", L2, "EarthCARE", "CPR_CLD_2A", "BC", start, assets=(asset,))
        row = result_of(granule, ("h5",), keep_whole=True)
        screen.results.set_rows([row])
        screen.states.look_again([row])
        await wait_until(lambda: row.state == "missing", pilot)


async def test_only_what_is_not_here_is_shown_and_follows_what_comes(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("space", "space", "n")
        assert len(screen.results.shown) == 15
        assert "15 not here (n: all)" in words_of(screen, "progress")
        # What comes leaves the list.
        await pilot.press("d")
        await wait_until(lambda: len(screen.results.shown) == 13, pilot)
        await wait_until(lambda: "13 not here (n: all)" in words_of(screen, "progress"), pilot)
        assert {row.state for row in screen.results.shown} == {"new"}
        # It goes together with the filter that is typed.
        first = screen.results.shown[0].granule.orbit_frame
        await pilot.press("slash")
        await type_text(pilot, first)
        await wait_until(lambda: "1 not here pass the filter" in words_of(screen, "progress"), pilot)
        await pilot.press("escape", "n")
        assert len(screen.results.shown) == 15
        assert "not here" not in words_of(screen, "progress")
        # When all is here, the list says so.
        screen.results.clear_marks()
        await pilot.press("a", "d", "n")
        await wait_until(lambda: "what was found is here" in text_of(app), pilot)


async def test_the_coverage_of_the_form_is_shown_and_gaps_are_fetched(
    make_app: Make, archive: Archive
) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        screen.form.fill(Terms("BiomassLevel1b", "S2_DGM__1S", "", "2025-12", area="hyytiala", orbit="T14"))
        screen.results.focus()
        await pilot.press("C")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        assert "19 not here, in 1 gap" in text_of(app)
        await wait_until(lambda: not notices_of(app), pilot)  # that it is counted
        # It is about all of the baseline, and says so.
        assert "All of the baseline is counted and fetched: the orbits and the area of" in text_of(app)
        assert "the form are left out." in text_of(app)
        await pilot.press("tab")
        await wait_until(lambda: "─·──·─" in text_of(app), pilot)
        await pilot.press("shift+tab")
        await wait_until(lambda: "tab months" in text_of(app), pilot)
        await pilot.press("tab")
        await wait_until(lambda: "─·──·─" in text_of(app), pilot)
        archive.faults.add(target="data", status=404)
        await pilot.press("d")
        await wait_until(lambda: "Queued 6 files. 3 shows the queue." in notices_of(app), pilot)


async def test_the_coverage_of_the_form_counts_and_fetches_its_frames_alone(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        terms = Terms(ONE_DAY.collection, "CPR_CLD_2A", "BC", "2025-12-01..2025-12-03", frames="D")
        await run_search(screen, pilot, terms)
        found = len(screen.results.rows)
        await pilot.press("space", "d")
        await wait_until(lambda: any(row.state == "here" for row in screen.results.rows), pilot)
        await pilot.press("C")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        words = f"CPR_CLD_2A BC frames D: {found} at the archive, {found - 1} not here, in 1 gap"
        await wait_until(lambda: words in text_of(app), pilot)
        assert "left out" not in text_of(app)
        await pilot.press("y")
        await wait_until(lambda: "--end 2025-12-03 --frame D" in text_of(app), pilot)
        await pilot.press("escape", "d")
        await wait_until(lambda: f"Queued {found - 1} files. 3 shows the queue." in notices_of(app), pilot)


async def test_where_the_archive_does_not_filter_by_frames_all_are_counted_and_that_is_said(
    make_app: Make, archive: Archive
) -> None:
    archive.faults.add(blind="frame")
    app = make_app()
    async with searching(app) as (screen, pilot):
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01", frames="D"))
        screen.results.focus()
        await pilot.press("C")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        await wait_until(lambda: "CPR_CLD_2A BC: 1" in text_of(app), pilot)
        assert "All of the baseline is counted and fetched: the frames of the form are" in text_of(app)


async def test_what_the_disk_cannot_hold_is_not_queued(make_app: Make) -> None:
    app = make_app(overrides={"downloads.min_free": 1 << 60})
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "d")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        assert "Nothing was queued" in app.screen.message
        assert app.backend.transfers is None


async def test_granules_are_registered_and_many_say_at_once_how_far_it_is(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    said: list[str] = []
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "w")
        count = len(screen.results.rows)
        await wait_until(lambda: f"Registered {count} new files" in notices_of(app), pilot)
        assert app.backend.session.stats(L2, "CPR_CLD_2A", "BC").total_urls == count
        await pilot.press("w")
        await wait_until(lambda: f"{count} known already" in notices_of(app), pilot)
        found = screen.results.rows[0].granule
        count = 2 * SLICE + 1
        screen.results.set_rows(
            [
                result_of(replace(found, id=f"{found.id}{number}", assets=()), (), keep_whole=True)
                for number in range(count - 1)
            ]
            + screen.results.rows[:1]
        )
        notify = app.notify
        monkeypatch.setattr(
            app, "notify", lambda message, **more: (said.append(message), notify(message, **more))
        )
        screen.results.clear_marks()
        await pilot.press("a", "w")
        await wait_until(lambda: said and "1 known already" in said[-1], pilot)
        assert said[0] == f"Registering {count:,} granules..."
        assert [words.partition(" granules")[0] for words in said[1:3]] == [
            f"Registering: {SLICE:,} of {count:,}",
            f"Registering: {2 * SLICE:,} of {count:,}",
        ]
        assert "99 %" in said[2] and said[2].endswith(" left...")


BIOMASS = Terms("BiomassLevel1a", "S1_SCS__1S", time="2025-12-12")


async def test_a_granule_of_biomass_is_known_by_track_and_frame_and_has_many_files(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot, BIOMASS)
        assert "Track" in text_of(app) and " T001_F222 " in text_of(app)
        row = next(row for row in screen.results.rows if row.granule.track_frame == "T001_F222")
        words = str(GranuleDialog(row).words())
        assert "Track, frame   T001_F222" in words and f"Orbit          {row.granule.orbit_frame}" in words
        await run_search(screen, pilot, replace(BIOMASS, orbit="T001", frames="222", time=""))
        assert {row.granule.track_frame for row in screen.results.rows} == {"T001_F222"}
        assert "--frame 222 --track 001" in words_of(screen, "command")
        # Every file of a granule is queued with the format "all".
        await run_search(screen, pilot, replace(BIOMASS, orbit="", frames="222", formats="all"))
        row = screen.results.current
        assert {asset.format for asset in row.files} == {"tiff", "xml", "kml", "png"} and len(row.files) == 7
        await pilot.press("d")
        await wait_until(lambda: "Queued 7 files" in notices_of(app), pilot)
        await wait_until(lambda: row.state == "here", pilot)
        paths = [app.backend.session.filing.request_of(row.granule, asset).path for asset in row.files]
        assert len(set(paths)) == 7 and all(path.is_file() for path in paths)
        await run_search(screen, pilot)
        assert "Track" not in text_of(app) and "Orbit " in text_of(app), "the next mission has orbits"


async def test_the_fewest_dates_of_a_mission_with_tracks_are_marked(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await pilot.press("escape", "F")
        await wait_until(lambda: "Nothing is shown to choose from" in text_of(app), pilot)
        await pilot.press("escape")
        await run_search(screen, pilot, Terms("BiomassLevel1b", "S2_DGM__1S", time="2025-12-12"))
        await pilot.press("F")
        await wait_until(lambda: "Marked 12 granules of 1 date" in notices_of(app), pilot)
        marked = [row.granule for row in screen.results.chosen]
        assert len({one.track_frame for one in marked}) == len(marked) == 12
        await run_search(screen, pilot)
        await pilot.press("F")
        await wait_until(lambda: "does not number its ground tracks" in text_of(app), pilot)


async def test_results_are_exported(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        urls = [row.files[0].href for row in screen.results.rows]
        written = {}
        await pilot.press("e")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await wait_until(lambda: "Name a file." in text_of(app), pilot)
        await pilot.press("escape")
        for suffix in ("csv", "jsonl", "txt"):
            target = tmp_path / f"found.{suffix}"
            if suffix == "csv":
                target.write_text("older")
            await pilot.press("e")
            await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
            assert "(shown)" in text_of(app)
            app.screen.query_one(Input).value = str(target)
            await pilot.press("enter")
            if suffix == "csv":
                await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
                await pilot.press("e")
                assert target.read_text() == "older", "the key that asked confirms nothing"
                await pilot.press("y")
            await wait_until(lambda target=target: f"to {target}" in notices_of(app), pilot)
            written[suffix] = target.read_text().splitlines()
        assert [row["url"] for row in csv.DictReader(written["csv"])] == urls
        assert [json.loads(line)["url"] for line in written["jsonl"]] == urls
        assert written["txt"] == urls


async def test_gaps_and_disclaimers_are_shown(make_app: Make) -> None:
    app = make_app()
    quality = app.backend.session.quality
    head = b"id,first_frame,last_frame,products,text\n"
    notices = read_sheet(head + b"D-1,00001,99999,CPR_CLD_2A,Pointing was off\n", "disclaimer").notices
    quality.save(Stored("disclaimer", "a sheet", NOW, tuple(notices)))
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await wait_until(lambda: "BC !" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: "disclaimer D-1: Pointing was off" in text_of(app), pilot)
        await pilot.press("escape", "Q")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        assert app.screen.lines[0] == "disclaimer D-1: Pointing was off (00001 to 99999)"
        assert "1 gap or disclaimer of CPR_CLD_2A BC" in text_of(app)


async def test_granules_that_are_not_here_cannot_be_frozen(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("space", "z")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        assert "Freeze 1 granule as a study" in text_of(app)
        app.screen.query_one(Input).value = str(tmp_path / "study")
        await pilot.press("enter")
        await wait_until(lambda: "Nothing was frozen; left out: 1 file not here" in notices_of(app), pilot)
    assert not (tmp_path / "study").exists()


async def test_a_granule_is_shown_whole(
    make_app: Make, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_run, "KEPT_WHOLE", 1)
    app = make_app(overrides={"api.retries": 0})
    async with searching(app, (120, 60)) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        words = str(app.screen.words())
        for part in ("From ", "Latitudes from", "enclosure_h5", "KiB  h5  data", "processing:level", ".HDR"):
            assert part in words
        await pilot.press("j", "k", "y")
        await wait_until(lambda: app.clipboard == screen.results.rows[0].granule.id, pilot)
        await pilot.press("escape", "escape")
        await pilot.press("j")
        await wait_until(lambda: screen.results.cursor == 1, pilot)
        assert not screen.results.current.granule.properties, "later results are kept small"
        await pilot.press("enter")
        await wait_until(
            lambda: isinstance(app.screen, GranuleDialog) and "processing:level" in str(app.screen.words()),
            pilot,
        )
        await pilot.press("escape", "j")
        archive.faults.add(target="catalogue", status=503)
        await pilot.press("enter")
        await wait_until(lambda: "not available" in text_of(app), pilot)


async def test_a_granule_that_is_shown_is_queued_and_leads_to_the_next(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        first, second, *_ = rows = screen.results.rows
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        assert "n next  N previous  d download  v picture  h headers" in text_of(app)
        await pilot.press("N")
        await wait_until(lambda: "This is the first one." in notices_of(app), pilot)
        await pilot.press("n", "d")
        await wait_until(lambda: "Queued 1 file" in notices_of(app), pilot)
        assert second.granule.id in text_of(app)
        # What became of its file is said there too.
        await wait_until(lambda: f"here, {format_bytes(second.size)}" in text_of(app), pilot)
        await pilot.press("u")
        await wait_until(lambda: app.clipboard == second.files[0].href, pilot)
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        await pilot.press(*["n"] * len(rows))
        await wait_until(lambda: "There is no next granule." in notices_of(app), pilot)
        await pilot.press("escape")
        await wait_until(lambda: app.screen is screen and screen.results.current is rows[-1], pilot)
        assert (first.state, second.state) == ("new", "here")


# Hostile servers


async def test_hostile_names_change_nothing_but_the_text_shown(make_app: Make) -> None:
    app = make_app()
    async with searching(app, (180, 40)) as (screen, pilot):
        rows = []
        for number, text in enumerate(HOSTILE):
            asset = Asset(text, f"https://example.org/{number}.h5", text, "h5", 10, text, (text,))
            granule = Granule(
                f"{text}{number}", L2, "EarthCARE", "CPR_CLD_2A", "BC", NOW + timedelta(seconds=number),
                orbit=7655, frame=text, orbit_state=text, assets=(asset,),
                properties={text: text, "deep": [text, {text: None}]},
            )  # fmt: skip
            rows.append(result_of(granule, ("h5",), keep_whole=True))
        screen.results.set_rows(rows)
        screen.form.fill(Terms(*HOSTILE, *HOSTILE, *HOSTILE[:2]))
        screen.form.known.faults[HOSTILE[0]] = NoCollectionError("[bold]no[/bold] such [/foo]")
        screen.form.judge()
        await pilot.pause()
        assert "[/foo]0" in text_of(app)
        assert "\\x1b[2Jcleared2" in text_of(app)
        for _ in HOSTILE:
            await pilot.press("enter")
            await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
            assert "\x1b" not in text_of(app)
            await pilot.press("escape", "down")
        screen.form.say("[/foo] [@click=app.quit]x[/]")
        screen.results.mark_all()
        screen.action_queue()
        await wait_until(lambda: "refused because of the names" in notices_of(app), pilot)
        await pilot.press("ctrl+r", "y", "slash")
        await type_text(pilot, "[/foo]")
        await pilot.pause()
        assert "\x1b" not in text_of(app)
        assert app.is_running


async def test_a_search_that_takes_the_place_of_another_has_the_list(
    make_app: Make, archive: Archive
) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        archive.faults.add(target="all", latency_s=300.0)
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01"))
        await pilot.press("ctrl+r")
        await wait_until(lambda: "Searching" in screen.results.empty_text, pilot)
        choices = {"collection": L2, "product": "CPR_CLD_2A", "baseline": "BC", "date": "2025-12-02"}
        app.go("search", choices=choices)
        await wait_until(lambda: "2025-12-02" in screen.form.terms.time, pilot)
        await pilot.pause()
        assert screen.is_searching and "Searching" in screen.results.empty_text, text_of(app)
        archive.faults.clear()
