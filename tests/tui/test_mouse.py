"""The mouse alone, but for what has to be typed: every step of the work can be clicked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from driving import text_of, wait_until
from rich.cells import cell_len
from textual import events
from textual.command import CommandPalette
from textual.pilot import Pilot
from textual.widgets import Input

from maap_tui.engine.registry.entries import Key
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.dialogs.help import HelpDialog
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.screens.registry.screen import RegistryScreen
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.screen import SearchScreen

SIZE = (120, 40)
L2 = "EarthCAREL2Validated_MAAP"
MakeApp = Callable[..., MaapApp]


async def click(pilot: Pilot[Any], words: str, *, last: bool = False, times: int = 1, shift: int = 0) -> None:
    """Click where the words stand on the screen: the first time or the last, some cells beside them."""
    pilot.app.clear_notifications()  # one that is read already would lie over the footer for seconds
    seen: list[str] = ["", ""]

    def is_still() -> bool:
        seen.append(text_of(pilot.app))
        return words in seen[-1] and seen[-1] == seen[-2] == seen[-3]

    await wait_until(is_still, pilot)
    lines = [(y, line) for y, line in enumerate(text_of(pilot.app).split("\n")) if words in line]
    y, line = lines[-1 if last else 0]
    before = line[: line.rindex(words) if last else line.index(words)]
    for _ in range(times):
        press(pilot, cell_len(before) + shift, y)
    await pilot.pause()


def press(pilot: Pilot[Any], x: int, y: int) -> None:
    """Press and let go, as the terminal reports it: what is clicked by that is for the app to find."""
    for kind in (events.MouseDown, events.MouseUp):
        pilot.app.post_message(kind(None, x, y, 0, 0, 1, False, False, False, x, y))


@pytest.mark.long
async def test_from_the_tree_to_a_cleaned_up_day_by_clicks(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        # Browse: open the branches, put the cursor on the baseline.
        await wait_until(lambda: "12 of 12" in text_of(app), pilot)
        await click(pilot, L2)
        await click(pilot, "CPR_CLD_2A")
        await click(pilot, "BC  ")
        await click(pilot, "f Search", last=True)
        # Search: the form is filled but for the day.
        await wait_until(lambda: isinstance(app.screen, SearchScreen) and app.screen.is_mounted, pilot)
        await click(pilot, "Time  ", shift=12)
        await wait_until(lambda: getattr(app.focused, "id", "") == "time", pilot)
        field = app.focused
        assert isinstance(field, Input)
        field.value = "2025-12-01"
        await click(pilot, "Frames  ", shift=12)
        assert isinstance(app.focused, Input)
        app.focused.value = "D"
        await click(pilot, "^r Run", last=True)
        search = app.screen
        assert isinstance(search, SearchScreen)
        await wait_until(lambda: len(search.results.rows) == 16 and not search.is_searching, pilot)
        # A mark more or less, a granule whole, then all of them.
        first = search.results.shown[0].granule
        await click(pilot, f"{first.sensing_start:%Y-%m-%d %H:%M:%S}", shift=-1)
        assert search.results.marks == {first.id}
        await click(pilot, f"{first.sensing_start:%Y-%m-%d %H:%M:%S}", times=2)
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        await click(pilot, "esc closes")
        await wait_until(lambda: app.screen is search, pilot)
        await click(pilot, "Sensing start", shift=-1)
        assert len(search.results.marks) == 16
        await click(pilot, "d Fetch", last=True)
        await wait_until(
            lambda: app.backend.transfers is not None and len(app.backend.transfers.jobs) == 16, pilot
        )
        # Downloads, then Registry.
        await click(pilot, "3 Downloads")
        await wait_until(lambda: text_of(app).count("done") >= 16, pilot)
        await click(pilot, "4 Registry")
        await wait_until(lambda: isinstance(app.screen, RegistryScreen), pilot)
        baseline = app.backend.session.registry.baseline(Key("EarthCARE", L2, "CPR_CLD_2A", "BC"))
        await click(pilot, "CPR_CLD_2A")
        await click(pilot, "m Mark", last=True)
        await wait_until(lambda: "Mark 16 files of CPR_CLD_2A BC" in text_of(app), pilot)
        await pilot.pause()
        await click(pilot, "Mark (y)")
        await wait_until(lambda: baseline.stats().marked == 16, pilot)
        await click(pilot, "D Cleanup", last=True)
        await wait_until(lambda: "Delete 16 marked files" in text_of(app), pilot)
        await pilot.pause()
        press(pilot, 1, 1)  # beside it: nothing is deleted
        await wait_until(lambda: not isinstance(app.screen, ConfirmDialog), pilot)
        assert len(list(app.backend.session.dirs.data_dir.rglob("*.h5"))) == 16
        await click(pilot, "D Cleanup", last=True)
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await click(pilot, "(y)")
        await wait_until(lambda: not list(app.backend.session.dirs.data_dir.rglob("*.h5")), pilot)


async def test_every_mode_and_every_way_out_can_be_clicked(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        for words, mode in (
            ("2 Search", "search"), ("5 Log", "log"), ("3 Downloads", "downloads"), ("1 Browse", "browse"),
        ):  # fmt: skip
            await click(pilot, words)
            await wait_until(lambda mode=mode: app.current_mode == mode, pilot)  # type: ignore[misc]
        await click(pilot, "? Help", last=True)
        await wait_until(lambda: isinstance(app.screen, HelpDialog), pilot)
        press(pilot, 0, 39)
        await wait_until(lambda: not isinstance(app.screen, HelpDialog), pilot)
        await click(pilot, "^p More", last=True)
        await wait_until(lambda: isinstance(app.screen, CommandPalette), pilot)
        press(pilot, 0, 39)
        await wait_until(lambda: not isinstance(app.screen, CommandPalette), pilot)
        app.show_error(ValueError("something"))
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        await click(pilot, "esc closes")
        await wait_until(lambda: not isinstance(app.screen, ErrorDialog), pilot)
        answers: list[object] = []
        for words in ("r record", "esc closes"):
            app.push_screen(ListDialog("Files", ["a", "b"], verb="Record", key="r"), answers.append)
            await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
            await click(pilot, words)
        for words in ("OK (enter)", "Cancel (esc)"):
            app.push_screen(PromptDialog("How many?", "3"), answers.append)
            await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
            press(pilot, 0, 39)  # beside it: what is written stays
            await click(pilot, words)
        await wait_until(lambda: len(answers) == 4, pilot)
        assert answers == [True, False, "3", None]
        await click(pilot, "q Quit", last=True)
        await wait_until(lambda: app.return_code == 0, pilot)


@pytest.mark.parametrize("burst", [("EarthCARE", "CPR_CLD_2A"), ("", "CPR")])
async def test_what_is_typed_around_a_click_goes_where_it_was_typed(
    make_app: MakeApp, burst: tuple[str, str]
) -> None:
    app = make_app(mode="search")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await click(pilot, "Collection ", shift=14)
        await wait_until(lambda: getattr(app.focused, "id", "") == "collection", pilot)
        rows = {
            name: next(y for y, line in enumerate(text_of(app).split("\n")) if f" {name} " in line[:14])
            for name in ("Collection", "Product")
        }
        for text, name in zip(burst, ("Collection", "Product"), strict=True):
            press(pilot, 20, rows[name])
            for letter in text:
                app.post_message(events.Key(letter, letter))
        fields = [app.screen.query_one(f"#{name}", Input) for name in ("collection", "product_type")]
        await wait_until(lambda: fields[1].value == burst[1], pilot)
        assert fields[0].value == burst[0]
