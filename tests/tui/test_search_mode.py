"""The mode Search: form, results, and what is done with them, against the embedded archive."""

from __future__ import annotations

import asyncio
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
from driving import text_of, wait_until
from textual.pilot import Pilot
from textual.widgets import Input, Static

from maap_tui.demo.archive import Archive
from maap_tui.engine.catalogue.index import Known, KnownCollection
from maap_tui.engine.errors import InvalidRequestError, NoCollectionError
from maap_tui.engine.missions import mission_of_collection
from maap_tui.engine.model import Asset, Granule, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.text import format_duration
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.search import results
from maap_tui.tui.screens.search import screen as search_module
from maap_tui.tui.screens.search.area_field import read_area
from maap_tui.tui.screens.search.granule import GranuleDialog, track_in_words
from maap_tui.tui.screens.search.results import COLUMNS, NARROW_COLUMNS, Result, result_of
from maap_tui.tui.screens.search.screen import SLICE, SearchScreen
from maap_tui.tui.screens.search.search_words import progress_in_words
from maap_tui.tui.screens.search.terms import Terms, cron_line, read_terms
from maap_tui.tui.screens.search.time_field import read_time

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
    """The app at the mode Search, its names known."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(lambda: screen.form.known.queryables_of("JAXAL2Validated_MAAP"), pilot)
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


def notes(app: MaapApp) -> str:
    return " ".join(note.message for note in app._notifications)


# The fields, read


def read(**texts: Any) -> Any:
    return read_terms(
        Terms(**{"collection": L2, "product_type": "CPR_CLD_2A", **texts}),
        Known({L2: KnownCollection(L2, "EarthCARE")}),
        mission_of=mission_of_collection,
        now=NOW,
        default_maximum=50_000,
    )


@pytest.mark.parametrize(
    ("text", "start", "end", "days"),
    [
        ("2025-12-01", "2025-12-01T00:00", "2025-12-02T00:00", None),
        ("2025-12-01..2025-12-07", "2025-12-01T00:00", "2025-12-08T00:00", None),
        ("2025-12-01/2025-12-02", "2025-12-01T00:00", "2025-12-03T00:00", None),
        ("2025-12-01..", "2025-12-01T00:00", "2026-01-15T00:00", None),
        ("2025-12-01T10:30", "2025-12-01T10:30", "2025-12-01T10:31", None),
        ("7d", "2026-01-08T00:00", "2026-01-15T00:00", 7),
        ("last 2 weeks", "2026-01-01T00:00", "2026-01-15T00:00", 14),
        ("yesterday", "2026-01-14T00:00", "2026-01-15T00:00", None),
        ("2025-12", "2025-12-01T00:00", "2026-01-01T00:00", None),
        ("2025-11..2025-12", "2025-11-01T00:00", "2026-01-01T00:00", None),
        ("20251201", "2025-12-01T00:00", "2025-12-02T00:00", None),
        ("2025-335", "2025-12-01T00:00", "2025-12-02T00:00", None),
        ("3h", "2026-01-14T21:00", "2026-01-15T00:00", None),
        ("2025-12-01 03:00..06:00", "2025-12-01T03:00", "2025-12-01T06:01", None),
        ("2025-12-01 3:00..6:30", "2025-12-01T03:00", "2025-12-01T06:31", None),
        ("2025-12-01 2025-12-03", "2025-12-01T00:00", "2025-12-04T00:00", None),
        ("2025-12-01 to 2025-12-03", "2025-12-01T00:00", "2025-12-04T00:00", None),
    ],
)
def test_time_is_one_date_a_range_or_the_last_days(text: str, start: str, end: str, days: int | None) -> None:
    span = TimeRange(*(datetime.fromisoformat(f"{one}+00:00") for one in (start, end)))
    found = read_time(text, NOW)
    assert (found["time"], found.get("days_back")) == (span, days)


@pytest.mark.parametrize(
    "text",
    [
        "2025-13-01",
        "0d",
        "nonsense",
        "2025-12-07..2025-12-01",
        "2027-01-01",
        "..",
        "99999d",
        "[/foo]",
        "2025-13",
        "2025-366",
        "2025-000",
    ],
)
def test_a_time_that_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_time(text, NOW)
    assert "time" in read(time=text).problems


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("61.8,24.3 r100", "--point=61.8,24.3 --radius 100"),
        ("61.8N 24.3E 100 km", "--point=61.8,24.3 --radius 100"),
        ("33.9S, 18.4E", "--point=-33.9,18.4 --radius 50"),
        ("20,60,30,65", "--bbox=20,60,30,65"),
        ("170 -20 -170 -10", "--bbox=170,-20,-170,-10"),
    ],
)
def test_an_area_is_a_point_with_a_distance_or_a_box(text: str, options: str) -> None:
    query = read(area=text, time="7d").query
    assert options in query.to_command()
    assert read(area=Terms.of_query(query, 50_000).area, time="7d").query == query


@pytest.mark.parametrize("text", ["here", "91,0", "0,0 r0", "1,2,3,4,5", "20,65,30,60"])
def test_an_area_that_is_none_is_refused_in_words(text: str) -> None:
    with pytest.raises(InvalidRequestError):
        read_area(text)
    assert "area" in read(area=text).problems
    assert "no ground track" in read(product_type="AUX_MET_1D", area="61.8,24.3").problems["area"]


@pytest.mark.parametrize(
    ("text", "options"), [("2025-12-01..", "--start 2025-12-01"), ("3h", "--start 2026-01-14T21:00:00Z")]
)
def test_a_range_up_to_now_names_no_end(text: str, options: str) -> None:
    command = read(time=text).query.to_command()
    assert options in command and "--end" not in command


def test_progress_is_told_against_what_was_counted() -> None:
    assert progress_in_words(2_000, None, 50_000, 10.0) == (
        "Searching: 2,000 of 50,000 granules, 4 %, 4 min left; ctrl+r stops it"
    )
    assert progress_in_words(3, None, None, 10.0) == "Searching: 3 granules; ctrl+r stops it"


def test_what_is_wrong_is_said_for_its_field() -> None:
    assert list(read(orbit="x").problems) == ["orbit"]
    assert list(read(frames="Z").problems) == ["frames"]
    assert list(read(orbit="7655C", frames="A").problems) == ["frames"]
    assert list(read(formats="exe").problems) == ["formats"]
    assert list(read(maximum="0").problems) == ["maximum"]
    assert "exclude" in read(orbit="7655", time="7d").problems["orbit"]
    assert read(product_type="AUX_MET_1D", orbit="7655").problems["orbit"].endswith("give a time as well")
    assert read(product_type="AUX_MET_1D", orbit="7655", time="7d").query is not None
    assert read(product_type="").query is None and "product type" in read(product_type="").hint
    assert read(collection="", product_type="").hint


def test_fields_become_a_query_and_back() -> None:
    query = read(baseline="BC", orbit="8960-8970,9000", frames="c,d", formats="h5,hdr", maximum="1,000").query
    assert query.orbits == ((8960, 8970), (9000, 9000))
    assert (query.frames, query.formats, query.max_items) == (("C", "D"), ("h5", "hdr"), 1000)
    again = Terms.of_query(query, 50_000)
    assert read(**{**again.as_dict()}).query == query
    for text in ("7d", "2025-12-01", "2025-12-01..2025-12-07", "2025-12-01T10:30:00Z..2025-12-01T11:00:00Z"):
        query = read(time=text, every_version=True).query
        assert query.every_version
        assert read(time=Terms.of_query(query, 50_000).time).query.time == query.time
    assert Terms.from_dict({"collection": 5, "time": "7d", "newest_first": "yes"}) == Terms(time="7d")
    assert Terms.from_dict(None) == Terms()


def test_a_crontab_line_goes_back_as_many_days_as_the_search() -> None:
    week = read(time="2025-12-01..2025-12-07", baseline="BC").query
    assert cron_line(week, NOW) == (
        f"0 6 * * * maap sync {L2} CPR_CLD_2A BC --days-back 7 >> $HOME/maap-sync.log 2>&1"
    )
    assert "--days-back 2 " in cron_line(read(time="2d").query, NOW)
    assert "--days-back 3 " in cron_line(read(orbit="7655C").query, NOW)
    assert "--orbit" not in cron_line(read(orbit="7655C").query, NOW)


def test_a_ground_track_is_told_in_words() -> None:
    def granule(track: list[list[float]] | None, kind: str = "LineString") -> Granule:
        geometry = {"type": kind, "coordinates": track} if track is not None else None
        return Granule("x", L2, "EarthCARE", "P", "BC", NOW, orbit_state="ASCENDING", geometry=geometry)

    words = " ".join(track_in_words(granule([[170.0, -30.0], [-175.0, 10.0]])))
    assert "From 30.0S 170.0E to 10.0N 175.0W, northward (ascending)." in words
    assert "the tropic of Capricorn" in words and "the equator" in words and "antimeridian" in words
    assert "no ground track" in " ".join(track_in_words(granule(None)))
    assert "Polygon" in " ".join(track_in_words(granule([], "Polygon")))
    ring = [[178.0, -20.0], [179.0, 0.0], [180.0, 20.0], [181.4, 20.0], [180.4, 0.0], [179.4, -20.0]]
    swath = " ".join(track_in_words(granule([ring], "Polygon")))
    assert "The outline of a swath, 15" in swath and "km wide" in swath
    assert "From 20.0S 178.7E to 20.0N 179.3W, northward (ascending)." in swath and "antimeridian" in swath
    assert "At 5.0N 10.0E." in track_in_words(granule([10.0, 5.0], "Point"))
    boxed = replace(granule(None), bbox=(170.0, -5.0, -170.0, 5.0))
    assert "it is within 5.0S 170.0E to 5.0N 170.0W" in track_in_words(boxed)[0]


# The form


async def test_an_empty_place_says_what_to_do(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        assert "f goes to the form" in text_of(app)
        assert "$ maap search" not in text_of(app)
        await pilot.press("d", "w", "e", "o", "enter")
        assert "There are no results yet" in notes(app)
        await pilot.press("ctrl+r")
        await wait_until(lambda: screen.form.field_in_hand == "collection", pilot)
        assert "Choose a collection" in notes(app)


async def test_a_product_is_found_by_typing_and_counted(make_app: Make) -> None:
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


async def test_arrows_walk_through_matches_and_right_completes(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await pilot.press("f")
        await type_text(pilot, "EarthCAREL2")
        await pilot.press("down", "up", "down", "enter")
        assert screen.form.terms.collection == screen.form.matches_of("collection")[0].name
        assert screen.form.field_in_hand == "product_type"
        await pilot.press("escape")
        assert app.focused is screen.results
        screen.form.fill(Terms(L2))
        await pilot.press("f")
        await type_text(pilot, "CPR_CLD")
        await pilot.pause()
        await pilot.press("right")
        assert screen.form.terms.product_type == "CPR_CLD_2A"
        await pilot.press("down")
        assert screen.form.field_in_hand == "baseline", "without matches the arrows go to the next field"


async def test_escape_only_leaves_the_form(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        for _ in range(2):
            await pilot.press("escape")
            assert app.focused is screen.results
        await pilot.press("f")
        await wait_until(lambda: screen.form.field_in_hand == "collection", pilot)
        await pilot.press("escape")
        assert app.focused is screen.results


async def test_tab_takes_the_suggestion_and_then_goes_on(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await pilot.press("f")
        await type_text(pilot, "EarthCAREL2V")
        await pilot.press("tab")
        assert screen.form.terms.collection == L2
        assert screen.form.field_in_hand == "product_type"
        await pilot.press("tab")
        assert screen.form.field_in_hand == "baseline"


async def test_what_is_wrong_leaves_the_last_command_that_was_right(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, _):
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01"))
        command = words_of(screen, "command")
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "25-12-01"))
        assert words_of(screen, "command") == command
        assert screen.query_one("#command").has_class("-old")


async def test_results_of_another_search_than_the_forms_say_so(make_app: Make) -> None:
    app = make_app()
    async with searching(app, (120, 40)) as (screen, pilot):
        await run_search(screen, pilot, ONE_DAY)
        assert "earlier search" not in text_of(app)
        screen.form.fill(dataclasses.replace(ONE_DAY, time="2025-12-02"))
        await wait_until(lambda: "an earlier search" in words_of(screen, "progress"), pilot)


async def test_sorted_newest_first_the_newest_is_seen(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        screen.results.sort_by("start", is_reversed=True)
        await run_search(screen, pilot, dataclasses.replace(ONE_DAY, time="2025-12-01..2025-12-03"))
        assert screen.results.cursor == 0
        assert screen.results.current.granule.sensing_start.day == 3


@pytest.mark.parametrize(("width", "has_names"), [(80, False), (120, False), (180, True)])
async def test_names_are_shown_where_they_fit(make_app: Make, width: int, has_names: bool) -> None:
    app = make_app()
    async with searching(app, (width, 24)) as (screen, pilot):
        await wait_until(lambda: ("Name" in text_of(app)) is has_names, pilot)
        assert ("Direction" in text_of(app)) is not has_names
        assert screen.results.columns


async def test_columns_are_on_or_off_without_colours_too(make_app: Make) -> None:
    app = make_app(no_colour=True, is_ascii=True)
    async with searching(app) as (screen, pilot):
        await pilot.press("c")
        await wait_until(lambda: isinstance(app.screen, ColumnsDialog), pilot)
        lines = text_of(app).splitlines()
        assert next("X" in line.partition("Orbit")[0] for line in lines if "Orbit" in line)
        assert not next("X" in line.partition("Sensing end")[0] for line in lines if "Sensing end" in line)
        await pilot.press("space", "down", "space", "escape")
        assert [column.key for column in screen.results.columns] == [
            column.key for column in COLUMNS if column.key in NARROW_COLUMNS[2:]
        ]


async def test_a_match_is_taken_by_a_click(make_app: Make) -> None:
    app = make_app()
    async with searching(app, (120, 40)) as (screen, pilot):
        await pilot.press("f")
        await type_text(pilot, "jaxal2")
        await pilot.click("#matches", offset=(4, 1))
        assert screen.form.terms.collection.startswith("JAXAL2")


async def test_wrong_names_are_told_with_near_ones(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        screen.form.fill(Terms(L2, "CPR_CLX_2A"))
        assert "CPR_CLD_2A" in words_of(screen, "verdict")
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "ZZ"))
        assert "there is no 'ZZ'" in words_of(screen, "verdict")
        screen.form.fill(Terms("NoSuchCollection", "CPR_CLD_2A"))
        await wait_until(lambda: "There is no collection" in words_of(screen, "verdict"), pilot)
        screen.form.fill(Terms(L2, "CPR_CLD_2A", time="2025-02-30"))
        await pilot.press("ctrl+r")
        assert not screen.is_searching
        assert "is not a date" in notes(app)
        await wait_until(lambda: screen.form.field_in_hand == "time", pilot)


async def test_the_newest_baseline_is_looked_up(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "newest", "2025-12-01", maximum="5"))
        await pilot.press("ctrl+r")
        await finished(screen, pilot)
        assert {row.granule.baseline for row in screen.results.rows} == {"BC"}
        assert "CPR_CLD_2A BC --date" in words_of(screen, "command")
        assert "cut at the maximum" in words_of(screen, "progress")


async def test_commands_are_copied(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await pilot.press("y")
        assert "Choose a collection" in notes(app)
        screen.form.fill(ONE_DAY)
        await pilot.press("y")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert app.clipboard == f"maap search {L2} CPR_CLD_2A BC --date 2025-12-01 --frame A"
        await pilot.press("escape", "Y")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert app.clipboard.startswith("0 6 * * * maap sync") and "--days-back 1" in app.clipboard


async def test_another_place_fills_the_form(make_app: Make) -> None:
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


async def test_the_form_is_a_line_while_results_are_looked_at(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        assert screen.has_class("-folded")
        assert "2025-12-01" in words_of(screen, "summary")
        await pilot.resize_terminal(120, 40)
        await wait_until(lambda: "newest first" in text_of(app), pilot)
        await pilot.resize_terminal(80, 24)
        await wait_until(lambda: "newest first" not in text_of(app), pilot)
        assert not screen.query_one("#collection").display or screen.query_one("#fields").size.height == 0
        await pilot.click("#summary")
        await wait_until(lambda: screen.form.field_in_hand == "time", pilot)
        assert not screen.has_class("-folded")
        assert len([line for line in text_of(app).splitlines() if " 2025-12-01 " in line]) >= 8
        await pilot.press("escape")
        assert screen.has_class("-folded")


@pytest.mark.parametrize("size", [(60, 16), (120, 40)])
async def test_other_sizes_show_form_and_results(make_app: Make, size: tuple[int, int]) -> None:
    app = make_app()
    async with searching(app, size) as (screen, pilot):
        await run_search(screen, pilot)
        if size[0] == 60:
            assert text_of(app).splitlines()[1].endswith("…"), "the folded form is cut with a mark"
        await pilot.press("f")
        await wait_until(lambda: screen.form.field_in_hand, pilot)
        await pilot.pause()
        text = text_of(app)
        assert "Collection" in text and " 2025-12-01 " in text and "$ maap search" in text
        assert screen.has_class("-wide") is (size[0] == 120)


# The run


async def test_results_stream_in_and_can_be_stopped(make_app: Make, archive: Archive) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        archive.faults.add(target="search", latency_s=0.1, after=3)
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


async def test_filter_that_finds_nothing_is_said_beside_the_results(make_app: Make, archive: Archive) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        archive.faults.add(blind="version")
        await run_search(screen, pilot)
        assert len(screen.results.rows) == 15
        assert "by baseline" in words_of(screen, "progress")
        assert any("filtered here" in line.text for line in app.backend.log_lines if line.level == "warning")


async def test_days_that_fail_are_told_and_the_rest_is_in_order(make_app: Make, archive: Archive) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        archive.faults.add(failing_day="2025-12-03")
        await run_search(
            screen,
            pilot,
            Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01..2025-12-12", frames="A", newest_first=True),
        )
        assert "FAILED DAY: 2025-12-03" in words_of(screen, "progress")
        starts = [row.granule.sensing_start for row in screen.results.rows]
        assert starts == sorted(starts, reverse=True)
        assert date(2025, 12, 3) not in {start.date() for start in starts}


@pytest.mark.parametrize("newest_first", [False, True])
async def test_a_day_asked_again_finds_its_place_among_very_many_between_two_looks_at_the_keys(
    make_app: Make, monkeypatch: pytest.MonkeyPatch, newest_first: bool
) -> None:
    count, late = 40_000, range(20_000, 21_000)
    sign = -1 if newest_first else 1

    def result(number: int) -> Result:
        start = NOW + sign * timedelta(minutes=number)
        return Result(Granule(f"{number}", L2, "EarthCARE", "CPR_CLD_2A", "BC", start), (), 1)

    steps: list[int] = [0]  # rows compared in each turn of the loop

    def counted(row: Result) -> tuple[object, str]:
        steps[-1] += 1
        return row.granule.sensing_start, row.granule.id

    async def turn() -> None:
        while True:
            steps.append(0)
            await asyncio.sleep(0)

    app = make_app()
    async with searching(app) as (screen, pilot):
        rows = screen.results
        screen._newest_first = newest_first
        numbers = [number for number in range(count) if number not in late]
        for part in (numbers[:30_000], numbers[30_000:], [*late]):
            screen._incoming = [result(number) for number in part]
            screen._take_incoming(everything=True)
        rows.move_to_key("39999")
        monkeypatch.setattr(results, "order_of", counted)
        turns = asyncio.create_task(turn())
        screen._put_in_order()
        await wait_until(lambda: rows.rows[20_500].granule.id == "20500", pilot)
        await wait_until(lambda: not rows.is_arranging, pilot)
        turns.cancel()
        assert [int(row.granule.id) for row in rows.shown] == list(range(count))
        assert rows.current.granule.id == "39999" and rows.cursor == 39_999
        assert sum(steps) > late.start and max(steps) <= 2 * SLICE


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


async def test_nothing_found_says_what_to_try(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2024-07-01"))
        assert "nothing that matches" in text_of(app)


async def test_results_are_filtered_sorted_and_selected(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot, Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01"))
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


async def test_columns_sort_and_form_are_remembered(make_app: Make, tmp_path: Path) -> None:
    home = tmp_path / "kept"
    app = make_app(home=home)
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        screen.results.set_columns(["start", "state", "name"])
        screen.results.post_message(ColumnsDialog.Changed(screen.results))
        screen.results.sort_by("state", is_reversed=True)
        kept = screen._memory_file
        await wait_until(
            lambda: kept.exists() and json.loads(kept.read_text())["sort"] == ["state", True], pilot
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


async def test_the_forecast_counts_the_queue_once(make_app: Make, archive: Archive) -> None:
    archive.faults.add(target="data", stall_after=0)
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "d")
        await wait_until(lambda: all(row.state == "queued" for row in screen.results.rows), pilot)
        size = sum(row.size for row in screen.results.rows)
        app.backend.last_rate = 1024.0
        screen.sum_again()
        words = f"{format_duration(size / 1024)} with the queue"
        await wait_until(lambda: words in words_of(screen, "sum"), pilot)


async def test_files_are_queued_and_their_state_follows(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        assert {row.state for row in screen.results.rows} == {"new"}
        await pilot.press("space", "space", "d")
        await wait_until(lambda: "Queued 2 files, 318 KiB" in notes(app), pilot)
        await wait_until(
            lambda: [row.state for row in screen.results.rows[:3]] == ["here", "here", "new"], pilot
        )
        await wait_until(lambda: "2 here" in words_of(screen, "sum"), pilot)
        await pilot.press("d")
        await wait_until(lambda: "Nothing to queue" in notes(app), pilot)
        row = screen.results.rows[0]
        path = app.backend.session.filing.request_of(row.granule, row.files[0]).path
        assert path.stat().st_size == row.size
        app.backend.session.mark([str(path)])
        second = screen.results.rows[1]
        app.backend.session.filing.request_of(second.granule, second.files[0]).path.unlink()
        app.action_go("log")
        await pilot.pause()
        app.action_go("search")
        await wait_until(
            lambda: [row.state for row in screen.results.rows[:2]] == ["marked", "missing"], pilot
        )
        assert "marked" in text_of(app) and "missing" in text_of(app)


async def test_what_the_disk_cannot_hold_is_not_queued(make_app: Make) -> None:
    app = make_app(overrides={"downloads.min_free": 1 << 60})
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "d")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        assert "Nothing was queued" in app.screen.message
        assert app.backend.transfers is None


async def test_files_go_to_another_folder_and_are_not_tracked(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
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


async def test_granules_are_saved_to_the_registry(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "w")
        count = len(screen.results.rows)
        await wait_until(lambda: f"Registered {count} new files" in notes(app), pilot)
        assert app.backend.session.stats(L2, "CPR_CLD_2A", "BC").total_urls == count
        await pilot.press("w")
        await wait_until(lambda: f"{count} known already" in notes(app), pilot)


async def test_registering_many_says_at_once_how_far_it_is(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    said: list[str] = []
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
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
        await pilot.press("a", "w")
        await wait_until(lambda: "Registered 1 new file" in notes(app), pilot)
        assert said[0] == f"Registering {count:,} granules..."
        assert [words.partition(" granules")[0] for words in said[1:3]] == [
            f"Registering: {SLICE:,} of {count:,}",
            f"Registering: {2 * SLICE:,} of {count:,}",
        ]
        assert "99 %" in said[2] and said[2].endswith(" left...")


BIOMASS = Terms("BiomassLevel1a", "S1_SCS__1S", time="2025-12-12")


async def test_a_granule_of_biomass_is_known_by_track_and_frame(make_app: Make) -> None:
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
        await run_search(screen, pilot)
        assert "Track" not in text_of(app) and "Orbit " in text_of(app), "the next mission has orbits"


async def test_every_file_of_a_granule_is_queued_with_format_all(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot, replace(BIOMASS, orbit="", frames="222", formats="all"))
        row = screen.results.current
        assert {asset.format for asset in row.files} == {"tiff", "xml", "kml", "png"} and len(row.files) == 7
        await pilot.press("d")
        await wait_until(lambda: "Queued 7 files" in notes(app), pilot)
        await wait_until(lambda: row.state == "here", pilot)
        paths = [app.backend.session.filing.request_of(row.granule, asset).path for asset in row.files]
        assert len(set(paths)) == 7 and all(path.is_file() for path in paths)


async def test_results_are_exported(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        urls = [row.files[0].href for row in screen.results.rows]
        written = {}
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
            await wait_until(lambda target=target: f"to {target}" in notes(app), pilot)
            written[suffix] = target.read_text().splitlines()
        assert [row["url"] for row in csv.DictReader(written["csv"])] == urls
        assert [json.loads(line)["url"] for line in written["jsonl"]] == urls
        assert written["txt"] == urls


async def test_a_granule_is_shown_whole(make_app: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search_module, "KEPT_WHOLE", 1)
    app = make_app()
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
        assert not screen.results.current.granule.properties, "later results are kept small"
        await pilot.press("enter")
        await wait_until(
            lambda: isinstance(app.screen, GranuleDialog) and "processing:level" in str(app.screen.words()),
            pilot,
        )


async def test_a_granule_that_cannot_be_fetched_again_says_so(
    make_app: Make, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "KEPT_WHOLE", 0)
    app = make_app(overrides={"api.retries": 0})
    async with searching(app, (120, 40)) as (screen, pilot):
        await run_search(screen, pilot)
        archive.faults.add(target="catalogue", status=503)
        await pilot.press("enter")
        await wait_until(lambda: "not at hand" in text_of(app), pilot)


# Hostile servers, other processes, no colour


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
        await wait_until(lambda: "refused because of the names" in notes(app), pilot)
        await pilot.press("ctrl+r", "y", "slash")
        await type_text(pilot, "[/foo]")
        await pilot.pause()
        assert "\x1b" not in text_of(app)
        assert app.is_running


async def test_files_of_another_process_are_queued(make_app: Make) -> None:
    from maap_tui.engine.download.queue_store import QueueRow

    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        first = screen.results.rows[0]
        row = QueueRow(
            "/x/y.h5", first.files[0].href, "running", pid=os.getppid(), host="elsewhere", changed=2e9
        )
        app.backend.session.queue.save([row])
        screen.states.look_again(screen.results.rows)
        await wait_until(lambda: first.state == "queued", pilot)


async def test_a_registry_line_without_its_file_is_missing(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        url = f"{app.backend.session.settings.api.catalog_url.removesuffix('catalogue/')}data/none.h5"
        key = Key("EarthCARE", L2, "CPR_CLD_2A", "BC")
        tracker = app.backend.session.registry.baseline(key)
        tracker.add([TrackedFile(tracker.key, date(2025, 12, 1), url, "/nowhere/none.h5")])
        tracker.record(url, "/nowhere/none.h5", date(2025, 12, 1))
        asset = Asset("h5", url, "none.h5", "h5", 10)
        granule = Granule(
            "none", L2, "EarthCARE", "CPR_CLD_2A", "BC", datetime(2025, 12, 1, 5, tzinfo=UTC), assets=(asset,)
        )
        row = result_of(granule, ("h5",), keep_whole=True)
        screen.results.set_rows([row])
        screen.states.look_again([row])
        await wait_until(lambda: row.state == "missing", pilot)


async def test_ascii_without_colour_shows_all_of_it(make_app: Make) -> None:
    app = make_app(is_ascii=True, no_colour=True)
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("space")
        await wait_until(lambda: "Selected: 1 file" in words_of(screen, "sum"), pilot)
        assert "*" in text_of(app)
        screen.form.fill(Terms())
        await pilot.press("f")
        await wait_until(lambda: "| newest first" in text_of(app), pilot)
        assert "| | newest first" in text_of(app)
        screen.form.fill(Terms(newest_first=True))
        await wait_until(lambda: "|X| newest first" in text_of(app), pilot)
