"""The mode Search: what is done with results: queue, register, export, freeze, and what one shows."""

from __future__ import annotations

import csv
import json
import os
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from driving import confirm, notices_of, text_of, wait_until
from search_kit import L2, NOW, ONE_DAY, Make, run_search, searching, type_text, words_of
from textual.widgets import Input

from maap_tui.demo.archive import Archive
from maap_tui.engine.download.queue_store import QueueRow
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.quality.sheets import read_sheet
from maap_tui.engine.quality.store import Stored
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.text import format_bytes, format_duration
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.coverage import GapsDialog
from maap_tui.tui.dialogs.error import ErrorDialog
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.screens.search import search_run
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.results import SLICE, result_of
from maap_tui.tui.screens.search.terms import Terms

MODE = "search"


async def test_the_forecast_counts_the_queue_once(
    make_app: Make, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive.faults.add(target="data", stall_after=0)
    monkeypatch.setattr("maap_tui.tui.synced.ASK_ABOVE", 1)
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "d")
        await wait_until(lambda: f"Queue {len(screen.results.rows)} files, " in text_of(app), pilot)
        assert app.backend.transfers is None
        await confirm(app, pilot)
        await wait_until(lambda: all(row.state == "queued" for row in screen.results.rows), pilot)
        size = sum(row.size for row in screen.results.rows)
        app.backend.last_rate = 1024.0
        screen.sum_again()
        words = f"{format_duration(size / 1024)} with the queue"
        await wait_until(lambda: words in words_of(screen, "sum"), pilot)


async def test_files_are_queued_and_their_state_follows(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        assert {row.state for row in screen.results.rows} == {"new"}
        # To another folder: they are not tracked.
        await pilot.press("o")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = str(tmp_path / "away")
        await pilot.press("enter")
        name = screen.results.rows[0].files[0].name
        await wait_until(lambda: (tmp_path / "away" / name).exists(), pilot)
        assert not list(app.backend.session.registry.tracked())
        (tmp_path / "plain").write_text("x")
        await pilot.press("o")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = str(tmp_path / "plain")
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        assert "is a file" in app.screen.message
        await pilot.press("escape")
        # To their place in the archive's folders.
        await pilot.press("space", "space", "d")
        await wait_until(lambda: "Queued 2 files, 318 KiB" in notices_of(app), pilot)
        await wait_until(
            lambda: [row.state for row in screen.results.rows[:3]] == ["here", "here", "new"], pilot
        )
        await wait_until(lambda: "2 here" in words_of(screen, "sum"), pilot)
        await pilot.press("d")
        await wait_until(lambda: "Nothing to queue" in notices_of(app), pilot)
        row = screen.results.rows[0]
        path = app.backend.session.filing.request_of(row.granule, row.files[0]).path
        assert path.stat().st_size == row.size
        # What happens to them elsewhere is seen on the next visit.
        app.backend.session.mark([str(path)])
        second, third = screen.results.rows[1:3]
        app.backend.session.filing.request_of(second.granule, second.files[0]).path.unlink()
        elsewhere = QueueRow(
            "/x/y.h5", third.files[0].href, "running", pid=os.getppid(), host="elsewhere", changed=2e9
        )
        app.backend.session.queue.save([elsewhere])
        app.action_go("log")
        await pilot.pause()
        app.action_go("search")
        await wait_until(
            lambda: [row.state for row in screen.results.rows[:3]] == ["marked", "missing", "queued"], pilot
        )
        assert "marked" in text_of(app) and "missing" in text_of(app)
        # A line of the registry whose file was never here.
        url = f"{app.backend.session.settings.api.catalog_url.removesuffix('catalogue/')}data/none.h5"
        tracker = app.backend.session.registry.baseline(Key("EarthCARE", L2, "CPR_CLD_2A", "BC"))
        tracker.add([TrackedFile(tracker.key, date(2025, 12, 1), url, "/nowhere/none.h5")])
        tracker.record(url, "/nowhere/none.h5", date(2025, 12, 1))
        asset = Asset("h5", url, "none.h5", "h5", 10)
        start = datetime(2025, 12, 1, 5, tzinfo=UTC)
        granule = Granule("none", L2, "EarthCARE", "CPR_CLD_2A", "BC", start, assets=(asset,))
        row = result_of(granule, ("h5",), keep_whole=True)
        screen.results.set_rows([row])
        screen.states.look_again([row])
        await wait_until(lambda: row.state == "missing", pilot)


async def test_only_what_is_not_here_is_shown_and_follows_what_comes(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("space", "space", "n")
        assert len(screen.results.shown) == 15
        assert "15 not here (n: all)" in words_of(screen, "progress")
        # What comes leaves the list.
        await pilot.press("d")
        await wait_until(lambda: len(screen.results.shown) == 13, pilot)
        await wait_until(lambda: "13 not here (n: all)" in words_of(screen, "progress"), pilot)
        assert {row.state for row in screen.results.shown} == {"new"}
        # It goes together with the filter that is typed.
        first = screen.results.shown[0].granule.orbit_frame
        await pilot.press("slash")
        await type_text(pilot, first)
        await wait_until(lambda: "1 not here pass the filter" in words_of(screen, "progress"), pilot)
        await pilot.press("escape", "n")
        assert len(screen.results.shown) == 15
        assert "not here" not in words_of(screen, "progress")
        # When all is here, the list says so.
        screen.results.clear_marks()
        await pilot.press("a", "d", "n")
        await wait_until(lambda: "what was found is here" in text_of(app), pilot)


async def test_the_coverage_of_the_form_is_shown_and_gaps_are_fetched(
    make_app: Make, archive: Archive
) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        screen.form.fill(Terms("BiomassLevel1b", "S2_DGM__1S", "", "2025-12", area="hyytiala", orbit="T14"))
        screen.results.focus()
        await pilot.press("C")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        assert "19 not here, in 1 gap" in text_of(app)
        await wait_until(lambda: not notices_of(app), pilot)  # that it is counted
        # It is about all of the baseline, and says so.
        assert "All of the baseline is counted and fetched: the orbits and the area of" in text_of(app)
        assert "the form are left out." in text_of(app)
        await pilot.press("tab")
        await wait_until(lambda: "─·──·─" in text_of(app), pilot)
        await pilot.press("shift+tab")
        await wait_until(lambda: "tab months" in text_of(app), pilot)
        await pilot.press("tab")
        await wait_until(lambda: "─·──·─" in text_of(app), pilot)
        archive.faults.add(target="data", status=404)
        await pilot.press("d")
        await wait_until(lambda: "Queued 6 files. 3 shows the queue." in notices_of(app), pilot)


async def test_the_coverage_of_the_form_counts_and_fetches_its_frames_alone(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        terms = Terms(ONE_DAY.collection, "CPR_CLD_2A", "BC", "2025-12-01..2025-12-03", frames="D")
        await run_search(screen, pilot, terms)
        found = len(screen.results.rows)
        await pilot.press("space", "d")
        await wait_until(lambda: any(row.state == "here" for row in screen.results.rows), pilot)
        await pilot.press("C")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        words = f"CPR_CLD_2A BC frames D: {found} at the archive, {found - 1} not here, in 1 gap"
        await wait_until(lambda: words in text_of(app), pilot)
        assert "left out" not in text_of(app)
        await pilot.press("y")
        await wait_until(lambda: "--end 2025-12-03 --frame D" in text_of(app), pilot)
        await pilot.press("escape", "d")
        await wait_until(lambda: f"Queued {found - 1} files. 3 shows the queue." in notices_of(app), pilot)


async def test_where_the_archive_does_not_filter_by_frames_all_are_counted_and_that_is_said(
    make_app: Make, archive: Archive
) -> None:
    archive.faults.add(blind="frame")
    app = make_app()
    async with searching(app) as (screen, pilot):
        screen.form.fill(Terms(L2, "CPR_CLD_2A", "BC", "2025-12-01", frames="D"))
        screen.results.focus()
        await pilot.press("C")
        await wait_until(lambda: isinstance(app.screen, GapsDialog), pilot)
        await wait_until(lambda: "CPR_CLD_2A BC: 1" in text_of(app), pilot)
        assert "All of the baseline is counted and fetched: the frames of the form are" in text_of(app)


async def test_what_the_disk_cannot_hold_is_not_queued(make_app: Make) -> None:
    app = make_app(overrides={"downloads.min_free": 1 << 60})
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "d")
        await wait_until(lambda: isinstance(app.screen, ErrorDialog), pilot)
        assert "Nothing was queued" in app.screen.message
        assert app.backend.transfers is None


async def test_granules_are_registered_and_many_say_at_once_how_far_it_is(
    make_app: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    said: list[str] = []
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("a", "w")
        count = len(screen.results.rows)
        await wait_until(lambda: f"Registered {count} new files" in notices_of(app), pilot)
        assert app.backend.session.stats(L2, "CPR_CLD_2A", "BC").total_urls == count
        await pilot.press("w")
        await wait_until(lambda: f"{count} known already" in notices_of(app), pilot)
        found = screen.results.rows[0].granule
        count = 2 * SLICE + 1
        screen.results.set_rows(
            [
                result_of(replace(found, id=f"{found.id}{number}", assets=()), (), keep_whole=True)
                for number in range(count - 1)
            ]
            + screen.results.rows[:1]
        )
        notify = app.notify
        monkeypatch.setattr(
            app, "notify", lambda message, **more: (said.append(message), notify(message, **more))
        )
        screen.results.clear_marks()
        await pilot.press("a", "w")
        await wait_until(lambda: said and "1 known already" in said[-1], pilot)
        assert said[0] == f"Registering {count:,} granules..."
        assert [words.partition(" granules")[0] for words in said[1:3]] == [
            f"Registering: {SLICE:,} of {count:,}",
            f"Registering: {2 * SLICE:,} of {count:,}",
        ]
        assert "99 %" in said[2] and said[2].endswith(" left...")


BIOMASS = Terms("BiomassLevel1a", "S1_SCS__1S", time="2025-12-12")


async def test_a_granule_of_biomass_is_known_by_track_and_frame_and_has_many_files(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot, BIOMASS)
        assert "Track" in text_of(app) and " T001_F222 " in text_of(app)
        row = next(row for row in screen.results.rows if row.granule.track_frame == "T001_F222")
        words = str(GranuleDialog(row).words())
        assert "Track, frame   T001_F222" in words and f"Orbit          {row.granule.orbit_frame}" in words
        await run_search(screen, pilot, replace(BIOMASS, orbit="T001", frames="222", time=""))
        assert {row.granule.track_frame for row in screen.results.rows} == {"T001_F222"}
        assert "--frame 222 --track 001" in words_of(screen, "command")
        # Every file of a granule is queued with the format "all".
        await run_search(screen, pilot, replace(BIOMASS, orbit="", frames="222", formats="all"))
        row = screen.results.current
        assert {asset.format for asset in row.files} == {"tiff", "xml", "kml", "png"} and len(row.files) == 7
        await pilot.press("d")
        await wait_until(lambda: "Queued 7 files" in notices_of(app), pilot)
        await wait_until(lambda: row.state == "here", pilot)
        paths = [app.backend.session.filing.request_of(row.granule, asset).path for asset in row.files]
        assert len(set(paths)) == 7 and all(path.is_file() for path in paths)
        await run_search(screen, pilot)
        assert "Track" not in text_of(app) and "Orbit " in text_of(app), "the next mission has orbits"


async def test_the_fewest_dates_of_a_mission_with_tracks_are_marked(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await pilot.press("escape", "F")
        await wait_until(lambda: "Nothing is shown to choose from" in text_of(app), pilot)
        await pilot.press("escape")
        await run_search(screen, pilot, Terms("BiomassLevel1b", "S2_DGM__1S", time="2025-12-12"))
        await pilot.press("F")
        await wait_until(lambda: "Marked 12 granules of 1 date" in notices_of(app), pilot)
        marked = [row.granule for row in screen.results.chosen]
        assert len({one.track_frame for one in marked}) == len(marked) == 12
        await run_search(screen, pilot)
        await pilot.press("F")
        await wait_until(lambda: "does not number its ground tracks" in text_of(app), pilot)


async def test_results_are_exported(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        urls = [row.files[0].href for row in screen.results.rows]
        written = {}
        await pilot.press("e")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        app.screen.query_one(Input).value = str(tmp_path)
        await pilot.press("enter")
        await wait_until(lambda: "Name a file." in text_of(app), pilot)
        await pilot.press("escape")
        for suffix in ("csv", "jsonl", "txt"):
            target = tmp_path / f"found.{suffix}"
            if suffix == "csv":
                target.write_text("older")
            await pilot.press("e")
            await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
            assert "(shown)" in text_of(app)
            app.screen.query_one(Input).value = str(target)
            await pilot.press("enter")
            if suffix == "csv":
                await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
                await pilot.press("e")
                assert target.read_text() == "older", "the key that asked confirms nothing"
                await pilot.press("y")
            await wait_until(lambda target=target: f"to {target}" in notices_of(app), pilot)
            written[suffix] = target.read_text().splitlines()
        assert [row["url"] for row in csv.DictReader(written["csv"])] == urls
        assert [json.loads(line)["url"] for line in written["jsonl"]] == urls
        assert written["txt"] == urls


async def test_gaps_and_disclaimers_are_shown(make_app: Make) -> None:
    app = make_app()
    quality = app.backend.session.quality
    head = b"id,first_frame,last_frame,products,text\n"
    notices = read_sheet(head + b"D-1,00001,99999,CPR_CLD_2A,Pointing was off\n", "disclaimer").notices
    quality.save(Stored("disclaimer", "a sheet", NOW, tuple(notices)))
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await wait_until(lambda: "BC !" in text_of(app), pilot)
        await pilot.press("enter")
        await wait_until(lambda: "disclaimer D-1: Pointing was off" in text_of(app), pilot)
        await pilot.press("escape", "Q")
        await wait_until(lambda: isinstance(app.screen, ListDialog), pilot)
        assert app.screen.lines[0] == "disclaimer D-1: Pointing was off (00001 to 99999)"
        assert "1 gap or disclaimer of CPR_CLD_2A BC" in text_of(app)


async def test_granules_that_are_not_here_cannot_be_frozen(make_app: Make, tmp_path: Path) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("space", "z")
        await wait_until(lambda: isinstance(app.screen, PromptDialog), pilot)
        assert "Freeze 1 granule as a study" in text_of(app)
        app.screen.query_one(Input).value = str(tmp_path / "study")
        await pilot.press("enter")
        await wait_until(lambda: "Nothing was frozen; left out: 1 file not here" in notices_of(app), pilot)
    assert not (tmp_path / "study").exists()


async def test_a_granule_is_shown_whole(
    make_app: Make, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_run, "KEPT_WHOLE", 1)
    app = make_app(overrides={"api.retries": 0})
    async with searching(app, (120, 60)) as (screen, pilot):
        await run_search(screen, pilot)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        words = str(app.screen.words())
        for part in ("From ", "Latitudes from", "enclosure_h5", "KiB  h5  data", "processing:level", ".HDR"):
            assert part in words
        await pilot.press("j", "k", "y")
        await wait_until(lambda: app.clipboard == screen.results.rows[0].granule.id, pilot)
        await pilot.press("escape", "escape")
        await pilot.press("j")
        await wait_until(lambda: screen.results.cursor == 1, pilot)
        assert not screen.results.current.granule.properties, "later results are kept small"
        await pilot.press("enter")
        await wait_until(
            lambda: isinstance(app.screen, GranuleDialog) and "processing:level" in str(app.screen.words()),
            pilot,
        )
        await pilot.press("escape", "j")
        archive.faults.add(target="catalogue", status=503)
        await pilot.press("enter")
        await wait_until(lambda: "not available" in text_of(app), pilot)


async def test_a_granule_that_is_shown_is_queued_and_leads_to_the_next(make_app: Make) -> None:
    app = make_app()
    async with searching(app) as (screen, pilot):
        await run_search(screen, pilot)
        first, second, *_ = rows = screen.results.rows
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        assert "n next  N previous  d fetch  v picture  h headers" in text_of(app)
        await pilot.press("N")
        await wait_until(lambda: "This is the first one." in notices_of(app), pilot)
        await pilot.press("n", "d")
        await wait_until(lambda: "Queued 1 file" in notices_of(app), pilot)
        assert second.granule.id in text_of(app)
        # What became of its file is said there too.
        await wait_until(lambda: f"here, {format_bytes(second.size)}" in text_of(app), pilot)
        await pilot.press("u")
        await wait_until(lambda: app.clipboard == second.files[0].href, pilot)
        await pilot.press("escape")
        await wait_until(lambda: isinstance(app.screen, GranuleDialog), pilot)
        await pilot.press(*["n"] * len(rows))
        await wait_until(lambda: "There is no next granule." in notices_of(app), pilot)
        await pilot.press("escape")
        await wait_until(lambda: app.screen is screen and screen.results.current is rows[-1], pilot)
        assert (first.state, second.state) == ("new", "here")
