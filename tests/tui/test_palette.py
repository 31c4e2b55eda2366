"""The palette: every action, mode, collection and product type is found by typing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from driving import text_of, wait_until
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input, OptionList

from maap_tui.engine.missions import earthcare
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.browse.archive_tree import ArchiveTree, Branch
from maap_tui.tui.screens.browse.screen import BrowseScreen

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
    async with app.run_test(size=(120, 40)) as pilot:
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


async def test_finds_product_types_by_content_and_hostile_names_are_only_text(make_app: MakeApp) -> None:
    app = make_app(is_first=True, prepare=names("ATL_EBD_2A", "CPR_CLD_2A", *HOSTILE), **OFFLINE)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
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
