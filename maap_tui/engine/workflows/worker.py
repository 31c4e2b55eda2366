"""The worker: one process that goes on with what no other one has in the queue, until nothing is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

from maap_tui.engine.config.loading import load
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.queue_control import WORKER, Control, is_left_to_worker, obey
from maap_tui.engine.download.queue_store import LIVE, QueueRow, left_behind
from maap_tui.engine.errors import LockedError, NoLockError, SettingsError, StorageError
from maap_tui.engine.events import Warned
from maap_tui.engine.storage import locks
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.queueing import take_over

LOOK_S = 0.5
"""Seconds between two looks at what other processes wrote."""

LIFE_S = 60.0
"""Seconds between two signs of life for other hosts."""

ENDING_S = 5.0
"""Seconds that a worker which has nothing left may take to end."""

_POLL_S = 0.1
"""Seconds between two tries for the lock, or to end."""


@dataclass(slots=True)
class WorkReport:
    """What a worker did, and what it left."""

    downloads: Report = field(default_factory=Report)
    refused: list[str] = field(default_factory=list)
    """Why files cannot be fetched from here, a sentence each."""
    paused: int = 0
    """Files in the queue that are paused and no process has."""
    left: int = 0
    """Those that wait there, left by others meanwhile or not taken up by the registry."""


async def work_on_queue(
    parts: Parts, *, waits_for_room: bool = False, begun: Callable[[int], None] = lambda count: None
) -> WorkReport:
    """Go on with the files of the queue that no process has, those that are left to it meanwhile too.

    It ends when none of them waits, runs or was paused since it has them. Those found paused stay paused.

    Args:
        parts: the engine.
        waits_for_room: whether a full disk is waited for without end.
        begun: called once this process is the only worker, with how many files it goes on with.

    Raises:
        LockedError: another worker was not over in time.
        CredentialsError: there is something to fetch, and no token to fetch it with.
        StorageError: the queue's file cannot be used.
    """
    control = Control(parts.queue)
    report = WorkReport()
    async with _alone(parts, control):
        async with parts.downloads(verb=WORKER, waits_for_room=waits_for_room) as run:
            work = _Work(parts, control, run, report)
            found = [row for row in await work.demand_left() if row.state != "paused"]
            if found:
                parts.token_info()
            begun(len(found))
            await work.go_on(found)
        left = await work.demand_left(with_own=True)
        report.paused = sum(row.state == "paused" for row in left)
        report.left = len(left) - report.paused
    return report


class _Work:
    """One worker at work."""

    def __init__(self, parts: Parts, control: Control, run: Downloads, report: WorkReport) -> None:
        self._parts = parts
        self._control = control
        self._run = run
        self._report = report
        self._refused: set[str] = set()
        """Paths of files that it cannot take over."""
        self._stamp: int | None = None
        self._joined: asyncio.Task[Report] | None = None
        self._life_at = time.monotonic() + LIFE_S

    async def go_on(self, found: Sequence[QueueRow]) -> None:
        """Work until nothing is left, or the run is stopped."""
        self._report.downloads = self._run.report
        try:
            await self._take(found)
            while True:
                is_settled = await self._settle()
                await self._look()
                if is_settled and self._run.report.stopped is not None:
                    return
                is_over = is_settled and not any(job.state in LIVE for job in self._run.job_list())
                # Whoever left it files before it signed off is sure that it sees them.
                if is_over and await asyncio.to_thread(self._control.sign_off, refused=self._refused):
                    return
                if is_over:
                    await asyncio.sleep(_POLL_S)
        finally:
            if self._joined is not None:
                self._joined.cancel()
                await asyncio.gather(self._joined, return_exceptions=True)

    async def _settle(self) -> bool:
        """Wait until nothing waits or runs, for `LOOK_S` at most, or that long while files are paused."""
        if self._joined is None:
            self._joined = asyncio.create_task(self._run.join())
        await asyncio.wait({self._joined}, timeout=LOOK_S)
        if not self._joined.done():
            return False
        self._joined = None
        if any(job.state == "paused" for job in self._run.job_list()):
            await asyncio.sleep(LOOK_S)
        return True

    async def _look(self) -> None:
        """Do what was asked, and take what was left, since the last look."""
        now = time.monotonic()
        if now >= self._life_at:
            self._life_at = now + LIFE_S
            await asyncio.to_thread(self._control.show_life)
        stamp = await asyncio.to_thread(self._parts.queue.stamp)
        if stamp == self._stamp:
            return
        asked = await asyncio.to_thread(self._control.asked)
        self._stamp = None if asked is None else stamp
        if asked:
            self._use_settings({key for one in asked if one.action == "setting" for key in one.paths})
            await obey(self._run, [one for one in asked if one.action != "setting"])
            await asyncio.to_thread(self._control.take_out, [one.id for one in asked])
        left = await asyncio.to_thread(self.left)
        if left is None:
            self._stamp = None
        else:
            await self._take([row for row in left if is_left_to_worker(row)])

    def _use_settings(self, keys: set[str]) -> None:
        """Use settings as the configuration has them now; a wrong one changes nothing."""
        if not keys:
            return
        try:
            fresh = load(self._parts.settings.config_file, self._parts.environ)
            for key in sorted(keys):
                self._parts.apply_setting(key, fresh)
        except SettingsError as error:
            self._parts.emit(Warned(f"The settings stay as they were: {error.message}"))

    async def demand_left(self, *, with_own: bool = False) -> list[QueueRow]:
        """As `left`, once the queue can be read."""
        while True:
            rows = await asyncio.to_thread(self.left, with_own=with_own)
            if rows is not None:
                return rows
            await asyncio.sleep(_POLL_S)

    def left(self, *, with_own: bool = False) -> list[QueueRow] | None:
        """The files in the queue that no process has, or only this one says to; None while it is busy."""
        rows = self._parts.queue.read(ended=False)
        if rows is None:
            return None
        own = [row for row in rows if row.is_mine] if with_own else []
        return [row for row in (*own, *left_behind(rows, time.time())) if row.path not in self._refused]

    async def _take(self, rows: Sequence[QueueRow]) -> None:
        if not rows:
            return
        _, refused = await take_over(self._parts, rows, self._run)
        self._report.refused += refused
        if refused:
            taken = {str(job.wanted.place) for job in self._run.job_list()}
            self._refused |= {row.path for row in rows} - taken


@asynccontextmanager
async def _alone(parts: Parts, control: Control) -> AsyncIterator[None]:
    """Be the only worker of the queue, and say so."""
    wait_s = parts.settings.downloads.lock_wait
    file = parts.dirs.lock_file(parts.dirs.queue_file)
    begun = time.monotonic()
    is_reported = False
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(locks.lock(file, timeout_s=0, purpose="maap queue run", what="The queue"))
                break
            except NoLockError:
                raise
            except LockedError as error:
                waited = time.monotonic() - begun
                # One that has signed off is about to let go.
                is_ending = waited < ENDING_S and await asyncio.to_thread(control.worker) is None
                if waited >= wait_s and not is_ending:
                    hint = "`maap queue attach` shows it; --lock-wait SECONDS waits for its end."
                    raise LockedError(error.message, hint) from None
                if wait_s and not is_reported:
                    parts.emit(Warned(f"{error.message}; waiting up to {wait_s:g} s for it"))
                    is_reported = True
                await asyncio.sleep(_POLL_S)
        while True:
            if await asyncio.to_thread(control.sign_in):
                break
            await asyncio.sleep(_POLL_S)
        if parts.queue.problem:
            raise StorageError(parts.queue.problem, "Move it away; what is pending stays in the registry.")
        try:
            yield
        finally:
            await asyncio.to_thread(control.sign_off, anyway=True)
