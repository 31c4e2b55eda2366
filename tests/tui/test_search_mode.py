"""The mode Search: the form, the run, every size, and hostile servers, against the embedded archive.

What the fields mean, and the order of results, is tested without an app in `test_search_terms.py`;
what is done with results in `test_search_results.py`.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import date, timedelta
from pathlib import Path

from driving import notices_of, text_of, wait_until
from search_kit import HOSTILE, L2, NOW, ONE_DAY, Make, finished, run_search, searching, type_text, words_of
from textual.pilot import Pilot
from textual.widgets import Input

from maap_tui.demo.archive import Archive
from maap_tui.engine.errors import NoCollectionError
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.query import Query
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.results import COLUMNS, NARROW_COLUMNS, result_of
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms

MODE = "search"


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
