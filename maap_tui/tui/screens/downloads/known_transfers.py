"""KnownTransfers: this app's transfers and those of other processes, one line a file, in order."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence

from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.queue_store import Process, QueueRow, dead_processes
from maap_tui.tui.screens.downloads.chosen import SLICE
from maap_tui.tui.screens.downloads.queue_follower import QueueNews
from maap_tui.tui.screens.downloads.transfer_order import TransferOrder
from maap_tui.tui.screens.downloads.transfers import Line


class KnownTransfers:
    """What is listed; a file that this app has and another process had is listed once, as this app's."""

    def __init__(self) -> None:
        self.order = TransferOrder()
        """All lines that are listed."""
        self.own: dict[str, Line] = {}
        """This app's lines, by URL."""
        self.live_elsewhere: dict[str, Line] = {}
        """Lines of other processes that have not ended, by path; also those that this app has."""
        self.is_out_of_order = False
        """Whether what is shown is not in the order of `order` any more; who shows it says that it is."""
        self._own_paths: set[str] = set()
        self._others: dict[str, Line] = {}
        self._dead: set[Process] = set()
        self._seen: Downloads | None = None

    def look_at(self, line: Line) -> None:
        """Update a line and its position."""
        line.update(self._dead)
        if line.job is not None or line.key not in self._own_paths:
            self.is_out_of_order |= self.order.put(line)

    def take_own(self, transfers: Downloads | None, seconds: float) -> bool:
        """Update this app's lines, for so long at most; returns whether there is more.

        Args:
            transfers: what the app fetches now; None for nothing, or when all was left to the worker.
            seconds: that it may take.
        """
        if transfers is None:
            if self._seen is not None:
                self._seen = None
                self.drop_own(list(self.own.values()))
            return False
        if transfers is not self._seen:
            self._seen = transfers
            self.order.take_all(self.own.values())
            self.own, self._own_paths = {}, set()
            transfers.watch_from_start()
        until = time.perf_counter() + seconds
        for count in itertools.count(1):
            change = transfers.take_change()
            if change is None:
                return False
            url, job = change
            line = self.own.get(url)
            if job is None:
                if line is not None:
                    self.drop_own([line])
            elif line is None or line.job is not job:
                if line is not None:
                    self.order.take(line)
                line = self.own[url] = Line(str(job.wanted.path), url, job=job)
                self._own_paths.add(line.key)
                self._drop_other(line.key)
                self.is_out_of_order |= self.order.put(line)
            else:
                self.look_at(line)
            if count % 50 == 0 and time.perf_counter() > until:
                return True
        return False

    def drop_own(self, lines: Sequence[Line]) -> None:
        """Remove this app's lines; a transfer of another process with the same path takes their place."""
        self.order.take_all(lines)
        for line in lines:
            del self.own[line.url]
            self._own_paths.discard(line.key)
        for line in lines:
            if (other := self._others.get(line.key)) is not None:
                self.look_at(other)
        self.is_out_of_order = True

    async def take_others(self, news: QueueNews) -> None:
        """Update the lines of other processes, some at a time."""
        if news.is_whole:
            self.order.take_all(self._others.values())
            self._others.clear()
            self.live_elsewhere.clear()
            self.is_out_of_order = True
        for begin in range(0, len(news.rows), SLICE):
            self._take_rows(news.rows[begin : begin + SLICE])
            await asyncio.sleep(0)
        live = [line.row for line in self.live_elsewhere.values() if line.row is not None]
        # A thread that is woken for nothing is most of what the app takes at rest.
        dead = await asyncio.to_thread(dead_processes, live, time.time()) if live else set()
        if dead != self._dead:
            self._dead = dead
            for count, line in enumerate(list(self.live_elsewhere.values())):
                self.look_at(line)
                if count % SLICE == 0:
                    await asyncio.sleep(0)

    def drop_others(self, lines: Sequence[Line]) -> None:
        """Remove lines of other processes."""
        self.order.take_all(lines)
        for line in lines:
            self._drop_other(line.key)
        self.is_out_of_order = True

    def _take_rows(self, rows: Sequence[QueueRow]) -> None:
        for row in rows:
            if row.is_mine:
                self.is_out_of_order |= self._drop_other(row.path)
                continue
            line = self._others.get(row.path)
            if line is None or line.url != row.url:
                self._drop_other(row.path)
                line = self._others[row.path] = Line(row.path, row.url, row=row)
            line.row = row
            self.look_at(line)
            if row.is_live:
                self.live_elsewhere[row.path] = line
            else:
                self.live_elsewhere.pop(row.path, None)

    def _drop_other(self, path: str) -> bool:
        self.live_elsewhere.pop(path, None)
        line = self._others.pop(path, None)
        if line is not None:
            self.order.take(line)
        return line is not None
