"""The mode Downloads: what it shows, every key, empty, error and huge states."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from downloads_kit import (
    SIZE,
    has,
    lines,
    opened,
    place_cursor,
    queue_files,
    row_of,
    states,
    write_elsewhere,
)
from driving import confirm, find_files, header_of, wait_until
from driving import text_of as screen_text

from maap_tui.demo.archive import Archive
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.screens.downloads.queue_head import QueueHead
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from tests.faults.stage import DAY, NAMES, Stage
from tests.faults.waiting import let_a_file_wait

pytestmark = pytest.mark.usefixtures("prompt_keys")

MODE = "downloads"

MakeApp = Callable[..., MaapApp]


async def test_an_empty_queue_says_what_to_do(make_app: MakeApp) -> None:
    app = make_app()
    async with opened(app) as pilot:
        await wait_until(lambda: "Nothing in the queue" in screen_text(app), pilot)
        assert "press d" in screen_text(app)
        for key in ("p", "P", "x", "r", "R", "t", "C", "o", "V", "T", "v", "a", "i", "s", "slash", "escape"):
            await pilot.press(key)
        assert app.is_running and isinstance(app.screen, DownloadsScreen)


async def test_files_come_finish_and_are_registered(make_app: MakeApp) -> None:
    app = make_app()
    async with opened(app) as pilot:
        files = await find_files(app, 3)
        assert await app.backend.queue_files(files) == 3
        await wait_until(has(app, "finished", 3), pilot)
        text = screen_text(app)
        assert "3 of 3 files" in text and "free" in text
        assert text.count("done") >= 3
        assert re.search(r"done .* 144 KiB .*B/s +(\d\.\d s|\d+ ms)", text), (
            "its mean rate and the time it took"
        )
        assert all(wanted.path.stat().st_size == wanted.size for wanted in files)
        stats = app.backend.session.registry.baseline(files[0].key).stats()
        assert (stats.total_urls, stats.downloaded) == (3, 3)


async def test_a_slow_transfer_shows_bytes_rate_time_left_and_moves_only_on_the_left(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app()
    async with opened(app) as pilot:
        archive.faults.add(target="data", rate=40_000.0)
        await queue_files(app, pilot, 2, running=2)
        await wait_until(lambda: lines(app)[0].rate and lines(app)[0].seconds_left, pilot)
        text = screen_text(app)
        assert "running" in text and "KiB/s" in text and "/144 KiB" in text and "5 min" not in text
        assert re.search(r"\d+%  0 of 2 files", text)
        await wait_until(lambda: "5 Log" in screen_text(app) and "↓2 " in screen_text(app), pilot)
        await pilot.resize_terminal(80, 30)
        for _ in range(9):
            app.screen.query_one(QueueHead).rates.note(40_000.0, is_active=True)
        await wait_until(lambda: re.search(r" KiB/s┤.*\n.*\n.*\n +0┤.* 5 min", screen_text(app)), pilot)


async def test_pause_and_resume_one_and_all(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(overrides={"downloads.parallel": 2})
    async with opened(app) as pilot:
        archive.faults.add(target="data", rate=20_000.0)
        await queue_files(app, pilot, 4, running=2)
        line = place_cursor(app, "running")
        await pilot.press("p")
        await wait_until(lambda: line.update(set()) or line.state == "paused", pilot)
        await wait_until(has(app, "running", 2), pilot)
        assert app.screen.table.current is line  # type: ignore[attr-defined]
        await pilot.press("p")
        await wait_until(has(app, "paused", 0), pilot)
        await pilot.press("P")
        await wait_until(has(app, "paused", 4), pilot)
        transfers = app.backend.transfers
        assert transfers is not None
        await wait_until(lambda: transfers.active == 0, pilot)
        archive.faults.clear()
        await pilot.press("P")
        await wait_until(has(app, "finished", 4), pilot)


async def test_cancel_one_at_once_many_after_confirmation_and_back_with_retry(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(overrides={"downloads.parallel": 1})
    async with opened(app) as pilot:
        archive.faults.add(target="data", rate=10_000.0)
        await queue_files(app, pilot, 4, waiting=3)
        place_cursor(app, "waiting")
        await pilot.press("x")
        await wait_until(has(app, "cancelled", 1), pilot)
        await pilot.press("a", "x")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        assert "3 transfers" in screen_text(app)
        await pilot.press("x")
        assert isinstance(app.screen, ConfirmDialog), "the key that asked must not confirm"
        await pilot.press("escape")
        await wait_until(has(app, "cancelled", 1), pilot)
        await pilot.press("x")
        await confirm(app, pilot)
        await wait_until(has(app, "cancelled", 4), pilot)
        archive.faults.clear()
        await pilot.press("a", "r")
        await wait_until(has(app, "finished", 4), pilot)
        snapshot = app.backend.tally.snapshot()
        assert (snapshot.queued, snapshot.done) == (4, 4)


async def test_failures_say_why_and_what_to_do_and_are_retried(make_app: MakeApp, archive: Archive) -> None:
    app = make_app()
    async with opened(app) as pilot:
        archive.faults.add(target="data", status=404)
        await queue_files(app, pilot, 3, failed=3)
        place_cursor(app, "failed")
        await wait_until(lambda: "3 failed (R retries)" in screen_text(app), pilot)
        assert "404" in screen_text(app) and "Search again" in screen_text(app)
        archive.faults.clear()
        await pilot.press("r")
        await wait_until(has(app, "finished", 1), pilot)
        await pilot.press("R")
        await wait_until(has(app, "finished", 3), pilot)
        assert app.backend.tally.snapshot().failed == 0


@pytest.mark.fault("N13")
async def test_what_an_outage_interrupts_comes_by_itself_when_it_is_over(tmp_path: Path) -> None:
    with Stage(tmp_path) as stage:
        stage.add_good(3)
        asked = let_a_file_wait(stage)
        waits = {"api.retry_wait": 0.05, "downloads.retry_wait": 0.05}
        app = MaapApp(Session.load(environ=stage.plain_environment, bulk=True, overrides=waits))
        async with app.run_test(size=SIZE, notifications=True) as pilot:
            await pilot.press("3")
            await app.backend.sync(Query(*NAMES, time=TimeRange.of_day(DAY.date())))
            await wait_until(asked.is_set, pilot)
            await asyncio.to_thread(stage.go_away)
            await wait_until(lambda: " offline " in header_of(app), pilot)
            assert not has(app, "failed", 1)()
            await asyncio.to_thread(stage.come_back)
            await wait_until(has(app, "finished", 3), pilot)
            await wait_until(lambda: " offline " not in header_of(app), pilot)
        assert len(stage.finals) == 3 and stage.wrong_files() == []


async def test_a_retry_is_shown_with_its_reason_and_count(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(overrides={"downloads.retry_wait": 30})
    async with opened(app) as pilot:
        archive.faults.add(target="data", status=503)
        await queue_files(app, pilot, 1, retrying=1)
        await pilot.pause()
        app.screen.sample()  # type: ignore[attr-defined]
        await wait_until(lambda: "next try in" in screen_text(app), pilot)
        assert "503" in screen_text(app)
        assert lines(app)[0].source.tries == 1


async def test_to_the_top_changes_what_is_next(make_app: MakeApp, archive: Archive) -> None:
    app = make_app(overrides={"downloads.parallel": 1})
    async with opened(app) as pilot:
        archive.faults.add(target="data", rate=10_000.0)
        await queue_files(app, pilot, 4, waiting=3)
        last = lines(app)[-1]
        await pilot.press("G", "t")
        await wait_until(lambda: has(app, "waiting", 3)() and lines(app)[1] is last, pilot)
        assert app.screen.table.current is last, "the cursor stays on its row"  # type: ignore[attr-defined]


async def test_more_and_fewer_at_once(make_app: MakeApp) -> None:
    app = make_app(overrides={"downloads.parallel": 3})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await pilot.press("3", "plus")
        await wait_until(
            lambda: app.backend.transfers is not None and app.backend.transfers.parallel == 4, pilot
        )
        for _ in range(6):
            await pilot.press("minus")
        await wait_until(lambda: app.backend.transfers.parallel == 1, pilot)
        await wait_until(lambda: "1 at once" in screen_text(app), pilot)


async def test_clear_confirms_with_a_count_and_empties_list_and_disk(make_app: MakeApp) -> None:
    app = make_app()
    async with opened(app) as pilot:
        await queue_files(app, pilot, 2, finished=2)
        await pilot.press("C")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        assert "2 ended transfers (287 KiB)" in screen_text(app)
        await pilot.press("C")
        assert isinstance(app.screen, ConfirmDialog)
        await pilot.press("y")
        await wait_until(lambda: isinstance(app.screen, DownloadsScreen) and not lines(app), pilot)
        await wait_until(lambda: app.backend.queue.load() == [], pilot)


async def test_the_folder_is_copied(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.delenv("DISPLAY", raising=False)
    app = make_app()
    async with opened(app) as pilot:
        files = await queue_files(app, pilot, 1, finished=1)
        await pilot.press("o")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert app.screen.text == str(files[0].path.parent)


async def test_verify_finds_damage_and_retry_fetches_it(make_app: MakeApp) -> None:
    app = make_app()
    async with opened(app) as pilot:
        files = await queue_files(app, pilot, 2, finished=2)
        broken = files[0].path
        os.truncate(broken, 1000)
        await pilot.press("a", "V")
        await wait_until(has(app, "damaged", 1), pilot)
        line = place_cursor(app, "damaged")
        await pilot.pause()
        assert "truncated: it has 1,000 bytes" in screen_text(app)
        good = next(one for one in lines(app) if one is not line)
        await wait_until(lambda: good.verdict is not None and good.verdict.state == "good", pilot)
        await wait_until(lambda: "Verified 2 files: 1 bad, 1 good (1 header size)" in screen_text(app), pilot)
        place_cursor(app, "finished")
        await wait_until(lambda: "bytes are here, its hash agrees (header size)" in screen_text(app), pilot)
        place_cursor(app, "damaged")
        await pilot.press("r")
        await wait_until(has(app, "finished", 2), pilot)
        assert broken.stat().st_size == files[0].size


async def test_enter_shows_everything_of_a_transfer(make_app: MakeApp) -> None:
    app = make_app()
    async with opened(app) as pilot:
        files = await queue_files(app, pilot, 1, finished=1)
        await pilot.press("enter")
        await wait_until(lambda: isinstance(app.screen, TextDialog), pilot)
        assert files[0].url in app.screen.text and "147,718 of 147,718" in app.screen.text


async def test_filter_sort_and_columns(make_app: MakeApp, archive: Archive) -> None:
    app = make_app()
    async with opened(app) as pilot:
        files = await find_files(app, 3)
        archive.faults.add(target="data", status=404, match=files[0].path.name)
        await app.backend.queue_files(files)
        await wait_until(has(app, "finished", 2), pilot)
        await wait_until(has(app, "failed", 1), pilot)
        await pilot.press("slash", *"failed", "enter")
        assert states(app) == ["failed"]
        await pilot.press("slash", "escape")
        assert len(lines(app)) == 3
        for hidden, found in (("20251201", 3), ("404", 1), ("!404", 2)):
            assert hidden.strip("!") not in screen_text(app).split("Name", 1)[1].split("ECA_", 1)[0]
            await pilot.press("slash", *hidden, "enter")
            assert len(lines(app)) == found, f"{hidden} is in what the narrow list does not show"
            await pilot.press("slash", "escape")
        await pilot.press("s")
        assert app.screen.table.sort_key == "state"  # type: ignore[attr-defined]
        await pilot.press("c", "escape")
        assert isinstance(app.screen, DownloadsScreen)


async def test_the_choice_of_columns_is_remembered_at_every_width(make_app: MakeApp) -> None:
    app = make_app()
    file = app.backend.session.dirs.cache_file("downloads.json")
    async with opened(app) as pilot:
        await wait_until(lambda: "Done" in screen_text(app), pilot)
        await pilot.press("c", "down", "space", "escape")
        await wait_until(lambda: "Done" not in screen_text(app), pilot)
        await wait_until(file.exists, pilot)
    app = make_app()
    async with opened(app, size=(120, 40)) as pilot:
        await wait_until(lambda: "Bytes" in screen_text(app) and "Done" not in screen_text(app), pilot)
        await pilot.resize_terminal(60, 16)
        await wait_until(lambda: "Left" in screen_text(app), pilot)
        assert "Done" not in screen_text(app)


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"columns": 7}', '{"columns": {"transfers": ["no", 1, {}]}}', "\x00" * 9]
)
async def test_a_damaged_memory_of_columns_is_as_none(make_app: MakeApp, content: str) -> None:
    app = make_app()
    file = app.backend.session.dirs.cache_file("downloads.json")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content)
    async with opened(app) as pilot:
        await wait_until(lambda: "Done" in screen_text(app) and "Name" in screen_text(app), pilot)


@pytest.mark.fault("D1")
async def test_a_full_disk_holds_the_queue_and_it_goes_on_by_itself(
    make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.room.ROOM_CHECK_S", 0.05)
    app = make_app(overrides={"downloads.min_free": "1G"})
    room = shutil.disk_usage(app.backend.session.dirs.data_dir.parent)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: room._replace(free=5 << 20))
    async with opened(app) as pilot:
        await app.backend.queue_files(await find_files(app, 3))
        words = "Waiting: Too little space for"
        await wait_until(lambda: words in " ".join(screen_text(app).split()), pilot)
        await wait_until(has(app, "waiting", 3), pilot)
        assert "Too little space" in "".join(line.text for line in app.backend.log_lines)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: room._replace(free=1 << 40))
        await wait_until(has(app, "finished", 3), pilot)
        await wait_until(lambda: words not in " ".join(screen_text(app).split()), pilot)


async def test_sizes_that_are_not_known_are_said_to_be_guessed_or_left_out(
    make_app: MakeApp, archive: Archive
) -> None:
    first = make_app(overrides={"downloads.parallel": 1})
    async with opened(first) as pilot:
        files = [replace(wanted, size=None) for wanted in await find_files(first, 4)]
        rule = archive.faults.add(target="data", latency_s=30.0)
        await first.backend.queue_files(files)
        await wait_until(lambda: "0 B of at least 0 B" in screen_text(first), pilot)
        archive.faults.rules.remove(rule)
        archive.faults.add(target="data", rate=20_000.0)
        await pilot.press("P")
        await wait_until(has(first, "paused", 4), pilot)
        await pilot.press("P")
        await wait_until(lambda: re.search(r" of about \d+ KiB", screen_text(first)), pilot)
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)

        def text_now() -> str:
            # The tree behind the dialog stands beside its lines.
            return " ".join(re.sub("[│├└▼▶]", " ", screen_text(app)).split())

        await wait_until(lambda: "--registry`" in text_now(), pilot)
        text = text_now()
        assert "4 transfers were interrupted, about" in text
        size = re.search(r"about (\d+) KiB are missing", text)
        assert size is not None and 300 < int(size.group(1)) < 700
        assert "`maap download EarthCAREL2Validated_MAAP CPR_CLD_2A BC --registry`" in text


async def test_hostile_names_and_reasons_change_nothing_but_the_text(make_app: MakeApp) -> None:
    names = ["[/foo]", "[@click=app.quit]x[/]", "\x1b]0;gone\x07\x1b[2J"]
    app = make_app()
    async with app.run_test(size=(120, 30), notifications=True) as pilot:
        files = await find_files(app, 1)
        await pilot.press("3")
        rows = []
        for name in names:
            bad = row_of(files, 0, state="failed", reason=f"500 {name}", path=f"/tmp/{name}.h5", host=name)
            rows += [bad, replace(bad, path=f"/tmp/2{name}", state="paused", verb=name)]
        write_elsewhere(app, rows)
        await wait_until(lambda: len(lines(app)) == 6, pilot)
        await wait_until(lambda: "500 [/foo]" in screen_text(app), pilot)
        text = screen_text(app)
        assert "[@click=app.quit]x[/]" in text and "\\x1b]0;gone" in text
        assert "\x1b" not in text and "\x07" not in text
        for _ in range(6):
            await pilot.press("enter")
            assert isinstance(app.screen, TextDialog)
            assert "\x1b" not in screen_text(app)
            await pilot.press("escape", "j")
        await pilot.press("r", "a", "T", "x")
        await wait_until(lambda: isinstance(app.screen, DownloadsScreen | ConfirmDialog), pilot)
        assert app.is_running and "\x1b" not in screen_text(app)


async def test_it_fits_every_terminal_without_colour_and_in_ascii(make_app: MakeApp) -> None:
    app = make_app(is_ascii=True, no_colour=True)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 2)
        await pilot.press("3")
        write_elsewhere(
            app, [row_of(files, 0, received=65536), row_of(files, 1, state="failed", reason="404 x")]
        )
        await wait_until(has(app, "failed", 1), pilot)
        place_cursor(app, "failed")
        for width, height in ((60, 16), (80, 24), (120, 40), (160, 50), (40, 10), (80, 24)):
            await pilot.resize_terminal(width, height)
            await wait_until(lambda: "interrupted" in screen_text(app), pilot)
            wanted = "404 x" if height >= 16 else "failed"
            await wait_until(lambda wanted=wanted: wanted in screen_text(app), pilot)  # type: ignore[misc]
            text = screen_text(app)
            assert "failed" in text and ("CPR_CLD_2A" in text or width < 60)


async def test_very_many_files_come_in_slices_with_keys_in_between(
    make_app: MakeApp, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.tui.screens.downloads.screen.NEWS_S", 0.0)
    app = make_app()
    archive.faults.add(target="token", status=401)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        wanted, *_ = await find_files(app, 1)
        names = [wanted.path.with_name(f"{number:05}.h5") for number in range(3000)]
        many = [replace(wanted, url=f"{wanted.url}{n}", path=path, size=1) for n, path in enumerate(names)]
        await pilot.press("3")
        taken, turns = 0, [0]
        take = Downloads.take_change

        def count(transfers: Downloads) -> tuple[str, DownloadJob | None] | None:
            nonlocal taken
            taken += 1
            return take(transfers)

        async def look() -> None:
            while True:
                turns.append(taken)
                await asyncio.sleep(0)

        monkeypatch.setattr(Downloads, "take_change", count)
        looking = asyncio.create_task(look())
        assert await app.backend.queue_files(many) == 3000
        await wait_until(has(app, "waiting", 3000), pilot)
        looking.cancel()
        most = max(after - before for before, after in itertools.pairwise(turns))
        assert 0 < most <= 153, (
            "no slice takes more than fifty; the app's, the test's and the rest's may meet"
        )
        assert [line.key for line in lines(app)] == [str(path) for path in names], "in the order queued"
        threshold = gc.get_threshold()
        assert threshold[2] < 1000, "the collector is let go again"
        await pilot.press("a", "x")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        assert "3000 transfers" in screen_text(app).replace(",", "")
        await pilot.press("y")
        await wait_until(lambda: isinstance(app.screen, DownloadsScreen), pilot)
        await wait_until(has(app, "cancelled", 3000), pilot)
        await pilot.press("C")
        await confirm(app, pilot)
        await wait_until(lambda: not lines(app), pilot)
        assert not +app.screen.head.counts  # type: ignore[attr-defined]
