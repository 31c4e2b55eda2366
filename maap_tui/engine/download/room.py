"""RoomWait: a full disk is waited for by all files together, not by each of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import DiskFullError
from maap_tui.engine.events import Emit, Noted, Warned

ROOM_CHECK_S = 1.0
"""Seconds before a full disk is looked at again; doubles up to `LONGEST_ROOM_CHECK_S`."""

LONGEST_ROOM_CHECK_S = 15.0


class RoomWait:
    """Looks now and then whether there is room, until there is or the time is over."""

    def __init__(
        self,
        emit: Emit,
        has_room: Callable[[DownloadRequest], bool],
        longest_s: float | None,
        *,
        go_on: Callable[[], None],
        give_up: Callable[[DiskFullError], None],
    ) -> None:
        """Take the parts; wait for nothing.

        Args:
            emit: takes the events.
            has_room: whether there is room for a file; called in a thread.
            longest_s: how long a wait may be, in seconds; None for as long as it takes.
            go_on: called when there is room.
            give_up: called when there was none in that time.
        """
        self._emit = emit
        self._has_room = has_room
        self._longest_s = longest_s
        self._go_on = go_on
        self._give_up = give_up
        self.error: DiskFullError | None = None
        """What is waited for; None while nothing is."""
        self._since = 0.0
        self._check_s = ROOM_CHECK_S
        self._task: asyncio.Task[None] | None = None

    def begin(self, wanted: DownloadRequest, error: DiskFullError) -> None:
        """Wait until there is room for a file; this is said once until another file has come."""
        if not self._since:
            self._since, self._check_s = time.monotonic(), ROOM_CHECK_S
            words = "" if self._longest_s is None else f" up to {self._longest_s:g} s"
            if self._longest_s != 0:
                self._emit(Warned(f"{error.message}; the queue waits{words} for room"))
        self.error = error
        # A file that ends before that task begins forgets since when the disk is full.
        self._task = asyncio.create_task(self._look(wanted, error, self._since))

    def note_file(self) -> None:
        """Note that a file came: the next full disk is another one."""
        self._since = 0.0

    def end(self) -> None:
        """Stop waiting: whoever calls lets files try, or ends the run."""
        self.error, self._since = None, 0.0
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _look(self, wanted: DownloadRequest, error: DiskFullError, since: float) -> None:
        while True:
            wait_s = self._check_s
            if self._longest_s is not None:
                wait_s = min(wait_s, since + self._longest_s - time.monotonic())
            if wait_s <= 0:
                break
            await asyncio.sleep(wait_s)
            self._check_s = min(2 * self._check_s, LONGEST_ROOM_CHECK_S)
            if await asyncio.to_thread(self._has_room, wanted):
                self._emit(Noted("There is room on the disk; going on"))
                self.error = self._task = None
                self._go_on()
                return
        self.error = self._task = None
        self._since = 0.0
        self._give_up(error)
