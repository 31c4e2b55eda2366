"""Batch: work on the disk that many files need at about the same time, done for all of them at once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Generic, TypeVar

from maap_tui.engine.download.part import wait_to_end

_Item = TypeVar("_Item")

Failures = Sequence[Exception | None]
"""What went wrong with each item of a batch; None with those that are done."""


class Batches(Generic[_Item]):
    """Hands what comes while one batch is worked on to a thread as the next. For one loop.

    A switch between threads costs as much as a small file does, and one fsync of a folder or a list serves
    all that was written before it.
    """

    def __init__(
        self, work: Callable[[Sequence[_Item]], Failures], most: int, *, gather_s: float = 0.0
    ) -> None:
        """Take the work; start nothing.

        Args:
            work: does it for some items, in a thread; returns what went wrong with each.
            most: items of one batch.
            gather_s: seconds from one batch to the next, for more to come; what comes alone does not wait.
        """
        self._work = work
        self._most = most
        self._gather_s = gather_s
        self._ended = -math.inf
        """When the last batch ended, on the clock of the loop."""
        self._waiting: list[tuple[_Item, asyncio.Future[None]]] = []
        self._is_working = False

    async def do(self, item: _Item) -> None:
        """Have it done, to its end also when cancelled; raises what went wrong with it."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, done))
        if not self._is_working:
            self._start_soon()
        await wait_to_end(done)

    def _start_soon(self) -> None:
        self._is_working = True
        loop = asyncio.get_running_loop()
        begin = self._ended + self._gather_s
        if begin <= loop.time() or len(self._waiting) >= self._most:
            self._start()
        else:
            loop.call_at(begin, self._start)

    def _start(self) -> None:
        batch, self._waiting = self._waiting[: self._most], self._waiting[self._most :]
        items = [item for item, _ in batch]
        # No task: what ends the loop would cancel it, with the files still in the hands of the thread.
        work = asyncio.get_running_loop().run_in_executor(None, self._work, items)
        work.add_done_callback(partial(self._finish, [done for _, done in batch]))

    def _finish(self, batch: list[asyncio.Future[None]], work: asyncio.Future[Failures]) -> None:
        self._is_working = False
        broken = work.exception()
        failures = [broken] * len(batch) if broken is not None else work.result()
        for done, error in zip(batch, failures, strict=True):
            if error is None:
                done.set_result(None)
            else:
                done.set_exception(error)
        self._ended = asyncio.get_running_loop().time()
        if self._waiting:
            self._start_soon()
