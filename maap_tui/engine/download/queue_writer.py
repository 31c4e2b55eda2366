"""Writes the changes of a process's transfers to the queue on disk."""

from __future__ import annotations

import asyncio
import contextlib
import math
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from maap_tui.engine.download.queue_store import Queue, QueueRow

FLUSH_S = 0.5
"""Seconds between two writes of what changed."""

SAVE_ROWS = 2000
"""Rows made and written in one go, so that neither a loop nor another process waits long."""

CLOSE_S = 0.8
"""Seconds that the last writing may take; what it leaves out is found as it was written before."""


class QueueWriter:
    """Writes what changed in a process's transfers, twice a second and at the end."""

    def __init__(self, queue: Queue, rows: Callable[[Sequence[str]], list[QueueRow]]) -> None:
        """Take the queue and what makes rows.

        Args:
            queue: where to write.
            rows: makes the rows of the transfers with these URLs, as they are now.
        """
        self._queue = queue
        self._rows = rows
        self._dirty: dict[str, None] = {}
        self._under_way: frozenset[str] = frozenset()
        """What is being written just now."""
        self._gone: list[str] = []
        self._task: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._closing = asyncio.Event()
        self._until = math.inf

    def touch(self, url: str) -> None:
        """Note that a transfer changed. Called in the engine's loop."""
        self._dirty[url] = None
        self._start()

    def is_written(self, url: str) -> bool:
        """Whether the queue on disk has a transfer as it is. Called in the engine's loop."""
        return url not in self._dirty and url not in self._under_way

    def forget(self, paths: Iterable[str]) -> None:
        """Note that transfers were taken out of the list. Called in the engine's loop."""
        self._gone += paths
        self._start()

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._flush_later())

    async def _flush_later(self) -> None:
        while (self._dirty or self._gone) and not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), FLUSH_S)
            await self.flush()

    async def flush(self) -> None:
        """Write what changed now; one at a time, so that an older state never follows a newer one."""
        async with self._turn:
            if self._gone:
                paths, self._gone = self._gone, []
                if not await asyncio.to_thread(self._queue.remove, paths):
                    self._gone = paths + self._gone
                    return
            left = len(self._dirty)
            while left > 0 and self._dirty and time.monotonic() < self._until:
                # At the end what changed last comes first: what was running is among it.
                order = reversed(self._dirty) if self._closing.is_set() else iter(self._dirty)
                urls = list(islice(order, SAVE_ROWS))
                left -= len(urls)
                for url in urls:
                    del self._dirty[url]
                self._under_way = frozenset(urls)
                try:
                    is_saved = await asyncio.to_thread(self._queue.save, self._rows(urls))
                finally:
                    self._under_way = frozenset()
                if not is_saved:
                    self._dirty = dict.fromkeys(urls) | self._dirty
                    return

    async def close(self, left: Sequence[str] = (), *, within_s: float = CLOSE_S) -> None:
        """Write the rest, let go of what has not ended, and stop.

        Args:
            left: paths of the transfers that have not ended.
            within_s: seconds that this may take, or so.
        """
        self._closing.set()
        self._until = time.monotonic() + within_s
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()
        for begin in range(0, len(left), SAVE_ROWS):
            if time.monotonic() < self._until:
                await asyncio.to_thread(self._queue.release, left[begin : begin + SAVE_ROWS])
