"""The matrix of sets: what is shown, chosen and fetched, from the configuration or from marked baselines."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from driving import confirm, text_of, wait_until
from textual.pilot import Pilot

from maap_tui.demo.archive import Archive
from maap_tui.engine.config import editing
from maap_tui.engine.product_sets import Cell, SetRow, Version
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.registry.sets import PRODUCTS_AT, SetsScreen, part_of, sign_of
from maap_tui.tui.theme import ASCII, UNICODE
from maap_tui.tui.widgets.row_list import RowList

SIZE = (80, 24)
L2 = "EarthCAREL2Validated_MAAP"
MakeApp = Callable[..., MaapApp]

pytestmark = pytest.mark.usefixtures("prompt_keys")


@pytest.fixture
def make_app(make_app: MakeApp) -> MakeApp:
    return functools.partial(make_app, mode="registry")


def track(session: Session, product: str = "CPR_CLD_2A", baseline: str = "BC") -> None:
    key = Key("EarthCARE", L2, product, baseline)
    name = f"ECA_EX{baseline}_{product}_20260113T001500Z_20260113T083513Z_09241D.h5"
    url = f"{session.settings.api.catalog_url}data/{name}"
    session.registry.add([TrackedFile(key, date(2026, 1, 13), url)])


def declare(session: Session) -> None:
    """A set in the file that the app reads; the session that the test made has it too."""
    file = session.dirs.config_file
    editing.set_value(file, "sets.clouds", "CPR_CLD_2A:BC,MSI_COP_2A", {})
    editing.set_value(file, "sets.heights", "ATL_CTH_2A,ATL_ALD_2A,CPR_CLD_2A", {})


async def open_sets(app: MaapApp, pilot: Pilot[None]) -> SetsScreen:
    await pilot.press("t")
    await wait_until(lambda: isinstance(app.screen, SetsScreen), pilot)
    screen = app.screen
    assert isinstance(screen, SetsScreen)
    return screen


def matrix(screen: SetsScreen) -> RowList:
    return screen.query_one("#matrix", RowList)


async def asked(app: MaapApp, pilot: Pilot[None]) -> None:
    """Wait until the archive has answered."""
    await wait_until(lambda: " waiting" in text_of(app) and "asking" not in text_of(app), pilot)


async def test_without_a_set_it_is_said_how_to_declare_one(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await open_sets(app, pilot)
        await wait_until(lambda: "maap config set sets.clouds CPR_CLD_2A" in text_of(app), pilot)
        await pilot.press("d", "n", "tab", "plus", "left_square_bracket", "r", "y")
        await pilot.press("escape")
        await wait_until(lambda: not isinstance(app.screen, SetsScreen), pilot)


@pytest.fixture
def app_with_sets(make_app: MakeApp) -> MakeApp:
    """The home has the sets when the app reads its settings."""

    def make(**options: Any) -> MaapApp:
        first = make_app()
        declare(first.backend.session)
        first.backend.close()
        return make_app(**options)

    return make


async def test_what_is_missing_is_fetched_and_becomes_complete(
    app_with_sets: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.synced.ASK_ABOVE", 3)
    app = app_with_sets(prepare=track)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await open_sets(app, pilot)
        await asked(app, pilot)
        assert "clouds (1 of 2, tab)" in text_of(app) and "2026-01-12 to 01-14" in text_of(app)
        rows = matrix(screen)
        assert len(rows.rows) > 100 and {row.state for row in rows.rows} == {"waiting"}
        obtainable = [row for row in rows.rows if row.is_obtainable]
        assert f" {len(obtainable)} at the archive" in text_of(app)
        for row in [row for row in obtainable if row.orbit != 9241][:2]:
            rows.move_to_key(row.spot)
            await pilot.press("space")
        # Many are confirmed first.
        await pilot.press("d")
        await wait_until(lambda: "Queue 4 files of clouds?" in text_of(app), pilot)
        await pilot.press("n", "d")
        assert not app.backend.live_jobs
        await confirm(app, pilot)
        await wait_until(lambda: "4 files queued" in text_of(app), pilot)
        await wait_until(lambda: sum(row.state == "complete" for row in rows.rows) == 2, pilot)
        complete = next(row for row in rows.rows if row.state == "complete")
        rows.move_to_key(complete.spot)
        await wait_until(lambda: f"{UNICODE.done} BC" in text_of(app) and ": complete" in text_of(app), pilot)
        # How much is complete, and of each product here, is counted; the cell at the cursor is named.
        total = len(rows.rows)
        assert f"2 of {total} complete (" in text_of(app) and f"Here of {total} " in text_of(app)
        totals = next(line for line in text_of(app).splitlines() if "Here of" in line)
        assert [word for word in totals.split()[3:] if not word.endswith("%")][:2] == ["2", "2"]
        assert "CPR_CLD_2A BC: here, " in text_of(app)
        await pilot.press("right", "right")
        await wait_until(lambda: "MSI_COP_2A BC: here, " in text_of(app), pilot)
        line = next(at for at, line in enumerate(text_of(app).splitlines()) if "complete" in line and at)
        await pilot.click(offset=(PRODUCTS_AT + 1, line))
        await wait_until(lambda: "CPR_CLD_2A BC: here, " in text_of(app), pilot)
        await pilot.press("n")
        await wait_until(lambda: len(rows.shown) == len(rows.rows) - 2, pilot)
        await pilot.press("n")
        rows.move_to_key(complete.spot)
        await pilot.press("d")
        await wait_until(lambda: "Nothing of these is at the archive and not here" in text_of(app), pilot)


async def test_other_sets_and_other_days(app_with_sets: MakeApp) -> None:
    app = app_with_sets()
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_sets(app, pilot)
        await asked(app, pilot)
        rows = matrix(screen)
        three = len(rows.rows)
        await pilot.press("home", "space", "down", "v")
        assert len(rows.marks) == 3
        await pilot.press("i")
        assert len(rows.marks) == three - 3
        await pilot.press("a")
        assert len(rows.marks) == three
        await pilot.press("a", "right")
        await wait_until(lambda: " MSI_COP_2A" in text_of(app).splitlines()[-3], pilot)
        await pilot.press("left")
        await wait_until(lambda: " CPR_CLD_2A" in text_of(app).splitlines()[-3], pilot)
        # The last line has the keys, and a click there does what the key does.
        keys = text_of(app).splitlines()[-1]
        assert keys.endswith("n incomplete  + - days  [ ] move  ←→ cell  esc closes")
        await pilot.click(offset=(keys.index("- days"), SIZE[1] - 1))
        await asked(app, pilot)
        await wait_until(lambda: 10 < len(matrix(screen).rows) < three / 2, pilot)
        await pilot.press("left_square_bracket")
        await wait_until(lambda: "2026-01-13 " in text_of(app), pilot)
        await pilot.press("right_square_bracket", "y")
        await wait_until(lambda: "maap set sync clouds --start 2026-01-14T00:00" in text_of(app), pilot)
        await pilot.press("escape")
        await wait_until(lambda: app.screen is screen, pilot)
        await pilot.press("tab")
        await wait_until(lambda: "heights (2 of 2, tab)" in text_of(app), pilot)
        await wait_until(lambda: "ATL_ALD_2A" in text_of(app), pilot)
        await pilot.press("shift+tab")
        await wait_until(lambda: "clouds (1 of 2, tab)" in text_of(app), pilot)


async def test_marked_baselines_are_a_set(make_app: MakeApp) -> None:
    def prepare(session: Session) -> None:
        track(session)
        track(session, "MSI_COP_2A")

    app = make_app(prepare=prepare)
    async with app.run_test(size=SIZE) as pilot:
        await wait_until(lambda: "MSI_COP_2A" in text_of(app), pilot)
        await pilot.press("a")
        screen = await open_sets(app, pilot)
        await wait_until(lambda: "chosen" in text_of(app), pilot)
        await asked(app, pilot)
        names = [str(member) for member in screen.wanted.members]
        assert names == [f"{L2}/CPR_CLD_2A:BC", f"{L2}/MSI_COP_2A:BC"]


async def test_without_the_archive_the_registry_is_shown(app_with_sets: MakeApp, archive: Archive) -> None:
    archive.faults.add(target="search", status=500)
    app = app_with_sets(prepare=track, overrides={"api.retries": 0})
    async with app.run_test(size=(120, 40)) as pilot:
        screen = await open_sets(app, pilot)
        await wait_until(lambda: "could not be searched" in text_of(app), pilot)
        assert [row.spot for row in matrix(screen).rows] == [(9241, "D")]
        assert "waiting for CPR_CLD_2A:BC, MSI_COP_2A" in text_of(app)


def test_no_two_states_have_the_same_sign() -> None:
    version = Version("BC", "x", datetime(2026, 1, 1, tzinfo=UTC), None, "here")
    cells = [
        Cell("here", "BC", version),
        Cell("archive", "BC", version),
        Cell("archive", "BC", version, "BA"),
        Cell("nowhere"),
        Cell("deleted", "BC", version),
    ]
    for glyphs in (UNICODE, ASCII):
        assert len({sign_of(cell, glyphs) for cell in cells}) == len(cells)


def test_what_is_not_all_is_not_a_hundred_percent() -> None:
    assert [part_of(*pair) for pair in ((0, 0), (0, 9), (1, 999), (998, 999), (999, 999))] == [
        "0%", "0%", "1%", "99%", "100%",
    ]  # fmt: skip


async def test_many_rows_cost_what_is_shown(app_with_sets: MakeApp) -> None:
    """With 10,000 rows as many cells are asked for their text as the screen has, more or less."""
    app = app_with_sets()
    start = datetime(2026, 1, 1, tzinfo=UTC)
    many = [
        SetRow(1000 + number // 8, "ABCDEFGH"[number % 8], start + timedelta(minutes=11 * number), "waiting",
               (Cell("nowhere"), Cell("nowhere")))
        for number in range(10_000)
    ]  # fmt: skip
    async with app.run_test(size=SIZE) as pilot:
        screen = await open_sets(app, pilot)
        await asked(app, pilot)
        rows = matrix(screen)
        rows.set_rows(many)
        await pilot.press("end")
        await wait_until(lambda: "02249H" in text_of(app), pilot)
        await pilot.press("home", "pagedown", "space")
        assert len(rows.marks) == 1 and len(rows.shown) == 10_000


async def test_the_palette_leads_to_it(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE) as pilot:
        await pilot.press("ctrl+p")
        await pilot.press(*"sets")
        await wait_until(lambda: "Sets  (Registry, t)" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, SetsScreen), pilot)
