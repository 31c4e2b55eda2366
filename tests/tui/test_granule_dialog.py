"""The dialog of a granule: its picture, the headers of its files, its track on a map."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from driving import text_of, wait_until
from textual.pilot import Pilot

from maap_tui.demo import Archive
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.search import search_run
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.terms import Terms
from tests.tui.test_mouse import click

pytestmark = pytest.mark.usefixtures("prompt_keys", "apart_at_once")

MakeApp = Callable[..., MaapApp]
L2 = "EarthCAREL2Validated_MAAP"


@asynccontextmanager
async def opened(
    app: MaapApp, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[SearchScreen, Pilot[Any]]]:
    """The app with the dialog of the first of 16 granules."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(lambda: screen.is_ready and screen.form.known.queryables_of(L2), pilot)
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01", frames="D"))
        await pilot.press("ctrl+r")
        await wait_until(lambda: screen.results.rows and not screen.is_searching, pilot)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        yield screen, pilot


def pictures_asked(archive: Archive) -> list[str]:
    return [one["path"] for one in archive.stats.show()["last_requests"] if "/public/" in one["path"]]


def is_painted(app: MaapApp) -> bool:
    return "▀" in text_of(app)


async def test_long_values_go_on_below_where_they_begin(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with opened(app, (70, 24)) as (_, pilot):

        def columns() -> list[int]:
            """Where the value of the product type begins, line by line."""
            lines = text_of(app).split("\n")
            words = ("C-CLD cloud", "properties")
            return [line.index(word) for word in words for line in lines if word in line]

        await wait_until(lambda: len(columns()) == 2, pilot)
        about, rest = columns()
        assert about - len("CPR_CLD_2A  ") == rest
        await pilot.resize_terminal(80, 24)
        await wait_until(lambda: "precipitation properties" in text_of(app), pilot)


async def test_the_picture_is_fetched_when_it_is_asked_for_and_once(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(mode="search")
    async with opened(app) as (screen, pilot):
        assert "State" in text_of(app) and not pictures_asked(archive)
        await pilot.press("v")
        await wait_until(lambda: is_painted(app), pilot)
        assert "v facts" in text_of(app) and "State" not in text_of(app)
        (first,) = pictures_asked(archive)
        assert screen.results.rows[0].granule.id in first
        await pilot.press("v")
        await wait_until(lambda: "State" in text_of(app) and "v picture" in text_of(app), pilot)
        await click(pilot, "v picture")
        await wait_until(lambda: is_painted(app), pilot)
        assert pictures_asked(archive) == [first]
        # The next granule has another; where none comes, it is said.
        await pilot.press("n")
        await wait_until(lambda: len(pictures_asked(archive)) == 2 and is_painted(app), pilot)
        archive.faults.add(target="data", status=404)
        await pilot.press("n")
        await wait_until(lambda: "404 Not Found" in text_of(app), pilot)


async def test_the_picture_of_a_row_that_lacks_its_files_waits_for_them(
    make_app: MakeApp, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_run, "KEPT_WHOLE", 0)
    app = make_app(mode="search", overrides={"api.retries": 0})
    async with opened(app) as (_, pilot):
        await pilot.press("v")
        await wait_until(lambda: is_painted(app), pilot)
        archive.faults.add(target="search", status=503)
        await pilot.press("n")
        await wait_until(lambda: "not available: " in text_of(app), pilot)


@pytest.mark.parametrize(
    ("options", "is_few", "sign"),
    [
        ({"is_ascii": True}, False, "@@@@"),
        ({"no_colour": True}, False, "████"),
        ({}, True, "████"),
        ({"low_bandwidth": True}, False, "▀"),
    ],
    ids=["ascii", "no colour", "16 colours", "low bandwidth"],
)
async def test_a_picture_is_shaded_where_colours_are_few(
    options: dict[str, bool], is_few: bool, sign: str, make_app: MakeApp
) -> None:
    app = make_app(mode="search", **options)
    if is_few:
        app.use_few_colours()
    async with opened(app) as (_, pilot):
        await pilot.press("v")
        await wait_until(lambda: sign in text_of(app), pilot)
        assert is_painted(app) == (sign == "▀")
        assert not options.get("is_ascii") or text_of(app).isascii()


async def test_headers_are_those_of_the_files_that_are_here(make_app: MakeApp) -> None:
    app = make_app(mode="search")
    async with opened(app) as (screen, pilot):
        await pilot.press("h")
        await wait_until(lambda: "None of its files is here: d downloads." in text_of(app), pilot)
        await pilot.press("d")
        # They are read as soon as the file has come.
        await wait_until(lambda: "latitude  float32  576  degrees_north" in text_of(app), pilot)
        row = screen.results.rows[0]
        path = app.backend.session.filing.request_of(row.granule, row.files[0]).path
        path.write_bytes(path.read_bytes()[:3000])
        await click(pilot, "h facts")
        await wait_until(lambda: "h headers" in text_of(app), pilot)
        await pilot.press("h")
        await wait_until(lambda: "it is damaged or cut off" in text_of(app), pilot)


async def test_the_track_is_on_a_map_beside_the_facts_where_there_is_room(make_app: MakeApp) -> None:
    app = make_app(mode="search")

    def is_mapped() -> bool:
        return any("\u2800" < sign <= "\u28ff" for sign in text_of(app))

    async with opened(app, (120, 40)) as (_, pilot):
        await wait_until(lambda: is_mapped() and "State" in text_of(app), pilot)
        await pilot.resize_terminal(80, 24)
        await wait_until(lambda: not is_mapped(), pilot)
        await pilot.press("v")
        await wait_until(is_mapped, pilot)


async def test_a_command_of_the_users_runs_with_the_granule_that_is_shown(
    make_app: MakeApp, archive: Archive, tmp_path: Path
) -> None:
    archive.prepare(tmp_path / "maap")
    say = shlex.join([sys.executable, "-c", "import sys; print('GOT', *sys.argv[1:])"])
    file = tmp_path / "maap" / "config.toml"
    text = file.read_text()
    for name, key, value in (("say", "#", "{file}"), ("page", "&", "{id} {url}"), ("taken", "u", "{id}")):
        run = json.dumps(f"{say} {value}")
        text += f"[commands.{name}]\nrun = {run}\nkey = '{key}'\noutput = 'background'\nwhere = ['search']\n"
    file.write_text(text)
    app = make_app(home=tmp_path / "maap", mode="search")
    async with opened(app, (120, 30)) as (screen, pilot):

        def logged() -> str:
            return "\n".join(line.text for line in app.backend.log_lines)

        shown = screen.results.rows[1]
        await pilot.press("n")
        # The line of keys has them; a key of the dialog's own stays that. Until the dialog is laid out, the
        # line below it is seen, which has all three.
        await wait_until(lambda: "# say  & page" in text_of(app) and "taken" not in text_of(app), pilot)
        await pilot.press("ampersand")
        await wait_until(lambda: f"page: GOT {shown.granule.id} http" in logged(), pilot)
        await pilot.press("number_sign")
        await wait_until(lambda: "say needs {file}" in text_of(app), pilot)
        await pilot.press("escape", "d")
        path = app.backend.session.filing.request_of(shown.granule, shown.files[0]).path
        await wait_until(path.exists, pilot)
        await wait_until(lambda: shown.is_here, pilot)
        await click(pilot, "# say")
        await wait_until(lambda: f"say: GOT {path}" in logged(), pilot)
