"""Slots: how many files all processes of a registry fetch at once, on every host that shares it.

Each slot is a file that one transfer locks while it runs; the system lets go of the lock when its process
ends, however it ends, so that nothing has to expire and no server keeps count.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest, TransferRules
from maap_tui.engine.events import Emit, Noted
from maap_tui.engine.storage import files, locks

POLL_S = 0.2
"""Seconds between two looks for a slot that is free."""
_TURN_S = 2.0
"""Seconds that a process may go on with its slots while others wait for one."""


@dataclass(frozen=True, slots=True)
class _Slot:
    """A slot that is ours until it is closed."""

    number: int
    descriptor: int
    let_go: Callable[[], None]

    def close(self) -> None:
        self.let_go()
        os.close(self.descriptor)


def _close_found(look: asyncio.Future[_Slot | None]) -> None:
    if not look.cancelled() and look.exception() is None and (found := look.result()) is not None:
        found.close()


class Slots:
    """The slots below one folder, as one process takes them; to be used in one event loop."""

    def __init__(
        self,
        folder: Path,
        count: int,
        on_change: Callable[[float], None] | None = None,
        on_wait: Callable[[], None] | None = None,
    ) -> None:
        """Take what there is; open nothing.

        Args:
            folder: where the slots are, the same for all processes.
            count: how many there are, 1 or more.
            on_change: is called with the share of all slots that this process has, 0 to 1, when that changes.
            on_wait: is called when a wait for a slot begins.
        """
        self._folder = folder
        self._count = count
        self._on_change = on_change
        self._on_wait = on_wait
        self._turn = asyncio.Lock()
        self._held: set[int] = set()
        """Numbers of the slots that are ours."""
        self._since = 0.0
        """When we got the first of them, after a time without any."""
        self._waits = folder / "waiting"

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold one of them, once it is free.

        Raises:
            StorageError: the folder cannot be used.
        """
        slot = await self._take()
        if not self._held:
            self._since = time.monotonic()
        self._held.add(slot.number)
        self._report()
        try:
            yield
        finally:
            slot.close()
            self._held.discard(slot.number)
            self._report()

    def _report(self) -> None:
        if self._on_change is not None:
            self._on_change(len(self._held) / self._count)

    async def _take(self) -> _Slot:
        # One of ours looks at a time, in the order they came.
        async with self._turn:
            if self._is_waited_for():
                await asyncio.sleep(POLL_S * 2)
            found = await self._look()
            if found is None and self._on_wait is not None:
                self._on_wait()
            while found is None:
                await asyncio.sleep(POLL_S * random.uniform(0.5, 1.5))
                found = await self._look()
            return found

    async def _look(self) -> _Slot | None:
        look = asyncio.ensure_future(asyncio.to_thread(self._try))
        try:
            return await asyncio.shield(look)
        except asyncio.CancelledError:
            # The thread goes on, and what it finds must not stay locked.
            look.add_done_callback(_close_found)
            raise

    def _is_waited_for(self) -> bool:
        """Whether another process waits for a slot while we have had some for a while."""
        if not self._held or time.monotonic() - self._since < _TURN_S:
            return False
        with suppress(OSError):
            return time.time() - self._waits.stat().st_mtime < POLL_S * 3
        return False

    def _try(self) -> _Slot | None:
        files.make_folder(self._folder)
        numbers = [number for number in range(self._count) if number not in self._held]
        random.shuffle(numbers)
        for number in numbers:
            if (held := locks.open_held(self._folder / f"slot-{number + 1}")) is not None:
                return _Slot(number, *held)
        with suppress(OSError):
            self._waits.touch()
        return None


class SharedTransfer:
    """A `Fetcher` that holds a slot for each file, and has that share of the rate of all processes."""

    def __init__(self, inner: Fetcher, folder: Path, count: int, rules: TransferRules, emit: Emit) -> None:
        """Take what there is; open nothing.

        Args:
            inner: fetches the files.
            folder: where the slots are.
            count: how many there are.
            rules: those of all processes together.
            emit: takes an event when a slot is waited for the first time.
        """
        self._inner = inner
        self._count = count
        self._rules = rules
        self._share = 0.0
        self._emit = emit
        self._is_wait_reported = False
        self._slots = Slots(folder, count, self._take_share, self._report_wait)

    async def fetch(self, wanted: DownloadRequest) -> DownloadOutcome:
        """Have the file under its final name, once there is a slot for it; errors as those of `inner`."""
        async with self._slots.one():
            return await self._inner.fetch(wanted)

    def has_room(self, wanted: DownloadRequest) -> bool:
        """Whether the disk has room for it."""
        return self._inner.has_room(wanted)

    def set_rules(self, rules: TransferRules) -> None:
        """Fetch by other rules from now on."""
        self._rules = rules
        self._take_share(self._share)

    def _take_share(self, share: float) -> None:
        self._share = share
        # 0 would be no limit at all, and without a slot nothing is fetched.
        rate = self._rules.limit_rate * (share or 1 / self._count)
        self._inner.set_rules(replace(self._rules, limit_rate=rate))

    def _report_wait(self) -> None:
        if not self._is_wait_reported:
            self._is_wait_reported = True
            self._emit(Noted(f"All {self._count} transfers of downloads.parallel_total run; waiting for one"))
