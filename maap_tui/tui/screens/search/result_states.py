"""ResultStates: updates the states of results from registry, disk and queue, a slice at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from datetime import date

from maap_tui.engine.download.queue_store import LIVE
from maap_tui.engine.session import Session
from maap_tui.engine.workflows.presence import by_day, look_at_disk
from maap_tui.tui.host import Host
from maap_tui.tui.screens.search.results import Result, result_key, with_queue
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.workers import start_worker

SLICE = 5000
"""Rows processed before keys are handled."""


class ResultStates:
    """Finds states again that may have changed, in a worker of its screen."""

    def __init__(self, app: Host, rows: RowList) -> None:
        self._app = app
        self._rows = rows
        self._unlooked: deque[Result] = deque()
        self._by_day: dict[date, list[Result]] = {}
        self._live: set[str] = set()
        self._counts_seen: tuple[int, ...] = ()
        self.is_looking = False
        """Whether states are being found."""
        self.version = 0
        """Grows with every change of a state."""

    def clear(self) -> None:
        """Forget all results."""
        self._unlooked.clear()
        self._by_day = {}

    def add(self, rows: Sequence[Result]) -> None:
        """Find the states of new results."""
        for row in rows:
            self._by_day.setdefault(row.granule.day, []).append(row)
        self.look_again(rows)

    def expect(self, urls: Iterable[str], rows: Sequence[Result]) -> None:
        """Note that files of these results were queued: one may end before the next update."""
        self._live |= set(urls)
        self._counts_seen = ()
        self.look_again(rows)

    def look_at_all(self) -> None:
        """Find every state again: anything may have changed."""
        self._unlooked.clear()
        self.look_again(self._rows.rows)

    def follow_transfers(self) -> None:
        """Find the states again of the days of files that were queued, ended or were cancelled."""
        transfers = self._app.backend.transfers
        if transfers is None:
            return
        now = self._app.backend.tally.snapshot()
        counts = (now.queued, now.finished, now.skipped, now.failed)
        if counts == self._counts_seen:
            return
        self._counts_seen = counts
        jobs = {job.wanted.url: job for job in transfers.job_list()}
        live = {url for url, job in jobs.items() if job.state in LIVE and job.wanted.key is not None}
        days = {job.wanted.day for url in live ^ self._live if (job := jobs.get(url)) and job.wanted.day}
        self._live = live
        self.look_again([row for day in days for row in self._by_day.get(day, ())])

    def look_again(self, rows: Sequence[Result]) -> None:
        """Find the states of results again."""
        self._unlooked.extend(rows)
        if self._unlooked and not self.is_looking:
            self.is_looking = True
            start_worker(self._rows.screen, self._look, group="states")

    async def _look(self) -> None:
        """Find the states of the rows that wait for it, a slice at a time."""
        session = self._app.backend.session
        try:
            while self._unlooked:
                batch = [self._unlooked.popleft() for _ in range(min(SLICE, len(self._unlooked)))]
                found = await asyncio.to_thread(_states_of, session, batch)
                transfers = self._app.backend.transfers
                jobs = transfers.jobs if transfers is not None else {}
                changed = []
                for row, on_disk, is_here in found:
                    state = with_queue(row, on_disk, jobs)
                    if (state, is_here) != (row.state, row.is_here):
                        row.state, row.is_here = state, is_here
                        changed.append(result_key(row))
                if changed:
                    self._rows.refresh_rows(changed, ["state"])
                    self.version += 1
        finally:
            self.is_looking = False


def _states_of(session: Session, rows: Sequence[Result]) -> list[tuple[Result, str, bool]]:
    elsewhere = {row.url for row in session.queue.load(ended=False) if not row.is_mine}
    return look_at_disk(session, by_day(session, rows), queued=elsewhere)
