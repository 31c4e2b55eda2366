"""Transfers that go on without the app: left to a worker, seen and controlled from another app."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from driving import confirm, files_of, find_files, notices_of, started, text_of, wait_until
from terminal_kit import Terminal, until

from maap_tui.demo.archive import Archive
from maap_tui.engine.config import editing, loading
from maap_tui.engine.download.jobs import DownloadJob
from maap_tui.engine.download.queue_control import WORKER, Control
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.runs import Runs
from maap_tui.engine.session import Session
from maap_tui.tui.app import MaapApp
from maap_tui.tui.backend import Backend
from maap_tui.tui.dialogs.confirm import ConfirmDialog
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from tests.homes import QUICK_ENVIRON

SIZE = (80, 24)

pytestmark = pytest.mark.usefixtures("prompt_keys")

MakeApp = Callable[..., MaapApp]


def worker_of(app: MaapApp) -> int:
    """The process of the worker; 0 for none."""
    queue = Queue(app.backend.session.dirs.queue_file)
    found = Control(queue).worker()
    queue.close()
    return found.process[0] if found else 0


def stop_worker(app: MaapApp) -> None:
    """Ask the worker to end, which it must not have done yet."""
    pid = worker_of(app)
    assert pid
    os.kill(pid, signal.SIGTERM)


def on_disk(app: MaapApp) -> list[str]:
    """The states of the files in the queue, in its order."""
    queue = Queue(app.backend.session.dirs.queue_file)
    found = [row.state for row in queue.load()]
    queue.close()
    return found


def rows_of(files: list[DownloadRequest]) -> list[QueueRow]:
    """What stands in the queue of files that an app left which no process has any more."""
    return [
        replace(DownloadJob(one, size=one.size, position=float(number)).to_row(0.0, "app", 0.0), pid=0)
        for number, one in enumerate(files)
    ]


async def leave(app: MaapApp, files: list[DownloadRequest]) -> None:
    """Leave files to a worker that the app never had."""
    await started(app)
    rows = rows_of(files)
    queue = Queue(app.backend.session.dirs.queue_file)
    assert queue.save(rows)
    queue.close()
    assert await app.backend.leave_to_worker(rows) == ""


def shown(app: MaapApp) -> list[str]:
    """The states of the rows in Downloads, in the order of the files."""
    assert isinstance(app.screen, DownloadsScreen)
    app.screen.sample()
    return [line.state for line in sorted(app.screen.table.rows, key=lambda line: line.source.position)]


@pytest.fixture(autouse=True)
def no_worker_stays(tmp_path: Path) -> Iterator[None]:
    """Whatever a test ends with, no worker outlives it."""
    yield
    for home in ("maap", "home"):
        queue = Queue(tmp_path / home / "state" / "queue.sqlite3")
        found = Control(queue).worker()
        queue.close()
        if found is not None:
            os.kill(found.process[0], signal.SIGKILL)


@pytest.fixture
def maap(archive: Archive, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a command in the home of the app."""
    started = []

    def start(*words: str) -> subprocess.Popen[str]:
        home = tmp_path / "maap"
        environ = {**os.environ, **archive.environment(home), **QUICK_ENVIRON, "HOME": str(home)}
        environ["MAAP_DOWNLOADS_PARALLEL"] = "2"
        one = subprocess.Popen(
            [sys.executable, "-m", "maap_tui", *words],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(one)
        return one

    yield start
    for one in started:
        if one.poll() is None:
            one.terminate()
        one.communicate()


async def test_transfers_go_on_in_the_background_when_the_app_is_left(
    make_app: MakeApp, archive: Archive, asked: Callable[[str], int], capsys: pytest.CaptureFixture[str]
) -> None:
    app = make_app(overrides={"downloads.parallel": 2})
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 5)
        archive.faults.add(target="data", stall_after=1000, after=1)
        await app.backend.queue_files(files)
        await wait_until(lambda: [job.state for job in app.backend.live_jobs].count("running") == 2, pilot)
        await wait_until(lambda: len(app.backend.live_jobs) == 4 and asked("data") == 3, pilot)
        await pilot.press("q")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        # What Enter does is said.
        await wait_until(lambda: "Stay (esc/enter)" in text_of(app), pilot)
        text = text_of(app)
        assert "2 transfers are running, 2 wait. Leave?" in text and "`maap queue attach` shows" in text
        assert "Stop them (y)" in text and "Background (b)" in text
        await pilot.press("escape")
        await wait_until(lambda: not isinstance(app.screen, ConfirmDialog), pilot)
        assert app.return_code is None and worker_of(app) == 0
        archive.faults.clear()
        await pilot.press("q")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await pilot.press("b")
        await wait_until(lambda: app.return_code == 0, pilot)
        await wait_until(lambda: on_disk(app) == ["finished"] * 5 and worker_of(app) == 0, pilot)
    assert "4 files go on in the background; `maap queue attach` shows" in capsys.readouterr().err
    own = next(run for run in Runs(app.backend.session.dirs).known() if run.verb == "app")
    assert own.exit == 3 and own.error.endswith(" left to the worker")
    assert all(file.path.stat().st_size == file.size for file in files)
    assert asked("data") == 7, "each file once, and the two that were cut off once more"


async def test_the_app_controls_what_the_worker_has(
    make_app: MakeApp, archive: Archive, maap: Callable[..., Any]
) -> None:
    app = make_app(mode="downloads")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 4)
        archive.faults.add(target="data", stall_after=1000)
        await leave(app, files)
        assert worker_of(app)
        await wait_until(lambda: shown(app) == ["running"] * 4, pilot)
        await wait_until(lambda: "running" in text_of(app) and "maap queue" in text_of(app), pilot)
        await pilot.press("p")
        await wait_until(lambda: on_disk(app)[0] == "paused", pilot)
        await pilot.press("P")
        await wait_until(lambda: on_disk(app) == ["paused"] * 4 == shown(app), pilot)
        assert "p lets it go on" in text_of(app)
        await pilot.press("x")
        await wait_until(lambda: on_disk(app).count("cancelled") == 1, pilot)
        archive.faults.clear()
        await pilot.press("P")
        await wait_until(lambda: sorted(on_disk(app)) == ["cancelled", *["finished"] * 3], pilot)
        await wait_until(lambda: worker_of(app) == 0, pilot)
        await pilot.press("q")
        await wait_until(lambda: app.return_code == 0, pilot)


async def test_more_at_once_and_changed_settings_reach_the_worker(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(mode="downloads")
    config = app.backend.session.settings.config_file
    editing.set_value(config, "downloads.parallel", "1")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 4)
        archive.faults.add(target="data", stall_after=1000)
        await leave(app, files)
        await wait_until(lambda: shown(app).count("running") == 1, pilot)
        await wait_until(lambda: app.backend.worker is not None, pilot)
        await pilot.press("plus")
        await wait_until(lambda: "One transfer more at a time in the worker." in notices_of(app), pilot)
        await wait_until(lambda: shown(app).count("running") == 2, pilot)
        assert app.backend.transfers is None, "nothing is fetched here"
        editing.set_value(config, "downloads.parallel", "4")
        fresh = loading.load(config, app.backend.session.environ)
        await app.apply_setting("downloads.parallel", fresh)
        await wait_until(lambda: shown(app).count("running") == 4, pilot)
        stop_worker(app)
        await wait_until(lambda: worker_of(app) == 0, pilot)


async def test_what_the_worker_has_failed_is_tried_again_by_it(
    make_app: MakeApp, archive: Archive, asked: Callable[[str], int]
) -> None:
    app = make_app(mode="downloads")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 2)
        archive.faults.add(target="data", status=404, match=files[0].path.name)
        archive.faults.add(target="data", stall_after=1000, match=files[1].path.name)
        await leave(app, files)
        await wait_until(lambda: shown(app) == ["failed", "running"], pilot)
        await wait_until(lambda: app.backend.worker is not None and asked("data") >= 2, pilot)
        archive.faults.clear()
        await pilot.press("R")
        await wait_until(lambda: sorted(shown(app)) == ["finished", "running"], pilot)
        assert app.backend.transfers is None, "the worker has fetched it"
        # What the app has no transfers for is left to the worker when the app is left.
        await pilot.press("q")
        await wait_until(lambda: app.return_code == 0, pilot)
        stop_worker(app)
        await wait_until(lambda: worker_of(app) == 0, pilot)


async def test_an_app_does_what_another_process_asks(
    make_app: MakeApp, archive: Archive, maap: Callable[..., Any]
) -> None:
    app = make_app(mode="downloads")
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 2)
        archive.faults.add(target="data", stall_after=1000)
        await app.backend.queue_files(files)
        await wait_until(lambda: shown(app) == ["running"] * 2, pilot)
        await wait_until(lambda: on_disk(app) == ["running"] * 2, pilot)
        asking = maap("queue", "pause", "--all")
        out, err = await asyncio.to_thread(asking.communicate)
        assert (asking.returncode, err) == (0, "Paused: 2 files\n") and len(out.splitlines()) == 2
        assert shown(app) == ["paused"] * 2


async def test_left_work_goes_on_in_the_background(make_app: MakeApp, archive: Archive) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 2)
        archive.faults.add(target="data", stall_after=1000)
        await app.backend.queue_files(files)
        await asyncio.to_thread(app.backend.close)
    archive.faults.clear()
    again = make_app()
    async with again.run_test(size=SIZE, notifications=True) as pilot:
        await wait_until(lambda: isinstance(again.screen, ConfirmDialog), pilot)
        assert "Background (b)" in text_of(again)
        await pilot.press("b")
        await wait_until(lambda: isinstance(again.screen, DownloadsScreen), pilot)
        await wait_until(lambda: on_disk(again) == ["finished"] * 2 and worker_of(again) == 0, pilot)
        assert again.backend.transfers is None


async def test_a_worker_that_cannot_be_started_is_said_and_the_app_stays(
    make_app: MakeApp, archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = make_app()
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 1)
        archive.faults.add(target="data", stall_after=1000)
        await app.backend.queue_files(files)
        await wait_until(lambda: app.backend.live_jobs and app.backend.tally.snapshot().active, pilot)
        monkeypatch.setattr(sys, "executable", "/nonexistent/python")
        await pilot.press("q")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        await pilot.press("b")
        await wait_until(lambda: "No worker could be started" in notices_of(app), pilot)
        assert app.return_code is None and on_disk(app) == ["waiting"]


async def test_where_the_archive_ends_with_the_app_nothing_goes_on(
    make_app: MakeApp, archive: Archive
) -> None:
    app = make_app(can_detach=False)
    async with app.run_test(size=SIZE, notifications=True) as pilot:
        files = await find_files(app, 1)
        archive.faults.add(target="data", stall_after=1000)
        await app.backend.queue_files(files)
        await wait_until(lambda: app.backend.live_jobs and app.backend.tally.snapshot().active, pilot)
        await pilot.press("q")
        await wait_until(lambda: isinstance(app.screen, ConfirmDialog), pilot)
        assert "ackground" not in text_of(app)
        await confirm(app, pilot)
        await wait_until(lambda: app.return_code == 0, pilot)


def test_transfers_go_on_when_the_terminal_is_closed(
    archive: Archive, terminal: Callable[..., Terminal], environ: dict[str, str]
) -> None:
    backend = Backend(Session.load(environ=environ, bulk=True))
    rows = rows_of(asyncio.run(files_of(backend, 2)))
    backend.close()
    queue = backend.session.queue
    assert queue.save(rows)
    archive.faults.add(target="data", stall_after=1000)
    one = terminal()
    one.wait_for(b"Go on (g)")
    one.type(b"g")
    until(lambda: [row.state for row in queue.load()] == ["running"] * 2, one)
    until(lambda: len(list(Path(environ["MAAP_HOME"]).rglob("*.part"))) == 2, one)
    archive.faults.clear()  # what has begun to come stands still all the same
    one.close()
    assert one.ended() == 129
    until(lambda: [(row.state, row.verb) for row in queue.load()] == [("finished", WORKER)] * 2)

    def ends() -> dict[str, tuple[int | None, str]]:
        return {run.verb: (run.exit, run.error) for run in Runs(backend.session.dirs).known()}

    until(lambda: ends() == {"app": (129, "2 files left to the worker"), "queue": (0, "")})
    queue.close()


def test_attach_opens_at_the_transfers(terminal: Callable[..., Terminal]) -> None:
    one = terminal("queue", "attach", "--low-bandwidth")
    one.wait_for(b"Nothing in the queue")
    one.type(b"q")
    assert one.ended() == 0 and one.is_restored()
