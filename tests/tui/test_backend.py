"""What the app's screens stand on, without a screen."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from driving import files_of

from maap_tui.demo.archive import Archive
from maap_tui.engine.config import loading
from maap_tui.engine.events import DayFailed, ItemSkipped, Noted, SignInNeeded, Warned
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.runs import Run, Runs
from maap_tui.engine.session import Session
from maap_tui.tui.backend import LOG_LINES, Backend
from tests.homes import MOMENT, QUICK

Make = Callable[..., Backend]
L2 = "EarthCAREL2Validated_MAAP"


@pytest.fixture
async def make(archive: Archive, tmp_path: Path) -> AsyncIterator[Make]:
    """Make a backend over the archive; keywords with dots are settings."""
    home = tmp_path / "maap"
    archive.prepare(home)
    opened: list[Backend] = []

    def build(**overrides: object) -> Backend:
        environ = archive.environment(home) | {"HOME": str(home)}
        session = Session.load(environ=environ, bulk=True, now=lambda: MOMENT, overrides=QUICK | overrides)
        backend = Backend(session, now=lambda: MOMENT)
        opened.append(backend)
        return backend

    yield build
    for backend in opened:
        await asyncio.to_thread(backend.close)


def told(backend: Backend) -> list[tuple[str, str]]:
    return [(line.level, line.text) for line in backend.log_lines]


def test_it_knows_nothing_of_a_screen() -> None:
    code = "import sys, maap_tui.tui.backend; print({'textual', 'rich'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


async def test_files_are_queued_registered_and_fetched(make: Make) -> None:
    backend = make()
    files = await files_of(backend, 3)

    assert await backend.queue_files(files) == 3
    assert await backend.queue_files(files) == 0
    assert backend.transfers is not None
    await backend.ask(lambda session: backend.transfers.join())

    assert backend.live_jobs == []
    assert backend.tally.snapshot().finished == 3
    assert all(wanted.path.is_file() for wanted in files)
    infos = sorted(text for level, text in told(backend) if level == "info")
    assert infos == sorted(f"Downloaded {wanted.path.name}" for wanted in files)


async def test_the_run_of_the_app_ends_with_the_code_of_a_command(make: Make, archive: Archive) -> None:
    backend = make(**{"api.retries": 0, "downloads.retries": 0})
    book = Runs(backend.session.dirs)
    (file, *others) = await files_of(backend, 3)

    async def run(work: Callable[[], Coroutine[Any, Any, object]]) -> Run:
        await asyncio.to_thread(backend.note_run)
        await work()
        await backend.ask(lambda session: backend.transfers.join())
        await asyncio.to_thread(backend.note_run)
        return book.known()[0]

    for status, code in ((404, 4), (503, 3)):
        archive.faults.set(target="data", status=status)
        done = await run(lambda: backend.queue_files([file]))
        assert (done.exit, done.counts.found, done.counts.failed) == (code, 1, 1), status
        await backend.with_transfers(lambda transfers: transfers.clear_finished())
    archive.faults.clear()
    # What failed in an earlier run is no failure of this one.
    done = await run(lambda: backend.queue_files([file]))
    assert (done.exit, done.counts.found, done.counts.downloaded, done.counts.failed) == (0, 1, 1, 0)

    archive.faults.set(target="data", rate=1000.0)
    await asyncio.to_thread(backend.note_run)
    await backend.queue_files(others)
    await asyncio.to_thread(backend.close, 143)
    assert (book.known()[0].exit, book.known()[0].error) == (143, "2 files left")


async def test_a_run_that_a_dead_token_stops_needs_a_person(make: Make, archive: Archive) -> None:
    backend = make()
    files = await files_of(backend, 1)
    archive.faults.set(target="token", status=401)
    await asyncio.to_thread(backend.note_run)
    await backend.queue_files(files)
    await backend.ask(lambda session: backend.transfers.join())
    await asyncio.to_thread(backend.note_run)
    assert backend.is_stopped
    assert Runs(backend.session.dirs).known()[0].exit == 2


async def test_sync_queues_what_is_pending(make: Make) -> None:
    backend = make()
    day = TimeRange(
        MOMENT.replace(year=2025, month=12, day=1), MOMENT.replace(year=2025, month=12, day=1, hour=2)
    )
    report = await backend.sync(Query(L2, "CPR_CLD_2A", "BC", time=day))
    assert report.new > 0
    assert await backend.with_transfers(lambda transfers: len(transfers.jobs)) == report.new


async def test_nothing_is_made_for_a_question_about_no_transfers(make: Make) -> None:
    backend = make()
    assert await backend.with_transfers(lambda transfers: 1) is None
    assert backend.live_jobs == []


async def test_what_another_process_left_is_found_and_taken_over(make: Make) -> None:
    first = make(**{"downloads.limit_rate": "1"})
    files = await files_of(first, 2)
    await first.queue_files(files)
    await asyncio.to_thread(first.close)

    second = make()
    left = await second.find_left_work()
    assert sorted(row.url for row in left) == sorted(wanted.url for wanted in files)
    assert await second.take_over(left) == (2, 0)
    assert second.transfers is not None
    await second.ask(lambda session: second.transfers.join())
    assert second.tally.snapshot().finished == 2


async def test_events_become_lines_of_the_log(make: Make) -> None:
    backend = make()
    for event in (
        Noted("asked"),
        Warned("Bearer eyJhbGciOiJIUzI1NiJ9.eyJhIjoiYiJ9.c2lnbmF0dXJl was refused"),
        ItemSkipped("", "https://x/item", "it has no time"),
        DayFailed("2025-12-01", "503"),
    ):
        backend.handle_event(event)
    shown = told(backend)
    assert [level for level, _ in shown] == ["debug", "warning", "warning", "error"]
    assert "eyJhIjoiYiJ9" not in shown[1][1]
    assert shown[2][1] == "Skipped: an item: it has no time"
    assert shown[3][1] == "FAILED DAY: 2025-12-01 (503)"


async def test_a_dead_token_is_handed_on_and_logged(archive: Archive, tmp_path: Path) -> None:
    heard: list[SignInNeeded] = []
    session = Session.load(environ=archive.environment(tmp_path) | {"HOME": str(tmp_path)})
    backend = Backend(session, on_sign_in=heard.append)
    backend.handle_event(SignInNeeded("401"))
    assert [one.reason for one in heard] == ["401"]
    assert told(backend) == [("error", "401")]


async def test_many_threads_write_the_log_and_no_line_is_lost(make: Make) -> None:
    backend = make()
    before = backend.log_version
    threads = [
        threading.Thread(target=lambda: [backend.write_log("info", f"{number}") for number in range(500)])
        for _ in range(8)
    ]
    switch = sys.getswitchinterval()
    try:
        sys.setswitchinterval(1e-6)
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert len(backend.log_lines) <= LOG_LINES
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(switch)
    assert backend.log_version == before + 4000
    assert len(backend.log_lines) == 4000


async def test_closing_twice_is_closing_once(make: Make) -> None:
    backend = make(**{"downloads.limit_rate": "1"})
    await backend.queue_files(await files_of(backend, 1))
    await asyncio.to_thread(backend.close)
    await asyncio.to_thread(backend.close)
    assert [row.state for row in await backend.find_left_work()] == ["waiting"]


async def test_the_log_is_kept_for_the_next_run(make: Make) -> None:
    first = make()
    first.write_log("debug", "not kept")
    first.write_log("info", "kept")
    assert first.has_unwritten_lines
    first.keep_log()
    assert not first.has_unwritten_lines

    second = make()
    version = second.log_version
    await second.read_earlier_log()
    assert [line.text for line in second.earlier_lines] == ["kept"]
    assert second.log_version > version


async def test_a_changed_setting_is_in_use(make: Make) -> None:
    backend = make()
    await backend.queue_files([])
    fresh = loading.load(None, backend.session.environ, {"downloads.parallel": 2, "ui.ascii": True})
    assert await backend.apply_setting("downloads.parallel", fresh)
    assert not await backend.apply_setting("ui.ascii", fresh)
    assert backend.transfers is not None and backend.transfers.parallel == 2
    assert not backend.session.settings.ui.ascii


async def test_an_archive_that_is_away_is_asked_now_and_then(make: Make, archive: Archive) -> None:
    backend = make()
    assert not backend.is_probe_due
    await backend.probe()
    assert not backend.is_offline and backend.silence == ""


async def test_the_token_is_described_or_missed_in_words(make: Make) -> None:
    backend = make()
    backend.read_token()
    assert backend.token is not None and backend.days_left is not None
    backend.session.dirs.credentials_file.unlink()
    backend.read_token()
    assert backend.token is None and backend.days_left is None
    assert "Credentials file not found" in backend.token_problem
