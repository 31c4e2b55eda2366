"""BranchActions: the long actions on a branch of the archive: count it into its catalogue, and sync it.

It belongs to the app, and continues when another mode is shown.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from textual.worker import Worker

from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.model import BaselineInfo
from maap_tui.text import clean, format_count, format_date, plural
from maap_tui.tui.synced import left_out_words
from maap_tui.tui.workers import start_worker

if TYPE_CHECKING:
    from maap_tui.engine.query import Query
    from maap_tui.tui.host import Host
    from maap_tui.tui.screens.browse.archive_tree import Branch


class BranchActions:
    """One count a collection and one sync a branch at a time; starting it again stops it."""

    def __init__(self, app: Host, *, counted: Callable[[str], None], synced: Callable[[], None]) -> None:
        """Take what to call.

        Args:
            app: whose engine works.
            counted: called with the collection when more of it was counted.
            synced: called when the registry changed.
        """
        self._app = app
        self._counted = counted
        self._synced = synced
        self._builds: dict[str, tuple[Branch, Worker[Any]]] = {}
        self._seen_counts: dict[str, int] = {}
        self._syncs: dict[Branch, Worker[Any]] = {}
        self.empty: dict[Branch, BaselineInfo] = {}
        """Baselines that were counted and hold nothing; a built catalogue has no entry for them."""

    def _say(self, sentence: str, severity: Any = "information") -> None:
        self._app.notify(clean(sentence), severity=severity, markup=False)

    def sentences(self) -> list[str]:
        """What is running."""
        parts = []
        for name, (branch, _) in self._builds.items():
            event = self._app.backend.counted.get(name)
            if event is None:
                parts.append(f"Counting {branch.title}: asking the archive. b stops it.")
                continue
            parts.append(
                f"Counting {branch.title}: {event.done} of {event.total}, last {event.product_type} "
                f"{event.baseline} {format_count(event.count)}. b stops it."
            )
        return parts + [f"Syncing {branch.title}: S stops it." for branch in self._syncs]

    def look(self) -> None:
        """Report collections of which more was counted since the last call."""
        for name in list(self._builds):
            event = self._app.backend.counted.get(name)
            if event is not None and self._seen_counts.get(name) != event.done:
                self._seen_counts[name] = event.done
                self._counted(name)

    def build(self, branch: Branch) -> None:
        """Count the baselines of a branch, or stop that."""
        assert branch.collection is not None
        running = self._builds.get(branch.collection)
        if running is not None:
            running[1].cancel()
            self._say(f"Stopped counting {running[0].title}. What was counted is kept; b goes on.")
            return
        self._app.backend.counted.pop(branch.collection, None)
        self._seen_counts.pop(branch.collection, None)
        # A worker of the app: it continues when another mode is shown.
        worker = start_worker(self._app, self._build, branch, group="build")
        self._builds[branch.collection] = (branch, worker)

    async def _build(self, branch: Branch) -> None:
        name = branch.collection
        assert name is not None
        try:
            _, failures = await self._app.backend.ask(
                lambda session: session.build_catalogue(
                    name, product_type=branch.product_type, baseline=branch.baseline
                )
            )
        finally:
            self._builds.pop(name, None)
            event = self._app.backend.counted.get(name)
            is_empty = branch.baseline is not None and event is not None and event.count == 0
            if is_empty:
                self.empty[branch] = BaselineInfo(None, None, None, None, 0, self._app.backend.session.now())
            else:
                self.empty.pop(branch, None)
            self._counted(name)
        done = event.total if event is not None else 0
        if failures:
            self._say(
                f"{plural(len(failures), 'baseline')} of {branch.title} could not be counted "
                f"({failures[0].reason}). b tries again.",
                "warning",
            )
        elif is_empty:
            self._say(f"The archive has nothing of {branch.title}.")
        else:
            self._say(f"Counted {plural(done, 'baseline')} of {branch.title}.")

    def sync(self, branch: Branch) -> None:
        """Ask how far back, then sync a branch; or stop that."""
        running = self._syncs.get(branch)
        if running is not None:
            running.cancel()
            self._say(f"Stopped the sync of {branch.title}. What was found is registered and queued.")
            return
        start_worker(self._app, self._sync, branch, group="sync")

    async def _sync(self, branch: Branch) -> None:
        from maap_tui.engine.query import Query
        from maap_tui.tui.dialogs.prompt import PromptDialog

        app = self._app
        words = branch.words
        given = await app.push_screen_wait(
            PromptDialog(
                f"Sync {words}: how many days back?",
                str(DEFAULT_DAYS_BACK),
                check=lambda text: _time_of(text, app.backend.session.now()),
                hint="A number, or a time such as 2025-12, 12h or missing 30d (the days with gaps).",
            )
        )
        if given is None:
            return
        now = app.backend.session.now()
        time = _time_of(given, now)
        query = Query(
            branch.collection or "",
            branch.product_type or "",
            branch.baseline,
            **time,
        )
        lines = await self._sync_lines(query)
        days = query.days_back
        span = f"the last {plural(days, 'day')}" if days and not query.missing else given.strip()
        question = clean(f"Sync {span} of {words}?")
        if not await app.confirm(question, lines=lines, verb="Sync", key="y"):
            return
        self._syncs[branch] = start_worker(app, self._run_sync, branch, query, group="sync")

    async def _sync_lines(self, query: Query) -> list[str]:
        """What a sync would mean, with counts."""
        session = self._app.backend.session
        assert query.time is not None
        lines = [f"Search from {format_date(query.time.start)} to {format_date(query.time.last_day)}"]
        try:
            count = await self._app.backend.ask(lambda opened: opened.search(query).total())
            lines.append(f"The archive has {plural(count, 'granule')} there")
        except MaapError as error:
            lines.append(f"The archive did not say how many: {error.message}")
        pending = await asyncio.to_thread(session.pending, query)
        lines.append(f"Registered before and still to download: {plural(len(pending.files), 'file')}")
        lines.append("What is new is registered, what is not here is queued in Downloads")
        lines.append(f"The same as: {query.to_command('sync')}")
        return lines

    async def _run_sync(self, branch: Branch, query: Query) -> None:
        try:
            report = await self._app.backend.sync(query)
        finally:
            self._syncs.pop(branch, None)
            self._synced()
        words = (
            f"Sync of {branch.title}: {plural(report.found, 'file')} found, {format_count(report.new)} new, "
            f"{format_count(report.pending)} queued."
        )
        rest = left_out_words([report])
        self._say(f"{words} {rest}".rstrip(), "warning" if rest else "information")


def _time_of(text: str, now: datetime) -> dict[str, Any]:
    """The fields of the query for what was typed: a number of days, or any time.

    Raises:
        InvalidRequestError: when it is neither.
    """
    from maap_tui.engine.time_words import read_time

    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= 6:
        text = f"{text}d"
    found = read_time(text, now)
    if found["time"].start >= now:
        raise InvalidRequestError(f"{text[:40]} lies in the future")
    return found
