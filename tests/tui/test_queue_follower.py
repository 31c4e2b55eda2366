"""What Downloads learns of the queue on disk, look by look, without an app."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.tui.screens.downloads.queue_follower import QueueFollower, QueueNews


def row(number: int, state: str = "waiting") -> QueueRow:
    return QueueRow(f"/data/{number}.h5", f"https://a/{number}.h5", state, position=number)


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
    assert await follower.look() == QueueNews([row(1), row(2)])
    assert await follower.look() == QueueNews([])
    other.save([row(2, "running"), row(3)])
    assert await follower.look() == QueueNews([row(2, "running"), row(3)])


async def test_everything_is_read_again_where_rows_are_gone(own: Queue, other: Queue) -> None:
    follower = QueueFollower(own)
    other.save([row(1), row(2), row(3)])
    await follower.look()
    other.remove([row(1).path])
    assert await follower.look() == QueueNews([row(2), row(3)], is_whole=True)
    other.save([row(4)])
    assert await follower.look() == QueueNews([row(4)])


async def test_what_the_app_took_out_itself_is_not_missed(own: Queue, other: Queue) -> None:
    follower = QueueFollower(own)
    other.save([row(1), row(2)])
    await follower.look()
    own.remove([row(1).path])
    follower.forget(row(1).path)
    other.save([row(3)])
    assert await follower.look() == QueueNews([row(3)])


async def test_a_busy_queue_is_looked_at_again(
    file: Path, own: Queue, other: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("maap_tui.engine.download.queue_store.BUSY_S", 0.02)
    follower = QueueFollower(own)
    other.save([row(1)])
    await follower.look()
    other.save([row(2)])
    writer = sqlite3.connect(file, isolation_level=None)
    writer.execute("BEGIN EXCLUSIVE")
    assert await follower.look() == QueueNews([])
    writer.execute("ROLLBACK")
    writer.close()
    assert await follower.look() == QueueNews([row(2)])
