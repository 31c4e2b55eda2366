"""Screens that close themselves and no other: two clicks on a button, two keys in a row."""

from __future__ import annotations

from textual.app import App, ComposeResult
from textual.command import CommandPalette
from textual.screen import ModalScreen
from textual.widgets import Button, Input

from maap_tui.tui import textual_compat
from maap_tui.tui.closing import ClosesOnce


class Asking(ModalScreen[str], ClosesOnce[str]):
    def compose(self) -> ComposeResult:
        yield Button("Yes")

    def on_button_pressed(self) -> None:
        self.dismiss("yes")


class Small(textual_compat.QuietApp):
    pass


def press_twice(app: App[int]) -> None:
    button = app.screen.query_one(Button)
    button.press()
    button.press()


async def test_two_clicks_close_one_dialog() -> None:
    app, answers = Small(), list[str | None]()
    async with app.run_test() as pilot:
        below = Asking()
        app.push_screen(below)
        app.push_screen(Asking(), answers.append)
        await pilot.pause()
        press_twice(app)
        await pilot.pause()
        assert answers == ["yes"] and app.screen is below
        press_twice(app)
        await pilot.pause()
        assert len(app.screen_stack) == 1 and app.crash is None


async def test_what_ends_below_another_dialog_closes_when_that_has_closed() -> None:
    app, answers = Small(), list[str | None]()
    async with app.run_test() as pilot:
        below, above = Asking(), Asking()
        app.push_screen(below, answers.append)
        await pilot.pause()
        app.push_screen(above, answers.append)
        await pilot.pause()
        below.dismiss("late")
        await pilot.pause()
        assert app.screen is above and answers == []
        press_twice(app)
        await pilot.pause()
        assert answers == ["yes", "late"] and len(app.screen_stack) == 1


async def test_enter_twice_in_the_palette_runs_one_command() -> None:
    app = Small()
    async with app.run_test() as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"keys")
        await pilot.pause()
        palette = app.screen
        assert isinstance(palette, CommandPalette)
        field = palette.query_one(Input)
        await field.action_submit()
        await field.action_submit()
        await field.action_submit()
        await pilot.pause()
        assert len(app.screen_stack) == 1 and app.crash is None
