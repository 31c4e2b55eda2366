"""What breaks when a private name of Textual goes, and that no other module touches one."""

from __future__ import annotations

import ast
import asyncio
import importlib
import inspect
import pkgutil
import select
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest
from driving import let_run, text_of, wait_until
from rich.style import Style
from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.command import CommandPalette, Hit, Hits, Provider
from textual.events import Click, Key
from textual.notifications import Notify
from textual.screen import ModalScreen
from textual.widgets import Input, OptionList, Tree
from textual.widgets._toast import Toast
from textual.widgets.tree import TreeNode

import maap_tui.tui
from maap_tui.tui import textual_compat

ROOT = Path(maap_tui.tui.__file__).parent
FILES = [file for file in sorted(ROOT.rglob("*.py")) if file.name != "textual_compat.py"]


class Asking(ModalScreen[None]):
    BINDINGS: ClassVar = [Binding("escape", "leave", "Leave")]


class Labels(Tree[None]):
    rendered = 0

    def render_label(self, node: TreeNode[None], base_style: Style, style: Style) -> Text:
        self.rendered += 1
        return super().render_label(node, base_style, style)


class Small(textual_compat.QuietApp):
    def compose(self) -> ComposeResult:
        yield Labels("root")

    def on_notify(self, event: Notify) -> None:
        textual_compat.drop_notifications(self, event.notification.severity)


def test_the_keys_that_the_user_chose_are_shown() -> None:
    app = App[None]()
    app.set_keymap({"everywhere.help": "f2"})
    assert dict(textual_compat.keymap_of(app)) == {"everywhere.help": "f2"}


def test_a_click_beside_a_dialog_finds_what_escape_does() -> None:
    assert [one.action for one in textual_compat.bindings_of(Asking(), "escape")] == ["leave"]
    assert textual_compat.bindings_of(Asking(), "f9") == []


async def test_labels_are_rendered_again() -> None:
    app = Small()
    async with app.run_test() as pilot:
        tree = app.query_one(Labels)
        await pilot.pause()
        before = tree.rendered
        textual_compat.redraw_labels(tree)
        await pilot.pause()
        assert tree.rendered > before


async def test_only_the_newest_of_a_severity_is_shown() -> None:
    app = Small()
    async with app.run_test(notifications=True) as pilot:
        for words in ("first", "second"):
            app.notify(words)
            await pilot.pause()
        app.notify("bad", severity="error")
        await pilot.pause()
        assert len(app.screen.query(Toast)) == 2
        assert [one.message for one in textual_compat.notifications_of(app)] == ["second", "bad"]


async def test_the_error_that_ends_the_app_is_kept() -> None:
    app = Small()

    def fail() -> None:
        raise LookupError("ours")

    with pytest.raises(LookupError):
        async with app.run_test() as pilot:
            app.call_later(fail)
            await pilot.pause()
    assert isinstance(app.crash, LookupError)


def test_rules_are_parsed_once_for_all_apps() -> None:
    first, second = (textual_compat.QuickStylesheet(variables={"one": "red"}) for _ in range(2))
    for sheet in (first, second):
        sheet.add_source("Label { color: $one; }")
    assert first.rules[0] is second.rules[0]
    second.set_variables({"one": "blue"})
    second.reparse()
    assert first.rules[0] is not second.rules[0]


def test_the_driver_still_has_what_ours_replaces() -> None:
    """What it does then is seen on a real terminal, in test_terminal.py."""
    driver = "".join(inspect.getsource(one) for one in textual_compat.LinuxDriver.__mro__[:2])
    for name in (
        "_app",
        "_writer_thread",
        "_mouse",
        "_debug",
        "exit_event = Event()",
        "_get_terminal_size()",
        "_enable_mouse_support()",
    ):
        assert f"self.{name}" in driver
    assert "target=self._run_input_thread" in driver
    assert "self.run_input_thread()" in driver


def test_escape_waits_for_what_may_follow() -> None:
    parser = textual_compat.AnswersParser()
    assert [event.key for event in parser.feed("a") if isinstance(event, Key)] == ["a"]
    assert not parser.is_waiting
    assert list(parser.feed("\x1b")) == []
    assert parser.is_waiting
    assert [event.key for event in parser.feed("[A") if isinstance(event, Key)] == ["up"]
    assert not parser.is_waiting


def test_the_end_is_seen_by_who_waits_for_it_among_others() -> None:
    end = textual_compat.EndEvent()
    for _ in range(2):
        assert select.select([end], [], [], 0)[0] == []
        end.set()
        end.set()
        assert select.select([end], [], [], 0)[0] == [end]
        end.clear()
        assert not end.is_set()


def test_no_other_module_touches_a_private_name() -> None:
    trees = {file: ast.parse(file.read_text("utf-8")) for file in FILES}
    nodes = [node for tree in trees.values() for node in ast.walk(tree)]
    ours = {one.name for one in nodes if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    ours |= {one.attr for one in nodes if isinstance(one, ast.Attribute) and isinstance(one.ctx, ast.Store)}
    ours |= {one.id for one in nodes if isinstance(one, ast.Name) and isinstance(one.ctx, ast.Store)}
    wrong = [
        f"{file.relative_to(ROOT)}:{node.lineno} {ast.unparse(node)}"
        for file, tree in trees.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr.startswith("_") and not node.attr.startswith("__")
        if ast.unparse(node.value) not in ("self", "cls", "super()") or node.attr not in ours
    ]
    assert [one for one in wrong if not one.endswith(" os._exit")] == []


def test_no_other_module_replaces_a_private_method() -> None:
    wrong = []
    for found in pkgutil.walk_packages(maap_tui.tui.__path__, "maap_tui.tui."):
        module = importlib.import_module(found.name)
        for one in vars(module).values():
            if inspect.isclass(one) and one.__module__ == found.name != textual_compat.__name__:
                wrong += [
                    f"{one.__qualname__}.{name}"
                    for name, what in vars(one).items()
                    if name.startswith("_") and not name.startswith("__") and inspect.isfunction(what)
                    for base in one.__mro__
                    if base.__module__.startswith("textual.") and name in vars(base)
                ]
    assert wrong == []


class Slow(Provider):
    """Finds what is asked for once it may."""

    may = asyncio.Event()
    ran: ClassVar[list[str]] = []

    async def search(self, query: str) -> Hits:
        if query == "second":
            await self.may.wait()
        yield Hit(1, query, partial(self.ran.append, query))


async def test_enter_is_for_what_was_typed_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Slow, "may", asyncio.Event())
    monkeypatch.setattr(Slow, "ran", [])
    monkeypatch.setattr(Small, "COMMANDS", {Slow})
    app = Small()
    async with app.run_test(size=(40, 12)) as pilot:
        app.action_command_palette()
        await wait_until(lambda: isinstance(app.screen, CommandPalette) and app.screen.query(Input), pilot)
        field = app.screen.query_one(Input)
        field.value = "first"
        await wait_until(lambda: "first" in text_of(app).replace(" first", "", 1), pilot)
        field.value = "second"
        await field.action_submit()
        await let_run()
        assert isinstance(app.screen, CommandPalette) and not Slow.ran, "the list shows the older one"
        Slow.may.set()
        await wait_until(lambda: Slow.ran, pilot)
        assert Slow.ran == ["second"] and not isinstance(app.screen, CommandPalette)


@pytest.mark.parametrize("key", ["pageup", "pagedown"])
async def test_page_keys_in_a_palette_without_room_do_nothing(key: str) -> None:
    app = Small()
    async with app.run_test(size=(1, 1)) as pilot:
        await pilot.press("ctrl+p")
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
        await pilot.press("t", key)
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)


async def test_a_click_on_a_line_that_has_gone_from_the_palette_does_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Small, "COMMANDS", {Slow})
    app = Small()
    async with app.run_test(size=(40, 12)) as pilot:
        app.action_command_palette()
        await wait_until(lambda: isinstance(app.screen, CommandPalette) and app.screen.query(Input), pilot)
        app.screen.query_one(Input).value = "first"
        await wait_until(lambda: app.screen.query_one(OptionList).option_count, pilot)
        found = app.screen.query_one(OptionList)
        # The next letter has emptied the list, and it was not drawn since.
        found.clear_options()
        style = Style(meta={"option": 0})
        found.post_message(Click(found, 1, 1, 0, 0, 1, False, False, False, style=style))
        await pilot.pause()
        assert isinstance(app.screen, CommandPalette)
