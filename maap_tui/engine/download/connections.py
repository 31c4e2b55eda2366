"""Connections: how many a Transfer may have at once. Files come first, ranges of files take what is left."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

Spare = Callable[[], AbstractAsyncContextManager[bool]]
"""Holds a connection of those that all processes share, and gives whether there was one to spare; the task
that holds it is cancelled as soon as somebody else needs it."""


class Connections:
    """The connections of one Transfer. For one loop."""

    def __init__(self) -> None:
        self._most = 1
        self._spare: Spare | None = None
        self._files = 0
        """Files that have one, or are about to."""
        self._further: dict[asyncio.Task[None], None] = {}
        """What works on a range of a file that has one, in the order it began."""

    def set_most(self, count: int, spare: Spare | None = None) -> None:
        """Have at most so many at once from now on.

        Args:
            count: 1 or more.
            spare: is asked before a further one; None where no other process counts.
        """
        self._most, self._spare = count, spare
        for task in list(self._further)[max(0, count - self._files) :]:
            task.cancel()

    @asynccontextmanager
    async def of_file(self) -> AsyncIterator[None]:
        """Have one for a file; ranges of other files end for it where there are too many."""
        self._files += 1
        try:
            while self._further and not self._fits(0):
                last = next(reversed(self._further))
                last.cancel()
                await asyncio.wait([last])
            yield
        finally:
            self._files -= 1

    @property
    def has_room(self) -> bool:
        """Whether a range of a file may have one."""
        return self._fits(1)

    def _fits(self, more: int) -> bool:
        return self._files + len(self._further) + more <= self._most

    def add(self, task: asyncio.Task[None]) -> None:
        """Count a task that works on a range until it ends; it may be cancelled for a file."""
        self._further[task] = None
        task.add_done_callback(self._further.pop)

    @asynccontextmanager
    async def spare(self) -> AsyncIterator[bool]:
        """As `Spare`, of what was set last."""
        if self._spare is None:
            yield True
            return
        async with self._spare() as is_free:
            yield is_free
