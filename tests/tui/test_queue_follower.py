"""What Downloads learns of the queue on disk, look by look, without an app."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from maap_tui.engine.download.queue_store import Changes, Queue, QueueRow
from maap_tui.tui.screens.downloads.queue_follower import QueueFollower, QueueNews


def row(number: int, state: str = "waiting") -> QueueRow:
    return QueueRow(f"/data/{number}.h5", f"https://a/{number}.h5", state, position=number)


class HeldQueue(Queue):
    """A queue whose first answer is held up after it was read."""

    def __init__(self, file: Path) -> None:
        super().__init__(file)
        self.has_read, self.go = threading.Event(), threading.Event()

    def changes(self, serial: int = 0) -> Changes:
        found = super().changes(serial)
        if not self.has_read.is_set():
            self.has_read.set()
            self.go.wait()
        return found


async def look(follower: QueueFollower) -> QueueNews:
    """What one look finds."""
    found: list[QueueNews] = []

    async def take(news: QueueNews) -> None:
        found.append(news)

    await follower.look(take)
    return found[0]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "queue.sqlite3"


@pytest.fixture
def other(file: Path) -> Iterator[Queue]:
    """The queue as another process has it open."""
    queue = Queue(file)
    yield queue
    queue.close()


@pytest.fixture
def own(file: Path) -> Iterator[Queue]:
    queue = Queue(file)
    yield queue
    queue.close()


async def test_a_look_finds_what_is_new_alone(own: Queue, other: Queue) -> None:
    follower = QueueFollower(own)
    other.save([row(1), row(2)])
    assert await look(follower) == QueueNews([row(1), row(2)])
    assert await look(follower) == QueueNews([])
    other.save([row(2, "running"), row(3)])
    assert await look(follower) == QueueNews([row(2, "running"), row(3)])


async def test_everything_is_read_again_where_rows_are_gone(own: Queue, other: Queue) -> None:
    follower = QueueFollower(own)
    other.save([row(1), row(2), row(3)])
    await look(follower)
    other.remove([row(1).path])
    assert await look(follower) == QueueNews([row(2), row(3)], is_whole=True)
    other.save([row(4)])
    assert await look(follower) == QueueNews([row(4)])


async def test_what_the_app_took_out_itself_is_not_missed(own: Queue, other: Queue) -> None:
    follower = QueueFollower(own)
    other.save([row(1), row(2)])
    await look(follower)
    await follower.remove([row(1).path])
    other.save([row(3)])
    assert await look(follower) == QueueNews([row(3)])


async def test_a_busy_queue_is_looked_at_again(
    file: Path, own: Queue, other: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.queue_store.BUSY_S", 0.02)
    follower = QueueFollower(own)
    other.save([row(1)])
    await look(follower)
    other.save([row(2)])
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert await look(follower) == QueueNews([])
    writer.execute("ROLLBACK")
    writer.close()
    assert await look(follower) == QueueNews([row(2)])


async def test_an_older_answer_never_follows_a_newer_one(file: Path, other: Queue) -> None:
    own = HeldQueue(file)
    states: dict[str, str] = {}

    async def take(news: QueueNews) -> None:
        for one in news.rows:
            states[one.path] = one.state
            await asyncio.sleep(0)

    follower = QueueFollower(own)
    other.save([row(1), row(2)])
    async with asyncio.TaskGroup() as group:
        group.create_task(follower.look(take))
        await asyncio.to_thread(own.has_read.wait)
        other.save([row(1, "running"), row(2, "running")])
        group.create_task(follower.look(take))
        for _ in range(20):  # more turns of the threads than a look takes
            await asyncio.to_thread(int)
        own.go.set()
    assert states == {row(1).path: "running", row(2).path: "running"}
    own.close()


async def test_what_is_taken_out_while_a_look_goes_on_does_not_come_back(file: Path, other: Queue) -> None:
    own = HeldQueue(file)
    listed: set[str] = set()

    async def take(news: QueueNews) -> None:
        listed.update(one.path for one in news.rows)

    async def remove() -> None:
        await follower.remove([row(1).path])
        listed.discard(row(1).path)

    follower = QueueFollower(own)
    other.save([row(1), row(2)])
    async with asyncio.TaskGroup() as group:
        group.create_task(follower.look(take))
        await asyncio.to_thread(own.has_read.wait)
        group.create_task(remove())
        for _ in range(20):
            await asyncio.to_thread(int)
        own.go.set()
    assert listed == {row(2).path}
    assert await look(follower) == QueueNews([])
    own.close()
