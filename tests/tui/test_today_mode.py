"""The mode Today: runs with their logs, what is missing and its way here, and the run of the app itself."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest
from driving import find_files, notices_of, text_of, wait_until

from maap_tui.demo import Archive
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.runs import Counts, Runs
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.registry.screen import RegistryScreen
from maap_tui.tui.screens.today.screen import TodayScreen

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("prompt_keys")]

MakeApp = Callable[..., MaapApp]
L2 = "EarthCAREL2Validated_MAAP"
CLD = (L2, "CPR_CLD_2A", "BC")
KEY = Key("EarthCARE", *CLD)
SIZE = (80, 24)


def run_once(session: Session, verb: str, *words: str, code: int = 0, said: str = "") -> None:
    run = Runs(session.dirs).begin(verb, words)
    assert run is not None
    if said:
        run.say(said)
    run.end(code, Counts(found=3, downloaded=2, failed=1 if code else 0, bytes=5 << 20))


async def test_a_home_without_a_past(make_app: MakeApp) -> None:
    app = make_app(mode="today")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: "Nothing is tracked yet" in text_of(app), pilot)
        text = text_of(app)
        assert "No run yet" in text and "Nothing ran yet" in text and "Missing" in text
        await pilot.press("enter", "d", "tab", "enter", "r", "y")
        assert isinstance(app.screen, TodayScreen)


async def test_runs_are_listed_with_their_log_and_their_command(make_app: MakeApp) -> None:
    def past(session: Session) -> None:
        run_once(session, "sync", "sync", *CLD, "--quiet")
        run_once(session, "get", "get", *CLD, code=3, said="FAILED DAY: 2025-12-01 (503)")

    app = make_app(mode="today", prepare=past)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: "get CPR_CLD_2A BC" in text_of(app), pilot)
        assert "sync CPR_CLD_2A BC" in text_of(app) and "5.0 MiB" in text_of(app)
        await pilot.press("tab", "enter")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert "FAILED DAY: 2025-12-01 (503)" in text_of(app)
        await pilot.press("escape", "y")
        await wait_until(lambda: "maap get" in text_of(app) + notices_of(app), pilot)
        # The filter is that of the list which has the focus.
        await pilot.press("escape", "slash", *"zebra")
        await wait_until(lambda: "leaves none of 2 rows" in text_of(app), pilot)
        await pilot.press("escape")
        await wait_until(lambda: "sync CPR_CLD_2A BC" in text_of(app), pilot)


async def test_what_has_arrived_is_asked_for_on_demand_and_fetched(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(mode="today", overrides={"search.overlap": 0})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: "Nothing is tracked yet" in text_of(app), pilot)
        await pilot.press("n")
        await wait_until(lambda: "Nothing is tracked yet: register" in notices_of(app), pilot)
        (one,) = await find_files(app, 1)
        tracker = app.backend.session.registry.baseline(KEY)
        tracker.add([TrackedFile(KEY, date(2025, 12, 1), one.url, str(one.path))])
        asked = archive.stats.count("search")
        await pilot.press("n")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        assert archive.stats.count("search") == asked + 1
        dialog = app.screen
        assert isinstance(dialog, ListDialog) and len(dialog.lines) == 1
        assert dialog.lines[0].startswith("CPR_CLD_2A BC: ") and " new, " in dialog.lines[0]
        assert "0 reprocessed since 2026-01-12T00:00:00Z" in dialog.lines[0]
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, TodayScreen), pilot)
        assert archive.stats.count("data") == 0


async def test_what_is_missing_is_fetched_and_leaves_the_list(make_app: MakeApp) -> None:
    app = make_app(mode="today")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 3)
        tracker = app.backend.session.registry.baseline(KEY)
        tracker.add(TrackedFile(KEY, date(2025, 12, 1), one.url, str(one.path)) for one in files)
        await wait_until(lambda: "3 files of 1 baseline" in text_of(app), pilot)
        assert "2025-12-01" in text_of(app)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, RegistryScreen) and app.screen.opened == KEY, pilot)
        await pilot.press("0")
        await wait_until(lambda: isinstance(app.screen, TodayScreen), pilot)
        await pilot.press("d")
        await wait_until(lambda: "3 files queued" in notices_of(app), pilot)
        await wait_until(lambda: "Nothing that was discovered is missing" in text_of(app), pilot)
        assert all(one.path.stat().st_size == one.size for one in files)


async def test_the_apps_own_transfers_are_a_run(
    make_app: MakeApp, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.own_run.STILL_S", 0.0)
    app = make_app(mode="today")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 2)
        archive.faults.add(target="data", rate=40_000.0)
        await app.backend.queue_files(files)
        await wait_until(lambda: "the app's transfers" in text_of(app) and "runs" in text_of(app), pilot)
        archive.faults.clear()
        book = Runs(app.backend.session.dirs)
        await wait_until(lambda: book.known()[0].exit == 0, pilot)
        counts = book.known()[0].counts
        assert (counts.found, counts.downloaded, counts.failed) == (2, 2, 0)
        assert counts.bytes == sum(one.size or 0 for one in files)


async def test_leaving_ends_the_run_of_unfinished_transfers(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(mode="today")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        archive.faults.add(target="data", rate=5_000.0)
        await app.backend.queue_files(await find_files(app, 2))
        await wait_until(lambda: "the app's transfers" in text_of(app), pilot)
    (run,) = Runs(app.backend.session.dirs).known()
    assert (run.exit, run.state, run.error) == (130, "done", "2 files left")


async def test_a_run_is_started_again_after_a_question(
    make_app: MakeApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, archive: Archive
) -> None:
    home = tmp_path / "maap"
    for name, value in archive.environment(home).items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    app = make_app(
        mode="today",
        prepare=lambda session: run_once(session, "sync", "sync", *CLD, "--date", "2025-12-01", "-n", "1"),
    )
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: "sync CPR_CLD_2A BC" in text_of(app), pilot)
        await pilot.press("tab", "r")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        assert "Run this again" in text_of(app)
        await pilot.press("y")
        book = Runs(app.backend.session.dirs)
        await wait_until(lambda: len(book.known()) == 2 and book.known()[0].exit == 0, pilot)
        assert book.known()[0].counts.downloaded == 1
        await wait_until(lambda: text_of(app).count("sync CPR_CLD_2A BC") == 2, pilot)
