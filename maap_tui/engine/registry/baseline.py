"""The text-file registry: what was discovered, downloaded, marked as processed, and what failed.

The rule: a line that was acknowledged stays, whole and once, whoever else writes the files at the
same time; a damaged line or file is stepped over and reported, never fatal. The format is that of
maap-client 0.2.1 (docs/files-and-registry.md, The registry), and both may use one registry.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from maap_tui.engine.errors import InvalidRequestError, UnreadableError
from maap_tui.engine.registry.appends import Appends
from maap_tui.engine.registry.counter import Counter, Pair
from maap_tui.engine.registry.counts import Side, StatsCache
from maap_tui.engine.registry.damage import DamageLog
from maap_tui.engine.registry.days import DayFiles
from maap_tui.engine.registry.deletions import DeletedFiles, Deletions
from maap_tui.engine.registry.entries import (
    TREES,
    Added,
    DayStats,
    Key,
    Kind,
    Stats,
    TrackedFile,
)
from maap_tui.engine.registry.errors_file import ErrorsFile
from maap_tui.engine.registry.lines import (
    MISSING_FOR,
    SKIPPED,
    error_text,
    first_to_second,
    is_skipped,
    missing_since,
)
from maap_tui.engine.registry.memory import DayMemory
from maap_tui.engine.registry.searched import Days, SearchedDays
from maap_tui.engine.registry.tree import (
    lock_file,
    locked,
)
from maap_tui.engine.storage import files
from maap_tui.engine.storage.names import path_fault, url_fault

if TYPE_CHECKING:
    from maap_tui.engine.events import Emit, RegistryDamaged


class BaselineRegistry:
    """The registry of one baseline of one product.

    Methods that write hold the baseline's lock while they write and no longer, and return when what
    they wrote would survive a power cut. All methods may be called from any thread.

    Args:
        root: The registry folder, shared by all baselines.
        key: Which baseline.
        cache: Where counts are kept between processes; None keeps them in memory only.
        deletions: The lists of files that clean-ups deleted; None keeps no lists.
        searched: The lists of days that whole searches looked at; None keeps no lists.
        lock_timeout_s: Longest wait for another writer, in seconds, before LockedError.
        on_wait: Called with a sentence about a writer that is waited for longer than `events.LONG_WAIT_S`.
        emit: Takes one event for each file that cannot be read whole, once as long as it stays so.
    """

    def __init__(
        self,
        root: Path,
        key: Key,
        *,
        cache: StatsCache | None = None,
        deletions: Deletions | None = None,
        searched: SearchedDays | None = None,
        lock_timeout_s: float = 30.0,
        on_wait: Callable[[str], None] | None = None,
        emit: Emit = lambda event: None,
    ) -> None:
        self.root = root
        self.key = key
        self._searched = searched
        self._lock_timeout_s = lock_timeout_s
        self._on_wait = on_wait
        self._damage = DamageLog(root, emit)
        memory = DayMemory()
        self._days = DayFiles(root, key, self._damage, memory)
        self._appends = Appends(self._days, self._damage, memory)
        self._deleted = DeletedFiles(deletions, str(key), self._damage)
        self._errors = ErrorsFile(self.folder("dwl") / "errors.txt", self._damage)
        self._counter = Counter(root, key, self._days, self._deleted, self._damage, cache)

    @property
    def errors_file(self) -> Path:
        """Where failed downloads are listed."""
        return self._errors.path

    def folder(self, kind: Kind) -> Path:
        """Return the folder of the day files of a kind."""
        return self._days.folder(kind)

    @property
    def deletions_folder(self) -> Path | None:
        """Folder with the lists of deleted files; None if no lists are kept."""
        return self._deleted.folder

    def searched_days(self) -> list[Days]:
        """Runs of days that whole searches looked at, in order."""
        return self._searched.load(str(self.key)) if self._searched is not None else []

    def note_searched(self, days: Days) -> None:
        """Note that a whole search looked at a run of days."""
        if self._searched is not None:
            self._searched.add(str(self.key), days)

    def day_file(self, kind: Kind, day: date) -> Path:
        """Return the file with the lines of a day."""
        return self._days.path(kind, day)

    @property
    def lock_files(self) -> tuple[Path, Path]:
        """The lock file of writers, and that of earlier versions, which may not exist."""
        return lock_file(self.root, "write", self.key), self.folder("dwl") / ".lock"

    def locked(self, purpose: str, timeout_s: float | None = None) -> contextlib.AbstractContextManager[None]:
        """Hold the lock of writers.

        Args:
            purpose: what for; writers that wait show it.
            timeout_s: longest wait in seconds; None as for all that writes.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        wait_s = self._lock_timeout_s if timeout_s is None else timeout_s
        # maap-client takes the folders of this tree for the list of what is tracked.
        files.make_folder(self.folder("dwl"))
        return locked(*self.lock_files, wait_s, purpose, str(self.folder("dwl")), self._on_wait)

    def add(self, tracked: Iterable[TrackedFile]) -> Added:
        """Register files of this baseline as discovered; what is registered already stays as it is.

        Returns:
            How many were new, and those refused because they cannot be one line of the file.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        refused: list[tuple[TrackedFile, str]] = []
        days: dict[date, dict[bytes, str]] = {}
        for file in tracked:
            reason = file.fault
            if file.key != self.key:
                reason = f"it is of {file.key}"
            if reason:
                refused.append((file, reason))
            else:
                lines = days.setdefault(file.day, {})
                lines.setdefault(file.url.encode(), f"{file.url}|{file.path}")
        if not days:
            return Added(0, refused)
        new = 0
        with self.locked("registering files"):
            for day, lines in sorted(days.items()):
                try:
                    new += self._appends.append("url", day, lines)
                except UnreadableError as error:
                    # One day that cannot be read must not keep the others from being registered.
                    for line in lines.values():
                        url, _, path = line.partition("|")
                        refused.append((TrackedFile(self.key, day, url, path), error.message))
                self._appends.forget_oldest()
        return Added(new, refused)

    def record(self, url: str, path: Path | str, day: date) -> bool:
        """Record a finished download, once a URL, and take the URL off the list of errors.

        Returns:
            Whether it was not recorded before.

        Raises:
            InvalidRequestError: the URL or the path cannot be one line of the file.
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        return self.record_all([TrackedFile(self.key, day, url, str(path))]) > 0

    def record_all(self, downloads: Iterable[TrackedFile]) -> int:
        """As `record`, of several downloads of this baseline.

        Returns:
            How many were not recorded before.

        Raises:
            InvalidRequestError: one cannot be one line of the file; nothing was recorded.
            LockedError: another writer held the baseline too long; nothing was recorded.
            StorageError: the registry cannot be written; some may be recorded.
        """
        days: dict[date, dict[bytes, str]] = {}
        for one in downloads:
            _demand(url_fault(one.url) or path_fault(one.path), one.url)
            days.setdefault(one.day, {})[one.url.encode()] = f"{one.url}|{one.path}"
        new = 0
        with self.locked("recording a download"):
            # The errors go first: an end of the process between the two leaves files that are still pending,
            # and never one that is downloaded and failed at once, which nothing would fix.
            self._errors.drop({first for lines in days.values() for first in lines})
            for day, lines in sorted(days.items()):
                new += self._appends.append("dwl", day, lines)
            self._appends.forget_oldest()
        for day, lines in days.items():
            deleted = self.deleted(day)
            here = [line.partition("|")[2] for line in lines.values()] if deleted else []
            if again := [path for path in here if path in deleted]:
                self.settle_deleted(day, deleted=(), here=again)
        return new

    def record_error(
        self, url: str, reason: str, *, code: int | None = None, tries: int = 1, at: datetime | None = None
    ) -> None:
        """List a failed download, in the place of an earlier failure of the same URL.

        Args:
            url: The file that could not be downloaded.
            reason: What happened; made safe for one line and cut to fit.
            code: HTTP status, None when there was none.
            tries: How often it was tried in this run.
            at: When it was given up; None is now.

        Raises:
            InvalidRequestError: the URL cannot be one line of the file.
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        _demand(url_fault(url), url)
        line = f"{url}|{error_text(reason, code, tries, at or datetime.now(UTC))}"
        with self.locked("recording a failure"):
            self._errors.put({url.encode(): line})

    def skipped(self) -> list[str]:
        """List the addresses of items that `record_skipped` listed."""
        return [url for url, text in self.errors().items() if is_skipped(text)]

    def record_skipped(self, listed: Mapping[str, str], gone: Iterable[str] = ()) -> list[tuple[str, str]]:
        """List items that could not be used among the errors, by their own addresses.

        Args:
            listed: Address -> why it could not be used.
            gone: Addresses to take off the list.

        Returns:
            The addresses that cannot be one line of the file, each with the reason.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        refused = [(url, fault) for url in listed if (fault := url_fault(url))]
        now = datetime.now(UTC)
        wrong = {url for url, _ in refused}
        lines = {
            url.encode(): f"{url}|{error_text(f'{SKIPPED}{reason}', None, 1, now)}"
            for url, reason in listed.items()
            if url not in wrong
        }
        no_more = {url.encode() for url in gone}
        if lines or no_more:
            with self.locked("recording skipped items"):
                try:
                    self._errors.put(lines, no_more)
                except UnreadableError as error:
                    return [(url, error.message) for url in listed]
        return refused

    def mark(self, paths: Iterable[tuple[str, date]]) -> int:
        """Mark downloaded files as processed, each path once.

        Returns:
            How many were not marked before.

        Raises:
            InvalidRequestError: a path cannot be one line of the file; nothing was marked.
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        days = self._by_day(paths)
        if not days:
            return 0
        with self.locked("marking files"):
            return self._appends.add("mrk", days)

    def unmark(self, paths: Iterable[tuple[str, date]]) -> int:
        """Remove marks; comments and the order of the other lines stay.

        Returns:
            How many were marked before.

        Raises:
            InvalidRequestError: a path cannot be one line of the file; nothing was changed.
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        days = self._by_day(paths)
        if not days:
            return 0
        with self.locked("unmarking files"):
            return sum(self._appends.drop("mrk", day, set(lines)) for day, lines in sorted(days.items()))

    def reassert(self) -> int:
        """Write lines of this object again that another program lost when it rewrote a file.

        Returns:
            How many lines were missing.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        if not self._appends:
            return 0
        with self.locked("checking the registry"):
            return self._appends.reassert()

    def deleted(self, day: date) -> frozenset[str]:
        """Return the files of a day that clean-ups deleted, without a look at the disk."""
        return frozenset(map(os.fsdecode, self._deleted.of(day)[0]))

    def settle_deleted(self, day: date, deleted: Iterable[str], here: Iterable[str]) -> None:
        """Record which marked files a look at the disk found deleted, or here again."""
        known = self.deleted(day)
        self.note_deleted(
            day, [path for path in deleted if path not in known], [path for path in here if path in known]
        )

    def note_deleted(self, day: date, paths: Iterable[str], back: Iterable[str] = ()) -> None:
        """Record marked files that a clean-up deleted, or that are here again; report what prevents it."""
        self._deleted.note(day, paths, back)

    def _by_day(self, paths: Iterable[tuple[str, date]]) -> dict[date, dict[bytes, str]]:
        days: dict[date, dict[bytes, str]] = {}
        for path, day in paths:
            _demand(mark_fault(path), path)
            days.setdefault(day, {})[path.encode()] = path
        return days

    def urls(self, start: date | None = None, end: date | None = None) -> Iterator[TrackedFile]:
        """Yield the discovered files of some days, both ends included, day by day."""
        return self._tracked("url", start, end)

    def downloads(self, start: date | None = None, end: date | None = None) -> Iterator[TrackedFile]:
        """Yield the downloaded files of some days, both ends included, day by day."""
        return self._tracked("dwl", start, end)

    def marked(self, start: date | None = None, end: date | None = None) -> Iterator[tuple[str, date]]:
        """Yield the marked paths of some days, both ends included, day by day."""
        for day, paths in self._days.listing("mrk", start, end).items():
            for path in first_to_second(self._days.lines("mrk", self._days.contents(paths))):
                yield path.decode(), day

    def _tracked(self, kind: Kind, start: date | None, end: date | None) -> Iterator[TrackedFile]:
        for day, paths in self._days.listing(kind, start, end).items():
            lines = self._days.lines(kind, self._days.contents(paths))
            for url, path in first_to_second(lines).items():
                yield TrackedFile(self.key, day, url.decode(), path.decode())

    def pending_downloads(self, start: date | None = None, end: date | None = None) -> list[TrackedFile]:
        """List what was discovered and is not downloaded, by day and URL.

        A day whose list of downloads cannot be read has nothing pending: all of it would be fetched again.
        """
        return self._pending("downloads", start, end)

    def pending_marks(self, start: date | None = None, end: date | None = None) -> list[TrackedFile]:
        """List what was downloaded to a known path that is not marked, by day and path.

        A day whose list of marks cannot be read has nothing pending: all of it would be processed again.
        """
        return self._pending("marks", start, end)

    def pending_days(
        self, side: Side, start: date | None = None, end: date | None = None
    ) -> Iterator[tuple[date, list[Pair]]]:
        """Yield the days that have files in `pending_downloads` or `pending_marks`, each with those of it."""
        return self._counter.pending(side, start, end)

    def _pending(self, side: Side, start: date | None, end: date | None) -> list[TrackedFile]:
        days = self.pending_days(side, start, end)
        return [TrackedFile(self.key, day, url, path) for day, pairs in days for url, path in pairs]

    def stats(self, start: date | None = None, end: date | None = None) -> Stats:
        """Count the files of some days, both ends included; None is the first or the last day there is."""
        total = [0, 0, 0, 0, 0, 0]
        for _, counts in self._counter.count(start, end):
            total = [sum(pair) for pair in zip(total, counts, strict=True)]
        discovered, downloaded, marked, pending_downloads, pending_marks, deleted = total
        return Stats(
            discovered,
            downloaded,
            marked,
            len(self._errors.lines()),
            pending_downloads,
            pending_marks,
            deleted,
        )

    def days(self, start: date | None = None, end: date | None = None) -> list[DayStats]:
        """Count each day that has files in the registry, in order."""
        return [DayStats(day, *counts) for day, counts in self._counter.count(start, end)]

    def errors(self) -> dict[str, str]:
        """List the URLs whose last download failed, each with when and why."""
        return {url.decode(): text.decode() for url, text in self._errors.lines().items()}

    def missing(self, now: datetime) -> dict[str, datetime]:
        """List the URLs that the archive said within the last day it does not have, each with when."""
        found = {url: missing_since(text) for url, text in self.errors().items()}
        return {url: at for url, at in found.items() if at and timedelta(0) <= now - at < MISSING_FOR}

    @property
    def damage(self) -> list[RegistryDamaged]:
        """The damaged files and folders that were read, by path."""
        return self._damage.listed()

    def is_unreadable(self, day: date, kinds: Iterable[Kind] = tuple(TREES)) -> bool:
        """Whether files of a day were there and could not be read, when they were read last."""
        return self._days.is_unreadable(day, kinds)


def mark_fault(path: str) -> str:
    """Say why a path cannot be a line of a list of marked files; '' when it can."""
    fault = path_fault(path) or ("it is empty" if not path else "")
    fault = fault or ("it starts with #" if path.startswith("#") else "")
    return fault or ("it starts with a blank" if path != path.lstrip() else "")


def _demand(fault: str, text: str) -> None:
    if fault:
        raise InvalidRequestError(f"Cannot register {text[:200]!a}: {fault}")
