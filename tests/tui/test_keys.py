"""The one table of keys: what is made of it, and the help over it."""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

import pytest
from driving import text_of, wait_until
from textual.binding import Binding
from textual.widgets import Input

from maap_tui.tui import keys
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.help import HelpDialog
from maap_tui.tui.keys import KEYS, MODE_TITLES, MODES, check_keymap, keys_in
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.widgets.header_footer import FooterBar
from maap_tui.tui.widgets.row_list import RowList

MakeApp = Callable[..., MaapApp]


def test_every_id_is_unique_and_belongs_to_a_mode() -> None:
    ids = [key.id for key in KEYS]
    assert len(ids) == len(set(ids))
    assert {key.mode for key in KEYS} <= {"everywhere", "lists", *MODES}
    assert set(MODE_TITLES) == {"everywhere", "lists", "commands", *MODES}


def test_every_key_has_words_for_footer_and_help() -> None:
    for key in KEYS:
        assert key.label and len(key.label) <= 16, key.id
        assert key.help.endswith("."), key.id
        assert key.keys and " " not in key.keys, key.id


@pytest.mark.parametrize("mode", MODES)
def test_no_key_means_two_things_in_a_mode(mode: str) -> None:
    taken: dict[str, str] = {}
    for key in keys_in(mode):
        for one in key.keys.split(","):
            other = taken.setdefault(one, key.id)
            assert other == key.id, f"{one}: {other} and {key.id}"


@pytest.mark.parametrize("mode", MODES)
def test_every_action_exists_where_its_key_works(mode: str) -> None:
    module = importlib.import_module(f"maap_tui.tui.screens.{mode}.screen")
    screen: type[ModeScreen] = getattr(module, f"{mode.title()}Screen")
    bound = {binding.id for binding in screen.BINDINGS if isinstance(binding, Binding)}
    for key in keys_in(mode):
        if key.mode == "everywhere":
            owner: Any = MaapApp
        else:
            owner = screen
            assert key.id in bound, key.id
        name = key.action.partition("(")[0]
        assert hasattr(owner, f"action_{name}"), key.id


def test_the_palette_of_a_mode_has_a_key_for_every_digit() -> None:
    digits = [key.keys for key in KEYS if key.action.startswith("go(")]
    assert digits == [str(number) for number in range(len(MODES))]


def test_a_remapped_key_is_taken() -> None:
    good, problems = check_keymap({"downloads.pause": "f5, z"})
    assert good == {"downloads.pause": "f5,z"}
    assert problems == []


def test_an_id_that_does_not_exist_is_reported() -> None:
    good, problems = check_keymap({"downloads.paws": "z"})
    assert good == {}
    assert len(problems) == 1 and "downloads.paws" in problems[0]


def test_a_clash_is_reported_and_the_table_wins() -> None:
    good, problems = check_keymap({"downloads.pause": "x"})
    assert good == {}
    assert len(problems) == 1
    assert "downloads.pause" in problems[0] and "downloads.cancel" in problems[0] and "x" in problems[0]


def test_a_clash_with_a_key_of_everywhere_is_reported_once() -> None:
    good, problems = check_keymap({"everywhere.theme": "d"})
    assert good == {}
    assert problems and all("everywhere.theme" in sentence for sentence in problems)


def test_two_modes_may_use_the_same_key() -> None:
    good, problems = check_keymap({"downloads.pause": "f4", "registry.mark": "f4"})
    assert good == {"downloads.pause": "f4", "registry.mark": "f4"}
    assert problems == []


def test_keys_may_be_swapped() -> None:
    good, problems = check_keymap({"downloads.pause": "x", "downloads.cancel": "p"})
    assert good == {"downloads.pause": "x", "downloads.cancel": "p"}
    assert problems == []


def test_the_table_of_the_readme_has_a_line_for_every_key() -> None:
    table = keys.as_markdown_table()
    lines = table.splitlines()
    assert lines[0] == "| mode | key | what it does | name in `[keys]` |"
    assert len(lines) == len(KEYS) + 2
    assert all(line.count("|") - line.count("\\|") == 5 for line in lines)
    assert "| Everywhere | `?` `f1` |" in table
    assert "`browse.sync`" in table


def test_a_bar_in_a_key_would_not_break_the_table() -> None:
    bar = dataclasses.replace(KEYS[0], keys="1,vertical_line")
    assert keys.as_markdown_table([bar]).splitlines()[2].count("|") >= 5


async def test_help_shows_the_keys_of_the_mode_and_is_searched(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("question_mark")
        await wait_until(lambda: isinstance(app.screen, HelpDialog), pilot)
        assert "Keys in Browse" in text_of(app)
        rows = app.screen.query_one(RowList)
        assert len(rows.shown) == len(keys_in("browse"))
        assert not any(key.id == "lists.mark" for key in rows.shown)
        await pilot.press(*"catalogue")
        await pilot.pause()
        assert "browse.build" in [key.id for key in rows.shown]
        assert len(rows.shown) < 5
        field = app.screen.query_one(Input)
        field.value = "xyzzy"
        await pilot.pause()
        assert "No key does that here" in text_of(app)
        await pilot.press("escape")
        assert not isinstance(app.screen, HelpDialog)
        # In another mode, by its key.
        await pilot.press("4", "f1")
        await wait_until(lambda: isinstance(app.screen, HelpDialog), pilot)
        assert "Keys in Registry" in text_of(app)
        app.screen.query_one(Input).value = "backspace"
        await pilot.pause()
        assert [key.id for key in app.screen.query_one(RowList).shown] == ["registry.back"]


async def test_a_key_of_the_configuration_works_and_is_shown(make_app: MakeApp, tmp_path: Any) -> None:
    def remap(session: Any) -> None:
        session.settings.keys.update({"browse.copy": "f4", "browse.build": "x", "no.such": "z"})

    app = make_app(prepare=remap)
    async with app.run_test(size=(80, 24), notifications=True) as pilot:
        await pilot.pause()
        assert " x Build" in app.screen.query_one(FooterBar).render().plain
        assert any("no.such" in line.text for line in app.backend.log_lines)
        await wait_until(lambda: "Mission with" in text_of(app), pilot)  # what the cursor is on
        await pilot.press("f4")
        await wait_until(lambda: app.clipboard == "EarthCARE", pilot)
