"""The palette: every action, mode, collection and product type is found by typing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driving import find_files, notices_of, text_of, wait_until
from textual import events
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from maap_tui.demo.archive import Archive
from maap_tui.engine.missions import earthcare
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.browse.archive_tree import ArchiveTree, Branch
from maap_tui.tui.screens.browse.screen import BrowseScreen
from maap_tui.tui.screens.search.screen import SearchScreen
from maap_tui.tui.screens.search.search_form import MatchList

L2 = "EarthCAREL2InstChecked_MAAP"
VALIDATED = "EarthCAREL2Validated_MAAP"
HOSTILE = ("[/foo]", "[@click=app.quit]x[/]", "\x1b[2Jgone")
OFFLINE = {
    "environ": {
        "MAAP_CATALOG_URL": "http://127.0.0.1:9/catalogue/",
        "MAAP_TOKEN_URL": "http://127.0.0.1:9/t",
    },
    "overrides": {"api.retries": 0},
}

MakeApp = Callable[..., MaapApp]


def names(*products: str) -> Callable[[Session], None]:
    def write(session: Session) -> None:
        file = session.dirs.queryables_file(L2)
        file.parent.mkdir(parents=True, exist_ok=True)
        properties = {"product:type": {"enum": list(products)}, "version": {"enum": ["bc"]}}
        file.write_text(json.dumps({"properties": properties}))

    return write


async def type_into_palette(pilot: Pilot[Any], text: str, key: str = "colon") -> None:
    app = pilot.app
    await pilot.press(key)
    await wait_until(lambda: isinstance(app.screen, CommandPalette), pilot)
    if text:
        await pilot.press(text[0])
        field = app.focused
        assert isinstance(field, Input)
        field.insert_text_at_cursor(text[1:])  # as if it was pasted


def highlighted(app: MaapApp) -> str:
    """The command that enter takes."""
    found = app.screen.query_one(OptionList)
    return "" if found.highlighted is None else str(found.get_option_at_index(found.highlighted).prompt)


async def test_offers_and_runs_actions_of_this_mode_and_of_others(make_app: MakeApp) -> None:
    app = make_app(**OFFLINE)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_into_palette(pilot, "")
        await wait_until(lambda: "Refresh  (Browse, r)" in text_of(app), pilot)
        offered = [str(option.prompt) for option in app.screen.query_one(OptionList).options]
        assert any(one.startswith("Go to Registry  (4)") for one in offered)
        assert any(one.startswith("Quit  (Everywhere, q)") for one in offered)
        assert not any(one.startswith("Mark ") for one in offered)
        # A collection is found letter by letter.
        await pilot.press(*"jaxl2val")
        await wait_until(lambda: "JAXAL2Validated_MAAP" in text_of(app), pilot)
        await pilot.press("escape")
        await wait_until(lambda: not isinstance(app.screen, CommandPalette), pilot)
        # An action of this mode.
        await pilot.press("g")
        await type_into_palette(pilot, "copy the names")
        await wait_until(lambda: highlighted(app).startswith("Copy  (Browse, y)"), pilot)
        await pilot.press("enter")
        await wait_until(lambda: app.clipboard == "EarthCARE", pilot)
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        await pilot.press("escape")
        # Another mode, and from there an action of Browse.
        await type_into_palette(pilot, "go to registry", key="ctrl+p")
        await wait_until(lambda: highlighted(app).startswith("Go to Registry"), pilot)
        await pilot.press("enter")
        await wait_until(lambda: app.current_mode == "registry", pilot)
        app.copy_to_clipboard("")
        await type_into_palette(pilot, "copy the names")
        await wait_until(lambda: highlighted(app).startswith("Copy  (go to Browse, y)"), pilot)
        await pilot.press("enter")
        await wait_until(lambda: app.clipboard == "EarthCARE", pilot)
        assert app.current_mode == "browse"


@pytest.mark.long
async def test_what_no_other_tool_has_is_found_from_every_mode(make_app: MakeApp) -> None:
    """What arrived, sets, overpasses, cuts, swaps, studies, quality, covers, tables and proof."""
    wanted = {
        "what has arrived": "What arrived  (go to Today, n)",
        "products of a set": "Sets  (go to Registry, t)",
        "satellite passes a place": "Overpasses  (go to Search, O)",
        "near a ship": "Match  (go to Search, m)",
        "cut variables": "Cut  (go to Search, x)",
        "swap the baseline": "Swap  (go to Registry, w)",
        "freeze what is here": "Freeze  (go to Registry, z)",
        "frozen study again": "Thaw  (go to Registry, Z)",
        "is cited": "Cite  (go to Registry, C)",
        "gaps and disclaimers": "Quality  (go to Search, Q)",
        "fewest dates": "Fewest dates  (go to Search, F)",
        "to a file": "Export  (go to Search, e)",
        "verify the files": "Verify  (go to Registry, V)",
    }
    app = make_app(**OFFLINE)
    async with app.run_test(size=(80, 24)) as pilot:
        for text, title in wanted.items():
            await type_into_palette(pilot, text)
            await wait_until(lambda title=title: title in text_of(app), pilot)
            await pilot.press("escape")
            await wait_until(lambda: not isinstance(app.screen, CommandPalette), pilot)


async def test_collections_stand_in_the_order_of_the_tree(make_app: MakeApp) -> None:
    def write(session: Session) -> None:
        session.dirs.catalog_dir.mkdir(parents=True, exist_ok=True)
        properties = {"product:type": {"enum": ["CPR_CLD_2A"]}, "version": {"enum": ["bc"]}}
        for name in earthcare.MISSION.collections:
            session.dirs.queryables_file(name).write_text(json.dumps({"properties": properties}))

    app = make_app(prepare=write, **OFFLINE)
    async with app.run_test(size=(120, 50)) as pilot:
        tree = app.screen.query_one(ArchiveTree)
        await wait_until(lambda: tree.root.children and len(tree.root.children[0].children) == 12, pilot)
        order = [node.data.collection for node in tree.root.children[0].children if node.data]
        assert [name for name in order if "L2" in name][:2] == [VALIDATED, L2]
        await type_into_palette(pilot, "CPR_CLD_2A")
        await wait_until(lambda: f"in {order[-1]}" in text_of(app), pilot)
        options = [str(option.prompt) for option in app.screen.query_one(OptionList).options]
        found = [line.split()[2] for line in options if line.startswith("CPR_CLD_2A  in ")]
        assert found == order


async def test_names_that_come_while_it_is_open_are_found(make_app: MakeApp, archive: Archive) -> None:
    archive.faults.add(target="catalogue", match="queryables", latency_s=1.0)
    app = make_app(is_first=True)
    async with app.run_test(size=(80, 24)) as pilot:
        await type_into_palette(pilot, "dopple")
        known = app.backend.session.index

        def are_known() -> bool:
            return bool(known.known.products_of(VALIDATED))

        # On a busy machine they are there first.
        await wait_until(lambda: "No matches found" in text_of(app) or are_known(), pilot)
        await wait_until(are_known, pilot)
        await pilot.press("r")
        await wait_until(lambda: f"CPR_CD__2A  in {VALIDATED}" in text_of(app), pilot)


async def test_finds_product_types_by_content_and_hostile_names_are_only_text(make_app: MakeApp) -> None:
    app = make_app(is_first=True, prepare=names("ATL_EBD_2A", "CPR_CLD_2A", *HOSTILE), **OFFLINE)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.press("2")
        await type_into_palette(pilot, "cloud prec cpr")
        await wait_until(lambda: highlighted(app).startswith(f"CPR_CLD_2A  in {L2}"), pilot)
        await pilot.press("enter")
        await wait_until(lambda: app.current_mode == "browse", pilot)
        screen = app.screen
        assert isinstance(screen, BrowseScreen)
        wanted = Branch("EarthCARE", L2, "CPR_CLD_2A")
        await wait_until(lambda: screen.tree_view.branch == wanted, pilot)
        await type_into_palette(pilot, "instchecked")
        await wait_until(lambda: "[@click=app.quit]x[/]  in" in text_of(app), pilot)
        shown = text_of(app)
        assert "[/foo]  in" in shown
        assert "\\x1b[2Jgone" in shown and "\x1b" not in shown
        await pilot.press("down", "down", "enter")
        await pilot.pause()
        assert app.is_running


async def paste(pilot: Pilot[Any], text: str, wanted: str) -> None:
    """Paste into the palette, and wait for the entry that enter would take."""
    app = pilot.app
    assert isinstance(app, MaapApp)
    await pilot.press("colon")
    app.post_message(events.Paste(text))
    await wait_until(lambda: isinstance(app.screen, CommandPalette), pilot)
    await wait_until(lambda: highlighted(app).startswith(wanted), pilot)


async def test_a_pasted_id_is_searched_and_pasted_urls_are_queued(make_app: MakeApp) -> None:
    app = make_app(mode="browse")
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        files = await find_files(app, 2)
        stem = files[0].url.rpartition("/")[2].removesuffix(".h5")
        await paste(pilot, f"{stem}.h5", f"Search CPR_CLD_2A BC, orbit {stem[-6:]}")
        await pilot.press("enter")
        await wait_until(lambda: app.current_mode == "search" and app.screen.query("#sum"), pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        await wait_until(lambda: [row.granule.id for row in screen.results.rows] == [stem], pilot)
        assert (screen.form.terms.collection, screen.form.terms.orbit) == (VALIDATED, stem[-6:])
        # A command line, with what the form lacks.
        line = f"maap get {VALIDATED} \\\n  CPR_CLD_2A BC --orbit {stem[-6:-1]} --format h5 -o /tmp/x | sh"
        await paste(
            pilot, line, f"Run as a search: maap search {VALIDATED} CPR_CLD_2A BC --orbit {stem[-6:-1]}"
        )
        await pilot.press("enter")
        await wait_until(lambda: "Left out: what follows |, -o." in notices_of(app), pilot)
        await wait_until(lambda: screen.form.terms.formats == "h5", pilot)
        # Lines of URLs.
        app.clear_notifications()
        await paste(pilot, "".join(f"{file.url}\n" for file in files), "Download 2 files")
        await pilot.press("enter")
        await wait_until(lambda: "Queued 2 files. 3 shows the queue." in notices_of(app), pilot)
        assert app.backend.transfers is not None
        jobs = app.backend.transfers.job_list()
        assert {(job.wanted.path, job.wanted.key) for job in jobs} == {(one.path, one.key) for one in files}


async def test_times_places_and_files_go_into_the_form(make_app: MakeApp, tmp_path: Path) -> None:
    area = tmp_path / "lake.geojson"
    area.write_text('{"type": "Point", "coordinates": [24.3, 61.8]}')
    app = make_app(mode="search", **OFFLINE)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.query("#sum"), pilot)
        screen = app.screen
        assert isinstance(screen, SearchScreen)
        for typed, wanted, name, value in (
            ("missing 30d", "Search in this time: missing 30d", "time", "missing 30d"),
            ("2025-12-01 03:00..06:00", "Search in this time", "time", "2025-12-01 03:00..06:00"),
            ("61.8,24.3 r100", "Search in this area", "area", "61.8,24.3 r100"),
            ("hyyt", "Search around hyytiala", "area", "hyytiala"),
            ("hyytiala r100", "Search around hyytiala r100", "area", "hyytiala r100"),
            (f"{tmp_path}/la", f"Search in the area of {area}", "area", str(area)),
        ):
            await pilot.press("escape")
            await type_into_palette(pilot, typed)
            await wait_until(lambda wanted=wanted: highlighted(app).startswith(wanted), pilot)
            await pilot.press("enter")
            await wait_until(lambda name=name: screen.form.field_in_hand == name, pilot)
            assert getattr(screen.form.terms, name) == value
        # In the form a folder leads to what is in it.
        field = screen.query_one("#area", Input)
        field.value = f"{tmp_path.parent}/{tmp_path.name[:-1]}"
        matches = screen.query_one(MatchList)
        await wait_until(lambda: f"{tmp_path}/" in [match.name for match in matches.shown], pilot)
        await pilot.press("tab")
        assert field.value == f"{tmp_path}/" and app.focused is field
        await wait_until(lambda: "/lake.geojson" in text_of(app), pilot)
        await pilot.press("enter")
        assert field.value == str(area)
        await pilot.press("escape")
        await type_into_palette(pilot, f"{tmp_path}/none.json")
        await wait_until(lambda: "cannot be read: No such file" in highlighted(app), pilot)


async def test_many_are_asked_for_and_strangers_need_a_folder(make_app: MakeApp) -> None:
    app = make_app(**OFFLINE)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await paste(pilot, "maap list", "`maap list` does not search; run it in a shell.")
        await pilot.press("enter")
        await wait_until(lambda: "does not search" in notices_of(app), pilot)
        strangers = [f"http://127.0.0.1:9/{number}.h5" for number in range(1001)]
        await paste(pilot, "\n".join(strangers), "Download 1,001 files")
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        assert "Queue 1,001 pasted files?" in text_of(app)
        await pilot.press("y")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        assert "1,001 files of no collection known here" in text_of(app)
        await pilot.press("escape")
        await wait_until(lambda: "Nothing was queued." in notices_of(app), pilot)
        assert app.backend.transfers is None
