"""The keys of lists in every mode that has lists, in one app."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from functools import partial
from typing import Any

import pytest
from driving import find_files, text_of, wait_until
from textual.pilot import Pilot

from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.sort import SortDialog
from maap_tui.tui.keys import MODES, lists_of
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.widgets.row_list import RowList

pytestmark = pytest.mark.usefixtures("prompt_keys")

MakeApp = Callable[..., MaapApp]
L2 = "EarthCAREL2Validated_MAAP"


def track(session: Session) -> None:
    """Three baselines with a missing file each."""
    for product in ("CPR_CLD_2A", "ATL_EBD_2A", "MSI_COP_2A"):
        file = TrackedFile(
            Key("EarthCARE", L2, product, "BC"), date(2025, 12, 1), f"https://x.invalid/{product}.h5"
        )
        session.registry.add([file])


async def list_of(app: MaapApp, pilot: Pilot[Any], mode: str) -> RowList:
    """The list that has the focus once the mode shows three rows or more."""
    await pilot.press(str(MODES.index(mode)))

    def rows() -> RowList | None:
        screen = app.screen
        return screen.focused_list if isinstance(screen, ModeScreen) and screen.MODE == mode else None

    await wait_until(lambda: (found := rows()) is not None and len(found.shown) >= 3, pilot)
    found = rows()
    assert found is not None
    found.focus()
    return found


async def mark(rows: RowList, pilot: Pilot[Any]) -> None:
    """Mark one, from that to another, the others, all and none."""
    count = len(rows.shown)
    await pilot.press("home", "space")
    # Marking goes down.
    await wait_until(lambda: len(rows.marks) == 1 and rows.cursor == 1, pilot)
    await pilot.press("down", "v")
    await wait_until(lambda: len(rows.marks) == 3, pilot)
    await pilot.press("i")
    await wait_until(lambda: len(rows.marks) == count - 3, pilot)
    rows.clear_marks()
    await pilot.press("a")
    await wait_until(lambda: len(rows.marks) == count, pilot)
    await pilot.press("a")
    await wait_until(lambda: not rows.marks, pilot)


def is_sorted(rows: RowList, key: str, is_reversed: bool) -> bool:
    return (rows.sort_key, rows.sort_reversed) == (key, is_reversed)


async def test_the_keys_of_lists_work_in_every_mode(make_app: MakeApp) -> None:
    app = make_app(mode="today", prepare=track)
    async with app.run_test(size=(120, 40), notifications=True) as pilot:
        await app.backend.queue_files(await find_files(app, 4))
        for number in range(3):
            app.backend.write_log("info", f"line {number}")
        for mode in ("today", "downloads", "registry", "log"):
            rows = await list_of(app, pilot, mode)
            if "lists" in lists_of(mode):
                await mark(rows, pilot)
            # Sorted by the first column, the other way round, by the next; by the letter of a column.
            first, second = [column.key for column in rows.columns][:2]
            rows.sort_by(None)
            await pilot.press("s", "s")
            await wait_until(partial(is_sorted, rows, first, True), pilot)
            await pilot.press("s")
            await wait_until(partial(is_sorted, rows, second, False), pilot)
            await pilot.press("S")
            await wait_until(lambda: isinstance(app.screen, SortDialog), pilot)
            await pilot.press("escape")
            assert rows.sort_key == second
            await pilot.press("S")
            await wait_until(lambda: isinstance(app.screen, SortDialog), pilot)
            await pilot.press(rows.columns[0].title.lower()[0])
            await wait_until(lambda rows=rows, first=first: rows.sort_key == first, pilot)  # type: ignore[misc]
            # A column less, and more again; the arrows go through them.
            count = len(rows.columns)
            await pilot.press("c")
            await wait_until(lambda: isinstance(app.screen, ColumnsDialog), pilot)
            await pilot.press("down", "up", "space")
            await wait_until(lambda rows=rows, count=count: len(rows.columns) == count - 1, pilot)  # type: ignore[misc]
            await pilot.press("space", "escape")
            await wait_until(lambda rows=rows, count=count: len(rows.columns) == count, pilot)  # type: ignore[misc]
            await pilot.press("slash", *"nothing like it")
            await wait_until(lambda rows=rows: not rows.shown, pilot)  # type: ignore[misc]
            await pilot.press("escape")
            await wait_until(lambda rows=rows: len(rows.shown) >= 3, pilot)  # type: ignore[misc]
        assert "Log" in text_of(app)
