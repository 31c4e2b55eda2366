"""The queue on disk: what it keeps, what it survives, who is alive, and who writes it."""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

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
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError, LockedError
from maap_tui.engine.events import Event, Warned
from maap_tui.engine.registry.entries import TrackedFile
from tests.engine.queued_kit import DAY, KEY
from tests.homes import PATIENCE_S

HOST = socket.gethostname()

DEAD = 2**22 - 3


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


def test_rows_come_back_as_they_were_in_order(queue_file: Path) -> None:
    rows = [row(2), row(1, state="failed", reason="404"), row(3, size=None, received=7, day="2025-12-01")]
    queue = Queue(queue_file)
    assert queue.save(rows)
    queue.close()
    again = Queue(queue_file)
    assert again.load() == [rows[1], rows[0], rows[2]]
    assert again.load(ended=False) == [rows[0], rows[2]]
    assert queue_file.stat().st_mode & 0o777 == 0o600
    again.close()


def test_a_row_replaces_the_one_with_its_path_and_can_be_removed(queue_file: Path) -> None:
    queue = Queue(queue_file)
    queue.save([row(1), row(2)])
    queue.save([row(1, state="finished")])
    assert [one.state for one in queue.load()] == ["finished", "waiting"]
    queue.remove(["/data/1.h5", "/data/none.h5"])
    assert [one.path for one in queue.load()] == ["/data/2.h5"]
    queue.close()


def test_changes_gives_what_was_written_since_also_for_rows_written_again(queue_file: Path) -> None:
    reader, writer = Queue(queue_file), Queue(queue_file)
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


def test_ended_rows_are_forgotten_after_a_week_and_live_ones_never(queue_file: Path) -> None:
    queue = Queue(queue_file, clock=lambda: 1000.0 + KEEP_ENDED_S + 1)
    queue.save([row(1, state="finished"), row(2), row(3, state="failed", changed=2000.0)])
    queue.prune()
    assert [one.path for one in queue.load()] == ["/data/2.h5", "/data/3.h5"]
    queue.close()


def test_a_damaged_file_is_kept_beside_and_begun_again_with_one_warning(queue_file: Path) -> None:
    queue_file.parent.mkdir()
    queue_file.write_bytes(b"\x00no database\xff" * 500)
    Path(f"{queue_file}-journal").write_bytes(b"of the damaged one")
    told: list[Event] = []
    queue = Queue(queue_file, emit=told.append)
    assert queue.save([row(1)])
    assert len(queue.load()) == 1
    assert queue.problem == ""
    assert [type(one) for one in told] == [Warned]
    assert queue_file.with_name("queue.sqlite3.damaged").read_bytes().startswith(b"\x00no")
    queue.close()


def test_damage_found_while_open_is_survived(queue_file: Path) -> None:
    told: list[Event] = []
    queue = Queue(queue_file, emit=told.append)
    queue.save([row(number) for number in range(500)])
    queue.close()
    data = bytearray(queue_file.read_bytes())
    data[4096:] = b"\x5a" * (len(data) - 4096)
    queue_file.write_bytes(data)
    assert queue.load() in ([], queue.load())
    queue.save([row(1)])
    assert len(queue.load()) <= 1
    assert len(told) == 1
    queue.close()


def test_a_file_that_cannot_be_opened_is_one_warning_and_nothing_raises(queue_file: Path) -> None:
    queue_file.mkdir(parents=True)
    told: list[Event] = []
    queue = Queue(queue_file, emit=told.append)
    assert queue.save([row(1)])
    assert queue.load() == []
    assert queue.changes().rows == []
    assert queue.stamp() == 0
    queue.remove(["x"])
    queue.prune()
    assert len(told) == 1 and "go on without it" in told[0].message
    assert told[0].message.startswith(queue.problem) and "go on" not in queue.problem
    queue.close()


def test_what_another_version_queued_stays(queue_file: Path) -> None:
    """An older one lacks columns, a newer one has more: both use the file in turn."""
    queue = Queue(queue_file)
    assert queue.save([row(1, tries=3, verb="get"), row(2)])
    queue.close()
    connection = sqlite3.connect(queue_file)
    for name in ("verb", "tries", "size", "born", "again", "checksum", "frozen"):
        connection.execute(f"ALTER TABLE transfers DROP COLUMN {name}")
    connection.execute("ALTER TABLE transfers ADD COLUMN colour DEFAULT 'red'")
    connection.commit()
    connection.close()
    queue = Queue(queue_file)
    kept = queue.load()
    assert kept == [row(number, verb="", tries=0, size=None, born=0.0) for number in (1, 2)]
    asked = row(3, again=True, checksum="12", frozen="ab")
    assert queue.save([asked]) and queue.load()[2] == asked
    queue.close()
    connection = sqlite3.connect(queue_file)
    assert connection.execute("SELECT colour FROM transfers").fetchall() == [("red",)] * 3
    connection.close()


def test_a_table_that_is_not_the_queue_is_replaced(queue_file: Path) -> None:
    queue_file.parent.mkdir()
    connection = sqlite3.connect(queue_file)
    connection.execute("CREATE TABLE transfers (path TEXT PRIMARY KEY, colour TEXT)")
    connection.commit()
    connection.close()
    queue = Queue(queue_file)
    assert queue.save([row(1)])
    assert len(queue.load()) == 1
    queue.close()


def test_values_that_sqlite_or_a_row_cannot_hold_do_no_harm(queue_file: Path) -> None:
    queue = Queue(queue_file)
    queue.save([row(1, size=10**30), row(2, path="/data/\udcff.h5", reason="\ud800")])
    assert len(queue.load()) == 2
    connection = sqlite3.connect(queue_file)
    connection.execute("UPDATE transfers SET pid = 'none of these' WHERE url LIKE '%1.h5'")
    connection.commit()
    connection.close()
    assert [one.url for one in queue.load()] == ["https://a/2.h5"]
    assert queue.problem == ""
    queue.close()


def test_a_file_kept_busy_by_others_is_tried_again_later(
    queue_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.queue_store.BUSY_S", 0.02)
    queue = Queue(queue_file)
    queue.save([row(1)])
    other = sqlite3.connect(queue_file, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    assert queue.save([row(2)]) is False
    other.execute("ROLLBACK")
    other.close()
    assert queue.problem == ""
    assert queue.save([row(2)]) is True
    assert len(queue.load()) == 2
    queue.close()


@pytest.fixture
def busy(
    queue_file: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Keeps the queue's file busy for a while, as another process does."""
    monkeypatch.setattr("maap_tui.engine.download.queue_store.BUSY_S", 0.02)

    @contextmanager
    def keep() -> Iterator[None]:
        other = sqlite3.connect(queue_file, isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")
        other.close()

    yield keep


def test_a_busy_queue_is_not_an_empty_one(queue_file: Path, busy: Callable) -> None:
    queue = Queue(queue_file)
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
    queue_file: Path, busy: Callable
) -> None:
    queue = Queue(queue_file)
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


async def test_what_is_cleared_while_the_queue_is_busy_goes_later(queue_file: Path, busy: Callable) -> None:
    queue = Queue(queue_file)
    queue.save([row(1), row(2)])
    writer = QueueWriter(queue, lambda urls: [])
    with busy():
        writer.forget(["/data/1.h5"])
        await writer.flush()
    await writer.close()
    assert queue.read() == [row(2)]
    queue.close()


def test_many_threads_and_processes_write_at_once(queue_file: Path) -> None:
    code = (
        "import sys; from pathlib import Path\n"
        "from maap_tui.engine.download.queue_store import Queue, QueueRow\n"
        "queue = Queue(Path(sys.argv[1]))\n"
        "for n in range(100):\n"
        "    assert queue.save([QueueRow(f'/{sys.argv[2]}/{n}', 'u', 'waiting')]) and not queue.problem\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", code, str(queue_file), str(one)]) for one in range(3)
    ]
    queue = Queue(queue_file)
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


def test_a_row_is_replaced_as_long_as_nobody_has_changed_it(queue_file: Path) -> None:
    queue = Queue(queue_file)
    before = [row(1, pid=DEAD), row(2, pid=DEAD), row(3, pid=DEAD), row(4, pid=DEAD)]
    queue.save([before[0], row(2), row(3, pid=DEAD, state="paused"), row(4, pid=0, born=7.0)])
    after = [replace(one, state="cancelled") for one in before]
    assert queue.replace(before, after) == [after[0], after[3]]
    assert [one.state for one in queue.load()] == ["cancelled", "waiting", "paused", "cancelled"]
    queue.close()


def test_released_rows_can_be_taken_over_and_others_stay_as_they_are(queue_file: Path) -> None:
    queue = Queue(queue_file)
    queue.save([row(1), row(2, state="finished"), row(3, pid=DEAD)])
    queue.release([f"/data/{n}.h5" for n in (1, 2, 3)])
    assert [one.pid for one in queue.load()] == [0, os.getpid(), DEAD]
    queue.close()


async def test_the_writer_keeps_the_newest_state_and_writes_the_rest_at_the_end(queue_file: Path) -> None:
    queue = Queue(queue_file)
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


async def test_a_forgotten_file_that_is_queued_again_is_there(queue_file: Path) -> None:
    queue = Queue(queue_file)
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
