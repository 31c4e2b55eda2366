"""The dialog that cuts a part out of a granule: what it needs is said before anything is fetched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import pytest
from driving import confirm, text_of, wait_until
from textual.widgets import Input

from maap_tui.demo import Archive
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.screens.search.cut import CutDialog
from maap_tui.tui.widgets.row_list import RowList
from tests.tui.test_granule_dialog import opened

pytestmark = pytest.mark.usefixtures("prompt_keys", "apart_at_once")

MakeApp = Callable[..., MaapApp]


async def test_a_region_is_cut_after_its_bytes_were_said(
    make_app: MakeApp, archive: Archive, tmp_path: Path
) -> None:
    app = make_app(mode="search")
    async with opened(app) as (_, pilot):
        await pilot.press("x")
        await wait_until(lambda: "/ScienceData/signal" in text_of(app), pilot)
        dialog = app.screen
        assert isinstance(dialog, CutDialog)
        # Nothing is chosen yet.
        await pilot.press("e")
        await wait_until(lambda: "Nothing says what to cut" in text_of(app), pilot)
        rows, where = dialog.query_one(RowList), dialog.query_one("#where", Input)
        where.value = "nowhere"
        await pilot.press("e")
        await wait_until(lambda: "'nowhere' is not" in text_of(app), pilot)
        where.focus()
        await pilot.press("enter", "backspace")
        assert where.value == "" and where.has_focus
        where.value = "-180,30,180,45"
        await pilot.press("enter")
        assert rows.has_focus
        rows.move_to_key("/ScienceData/signal")
        archive.stats.reset()
        await pilot.press("space", "e")
        await wait_until(lambda: "points of along_track" in text_of(app), pilot)
        assert "Needs " in text_of(app) and archive.stats.show()["bytes_by_kind"]["data"] < 60_000
        await pilot.press("y")
        await wait_until(lambda: "maap cut " in text_of(app) and "--var" in text_of(app), pilot)
        await pilot.press("escape", "a")
        assert len(rows.marks) == len(rows.rows)
        await pilot.press("a")
        rows.move_to_key("/ScienceData/signal")
        await pilot.press("space", "w")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        assert "Needs " in text_of(app)
        (tmp_path / "part.nc").write_text("older")
        app.screen.query_one(Input).value = str(tmp_path / "part.nc")
        await pilot.press("enter")
        await confirm(app, pilot)  # that it is replaced
        await wait_until(lambda: "Wrote 6 variables" in text_of(app), pilot)
        await wait_until(lambda: not isinstance(app.screen, CutDialog), pilot)
    with h5py.File(tmp_path / "part.nc") as part:
        assert part["ScienceData/signal"].ndim == 2
        latitudes = part["ScienceData/latitude"][:]
        assert 30 <= latitudes.min() <= latitudes.max() <= 45


async def test_what_cannot_be_read_is_said_in_the_dialog(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(mode="search")
    async with opened(app) as (_, pilot):
        await pilot.press("escape")
        archive.faults.add(target="data", status=404)
        await pilot.press("x")
        await wait_until(lambda: "the archive does not have it" in text_of(app), pilot)
        await pilot.press("f", "escape", "escape")
        await wait_until(lambda: not isinstance(app.screen, CutDialog), pilot)
