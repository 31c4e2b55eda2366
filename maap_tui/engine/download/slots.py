"""Slots: how many connections for files all processes of a registry have, on every host that shares it.

Each slot is a file that one transfer locks while it runs; the system lets go of the lock when its process
ends, however it ends, so that no server keeps count. Where the file system has no locks, a marker takes
their place, which expires when its holder shows no sign of life.
"""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from maap_tui.engine.download.connections import Spare
from maap_tui.engine.download.remote import Fetcher
from maap_tui.engine.download.requests import DownloadOutcome, DownloadRequest, TransferRules
from maap_tui.engine.events import Emit, Noted
from maap_tui.engine.storage import files, locks

POLL_S = 0.2
"""Seconds between two looks for a slot that is free."""
_GIVE_BACK_S = 1.0
"""Seconds between two slots that were to spare and are given back, as one may be enough."""
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
        self._freed = asyncio.Event()
        """One of ours was given back since we last looked."""
        self._held: set[int] = set()
        """Numbers of the slots that are ours."""
        self._since = -math.inf
        """When we got the first of them, after a time without any."""
        self._left = -math.inf
        """When we gave the last of them back."""
        self._watches: dict[asyncio.Task[Any], asyncio.TimerHandle] = {}
        """The next look of what holds a slot to spare."""
        self._given_back = -math.inf
        """When we last gave one back that was to spare."""
        self._waits = folder / "waiting"
        self._mark: int | None = None
        """The time of it when we last looked; None before."""
        self._asked_at = -math.inf
        """When we last saw it change, on our own clock."""
        self._markers = locks.Leases()
        """What stands for a lock, where the file system has none."""

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold one of them, once it is free.

        Raises:
            StorageError: the folder cannot be used.
        """
        with self._holding(await self._take()):
            yield

    @asynccontextmanager
    async def spare(self) -> AsyncIterator[bool]:
        """Hold one of them if one is free and nobody waits; gives whether that is so.

        The task that holds it is cancelled when somebody waits for one.

        Raises:
            StorageError: the folder cannot be used.
        """
        task = asyncio.current_task()
        assert task is not None
        slot = None
        if not self._turn.locked() and not self._is_asked_for():
            async with self._turn:
                slot = await self._look(is_waiting=False)
        if slot is None:
            yield False
            return
        with self._holding(slot):
            self._watch(task)
            try:
                yield True
            finally:
                self._watches.pop(task).cancel()

    def _watch(self, task: asyncio.Task[Any]) -> None:
        """Cancel what holds a slot to spare, once somebody waits."""
        if self._is_asked_for() and time.monotonic() - self._given_back >= _GIVE_BACK_S:
            self._given_back = time.monotonic()
            task.cancel()
        self._watches[task] = asyncio.get_running_loop().call_later(POLL_S, self._watch, task)

    @contextmanager
    def _holding(self, slot: _Slot) -> Iterator[None]:
        # Who takes one for each of many short requests is as long at it as who keeps one.
        if not self._has_had(time.monotonic()):
            self._since = time.monotonic()
        self._held.add(slot.number)
        self._report()
        try:
            yield
        finally:
            slot.close()
            self._held.discard(slot.number)
            self._left = time.monotonic()
            self._freed.set()
            self._report()

    def _has_had(self, now: float) -> bool:
        """Whether we have some, or had until a moment ago."""
        return bool(self._held) or now - self._left < POLL_S

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
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._freed.wait(), POLL_S * random.uniform(0.5, 1.5))
                if self._is_waited_for():
                    await asyncio.sleep(POLL_S * 2)
                found = await self._look()
            return found

    async def _look(self, *, is_waiting: bool = True) -> _Slot | None:
        self._freed.clear()
        look = asyncio.ensure_future(asyncio.to_thread(self._try, is_waiting))
        try:
            return await asyncio.shield(look)
        except asyncio.CancelledError:
            # The thread goes on, and what it finds must not stay locked.
            look.add_done_callback(_close_found)
            raise

    def _is_waited_for(self) -> bool:
        """Whether another process waits for a slot while we have had some for a while."""
        is_asked_for, now = self._is_asked_for(), time.monotonic()
        return self._has_had(now) and now - self._since >= _TURN_S and is_asked_for

    def _is_asked_for(self) -> bool:
        """Whether another one waits for a slot: the mark changes, whatever time it has on their clock."""
        mark = 0
        with suppress(OSError):
            mark = self._waits.stat().st_mtime_ns
        if mark != self._mark:
            if self._mark is not None:
                self._asked_at = time.monotonic()
            self._mark = mark
        return time.monotonic() - self._asked_at < POLL_S * 3

    def _try(self, is_waiting: bool) -> _Slot | None:
        files.make_folder(self._folder)
        numbers = [number for number in range(self._count) if number not in self._held]
        random.shuffle(numbers)
        for number in numbers:
            if (held := locks.open_held(self._folder / f"slot-{number + 1}", self._markers)) is not None:
                return _Slot(number, *held)
        if is_waiting:
            with suppress(OSError):
                self._waits.touch()
                self._mark = self._waits.stat().st_mtime_ns  # that we wait is nothing to give way to
        return None


def of_share(rules: TransferRules, share: float, count: int) -> TransferRules:
    """The rules of who holds a share, 0 to 1, of so many slots, where the rules are those of all."""
    # 0 would be no limit at all, and without a slot nothing is fetched.
    return replace(rules, limit_rate=rules.limit_rate * (share or 1 / count))


def waits_for_slot(count: int) -> str:
    """What is said when all slots are taken."""
    return f"All {count} transfers of downloads.parallel_total run; waiting for one"


class SharedTransfer:
    """A `Fetcher` that holds a slot for each connection, and has that share of the rate of all processes."""

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

    def set_connections(self, count: int, spare: Spare | None = None) -> None:
        """Have at most so many connections, each with a slot of its own."""
        self._inner.set_connections(count, spare or self._slots.spare)

    def _take_share(self, share: float) -> None:
        self._share = share
        self._inner.set_rules(of_share(self._rules, share, self._count))

    def _report_wait(self) -> None:
        if not self._is_wait_reported:
            self._is_wait_reported = True
            self._emit(Noted(waits_for_slot(self._count)))
