"""The queue on disk: what it keeps, what it survives, who is alive, and how transfers get into it."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from counting import counted

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import DownloadJob, of_row
from maap_tui.engine.download.queue_control import Control
from maap_tui.engine.download.queue_orders import order
from maap_tui.engine.download.queue_store import (
    KEEP_ENDED_S,
    SILENT_S,
    Changes,
    Queue,
    QueueRow,
    born_at,
    dead_processes,
    is_alive,
    left_behind,
)
from maap_tui.engine.download.queue_writer import QueueWriter
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest
from maap_tui.engine.download.tally import Tally
from maap_tui.engine.errors import InvalidRequestError, LockedError, StorageError
from maap_tui.engine.events import Event, FileStarted, Warned
from maap_tui.engine.registry.entries import Key, TrackedFile
from tests.engine.rules_kit import make_downloads
from tests.homes import PATIENCE_S

HOST = socket.gethostname()
DEAD = 2**22 - 3
KEY = Key("EarthCARE", "Coll_MAAP", "CPR_CLD_2A", "BC")
DAY = date(2025, 12, 1)


def row(number: int = 0, **changes: object) -> QueueRow:
    made = QueueRow(
        path=f"/data/{number}.h5",
        url=f"https://a/{number}.h5",
        state="waiting",
        size=100,
        position=float(number),
        pid=os.getpid(),
        host=HOST,
        born=born_at(os.getpid()),
        verb="sync",
        changed=1000.0,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "queue.sqlite3"


def test_rows_come_back_as_they_were_in_order(file: Path) -> None:
    rows = [row(2), row(1, state="failed", reason="404"), row(3, size=None, received=7, day="2025-12-01")]
    queue = Queue(file)
    assert queue.save(rows)
    queue.close()
    again = Queue(file)
    assert again.load() == [rows[1], rows[0], rows[2]]
    assert again.load(ended=False) == [rows[0], rows[2]]
    assert file.stat().st_mode & 0o777 == 0o600
    again.close()


def test_a_row_replaces_the_one_with_its_path_and_can_be_removed(file: Path) -> None:
    queue = Queue(file)
    queue.save([row(1), row(2)])
    queue.save([row(1, state="finished")])
    assert [one.state for one in queue.load()] == ["finished", "waiting"]
    queue.remove(["/data/1.h5", "/data/none.h5"])
    assert [one.path for one in queue.load()] == ["/data/2.h5"]
    queue.close()


def test_changes_gives_what_was_written_since_also_for_rows_written_again(file: Path) -> None:
    reader, writer = Queue(file), Queue(file)
    writer.save([row(1)])
    first = reader.changes()
    assert ([one.path for one in first.rows], first.count) == (["/data/1.h5"], 1)
    stamp = reader.stamp()
    assert reader.stamp() == stamp
    writer.save([row(1, received=50)])
    assert reader.stamp() != stamp
    second = reader.changes(first.serial)
    assert [one.received for one in second.rows] == [50]
    assert reader.changes(second.serial).rows == []
    writer.save([row(2)])
    writer.remove(["/data/1.h5"])
    third = reader.changes(second.serial)
    assert ([one.path for one in third.rows], third.count) == (["/data/2.h5"], 1)
    reader.close()
    writer.close()


def test_ended_rows_are_forgotten_after_a_week_and_live_ones_never(file: Path) -> None:
    queue = Queue(file, clock=lambda: 1000.0 + KEEP_ENDED_S + 1)
    queue.save([row(1, state="finished"), row(2), row(3, state="failed", changed=2000.0)])
    queue.prune()
    assert [one.path for one in queue.load()] == ["/data/2.h5", "/data/3.h5"]
    queue.close()


def test_a_damaged_file_is_kept_beside_and_begun_again_with_one_warning(file: Path) -> None:
    file.parent.mkdir()
    file.write_bytes(b"\x00no database\xff" * 500)
    Path(f"{file}-journal").write_bytes(b"of the damaged one")
    told: list[Event] = []
    queue = Queue(file, emit=told.append)
    assert queue.save([row(1)])
    assert len(queue.load()) == 1
    assert queue.problem == ""
    assert [type(one) for one in told] == [Warned]
    assert file.with_name("queue.sqlite3.damaged").read_bytes().startswith(b"\x00no")
    queue.close()


def test_damage_found_while_open_is_survived(file: Path) -> None:
    told: list[Event] = []
    queue = Queue(file, emit=told.append)
    queue.save([row(number) for number in range(500)])
    queue.close()
    data = bytearray(file.read_bytes())
    data[4096:] = b"\x5a" * (len(data) - 4096)
    file.write_bytes(data)
    assert queue.load() in ([], queue.load())
    queue.save([row(1)])
    assert len(queue.load()) <= 1
    assert len(told) == 1
    queue.close()


def test_a_file_that_cannot_be_opened_is_one_warning_and_nothing_raises(file: Path) -> None:
    file.mkdir(parents=True)
    told: list[Event] = []
    queue = Queue(file, emit=told.append)
    assert queue.save([row(1)])
    assert queue.load() == []
    assert queue.changes().rows == []
    assert queue.stamp() == 0
    queue.remove(["x"])
    queue.prune()
    assert len(told) == 1 and "go on without it" in told[0].message
    assert told[0].message.startswith(queue.problem) and "go on" not in queue.problem
    queue.close()


def test_what_another_version_queued_stays(file: Path) -> None:
    """An older one lacks columns, a newer one has more: both use the file in turn."""
    queue = Queue(file)
    assert queue.save([row(1, tries=3, verb="get"), row(2)])
    queue.close()
    connection = sqlite3.connect(file)
    for name in ("verb", "tries", "size", "born", "again", "checksum", "frozen"):
        connection.execute(f"ALTER TABLE transfers DROP COLUMN {name}")
    connection.execute("ALTER TABLE transfers ADD COLUMN colour DEFAULT 'red'")
    connection.commit()
    connection.close()
    queue = Queue(file)
    kept = queue.load()
    assert kept == [row(number, verb="", tries=0, size=None, born=0.0) for number in (1, 2)]
    asked = row(3, again=True, checksum="12", frozen="ab")
    assert queue.save([asked]) and queue.load()[2] == asked
    queue.close()
    connection = sqlite3.connect(file)
    assert connection.execute("SELECT colour FROM transfers").fetchall() == [("red",)] * 3
    connection.close()


def test_a_table_that_is_not_the_queue_is_replaced(file: Path) -> None:
    file.parent.mkdir()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE transfers (path TEXT PRIMARY KEY, colour TEXT)")
    connection.commit()
    connection.close()
    queue = Queue(file)
    assert queue.save([row(1)])
    assert len(queue.load()) == 1
    queue.close()


def test_values_that_sqlite_or_a_row_cannot_hold_do_no_harm(file: Path) -> None:
    queue = Queue(file)
    queue.save([row(1, size=10**30), row(2, path="/data/\udcff.h5", reason="\ud800")])
    assert len(queue.load()) == 2
    connection = sqlite3.connect(file)
    connection.execute("UPDATE transfers SET pid = 'none of these' WHERE url LIKE '%1.h5'")
    connection.commit()
    connection.close()
    assert [one.url for one in queue.load()] == ["https://a/2.h5"]
    assert queue.problem == ""
    queue.close()


def test_a_file_kept_busy_by_others_is_tried_again_later(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("maap_tui.engine.download.queue_store.BUSY_S", 0.02)
    queue = Queue(file)
    queue.save([row(1)])
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert queue.save([row(2)]) is False
    other.execute("ROLLBACK")
    other.close()
    assert queue.problem == ""
    assert queue.save([row(2)]) is True
    assert len(queue.load()) == 2
    queue.close()


@pytest.fixture
def busy(file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Keeps the queue's file busy for a while, as another process does."""
    monkeypatch.setattr("maap_tui.engine.download.queue_store.BUSY_S", 0.02)

    @contextmanager
    def keep() -> Iterator[None]:
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
        other.close()

    yield keep


def test_a_busy_queue_is_not_an_empty_one(file: Path, busy: Callable) -> None:
    queue = Queue(file)
    queue.save([row(1), row(2)])
    seen = queue.changes()
    with busy():
        assert queue.read() is None and queue.load() == []
        assert queue.changes(seen.serial) == Changes(seen.serial, [], None)
        assert queue.replace([row(1)], [row(1, state="paused")]) is None
        assert queue.remove(["/data/1.h5"]) is False
        with pytest.raises(LockedError, match="busy"):
            order(queue, "pause", [row(1, pid=0)])
    assert queue.read() == [row(1), row(2)] and queue.problem == ""
    queue.close()


def test_what_is_asked_is_neither_done_nor_done_twice_while_the_queue_is_busy(
    file: Path, busy: Callable
) -> None:
    queue = Queue(file)
    queue.save([row(1)])
    control = Control(queue)
    assert control.sign_in()
    number = control.ask((os.getpid(), HOST, born_at(os.getpid())), "parallel", ["1"])
    assert number is not None
    with busy():
        assert control.is_open(number) and not control.sign_in()
        assert control.sign_off() is False and control.sign_off(anyway=True) is False
    (asked,) = control.asked() or ()
    with busy():
        control.take_out([asked.id])
    assert control.asked() == [] and not control.is_open(number)
    assert control.worker() is not None and control.sign_off() and control.worker() is None
    queue.close()


async def test_what_is_cleared_while_the_queue_is_busy_goes_later(file: Path, busy: Callable) -> None:
    queue = Queue(file)
    queue.save([row(1), row(2)])
    writer = QueueWriter(queue, lambda urls: [])
    with busy():
        writer.forget(["/data/1.h5"])
        await writer.flush()
    await writer.close()
    assert queue.read() == [row(2)]
    queue.close()


def test_many_threads_and_processes_write_at_once(file: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from maap_tui.engine.download.queue_store import Queue, QueueRow\n"
        "queue = Queue(Path(sys.argv[1]))\n"
        "for n in range(100):\n"
        "    assert queue.save([QueueRow(f'/{sys.argv[2]}/{n}', 'u', 'waiting')]) and not queue.problem\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(file), str(one)]) for one in range(3)]
    queue = Queue(file)
    threads = [
        threading.Thread(target=lambda k=k: [queue.save([row(k * 100 + n)]) for n in range(100)])
        for k in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [process.wait(PATIENCE_S) for process in processes] == [0, 0, 0]
    assert len(queue.load()) == 500
    queue.close()


def test_dead_processes_are_told_from_live_and_silent_ones() -> None:
    now = 10_000.0
    mine = row(1)
    dead = row(2, pid=DEAD)
    reborn = row(3, born=mine.born - 5)
    released = row(4, pid=0)
    far = row(5, host="elsewhere", pid=7, changed=now - 10)
    silent = row(6, host="elsewhere", pid=8, changed=now - SILENT_S - 1)
    over = row(7, pid=DEAD - 1, state="finished")
    rows = [mine, dead, reborn, released, far, silent, over]
    assert [one.path for one in left_behind(rows, now)] == [f"/data/{n}.h5" for n in (2, 3, 4, 6)]
    assert over.process not in dead_processes(rows, now)
    assert is_alive(os.getpid(), HOST, 0.0)
    assert mine.is_mine and not dead.is_mine


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_a_process_that_has_ended_is_gone_though_nobody_took_note_of_it() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as ended:
        born = born_at(ended.pid)
        assert is_alive(ended.pid, HOST, born)
        ended.kill()
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        assert not is_alive(ended.pid, HOST, born)


def test_a_row_is_replaced_as_long_as_nobody_has_changed_it(file: Path) -> None:
    queue = Queue(file)
    before = [row(1, pid=DEAD), row(2, pid=DEAD), row(3, pid=DEAD), row(4, pid=DEAD)]
    queue.save([before[0], row(2), row(3, pid=DEAD, state="paused"), row(4, pid=0, born=7.0)])
    after = [replace(one, state="cancelled") for one in before]
    assert queue.replace(before, after) == [after[0], after[3]]
    assert [one.state for one in queue.load()] == ["cancelled", "waiting", "paused", "cancelled"]
    queue.close()


def test_released_rows_can_be_taken_over_and_others_stay_as_they_are(file: Path) -> None:
    queue = Queue(file)
    queue.save([row(1), row(2, state="finished"), row(3, pid=DEAD)])
    queue.release([f"/data/{n}.h5" for n in (1, 2, 3)])
    assert [one.pid for one in queue.load()] == [0, os.getpid(), DEAD]
    queue.close()


async def test_the_writer_keeps_the_newest_state_and_writes_the_rest_at_the_end(file: Path) -> None:
    queue = Queue(file)
    states = {"https://a/1.h5": row(1)}
    writer = QueueWriter(queue, lambda urls: [states[url] for url in urls if url in states])
    for number in range(30):
        states["https://a/1.h5"] = row(1, received=number)
        writer.touch("https://a/1.h5")
        if number % 10 == 0:
            await asyncio.gather(writer.flush(), writer.flush())
    states["https://a/2.h5"] = row(2)
    writer.touch("https://a/2.h5")
    await writer.close(["/data/2.h5"])
    assert [(one.received, one.pid) for one in queue.load()] == [(29, os.getpid()), (0, 0)]
    queue.close()


async def test_a_forgotten_file_that_is_queued_again_is_there(file: Path) -> None:
    queue = Queue(file)
    writer = QueueWriter(queue, lambda urls: [row(1)])
    writer.touch("https://a/1.h5")
    await writer.flush()
    writer.forget(["/data/1.h5"])
    writer.touch("https://a/1.h5")
    await writer.close()
    assert len(queue.load()) == 1
    queue.close()


def test_a_row_becomes_a_file_and_its_place_in_the_registry() -> None:
    full = row(
        1, root="/data", mission=KEY.mission, collection=KEY.collection,
        product_type=KEY.product_type, baseline=KEY.baseline, day="2025-12-01",
    )  # fmt: skip
    wanted = of_row(full)
    here = Path("/data/1.h5")
    assert wanted == DownloadRequest("https://a/1.h5", here, 100, Path("/data"), key=KEY, day=DAY)
    assert wanted.tracked == TrackedFile(KEY, DAY, "https://a/1.h5", str(here))
    assert of_row(row(1)).tracked is None
    asked = replace(wanted, again=True, checksum="1220" + "ab" * 32, frozen="cd" * 32)
    assert of_row(DownloadJob(asked, size=100).to_row(0.0, "thaw", 0.0)) == asked
    for bad in (
        replace(full, path="/etc/passwd"),
        replace(full, path="here.h5"),
        replace(full, url=""),
        replace(full, day="yesterday"),
        replace(full, mission="../.."),
    ):
        with pytest.raises(InvalidRequestError):
            of_row(bad)


class Slow:
    """Fetches that last until they are let go, and count what runs."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.running = self.most = 0
        self.emit = lambda event: None

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            self.emit(FileStarted(wanted.url, wanted.path, 10, 0))
            await self.gate.wait()
            return DownloadOutcome(wanted.path, 10, 10, ("",))
        finally:
            self.running -= 1

    def set_connections(self, count: int, spare: object = None) -> None:
        """It has none."""


def make(
    queue: Queue | None = None, parallel: int = 4, *, is_watched: bool = True
) -> tuple[Downloads, Slow, Tally]:
    slow, tally = Slow(), Tally()

    def transfer(emit: object) -> Slow:
        slow.emit = emit  # type: ignore[assignment]
        return slow

    made = make_downloads(
        transfer,  # type: ignore[arg-type]
        parallel=parallel,
        emit=tally.apply,
        queue=queue,
        verb="app",
        is_watched=is_watched,
    )
    return made, slow, tally


def wanted_of(number: int) -> DownloadRequest:
    return DownloadRequest(f"https://a/{number}", Path(f"/data/{number}"), 10)


async def turns(count: int = 8) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_a_storm_of_pauses_and_retries_never_runs_too_many_and_loses_nothing() -> None:
    downloads, slow, tally = make(parallel=3)
    for number in range(40):
        downloads.add(wanted_of(number))
    urls = list(downloads.jobs)
    for number in range(120):
        some = urls[number % 37 :: 5]
        (downloads.pause, downloads.resume, downloads.cancel, downloads.retry)[number % 4](some)
        if number % 11 == 0:
            downloads.move_to_top(some)
            for url in urls[:5]:
                downloads.add(DownloadRequest(url, Path("/data/again"), 10))
        if number % 3 == 0:
            await turns(number % 5)
        assert downloads.active <= 3
    downloads.retry(urls)
    downloads.resume()
    slow.gate.set()
    await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await turns()
    assert slow.most <= 3
    assert {job.state for job in downloads.jobs.values()} == {"finished"}
    snapshot = tally.snapshot()
    assert (snapshot.queued, snapshot.finished, snapshot.failed, snapshot.active) == (40, 40, 0, 0)
    await downloads.close()


async def test_clearing_while_a_cancelled_task_still_ends_does_no_harm() -> None:
    downloads, slow, _ = make(parallel=1)
    downloads.add(wanted_of(1))
    downloads.add(wanted_of(2))
    await turns()
    downloads.cancel(["https://a/1"])
    assert downloads.clear_finished() == 1
    downloads.add(wanted_of(1))
    await turns()
    assert downloads.active == 1 and slow.running == 1
    slow.gate.set()
    await asyncio.wait_for(downloads.join(), PATIENCE_S)
    assert sorted(job.state for job in downloads.jobs.values()) == ["finished", "finished"]
    await downloads.close()


async def test_a_resumed_file_has_its_old_place() -> None:
    downloads, _, _ = make(parallel=1)
    for number in range(5):
        downloads.add(wanted_of(number))
    await turns()
    downloads.pause(["https://a/2"])
    downloads.resume(["https://a/2"])
    downloads.pause(["https://a/0"])
    await turns()
    assert downloads.jobs["https://a/1"].state == "running"
    downloads.pause(["https://a/1"])
    await turns()
    assert downloads.jobs["https://a/2"].state == "running"
    await downloads.close()


async def test_what_is_left_when_it_closes_can_be_taken_over_at_once(file: Path) -> None:
    queue = Queue(file)
    downloads, _, _ = make(queue, parallel=2)
    for number in range(4):
        downloads.add(replace(wanted_of(number), key=KEY, day=DAY))
    downloads.pause(["https://a/3"])
    await turns()
    await downloads.close()
    rows = queue.load()
    assert [one.state for one in rows] == ["waiting", "waiting", "waiting", "paused"]
    assert left_behind(rows, time.time()) == rows
    assert rows[0].verb == "app" and rows[0].day == "2025-12-01"
    queue.close()


async def test_what_is_cleared_leaves_the_file_too(file: Path) -> None:
    queue = Queue(file)
    downloads, slow, _ = make(queue)
    downloads.add(wanted_of(1))
    slow.gate.set()
    await downloads.join()
    await turns()
    assert downloads.clear_finished() == 1
    await downloads.close()
    assert queue.load() == []
    queue.close()


def changes(downloads: Downloads) -> set[str]:
    return {url for url, _ in iter(downloads.take_change, None)}


async def test_what_changed_is_given_once() -> None:
    downloads, slow, _ = make(parallel=1)
    downloads.add(wanted_of(1))
    downloads.add(wanted_of(2))
    assert changes(downloads) == {"https://a/1", "https://a/2"}
    await turns()
    assert changes(downloads) == {"https://a/1"}
    slow.gate.set()
    await downloads.join()
    await downloads.close()


async def test_twenty_thousand_waiting_files_are_handled_quickly(file: Path) -> None:
    queue = Queue(file)
    downloads, _, tally = make(queue, parallel=8)
    with counted() as calls:
        for number in range(20_000):
            downloads.add(wanted_of(number))
        downloads.pause()
        downloads.resume()
        downloads.cancel()
        downloads.retry(list(downloads.jobs))
        downloads.cancel()
        await turns(20)
        assert downloads.clear_finished() == 20_000
        assert tally.snapshot().queued == 0
        await downloads.close()
    assert calls.count < 20_000 * 200
    queue.close()


def test_the_tally_counts_a_file_once_however_often_it_fails() -> None:
    from maap_tui.engine.events import FileFailed, FileFinished, FileQueued, FileStateChanged

    tally = Tally()
    path = Path("/data/1")
    for event in (
        FileQueued("u", path, 10),
        FileFailed("u", path, "no", False, 1),
        FileStateChanged("u", "waiting"),
        FileFailed("u", path, "no", False, 1),
        FileQueued("u", path, 10),
        FileStateChanged("u", "cancelled"),
        FileStateChanged("u", "waiting"),
    ):
        tally.apply(event)
    snapshot = tally.snapshot()
    assert (snapshot.queued, snapshot.failed, snapshot.bytes_total) == (1, 0, 10)
    tally.apply(FileFinished("u", path, 10, 10, 1.0))
    snapshot = tally.snapshot()
    assert (snapshot.done, snapshot.queued, snapshot.bytes_done, snapshot.bytes_total) == (1, 1, 10, 10)


def test_a_job_of_a_refused_file_has_no_part_in_equality() -> None:
    assert DownloadJob(wanted_of(1)) != DownloadJob(wanted_of(1))


async def many(downloads: Downloads, count: int = 4000) -> list[str]:
    """Add files, some hundred at a time, and return their addresses."""
    urls = []
    for number in range(count):
        assert downloads.add(replace(wanted_of(number), key=KEY, day=DAY), group=KEY.collection)
        urls.append(f"https://a/{number}")
        if number % 250 == 249:
            await downloads.settle()
    return urls


@pytest.mark.parametrize("with_queue", [True, False])
async def test_a_long_run_that_nobody_watches_holds_few_of_its_files(file: Path, with_queue: bool) -> None:
    queue = Queue(file) if with_queue else None
    downloads, slow, tally = make(queue, parallel=2, is_watched=False)
    begun: list[str] = []
    most = 0

    def note(event: Event) -> None:
        nonlocal most
        if isinstance(event, FileStarted):
            begun.append(event.url)
            most = max(most, len(downloads.jobs))
        emit(event)

    urls = await many(downloads)
    emit, slow.emit = slow.emit, note
    assert tally.snapshot().queued == 4000
    assert len(downloads.jobs) < 2000
    await downloads.flush()
    if queue is not None:
        assert [(one.url, one.state, one.collection) for one in queue.load(ended=False)][1000:] == [
            (url, "waiting", KEY.collection) for url in urls[1000:]
        ]
    slow.gate.set()
    report = await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await downloads.close()
    assert begun == urls[len(urls) - len(begun) :]
    # All of this takes less time than the queue on disk is written in.
    assert most < 3000 or queue is not None
    assert report.downloaded == {url: Path(f"/data/{number}") for number, url in enumerate(urls)}
    assert (report.left, report.skipped, tally.snapshot().finished) == (0, {}, 4000)
    if queue is not None:
        assert {one.state for one in queue.load()} == {"finished"}
        queue.close()


async def test_files_are_packed_as_well_once_some_were_unpacked() -> None:
    downloads, slow, _ = make(parallel=2, is_watched=False)
    let_go, most = asyncio.Event(), 0

    async def fetch(wanted: DownloadRequest) -> DownloadOutcome:
        while int(wanted.url.rpartition("/")[2]) >= most:
            await let_go.wait()
            await asyncio.sleep(0)
        return DownloadOutcome(wanted.path, 10, 10, ("",))

    slow.fetch = fetch  # type: ignore[method-assign]
    await many(downloads)
    at = 4000
    for most in (300, 520, 560):
        let_go.set()
        while len(downloads.report.downloaded) < most:
            await turns()
        let_go.clear()
        for _ in range(1500):
            assert downloads.add(wanted_of(at))
            at += 1
            if at % 250 == 0:
                await downloads.settle()
        assert len(downloads.jobs) < 2500
    most = at
    let_go.set()
    report = await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await downloads.close()
    assert [*report.downloaded] == [f"https://a/{number}" for number in range(at)]


async def test_of_a_long_run_all_that_is_left_can_be_taken_over(file: Path) -> None:
    queue = Queue(file)
    downloads, _, _ = make(queue, parallel=2, is_watched=False)
    urls = await many(downloads)
    await downloads.close()
    rows = queue.load()
    assert [one.url for one in rows] == urls
    assert {(one.pid, one.state) for one in rows} == {(0, "waiting")}
    assert of_row(rows[-1]) == replace(wanted_of(3999), key=KEY, day=DAY)
    queue.close()


async def test_a_long_run_obeys_for_files_that_it_does_not_hold() -> None:
    downloads, slow, _ = make(parallel=1, is_watched=False)
    urls = await many(downloads, 3000)
    assert not downloads.add(wanted_of(0))
    assert not downloads.add(wanted_of(1700))
    downloads.cancel(urls[10:])
    downloads.retry(urls[2990:])
    downloads.move_to_top(urls[2995:2996])
    slow.gate.set()
    report = await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await downloads.close()
    assert sorted(report.downloaded) == sorted(urls[:10] + urls[2990:])
    assert [*report.downloaded][:2] == [urls[0], urls[2995]]


async def test_a_long_run_that_stops_says_what_is_left() -> None:
    downloads, slow, _ = make(parallel=1, is_watched=False)
    await many(downloads, 3000)
    await turns()

    async def fail(wanted: DownloadRequest) -> DownloadOutcome:
        raise StorageError("the disk is gone")

    slow.fetch = fail  # type: ignore[method-assign]
    slow.gate.set()
    report = await asyncio.wait_for(downloads.join(), PATIENCE_S)
    await downloads.close()
    assert (len(report.downloaded), report.left) == (1, 2999)
    assert isinstance(report.stopped, StorageError)
