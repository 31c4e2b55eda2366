"""BaselineActions: the actions on tracked files: queue, mark, clean up, check and record them.

Each is a coroutine that asks before something is destroyed, reports its progress through `Work`, and ends
when that is asked to stop.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from maap_tui.engine.integrity import strays, verify
from maap_tui.engine.integrity.strays import UntrackedFile
from maap_tui.engine.integrity.verify import Checked
from maap_tui.engine.query import Query
from maap_tui.engine.registry import view
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.cleanup import CleanupReport, deletable, delete_marked
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.view import FailedDownload, FileRow
from maap_tui.engine.session import Session
from maap_tui.engine.storage.layout import collection_of
from maap_tui.engine.workflows.coverage import Coverage, Gap, whole_days
from maap_tui.engine.workflows.sync import SyncReport
from maap_tui.text import clean, format_bytes, format_count, plural
from maap_tui.tui.host import Host
from maap_tui.tui.screens.registry.shares import BaselineRow
from maap_tui.tui.synced import ASK_ABOVE, left_out_words

T = TypeVar("T")

STOP_S = 0.2
"""Seconds between two looks whether a question to the archive is to be given up."""

BATCH = 500
"""Files processed before it is checked whether to stop."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an action is about: a baseline, one day of it, or files of that day."""

    key: Key
    day: date | None = None
    """None for all days."""
    files: tuple[FileRow, ...] | None = None
    """None for all files."""
    failures: tuple[FailedDownload, ...] | None = None
    """The failed downloads that are meant; None for all of the scope."""

    @property
    def words(self) -> str:
        """What it is, for sentences."""
        name = f"{self.key.product_type} {self.key.baseline}"
        return name if self.day is None else f"{name}, {self.day}"


@dataclass(slots=True)
class Work:
    """A long action that is running."""

    title: str
    total: int | None = None
    """How many things there are to do; None while unknown."""
    done: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> bool:
        return not self.stop.is_set()

    @property
    def words(self) -> str:
        count = format_count(self.done)
        if self.total is not None:
            count += f" of {format_count(self.total)}"
        return f"{self.title}: {count}" + ("; stopping" if self.stop.is_set() else "; esc stops it")


@dataclass(frozen=True, slots=True)
class MonthToDelete:
    """Marked files of one baseline and month that a cleanup would delete."""

    key: Key
    first: date
    """First day that was read."""
    last: date
    """Last day that was read."""
    files: list[tuple[Path, int]]
    """Each with its bytes."""


def words_of(scopes: Sequence[Scope]) -> str:
    """What they are, for sentences."""
    return scopes[0].words if len(scopes) == 1 else plural(len(scopes), "baseline")


class View(Protocol):
    """What the screen offers to the actions: it asks the user, and gets the results."""

    rows: dict[Key, BaselineRow]

    @property
    def maap(self) -> Host: ...

    def say(self, sentence: str, hint: str = "", *, severity: Any = "information") -> None: ...

    async def ask(self, question: str, *, lines: Sequence[str] = (), verb: str, key: str) -> bool: ...

    async def list_lines(
        self, title: str, lines: Sequence[str], *, verb: str = "", key: str = ""
    ) -> bool: ...

    async def choose_gaps(self, found: Coverage) -> Sequence[Gap]: ...

    async def read_again(self, keys: Iterable[Key]) -> None: ...


class BaselineActions:
    """Done for a view, which is asked and gets the results."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._undo: tuple[str, Scope, list[TrackedFile]] | None = None
        """What was marked or unmarked last, where one scope was meant."""

    @property
    def _session(self) -> Session:
        return self._view.maap.backend.session

    def _tracker(self, key: Key) -> BaselineRegistry:
        return self._session.registry.baseline(key)

    def _brief(self, path: Path | str) -> str:
        """A path in a list: the name is enough where the layout gives the rest."""
        is_dated = Path(path).is_relative_to(self._session.dirs.data_dir) and collection_of(path)
        return Path(path).name if is_dated else str(path)

    async def download(self, scopes: list[Scope], work: Work) -> None:
        """Queue what is pending."""
        tracked: list[TrackedFile] = []
        for scope in scopes:
            tracked += await asyncio.to_thread(self._pending, scope)
        if not tracked:
            self._view.say(f"Nothing is pending in {words_of(scopes)}.")
            return
        await self._queue(tracked, work)

    def _pending(self, scope: Scope) -> list[TrackedFile]:
        key = scope.key
        if scope.files is not None:
            return [
                TrackedFile(key, row.day, row.url, row.path)
                for row in scope.files
                if row.url
                and row.state in ("discovered", "failed", "missing")
                and not (row.failure and row.failure.is_skipped)
            ]
        return [file for file in self._view.maap.backend.pending(key) if scope.day in (None, file.day)]

    async def retry(self, scopes: list[Scope], work: Work) -> None:
        """Queue what failed."""
        tracked: list[TrackedFile] = []
        for scope in scopes:
            tracked += await asyncio.to_thread(self._failed, scope)
        if not tracked:
            self._view.say(f"Nothing failed in {words_of(scopes)}.")
            return
        await self._queue(tracked, work)

    def _failed(self, scope: Scope) -> list[TrackedFile]:
        tracker = self._tracker(scope.key)
        chosen = view.failures(tracker) if scope.failures is None else list(scope.failures)
        if skipped := sum(one.is_skipped for one in chosen):
            self._view.say(
                f"{plural(skipped, 'item')} of {scope.words} could not be used: there is no file to fetch. "
                "A sync of the day (S in 1) asks for them again."
            )
        chosen = [one for one in chosen if not one.is_skipped]
        unplaced = {one.url for one in chosen if one.day is None}
        days: dict[str, date] = {}
        if unplaced:
            days = {file.url: file.day for file in tracker.urls() if file.url in unplaced}
        found = []
        for one in chosen:
            day = one.day or days.get(one.url)
            if day is None:
                self._view.maap.backend.write_log(
                    "warning", f"Not tried again, as no day is known for it: {clean(one.url)}"
                )
            elif scope.day in (None, day):
                found.append(TrackedFile(scope.key, day, one.url))
        return found

    async def find_gaps(self, key: Key, work: Work) -> None:
        """Compare a baseline with the archive, and fetch the gaps that are chosen."""
        names = key.collection, key.product_type, key.baseline
        found = await self._unless_stopped(work, lambda session: session.coverage(Query(*names)))
        if found is None:
            return
        chosen = await self._view.choose_gaps(found)
        count = sum(gap.missing for gap in chosen)
        if count > ASK_ABOVE and not await self._view.ask(
            f"Queue {plural(count, 'granule')} of {key.product_type} {key.baseline}?", verb="Queue", key="y"
        ):
            return
        reports: list[SyncReport] = []
        work.title, work.total = "Searching gaps", len(chosen)
        for gap in chosen:
            if not work.go_on():
                break
            query = Query(*names, time=whole_days(gap.first, gap.last))
            reports.append(await self._view.maap.backend.sync(query))
            work.done += 1
        if not chosen:
            return
        words = f"{plural(sum(one.pending for one in reports), 'file')} queued."
        if left := len(chosen) - len(reports):
            words += f" Stopped: {plural(left, 'gap')} left."
        if rest := left_out_words(reports):
            self._view.say(f"{words} {rest}", severity="warning")
        else:
            self._view.say(words, "3 shows them.")

    async def _unless_stopped(
        self, work: Work, asked: Callable[[Session], Coroutine[Any, Any, T]]
    ) -> T | None:
        """Ask the engine; None once esc stopped it."""
        task = asyncio.ensure_future(self._view.maap.backend.ask(asked))
        while not task.done():
            if not work.go_on():
                task.cancel()
                await asyncio.wait({task})
                return None
            await asyncio.wait({task}, timeout=STOP_S)
        return await task

    async def _queue(self, tracked: Sequence[TrackedFile], work: Work, *, again: bool = False) -> None:
        """Queue files of the registry; ask first when they are very many."""
        if len(tracked) > ASK_ABOVE and not await self._view.ask(
            f"Queue {plural(len(tracked), 'file')} for download?", verb="Queue", key="y"
        ):
            return
        work.title, work.total, work.done = "Queueing", len(tracked), 0
        new, refused = 0, 0
        for batch in _batches(tracked):
            counts = await self._view.maap.backend.queue_tracked(batch, again=again)
            new, refused = new + counts[0], refused + counts[1]
            work.done += len(batch)
            if not work.go_on():
                break
        baselines = list(dict.fromkeys(f"{file.key.product_type} {file.key.baseline}" for file in tracked))
        whose = baselines[0] if len(baselines) == 1 else plural(len(baselines), "baseline")
        words = f"Queued {plural(new, 'file')} of {whose}."
        others = work.done - new - refused
        words += f" {others} in the queue already." if others else ""
        words += f" {refused} refused: see the log with 5." if refused else ""
        self._view.say(words, "3 shows the queue.", severity="warning" if refused else "information")

    async def mark(self, scopes: list[Scope], work: Work) -> None:
        """Mark what is downloaded, or what `unmark` unmarked last."""
        if (last := self._last("unmark", scopes)) is not None:
            await self._change_marks("mark", scopes, last, work)
            return
        found: list[TrackedFile] = []
        for scope in scopes:
            found += await asyncio.to_thread(self._unmarked, scope)
        if not found:
            self._view.say(
                f"No unmarked file is here in {words_of(scopes)}: only what was downloaded is marked."
            )
            return
        are_whole = any(scope.day is None and scope.files is None for scope in scopes)
        if (
            are_whole
            and len(found) > 1
            and not await self._view.ask(
                f"Mark {plural(len(found), 'file')} of {words_of(scopes)} as processed?",
                lines=[self._brief(file.path) for file in found],
                verb="Mark",
                key="y",
            )
        ):
            return
        await self._change_marks("mark", scopes, found, work)

    def _last(self, verb: str, scopes: list[Scope]) -> list[TrackedFile] | None:
        """The files marked or unmarked last, if the last action was that one and had the same scope."""
        if self._undo is None or self._undo[0] != verb or [self._undo[1]] != scopes:
            return None
        return self._undo[2]

    def _unmarked(self, scope: Scope) -> list[TrackedFile]:
        if scope.files is not None:
            states = ("downloaded", "missing")
            rows = [row for row in scope.files if row.path and row.state in states]
            return [TrackedFile(scope.key, row.day, row.url, row.path) for row in rows]
        return self._tracker(scope.key).pending_marks(scope.day, scope.day)

    async def unmark(self, scopes: list[Scope], work: Work) -> None:
        """Remove marks; those that `mark` made last without a question."""
        if (last := self._last("mark", scopes)) is not None:
            await self._change_marks("unmark", scopes, last, work)
            return
        found: list[TrackedFile] = []
        for scope in scopes:
            found += await asyncio.to_thread(self._marks_in, scope)
        if not found:
            self._view.say(f"No file is marked in {words_of(scopes)}.")
            return
        if len(found) > 1 and not await self._view.ask(
            f"Take the marks of {plural(len(found), 'file')} of {words_of(scopes)} away?",
            lines=[self._brief(file.path) for file in found],
            verb="Unmark",
            key="y",
        ):
            return
        await self._change_marks("unmark", scopes, found, work)

    def _marks_in(self, scope: Scope) -> list[TrackedFile]:
        if scope.files is not None:
            rows = [row for row in scope.files if row.state in ("marked", "deleted")]
            return [TrackedFile(scope.key, row.day, row.url, row.path) for row in rows]
        found = self._tracker(scope.key).marked(scope.day, scope.day)
        return [TrackedFile(scope.key, day, "", path) for path, day in found]

    async def _change_marks(
        self, verb: str, scopes: list[Scope], files: Sequence[TrackedFile], work: Work
    ) -> None:
        """Mark or unmark, and remember exactly that, so that it can be taken back."""
        work.total, work.done = len(files), 0
        changed = 0
        self._undo = None
        done: list[TrackedFile] = []
        for key, group in groupby(files, key=lambda file: file.key):
            tracker = self._tracker(key)
            change = tracker.mark if verb == "mark" else tracker.unmark
            for batch in _batches(list(group)):
                if not work.go_on():
                    break
                changed += await asyncio.to_thread(change, [(file.path, file.day) for file in batch])
                done += batch
                work.done += len(batch)
        if len(scopes) == 1:
            self._undo = (verb, scopes[0], done)
        await self._view.read_again(dict.fromkeys(file.key for file in done))
        count = f"{plural(changed, 'file')} of {words_of(scopes)}"
        if len(done) < len(files):
            count += f" (stopped: {format_count(len(files) - len(done))} left)"
        if verb == "mark":
            hint = "u takes it back." if self._undo else "u unmarks."
            self._view.say(f"Marked {count} as processed.", hint)
        else:
            self._view.say(f"Unmarked {count}.", "m marks them again." if self._undo else "")

    async def clean_up(self, scopes: list[Scope], work: Work) -> None:
        """Delete marked files, after they were listed and confirmed."""
        plan: list[MonthToDelete] = []
        refused: list[tuple[str, str]] = []
        for scope in scopes:
            await asyncio.to_thread(self._find_deletable, scope, work, plan, refused)
        if not work.go_on():
            self._view.say(f"Stopped; nothing of {words_of(scopes)} was deleted.")
            return
        files = [file for month in plan for file in month.files]
        size = sum(count for _, count in files)
        kept = [f"kept       {path}  ({reason})" for path, reason in refused]
        if not files:
            if refused:
                await self._view.list_lines("Nothing can be deleted", kept)
            else:
                self._view.say(
                    f"No marked file of {words_of(scopes)} is on disk; only marked files are deleted."
                )
            return
        question = f"Delete {plural(len(files), 'marked file')} of {words_of(scopes)}, {format_bytes(size)}?"
        lines = [f"{format_bytes(count):>9}  {self._brief(path)}" for path, count in files]
        if not await self._view.ask(question, lines=lines + kept, verb="Delete", key="y"):
            self._view.say(f"Nothing of {words_of(scopes)} was deleted.")
            return
        work.title, work.total, work.done = "Deleting", len(files), 0
        deleted, freed = 0, 0
        failed: list[tuple[str, str]] = []
        for month in plan:
            for batch in _batches(month.files, 100):
                if not work.go_on():
                    break
                report = await asyncio.to_thread(self._delete, month, batch)
                deleted += len(report.deleted)
                freed += report.bytes
                failed += [one for one in report.refused if one not in refused]
                work.done += len(batch)
        words = f"Deleted {plural(deleted, 'file')} of {words_of(scopes)}, {format_bytes(freed)}."
        if deleted < len(files):
            words += f" {len(files) - deleted} were kept."
        self._view.say(words, f"The journal is {self._session.dirs.journal_file}")
        if failed:
            await self._view.list_lines(
                "These could not be deleted", [f"{path}  ({reason})" for path, reason in failed]
            )

    def _find_deletable(
        self, scope: Scope, work: Work, plan: list[MonthToDelete], refused: list[tuple[str, str]]
    ) -> None:
        """Add what a cleanup of the scope would delete, and what it refuses to, month by month."""
        tracker, data_dir = self._tracker(scope.key), self._session.dirs.data_dir
        days = [day.day for day in tracker.days(scope.day, scope.day) if day.marked]
        work.total = (work.total or 0) + len(days)
        chosen = None if scope.files is None else {row.path for row in scope.files}
        real = {os.path.realpath(path) for path in chosen or ()}
        for _, month in groupby(days, key=lambda day: (day.year, day.month)):
            if not work.go_on():
                return
            listed = list(month)
            found = deletable(tracker, data_dir, listed[0], listed[-1])
            files = [file for file in found.files if chosen is None or str(file[0]) in real]
            if files:
                plan.append(MonthToDelete(scope.key, listed[0], listed[-1], files))
            refused += [one for one in found.refused if chosen is None or one[0] in chosen]
            refused += [one for one in found.held if chosen is None or one[0] in real]
            work.done += len(listed)

    def _delete(self, month: MonthToDelete, batch: Sequence[tuple[Path, int]]) -> CleanupReport:
        """Delete what was confirmed, as far as it is still marked."""
        dirs = self._session.dirs
        return delete_marked(
            self._tracker(month.key),
            dirs.data_dir,
            dirs.journal_file,
            start=month.first,
            end=month.last,
            only={path for path, _ in batch},
        )

    async def check(self, scopes: list[Scope], work: Work) -> None:
        """Verify the files on disk."""
        work.total = 0
        bad: list[Checked] = []
        deleted = 0
        evidence: Counter[str] = Counter()
        for scope in scopes:
            row = self._view.rows.get(scope.key)
            days = row.summary.days if row is not None and row.summary is not None else []
            if scope.files is not None:
                work.total += sum(one.state not in ("discovered", "failed") for one in scope.files)
            else:
                work.total += sum(day.downloaded for day in days if scope.day in (None, day.day))
        for scope in scopes:
            for one in await asyncio.to_thread(self._check_scope, scope, work, evidence):
                if one.verdict.state == verify.DELETED:
                    deleted += 1
                else:
                    bad.append(one)
        words = f"Verified {plural(work.done, 'file')} of {words_of(scopes)}"
        words += "" if work.go_on() else " (stopped)"
        words += f", {format_count(deleted)} of them deleted by a clean-up" if deleted else ""
        words += f": {verify.outcome_words(len(bad), evidence)}"
        if not bad:
            self._view.say(f"{words}.")
            return
        self._view.maap.backend.write_log("warning", words)
        lines = [
            f"{one.verdict.state:10} {self._brief(one.file.path)}  ({one.verdict.reason})" for one in bad
        ]
        if await self._view.list_lines(words, lines, verb="fetch them again", key="f"):
            await self._queue([one.file for one in bad], work, again=True)

    def _check_scope(self, scope: Scope, work: Work, evidence: Counter[str]) -> list[Checked]:
        """Verify the scope's files on disk, and count the evidence; returns those that are not good."""
        session = self._session
        found = []
        for one in verify.verify(
            session.registry,
            session.hashes,
            [scope.key],
            first_day=scope.day,
            last_day=scope.day,
            urls=None if scope.files is None else {row.url for row in scope.files},
        ):
            work.done += 1
            if one.verdict.state == verify.GOOD:
                evidence[one.verdict.evidence] += 1
            else:
                found.append(one)
            if not work.go_on():
                break
        return found

    async def rebuild(self, keys: list[Key], work: Work) -> None:
        """Record files on disk that the registry does not know; for no baselines, of all."""
        data_dir = self._session.dirs.data_dir
        unread = strays.Unread()
        if not keys:
            keys = await asyncio.to_thread(strays.keys_on_disk, data_dir, unread)
        whose = words_of([Scope(key) for key in keys]) if keys else "any baseline"
        found: list[UntrackedFile] = []
        for key in keys:
            found += await asyncio.to_thread(self._strays, key, data_dir, work, unread)
        if not work.go_on():
            self._view.say(f"Stopped; nothing of {whose} was recorded.")
            return
        known = [one for one in found if one.url and one.is_whole]
        lines = [f"{'record':10} {self._brief(one.path)}" for one in known]
        lines += [f"{'not whole':10} {self._brief(one.path)}" for one in found if not one.is_whole]
        unknown = [one.path for one in found if not one.url and one.is_whole]
        lines += [f"{'unknown':10} {self._brief(path)}" for path in unknown]
        hidden = [f"{'not read':10} {path}  ({reason})" for path, reason in unread.found.items()]
        lines += hidden
        others = len(found) - len(known) - len(unknown)
        rest = f"{len(unknown)} have no known address, {others} are not whole."
        if hidden:
            how_many = plural(len(hidden), "file or folder", "files or folders")
            rest += f" {how_many} on disk cannot be read: what is in there is not counted."
            self._view.maap.backend.write_log(
                "warning", f"Looking at the files on disk: {how_many} cannot be read"
            )
        if not found and hidden:
            await self._view.list_lines(f"No file was found that can be recorded. {rest}", lines)
        elif not found:
            self._view.say(
                f"Looked at {plural(work.done, 'file')} of {whose} on disk: the registry knows all of them."
            )
        elif not known:
            await self._view.list_lines(
                f"Nothing can be recorded: {rest} To find their URLs, search for the days (2), "
                "register the results (w), and come back.",
                lines,
            )
        elif await self._view.ask(
            f"Record {plural(len(known), 'file')} found on disk as downloaded? {rest}",
            lines=lines,
            verb="Record",
            key="y",
        ):
            work.title, work.total, work.done = "Recording", len(known), 0
            count = await asyncio.to_thread(self._record, known, work)
            self._view.say(f"Recorded {plural(count, 'file')} of {whose} as downloaded. {rest}")

    def _strays(self, key: Key, data_dir: Path, work: Work, unread: strays.Unread) -> list[UntrackedFile]:
        filing = self._session.filing
        found = []
        looked_at = strays.strays(
            self._tracker(key), data_dir, lambda file: filing.request_of_tracked(file).path.name, unread
        )
        for one in looked_at:
            if not work.go_on():
                break
            work.done += 1
            if one is not None:
                found.append(one)
        return found

    def _record(self, found: Sequence[UntrackedFile], work: Work) -> int:
        count = 0
        for one in found:
            if not work.go_on():
                break
            count += self._tracker(one.key).record(one.url, one.path, one.day)
            work.done += 1
        return count


def _batches(items: Sequence[Any], size: int = BATCH) -> Iterable[list[Any]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
