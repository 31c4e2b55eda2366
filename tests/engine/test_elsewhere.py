"""What other processes transfer, added up: counts, bytes and rate, of those that live."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from maap_tui.engine.download.elsewhere import Elsewhere, Lookout
from maap_tui.engine.download.queue_store import HOST, SILENT_S, Queue, QueueRow, born_at

PARENT = os.getppid()


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lookout(tmp_path: Path, clock: Clock) -> Lookout:
    return Lookout(Queue(tmp_path / "queue.sqlite3"), clock=clock, wall_clock=clock)


def write(folder: Path, *rows: QueueRow) -> None:
    """Write rows as another process does."""
    queue = Queue(folder / "queue.sqlite3")
    queue.save(rows)
    queue.close()


def row(number: int, state: str, received: int = 0, **changes: object) -> QueueRow:
    """A file of 1000 bytes that a sync has, in a process that lives."""
    given: dict[str, object] = {
        "size": 1000, "pid": PARENT, "host": HOST, "born": born_at(PARENT), "verb": "sync", "changed": 1000.0,
    }  # fmt: skip
    return QueueRow(
        f"/data/{number}.h5", f"http://x/{number}.h5", state, received=received, **given | changes
    )  # type: ignore[arg-type]


def test_nothing_elsewhere_is_nothing(lookout: Lookout) -> None:
    assert lookout.look() == Elsewhere()


def test_files_and_bytes_of_others_are_added_up(tmp_path: Path, lookout: Lookout) -> None:
    write(
        tmp_path,
        row(1, "finished", 1000),
        row(2, "running", 300),
        row(3, "running", 0, size=None),
        row(4, "failed", 500),
        row(5, "cancelled", 100),
        row(6, "waiting"),
        row(7, "running", pid=os.getpid(), born=0.0),
    )
    now = lookout.look()
    assert (now.active, now.queued, now.done) == (2, 5, 2)
    assert (now.bytes_done, now.bytes_total, now.unknown) == (1300, 3000, 1)
    assert [(one.verb, one.process[0]) for one in now.shares] == [("sync", PARENT)]


@pytest.mark.parametrize(
    "changes",
    [{"pid": 0}, {"born": 1.0}, {"pid": 2**22 + 1}, {"host": "cluster", "changed": 1000.0 - SILENT_S - 1}],
)
def test_what_a_dead_process_left_does_not_count(
    tmp_path: Path, lookout: Lookout, changes: dict[str, object]
) -> None:
    write(tmp_path, row(1, "running", 10, **changes))
    assert lookout.look() == Elsewhere()


def test_the_rate_is_known_once_bytes_came_and_ends_with_them(
    tmp_path: Path, lookout: Lookout, clock: Clock
) -> None:
    write(tmp_path, row(1, "running", 500))
    assert lookout.look().rate == 0, "what was here before did not come now"
    for second in (1, 2):
        clock.now += 1
        write(tmp_path, row(1, "running", 500 + 100 * second))
        assert lookout.look().rate == pytest.approx(100)
    clock.now += 1
    write(tmp_path, row(1, "finished", 1000), row(2, "running", 0))
    assert lookout.look().rate == pytest.approx(500 / 3)
    for _ in range(12):
        clock.now += 1
        lookout.look()
    assert lookout.look().rate == 0, "nothing comes any more"
    write(tmp_path, row(2, "finished", 1000))
    assert lookout.look() == Elsewhere()


def test_numbers_of_any_kind_in_the_file_do_no_harm(tmp_path: Path, lookout: Lookout) -> None:
    huge = 2**63 - 1
    write(tmp_path, row(1, "running", huge, size=huge), row(2, "running", huge, size=huge, born=float("inf")))
    assert lookout.look().bytes_done >= huge
