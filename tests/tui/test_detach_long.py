"""A terminal that goes away with 3,000 files queued: the work goes on, and another terminal sees it end."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from terminal_kit import Terminal, is_alive, text_of, until

from maap_tui.demo.archive import Archive
from maap_tui.engine.download.downloads import MOST_ARRIVED
from maap_tui.engine.download.queue_control import WORKER, Control
from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session

FILES = 3000

pytestmark = [pytest.mark.long, pytest.mark.fault("P1"), pytest.mark.fault("P3"), pytest.mark.fault("P10")]


@pytest.fixture
def queue(environ: dict[str, str]) -> Queue:
    return Queue(Path(environ["MAAP_HOME"]) / "state" / "queue.sqlite3")


def fill(queue: Queue, environ: dict[str, str]) -> list[QueueRow]:
    """Leave 3,000 files in the queue, as a process that died would; nobody tracks them yet."""

    async def find() -> list[QueueRow]:
        span = TimeRange(datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 1, 10, tzinfo=UTC))
        query = Query("EarthCAREL2Validated_MAAP", "CPR_CLD_2A", "BC", time=span, max_items=FILES)
        rows = []
        async with Session.load(environ=environ) as session:
            async for page in session.search(query):
                for granule in page.granules:
                    for asset in granule.files(session.formats_of(query)):
                        wanted = session.filing.request_of(granule, asset)
                        assert wanted.key is not None and wanted.day is not None
                        row = QueueRow(
                            str(wanted.path),
                            wanted.url,
                            "waiting",
                            wanted.size,
                            mission=wanted.key.mission,
                            collection=wanted.key.collection,
                            product_type=wanted.key.product_type,
                            baseline=wanted.key.baseline,
                            day=wanted.day.isoformat(),
                            root=str(wanted.root),
                            position=float(len(rows)),
                            changed=time.time(),
                        )
                        rows.append(row)
        return rows[:FILES]

    rows = asyncio.run(find())
    assert len(rows) == FILES and queue.save(rows)
    return rows


def read_until(one: Terminal, is_so: Callable[[], object], seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < end, text_of(one.shown)[-3000:]
        one.read(0.2)


def ended(queue: Queue) -> int:
    """Files that are here; of a worker that was killed, some came before it had written that."""
    return sum(row.state in ("finished", "skipped") for row in queue.load())


def worker_of(queue: Queue) -> int:
    found = Control(queue).worker()
    return found.process[0] if found else 0


@pytest.mark.parametrize("end", ["closed", "hung up", "killed"])
def test_work_goes_on_when_the_terminal_is_gone(
    end: str,
    archive: Archive,
    terminal: Callable[..., Terminal],
    environ: dict[str, str],
    queue: Queue,
) -> None:
    rows = fill(queue, environ)
    archive.stats.reset()
    first = terminal("tui")
    first.wait_for(b"were interrupted")
    first.type(b"g")
    read_until(first, lambda: ended(queue) > 20)
    if end == "hung up":
        first.close()  # nobody was asked
        assert first.ended() == 129
        until(lambda: worker_of(queue))
    else:
        seen = first.type(b"q")
        first.wait_for(b"Background (b)", after=seen)
        first.type(b"b")
        if end == "closed":
            read_until(first, lambda: worker_of(queue))
            first.close()
        first.ended()
    worker = worker_of(queue)
    assert worker and is_alive(worker)
    if end == "killed":
        # The worker itself is killed, and the next one goes on.
        read_until(first, lambda: ended(queue) > 200)
        os.kill(worker, signal.SIGKILL)
        again = terminal("queue", "run", "--background")
        again.ended()
        assert b"goes on with" in again.shown
    before = ended(queue)

    second = terminal("queue", "attach")
    second.wait_for(b"maap queue")
    read_until(second, lambda: ended(queue) == FILES and not worker_of(queue))
    assert before < FILES
    second.type(b"q")
    assert second.ended() == 0

    assert {row.path for row in queue.load()} == {row.path for row in rows}
    assert {row.verb for row in queue.load()} == {"app", WORKER}
    assert all(Path(row.path).stat().st_size == row.size for row in rows)
    # Eight files at a time may be cut off by each process that ends, and are asked for once more; of one that
    # is killed so may those that had come and waited for the disk.
    asked = archive.stats.count("data")
    assert FILES <= asked <= FILES + (16 * 2 + MOST_ARRIVED if end == "killed" else 8 * 2), asked
    home = Path(environ["MAAP_HOME"])
    lines = [
        line for file in (home / "registry").rglob("dwl_*.txt") for line in file.read_text().splitlines()
    ]
    assert len(lines) == len(set(lines)) == FILES
    assert not list((home / "data").rglob("*.part*"))
