"""What tests of the mode Downloads share: its queue, its lines, rows of other processes."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from driving import find_files, wait_until
from textual.pilot import Pilot

from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.tui.app import MaapApp
from maap_tui.tui.screens.downloads.screen import DownloadsScreen
from maap_tui.tui.screens.downloads.transfers import Line

SIZE = (80, 24)
HOST = socket.gethostname()
DEAD = 2**22 - 3
"""A pid above what this system gives out."""


def row_of(files: list[Any], number: int, **changes: Any) -> QueueRow:
    wanted = files[number]
    key = wanted.key
    row = QueueRow(
        path=str(wanted.path),
        url=wanted.url,
        state="running",
        size=wanted.size,
        mission=key.mission,
        collection=key.collection,
        product_type=key.product_type,
        baseline=key.baseline,
        day=wanted.day.isoformat(),
        root=str(wanted.root),
        position=float(number),
        pid=DEAD,
        host=HOST,
        verb="sync",
        changed=time.time(),
    )
    return replace(row, **changes)


def write_elsewhere(app: MaapApp, rows: list[QueueRow]) -> None:
    """Write to the queue as another process does: through a connection of its own."""
    queue = Queue(app.backend.session.dirs.queue_file)
    queue.save(rows)
    queue.close()


def lines(app: MaapApp) -> list[Line]:
    assert isinstance(app.screen, DownloadsScreen)
    return app.screen.table.shown


def states(app: MaapApp) -> list[str]:
    return [line.state for line in lines(app)]


def has(app: MaapApp, state: str, count: int) -> Callable[[], bool]:
    def look() -> bool:
        app.screen.sample()  # type: ignore[attr-defined]
        return isinstance(app.screen, DownloadsScreen) and states(app).count(state) == count

    return look


def place_cursor(app: MaapApp, state: str) -> Line:
    """Put the cursor on the first line of that state."""
    assert isinstance(app.screen, DownloadsScreen)
    line = next(line for line in lines(app) if line.state == state)
    app.screen.table.move_to_key(line.key)
    return line


@asynccontextmanager
async def opened(app: MaapApp, size: tuple[int, int] = SIZE) -> AsyncIterator[Pilot[Any]]:
    """Run the app with this mode on the screen."""
    async with app.run_test(size=size, notifications=True) as pilot:
        await pilot.press("3")
        yield pilot


async def queue_files(app: MaapApp, pilot: Pilot[Any], count: int, **wanted: int) -> list[DownloadRequest]:
    """Queue so many files, and wait until so many of them are in a state."""
    files = await find_files(app, count)
    await app.backend.queue_files(files)
    for state, number in wanted.items():
        await wait_until(has(app, state, number), pilot)
    return files
