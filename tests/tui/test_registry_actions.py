"""The mode Registry: queue, mark, clean up, verify, freeze, record, and the gaps at the archive."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from driving import confirm, find_files, notices_of, text_of, wait_until
from registry_kit import (
    DAY,
    KEY,
    SIZE,
    entries,
    files_of,
    fill,
    go,
    mode,
    open_day,
    put,
    put_cursor,
    words,
)
from textual.widgets import Input

from maap_tui.demo import Archive
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.session import Session
from maap_tui.engine.studies.study import read_study
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.coverage import LABEL, GapsDialog
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.screens.registry.day_strip import DayStrip
from maap_tui.tui.widgets.column_layout import MARKS
from maap_tui.tui.widgets.row_list import RowList

pytestmark = pytest.mark.usefixtures("prompt_keys")

MakeApp = Callable[..., MaapApp]


MODE = "registry"


async def test_download_of_pending(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        found = await find_files(app, 2)
        tracker = app.backend.session.registry.baseline(KEY)
        tracker.add(wanted.tracked for wanted in found if wanted.tracked)
        screen = await go(app, pilot)
        await pilot.press("d")
        await wait_until(lambda: len(list(tracker.downloads())) == 2, pilot)
        assert all(wanted.path.exists() for wanted in found)
        assert "Queued 2 files" in words(app)
        await wait_until(lambda: getattr(screen.rows[KEY].summary, "pending", 1) == 0, pilot)
        await wait_until(lambda: screen.work is None, pilot)
        await pilot.press("d")
        await wait_until(lambda: "Nothing is pending in CPR_CLD_2A BC" in words(app), pilot)


async def test_download_of_very_many_asks(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maap_tui.tui.screens.registry.actions.ASK_ABOVE", 1)
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("d")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        assert "Queue 2 files" in text_of(app)
        await pilot.press("d", "escape")
        await wait_until(lambda: screen.work is None, pilot)
        assert app.backend.transfers is None


async def test_retry_of_failed(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        (wanted,) = await find_files(app, 1)
        tracked = wanted.tracked
        assert tracked is not None
        tracker = app.backend.session.registry.baseline(KEY)
        tracker.add([tracked])
        tracker.record_error(wanted.url, "Bad Gateway", code=502)
        await go(app, pilot)
        await pilot.press("r")
        await wait_until(lambda: not tracker.errors() and wanted.path.exists(), pilot)
        await wait_until(lambda: mode(app).work is None, pilot)
        await pilot.press("r")
        await wait_until(lambda: "Nothing failed in CPR_CLD_2A BC" in words(app), pilot)


async def test_mark_a_file_and_take_it_back(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    tracker = app.backend.session.registry.baseline(KEY)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await open_day(app, pilot)
        await put_cursor(screen, pilot, "downloaded")
        path = files_of(screen).current.path
        await pilot.press("m")
        await wait_until(lambda: (path, DAY) in tracker.marked(), pilot)
        await wait_until(lambda: "u takes it back" in text_of(app), pilot)
        await wait_until(lambda: files_of(screen).current.state == "marked", pilot)
        await wait_until(lambda: screen.work is None, pilot)
        await pilot.press("u")
        await wait_until(lambda: (path, DAY) not in tracker.marked(), pilot)
        assert len(list(tracker.marked())) == 1


async def test_mark_a_baseline_and_take_exactly_that_back(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    tracker = app.backend.session.registry.baseline(KEY)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        before = set(tracker.marked())
        await pilot.press("m")
        await wait_until(lambda: "Mark 3 files of CPR_CLD_2A BC as processed?" in text_of(app), pilot)
        assert set(tracker.marked()) == before
        await pilot.press("y")
        await wait_until(lambda: len(list(tracker.marked())) == 4, pilot)
        await wait_until(lambda: "u takes it back" in text_of(app), pilot)
        assert screen.rows[KEY].summary.marked == 4, "the table has it when it is said"
        assert app.backend.log_lines[-1].text == "Marked 3 files of CPR_CLD_2A BC as processed."
        await wait_until(lambda: screen.work is None, pilot)
        await pilot.press("u")
        await wait_until(lambda: set(tracker.marked()) == before, pilot)
        await wait_until(lambda: screen.work is None, pilot)
        await pilot.press("m")
        await wait_until(lambda: len(list(tracker.marked())) == 4, pilot)


async def test_unmark_of_several_is_confirmed(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    tracker = app.backend.session.registry.baseline(KEY)
    tracker.mark([(entry.path, entry.day) for entry in tracker.downloads()])
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("u")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await pilot.press("u")
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("escape")
        await wait_until(lambda: screen.work is None, pilot)
        assert len(list(tracker.marked())) == 4
        await pilot.press("u")
        await confirm(app, pilot)
        await wait_until(lambda: not list(tracker.marked()), pilot)


async def test_cleanup_shows_asks_and_deletes_marked_files_only(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    tracker = app.backend.session.registry.baseline(KEY)
    ((path, _),) = tracker.marked()
    others = [Path(entry.path) for entry in tracker.downloads() if entry.path != path]
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("D")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        shown = text_of(app)
        assert "Delete 1 marked file of CPR_CLD_2A BC" in shown and Path(path).name[-40:] in shown
        await pilot.press("D")
        assert isinstance(app.screen, ConfirmDialog) and Path(path).exists()
        await pilot.press("escape")
        await wait_until(lambda: screen.work is None, pilot)
        assert Path(path).exists()
        await pilot.press("D")
        await confirm(app, pilot)
        await wait_until(lambda: not Path(path).exists(), pilot)
        await wait_until(lambda: screen.work is None, pilot)
        assert all(other.exists() for other in others)
        assert path in app.backend.session.dirs.journal_file.read_text()
        assert "Deleted 1 file" in words(app)
        await pilot.press("D")
        await wait_until(lambda: "No marked file of CPR_CLD_2A BC is on disk" in words(app), pilot)


async def test_what_a_cleanup_deleted_is_said_in_every_view(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    tracker = app.backend.session.registry.baseline(KEY)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        assert "Del" not in text_of(app)
        tracker.mark(
            [(entry.path, entry.day) for entry in entries(app.backend.session, date(2025, 12, 3), 2)]
        )
        await pilot.press("D")
        await confirm(app, pilot)
        await wait_until(lambda: screen.work is None and "Deleted 3 files" in words(app), pilot)
        await wait_until(lambda: (row := screen.rows[KEY].summary) is not None and row.deleted == 3, pilot)
        summary = screen.rows[KEY].summary
        assert summary is not None
        assert (summary.downloaded, summary.here, summary.marked, summary.marked_here) == (4, 1, 3, 0)
        line = next(line for line in text_of(app).splitlines() if "CPR_CLD_2A" in line and "BC" in line)
        assert line.split()[4:8] == ["6", "1", "3", "2"], "found, here, deleted, pending"
        await pilot.press("enter")
        await wait_until(lambda: screen.query_one(DayStrip).day is not None, pilot)
        strip = screen.query_one(DayStrip)
        strip.move_to(date(2025, 12, 3))
        await wait_until(lambda: "2 files, 0 here, 0 marked, 2 deleted" in text_of(app), pilot)
        await wait_until(lambda: [row.state for row in files_of(screen).rows] == ["deleted"] * 2, pilot)
        assert "1 here, 0 marked, 3 deleted, 6 files known" in text_of(app)
        assert strip.glyph("deleted") in text_of(app)


async def test_cleanup_of_a_day_leaves_the_others(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    tracker = app.backend.session.registry.baseline(KEY)
    tracker.mark([(entry.path, entry.day) for entry in tracker.downloads()])
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await open_day(app, pilot)
        await pilot.press("escape", "D")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        assert "Delete 2 marked files of CPR_CLD_2A BC, 2025-12-01" in text_of(app)
        await pilot.press("y")
        await wait_until(lambda: screen.work is None, pilot)
        left = [entry.day for entry in tracker.downloads() if Path(entry.path).exists()]
        assert left == [date(2025, 12, 3)] * 2


async def test_cleanup_names_what_it_refuses(make_app: MakeApp, tmp_path: Path) -> None:
    outside = tmp_path / "mine.h5"
    outside.write_bytes(b"x")

    def prepare(session: Session) -> None:
        fill(session)
        session.registry.baseline(KEY).unmark(session.registry.baseline(KEY).marked())
        session.registry.baseline(KEY).mark([(str(outside), DAY)])

    app = make_app(prepare=prepare)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go(app, pilot)
        await pilot.press("D")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        assert any("it is not below" in line for line in app.screen.lines)
        assert outside.exists()


async def test_check_lists_what_is_missing_or_damaged(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    tracker = app.backend.session.registry.baseline(KEY)
    _, _, here, marked = entries(app.backend.session)
    first, second = entries(app.backend.session, date(2025, 12, 3), 2)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("V")
        await wait_until(lambda: "all good (" in words(app), pilot)
        assert re.search(r"all good \([0-9]+ (header size|length only)", words(app))
        Path(here.path).unlink()
        Path(marked.path).unlink()
        put(first, b"")
        put(second, Path(second.path).read_bytes()[:-9])
        await wait_until(lambda: screen.work is None, pilot)
        await pilot.press("V")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        assert [line.split()[0] for line in app.screen.lines] == ["missing", "truncated", "truncated"]
        # The marked one was cleaned up: nothing is wrong with it.
        assert "1 of them deleted by a clean-up" in app.screen.title_text
        await pilot.press("escape")
        await wait_until(lambda: screen.work is None, pilot)
        assert len(list(tracker.downloads())) == 4


async def test_check_fetches_again(make_app: MakeApp) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        (wanted,) = await find_files(app, 1)
        tracked = wanted.tracked
        assert tracked is not None
        tracker = app.backend.session.registry.baseline(KEY)
        tracker.add([tracked])
        put(tracked, b"half")
        tracker.record(wanted.url, wanted.path, tracked.day)
        await go(app, pilot)
        await pilot.press("V")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        await pilot.press("f")
        await wait_until(lambda: wanted.path.stat().st_size == wanted.size, pilot)


def put_two(session: Session) -> None:
    """Two files of a day are here."""
    several = entries(session, DAY, 2)
    tracker = session.registry.baseline(KEY)
    tracker.add(several)
    for one in several:
        put(one)
        tracker.record(one.url, one.path, one.day)


async def test_what_is_here_is_frozen_as_a_study(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(prepare=put_two)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go(app, pilot)
        await pilot.press("z")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = str(tmp_path / "study")
        await pilot.press("enter")
        await wait_until(lambda: "Froze 2 files" in notices_of(app), pilot)
    study = read_study(tmp_path / "study")
    assert {one.path for one in study.files} == {
        str(Path(one.path).relative_to(app.backend.session.dirs.data_dir))
        for one in entries(app.backend.session, DAY, 2)
    }


async def test_a_study_is_thawed_and_cited(make_app: MakeApp, tmp_path: Path) -> None:
    app = make_app(prepare=put_two)
    gone, _ = app.backend.session.registry.baseline(KEY).downloads()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go(app, pilot)
        for key, words in (
            ("z", "Froze 2 files"),
            ("Z", "Thawed study: 2 files here, each with its hash"),
            ("Z", "1 file here with its hash, 1 file that the archive does not have any more"),
        ):
            await pilot.press(key)
            await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
            if key == "z":
                app.screen.query_one(Input).value = str(tmp_path / "study")
            # What was frozen last is what is thawed first.
            assert app.screen.query_one(Input).value == str(tmp_path / "study")
            await pilot.press("enter")
            await wait_until(lambda words=words: words in notices_of(app), pilot)
            if "2 files here" in words:
                Path(gone.path).unlink()
        await pilot.press("C")
        await wait_until(lambda: "properties, baseline BC" in app.clipboard, pilot)


async def test_rebuild_records_what_is_on_disk(make_app: MakeApp) -> None:
    def prepare(session: Session) -> None:
        tracker = session.registry.baseline(KEY)
        known, cut, unknown = entries(session, DAY, 3)
        tracker.add([known, cut])
        put(known)
        put(cut, b"cut short")
        put(unknown)
        (Path(known.path).parent / "other.h5.part").write_bytes(b"x")

    app = make_app(prepare=prepare)
    tracker = app.backend.session.registry.baseline(KEY)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("B")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        shown = " ".join(text_of(app).replace("│", " ").split())
        assert "Record 1 file found on disk as downloaded" in shown
        assert "1 have no known address, 1 are not whole" in shown
        await pilot.press("y")
        await wait_until(lambda: len(list(tracker.downloads())) == 1, pilot)
        await wait_until(lambda: screen.work is None, pilot)
        assert [entry.path for entry in tracker.downloads()] == [entries(app.backend.session)[0].path]
        await pilot.press("B")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        assert sorted(line.split()[0] for line in app.screen.lines) == ["not", "unknown"]


async def test_rebuild_without_a_registry_looks_at_the_disk(make_app: MakeApp) -> None:
    app = make_app(prepare=lambda session: put(entries(session)[0]))
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("4")
        await wait_until(lambda: "Nothing is tracked yet" in text_of(app), pilot)
        await pilot.press("B")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        assert "register the results (w)" in app.screen.title_text
        assert len(app.screen.lines) == 1


async def test_escape_stops_long_work(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)

        async def endless(work: Any) -> None:
            await asyncio.to_thread(work.stop.wait)

        screen.start_work("Counting sheep", endless)
        await wait_until(lambda: "Counting sheep: 0; esc stops it" in text_of(app), pilot)
        await pilot.press("m")
        assert "Wait until this is done" in words(app)
        await pilot.press("escape")
        await wait_until(lambda: screen.work is None, pilot)
        await wait_until(lambda: not screen.query_one("#work").display, pilot)


BIOMASS = Key("BIOMASS", "BiomassLevel1b", "S2_DGM__1S", "01")


async def test_gaps_are_listed_and_fetched(make_app: MakeApp, archive: Archive) -> None:
    key = BIOMASS

    def track(session: Session) -> None:
        nonlocal key
        (key,) = session.tracked_keys(BIOMASS.collection, BIOMASS.product_type, BIOMASS.baseline)
        first = TrackedFile(key, date(2025, 12, 1), "https://x.test/a.zip", "/x")
        session.registry.baseline(key).add([first])

    app = make_app(prepare=track)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await go(app, pilot)
        await pilot.press("n")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        shown = text_of(app)
        assert "19 at the archive, 19 not here, in 1 gap" in shown
        assert "2025-12-12 to 2025-12-15" in shown
        # The calendar says the same, by days and by months.
        await pilot.press("tab")
        await wait_until(lambda: "· none here" in text_of(app), pilot)
        line = next(line for line in text_of(app).splitlines() if "2025-12" in line)
        assert "─·──·─" in line and "19" in line
        # The cursor is on the last day of the gap; space marks the month.
        await wait_until(lambda: "Mon 2025-12-15: " in text_of(app), pilot)
        await pilot.press("left", "left")
        await wait_until(lambda: "Sat 2025-12-13: nothing at the archive" in text_of(app), pilot)
        for keys, span in (
            (("h",), "--start 2025-12-12 --end 2025-12-12"),
            (("space",), "--start 2025-12-12 --end 2025-12-15"),
        ):
            await pilot.press(*keys, "y")
            await wait_until(lambda span=span: app.clipboard.endswith(span), pilot)
            await wait_until(lambda: not isinstance(app.screen, GapsDialog), pilot)
            await pilot.press("escape")
        await pilot.press("up", "tab")
        await wait_until(lambda: "7  8  9  10 11 12" in text_of(app), pilot)
        await wait_until(lambda: "2025-12: 19 granules at the archive, 19 not here" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: "2025-12-12: " in text_of(app), pilot)
        await pilot.press("tab", "tab")
        await wait_until(lambda: "2025-12-12 to 2025-12-15" in text_of(app), pilot)
        # A click in the calendar goes to its day, and enter on that one searches it.
        await pilot.press("enter")
        await wait_until(lambda: "Fri 2025-12-12: " in text_of(app), pilot)
        rows = app.screen.query_one(RowList)
        await pilot.click(rows, offset=(MARKS + LABEL + 1 + 14, 1))
        await wait_until(lambda: "Mon 2025-12-15: " in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: "--date 2025-12-15" in text_of(app), pilot)
        await pilot.press("escape", "4", "n")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        archive.faults.add(target="data", status=404)
        await pilot.press("d")
        await wait_until(lambda: "files queued" in notices_of(app), pilot)
        # Of the granule that is there in two versions the newest is fetched.
        await wait_until(lambda: app.backend.tally.snapshot().queued == 18, pilot)


async def test_a_large_gap_is_asked_about_and_esc_fetches_nothing(make_app: MakeApp) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        await pilot.press("n")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        await pilot.press("a", "d")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await pilot.press("escape")
        await wait_until(lambda: screen.work is None, pilot)
        await pilot.press("n")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        await pilot.press("escape")
        await wait_until(lambda: screen.work is None, pilot)
        assert app.backend.tally.snapshot().queued == 0


async def test_counting_at_an_archive_that_hangs_is_stopped_by_esc(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(prepare=fill)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        screen = await go(app, pilot)
        archive.faults.add(target="search", latency_s=60.0)
        await pilot.press("n")
        await wait_until(lambda: "Counting at the archive" in text_of(app), pilot)
        await pilot.press("escape")
        await wait_until(lambda: screen.work is None, pilot)
