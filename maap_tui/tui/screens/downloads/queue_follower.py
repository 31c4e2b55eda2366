"""QueueFollower: what was written in the queue on disk since the last look, read in a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

from maap_tui.engine.download.queue_store import Queue, QueueRow
from maap_tui.tui import gc_pause


class QueueNews(NamedTuple):
    """What a look found."""

    rows: list[QueueRow]
    """Rows written since the last look, this process's too; all there are where `is_whole`."""
    is_whole: bool = False
    """Whether rows were removed, so that what was known before is to be dropped."""


class QueueFollower:
    """Reads only what is new, and everything where rows are gone: only the whole list shows which.

    One look or removal goes on at a time: rows that were read earlier must not be shown over those that were
    read later.
    """

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._serial = 0
        self._stamp: int | None = None
        self._known: set[str] = set()
        self._turn = asyncio.Lock()

    async def look(self, take: Callable[[QueueNews], Awaitable[None]]) -> None:
        """Hand on what changed; nothing while others keep the file busy."""
        async with self._turn:
            await take(await self._read())

    async def remove(self, paths: Sequence[str]) -> None:
        """Take rows out of the queue; a look does not miss them."""
        async with self._turn:
            await asyncio.to_thread(self._queue.remove, paths)
            self._known.difference_update(paths)

    async def _read(self) -> QueueNews:
        stamp = await asyncio.to_thread(self._queue.stamp)
        if stamp == self._stamp:
            return QueueNews([])
        self._stamp = stamp
        with gc_pause.held(0 if self._serial else gc_pause.MANY) as holding:
            changes = await asyncio.to_thread(self._queue.changes, self._serial)
            holding.count = len(changes.rows)
        known = len(self._known | {row.path for row in changes.rows})
        is_whole = False
        if self._serial and changes.count is not None and changes.count < known:
            changes = await asyncio.to_thread(self._queue.changes)
            is_whole = changes.count is not None
        if changes.count is None:
            self._stamp = None  # it was busy, and is looked at again
        else:
            self._serial = changes.serial
        if is_whole:
            self._known.clear()
        self._known.update(row.path for row in changes.rows)
        return QueueNews(changes.rows, is_whole)
