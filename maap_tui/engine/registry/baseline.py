"""The text-file registry: what was discovered, downloaded, marked as processed, and what failed.

The rule: a line that was acknowledged stays, whole and once, whoever else writes the files at the
same time; a damaged line or file is stepped over and reported, never fatal. The format is that of
maap-client 0.2.1 (docs/files-and-registry.md, The registry), and both may use one registry.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from maap_tui.engine.errors import InvalidRequestError, StorageError, UnreadableError
from maap_tui.engine.events import Emit, RegistryDamaged, ignore
from maap_tui.engine.registry.counts import Counted, Counts, StatsCache, count_day, signature_of
from maap_tui.engine.registry.damage import DamageLog
from maap_tui.engine.registry.deletions import Deletions, deleted_of
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
    Lines,
    error_text,
    first_to_second,
    firsts,
    is_skipped,
    missing_since,
    read,
    tail_of,
)
from maap_tui.engine.registry.memory import DayMemory
from maap_tui.engine.registry.searched import Days, SearchedDays
from maap_tui.engine.registry.tree import (
    UNDATED,
    Contents,
    day_files_below,
    drop_lines,
    identity,
    lock_file,
    locked,
    set_tail_aside,
)
from maap_tui.engine.storage import files
from maap_tui.engine.storage.names import path_fault, url_fault


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
        emit: Emit = ignore,
    ) -> None:
        self.root = root
        self.key = key
        self._cache = cache
        self._deletions = deletions
        self._searched = searched
        self._lock_timeout_s = lock_timeout_s
        self._on_wait = on_wait
        self._damage = DamageLog(root, emit)
        self._folders: dict[Kind, Path] = {
            kind: root / tree / key.mission / key.collection / key.product_type / key.baseline
            for kind, tree in TREES.items()
        }
        self._memory = DayMemory()
        self._errors = ErrorsFile(self._folders["dwl"] / "errors.txt", self._damage)
        self._counted: dict[str, Counted] | None = None
        self._counting = threading.Lock()

    @property
    def errors_file(self) -> Path:
        """Where failed downloads are listed."""
        return self._errors.path

    def folder(self, kind: Kind) -> Path:
        """Return the folder of the day files of a kind."""
        return self._folders[kind]

    @property
    def deletions_folder(self) -> Path | None:
        """Folder with the lists of deleted files; None if no lists are kept."""
        return self._deletions.folder(str(self.key)) if self._deletions is not None else None

    def searched_days(self) -> list[Days]:
        """Runs of days that whole searches looked at, in order."""
        return self._searched.load(str(self.key)) if self._searched is not None else []

    def note_searched(self, days: Days) -> None:
        """Note that a whole search looked at a run of days."""
        if self._searched is not None:
            self._searched.add(str(self.key), days)

    def day_file(self, kind: Kind, day: date) -> Path:
        """Return the file with the lines of a day."""
        return (
            self._folders[kind] / f"{day.year:04d}" / f"{kind}_{day.year:04d}{day.month:02d}{day.day:02d}.txt"
        )

    @property
    def lock_files(self) -> tuple[Path, Path]:
        """The lock file of writers, and that of earlier versions, which may not exist."""
        return lock_file(self.root, "write", self.key), self._folders["dwl"] / ".lock"

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
        files.make_folder(self._folders["dwl"])
        return locked(*self.lock_files, wait_s, purpose, str(self._folders["dwl"]), self._on_wait)

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
            reason = url_fault(file.url) or path_fault(file.path)
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
                    new += self._append("url", day, lines)
                except UnreadableError as error:
                    # One day that cannot be read must not keep the others from being registered.
                    for line in lines.values():
                        url, _, path = line.partition("|")
                        refused.append((TrackedFile(self.key, day, url, path), error.message))
                self._forget_oldest()
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
                new += self._append("dwl", day, lines)
            self._forget_oldest()
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
            new = sum(self._append("mrk", day, lines) for day, lines in sorted(days.items()))
            self._forget_oldest()
        return new

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
        removed = 0
        if not days:
            return removed
        with self.locked("unmarking files"):
            for day, lines in sorted(days.items()):
                gone = set(lines)
                found: set[bytes] = set()
                for path in self._day_files("mrk", day):
                    data = files.read_data(path)
                    present = gone & firsts(read(data, "mrk").good)
                    if present:
                        drop_lines(path, data, present)
                        found |= present
                self._memory.drop_lines("mrk", day, found)
                removed += len(found)
        return removed

    def reassert(self) -> int:
        """Write lines of this object again that another program lost when it rewrote a file.

        Returns:
            How many lines were missing.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        days = list(self._memory)
        if not days:
            return 0
        with self.locked("checking the registry"):
            return sum(self._append(kind, day, {}) for kind, day in days)

    def deleted(self, day: date) -> frozenset[str]:
        """Return the files of a day that clean-ups deleted, without a look at the disk."""
        return frozenset(map(os.fsdecode, self._gone(day)[0]))

    def settle_deleted(self, day: date, deleted: Iterable[str], here: Iterable[str]) -> None:
        """Record which marked files a look at the disk found deleted, or here again."""
        known = self.deleted(day)
        self.note_deleted(
            day, [path for path in deleted if path not in known], [path for path in here if path in known]
        )

    def note_deleted(self, day: date, paths: Iterable[str], back: Iterable[str] = ()) -> None:
        """Record marked files that a clean-up deleted, or that are here again; report what prevents it."""
        if self._deletions is None:
            return
        try:
            self._deletions.note(str(self.key), day, paths, back)
        except StorageError as error:
            path = self._deletions.day_file(str(self.key), day)
            reason = UnreadableError(path, error.message).reason
            self._damage.keep(RegistryDamaged(path, 0, reason, is_unwritten=True))

    def _gone(self, day: date) -> tuple[frozenset[bytes], bool]:
        """Read the list of deleted files of a day, and whether it can be read."""
        if self._deletions is None:
            return frozenset(), True
        path = self._deletions.day_file(str(self.key), day)
        try:
            found = read(files.read_data(path), "cln")
        except StorageError as error:
            if files.is_out_of_files(error):
                raise
            # A folder that cannot be looked into is reported once, and not for each of its days.
            where = path if os.path.lexists(path) else self._deletions.folder(str(self.key))
            reason = UnreadableError(path, error.message).reason
            self._damage.keep(RegistryDamaged(where, 0, reason))
            return frozenset(), False
        self._damage.note(path, found.bad)
        return deleted_of(found.good), True

    def _by_day(self, paths: Iterable[tuple[str, date]]) -> dict[date, dict[bytes, str]]:
        days: dict[date, dict[bytes, str]] = {}
        for path, day in paths:
            fault = path_fault(path) or ("it is empty" if not path else "")
            fault = fault or ("it starts with #" if path.startswith("#") else "")
            _demand(fault or ("it starts with a blank" if path != path.lstrip() else ""), path)
            days.setdefault(day, {})[path.encode()] = path
        return days

    def _append(self, kind: Kind, day: date, lines: dict[bytes, str]) -> int:
        """Append the lines whose first field the day lacks, and own lines that were lost.

        Returns:
            How many were written; of the lines only, when there are any. The lock is held by the caller.
        """
        known = self._memory.get(kind, day)
        paths = self._day_paths(kind, day)
        before = tuple(map(identity, paths))
        # Untouched since this object left it, the file still holds what this object wrote.
        untouched = before == known.left if known is not None else before[0] is None
        if untouched and not lines:
            return 0
        if known is not None and untouched and before[0] is not None and known.lacks(lines):
            missing, size = lines, before[0][2]
        else:
            wanted = lines if known is None or untouched else {**known.written, **lines}
            missing, size, present = self._missing(
                kind, paths, wanted, untouched=untouched, parse=known is not None
            )
            if known is not None and present is not None:
                self._memory.set_present(known, present)
        if missing:
            files.append_lines(paths[0], list(missing.values()))
        new = {first: line for first, line in missing.items() if first in lines}
        if new:
            known = self._memory.add(kind, day, new)
        if known is not None:
            self._memory.add_present(known, missing)
            after = tuple(map(identity, paths))
            size += sum(len(line.encode()) + 1 for line in missing.values())
            # Another size shows that a program without the lock wrote at the same moment.
            known.left = after if after[0] is not None and after[0][2] == size else ()
        return len(new) if lines else len(missing)

    def _missing(
        self, kind: Kind, paths: Sequence[Path], wanted: dict[bytes, str], *, untouched: bool, parse: bool
    ) -> tuple[dict[bytes, str], int, set[bytes] | None]:
        """Read the files of a day and return the lines that they lack; fix a torn last line.

        Args:
            kind: of which files.
            paths: where they may be; the first is the one that is appended to.
            wanted: first field -> line.
            untouched: whether the first file is as this object left it.
            parse: whether to find out all that they hold.

        Returns:
            The lines, the bytes of the first file, and the first fields in all of them; None where nothing
            demanded to take them apart.
        """
        data = self._damage.read(paths[0])
        here = None
        if not untouched:
            here = read(data, kind)
            self._damage.note(paths[0], here.bad)
        if tail_of(data) and set_tail_aside(paths[0], data, kind, wanted.values()):
            data, here = files.read_data(paths[0]), None
        others = [self._damage.read(other) for other in paths[1:] if os.path.isfile(other)]
        # Most lines are not there, and a search of the bytes shows that without taking them apart.
        if not parse and not any(first in part for first in wanted for part in (data, *others)):
            return wanted, len(data), None
        present: set[bytes] = set()
        for lines_of in (here or read(data, kind), *(read(other, kind) for other in others)):
            present |= firsts(lines_of.good)
        missing = {first: line for first, line in wanted.items() if first not in present}
        return missing, len(data), present

    def _forget_oldest(self) -> None:
        """Check the oldest days in memory a last time and forget them, so that memory stays bounded."""
        while (oldest := self._memory.oldest_to_forget()) is not None:
            self._append(*oldest, {})
            self._memory.forget(*oldest)

    def urls(self, start: date | None = None, end: date | None = None) -> Iterator[TrackedFile]:
        """Yield the discovered files of some days, both ends included, day by day."""
        return self._tracked("url", start, end)

    def downloads(self, start: date | None = None, end: date | None = None) -> Iterator[TrackedFile]:
        """Yield the downloaded files of some days, both ends included, day by day."""
        return self._tracked("dwl", start, end)

    def marked(self, start: date | None = None, end: date | None = None) -> Iterator[tuple[str, date]]:
        """Yield the marked paths of some days, both ends included, day by day."""
        for day, paths in self._listing("mrk", start, end).items():
            for path in first_to_second(self._lines("mrk", self._contents(paths))):
                yield path.decode(), day

    def _tracked(self, kind: Kind, start: date | None, end: date | None) -> Iterator[TrackedFile]:
        for day, paths in self._listing(kind, start, end).items():
            lines = self._lines(kind, self._contents(paths))
            for url, path in first_to_second(lines).items():
                yield TrackedFile(self.key, day, url.decode(), path.decode())

    def pending_downloads(self, start: date | None = None, end: date | None = None) -> list[TrackedFile]:
        """List what was discovered and is not downloaded, by day and URL.

        A day whose list of downloads cannot be read has nothing pending: all of it would be fetched again.
        """
        pending: list[TrackedFile] = []
        downloaded_files = self._listing("dwl", start, end)
        for day, url_files in self._listing("url", start, end).items():
            found, done = self._contents(url_files), self._contents(downloaded_files.get(day, []))
            if found.says_the_same(done):
                self._note_same(found, self._note_all("dwl", done))
                continue
            discovered = first_to_second(self._lines("url", found))
            gone = firsts(self._lines("dwl", done))
            if not done.is_whole or self._is_hidden("dwl", day):
                continue
            for url in sorted(discovered.keys() - gone):
                pending.append(TrackedFile(self.key, day, url.decode(), discovered[url].decode()))
        return pending

    def pending_marks(self, start: date | None = None, end: date | None = None) -> list[TrackedFile]:
        """List what was downloaded to a known path that is not marked, by day and path.

        A day whose list of marks cannot be read has nothing pending: all of it would be processed again.
        """
        pending: list[TrackedFile] = []
        marked_files = self._listing("mrk", start, end)
        for day, paths in self._listing("dwl", start, end).items():
            marks = self._contents(marked_files.get(day, []))
            done = firsts(self._lines("mrk", marks))
            downloaded = first_to_second(self._lines("dwl", self._contents(paths)))
            if not marks.is_whole or self._is_hidden("mrk", day):
                continue
            found = {path: url for url, path in downloaded.items() if path and path not in done}
            pending.extend(
                TrackedFile(self.key, day, found[path].decode(), path.decode()) for path in sorted(found)
            )
        return pending

    def stats(self, start: date | None = None, end: date | None = None) -> Stats:
        """Count the files of some days, both ends included; None is the first or the last day there is."""
        total = [0, 0, 0, 0, 0, 0]
        for _, counts in self._count(start, end):
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
        return [DayStats(day, *counts) for day, counts in self._count(start, end)]

    def errors(self) -> dict[str, str]:
        """List the URLs whose last download failed, each with when and why."""
        return {url.decode(): text.decode() for url, text in self._errors.lines().items()}

    def missing(self, now: datetime) -> dict[str, datetime]:
        """List the URLs that the archive said within the last day it does not have, each with when."""
        found = {url: missing_since(text) for url, text in self.errors().items()}
        return {url: at for url, at in found.items() if at and timedelta(0) <= now - at < MISSING_FOR}

    def _count(self, start: date | None, end: date | None) -> list[tuple[date, Counts]]:
        """Count each day; days whose files have not changed come from memory or the cache."""
        listed = {kind: self._listing(kind, start, end) for kind in TREES}
        with self._counting:
            if self._counted is None:
                self._counted = self._cache.load(self.root, self.key) if self._cache else {}
            known, changed = self._counted, False
            result: list[tuple[date, Counts]] = []
            for day in sorted(set().union(*listed.values())):
                paths = [listed[kind].get(day, []) for kind in TREES]
                looked_at = [path for group in paths for path in group]
                if self._deletions is not None:
                    looked_at.append(self._deletions.day_file(str(self.key), day))
                signature, settled = signature_of(looked_at)
                name = day.isoformat()
                remembered = known.get(name)
                if remembered is not None and remembered.signature == signature:
                    result.append((day, remembered.counts))
                    if remembered.damage or self._damage:
                        self._damage.restore(looked_at, remembered.damage)
                    continue
                contents = [self._contents(group) for group in paths]
                gone, knows_gone = self._gone(day)
                counts = self._count_day(day, gone, *contents)
                result.append((day, counts))
                # A file's time and size do not say whether it may be read.
                if settled and knows_gone and all(one.is_whole for one in contents):
                    known[name] = Counted(signature, counts, self._damage.rows(looked_at))
                    changed = True
            if changed and self._cache:
                self._cache.save(self.root, self.key, known)
        return result

    def _day_files(self, kind: Kind, day: date) -> list[Path]:
        """List the files of a day that exist: its own, and one that was moved to the folder above."""
        return [path for path in self._day_paths(kind, day) if os.path.isfile(path)]

    def _day_paths(self, kind: Kind, day: date) -> list[Path]:
        own = self.day_file(kind, day)
        return [own, self._folders[kind] / own.name]

    def _listing(self, kind: Kind, start: date | None, end: date | None) -> dict[date, list[Path]]:
        """List the files of each day of a range, in order."""
        days: dict[date, list[Path]] = {}
        hidden: set[Path] = set()

        def step_over(error: UnreadableError) -> None:
            hidden.add(error.path)
            self._damage.note_unread(error)

        for path, day in day_files_below(self._folders[kind], kind, step_over):
            if day is None:
                self._damage.keep(RegistryDamaged(path, 0, UNDATED))
            elif (start is None or day >= start) and (end is None or day <= end):
                days.setdefault(day, []).append(path)
        self._damage.forget_folders(self._folders[kind], hidden)
        return dict(sorted(days.items()))

    def _count_day(
        self, day: date, gone: frozenset[bytes], urls: Contents, downloads: Contents, marks: Contents
    ) -> Counts:
        """Count one day by sets of URLs and paths."""
        downloaded_lines = self._note_all("dwl", downloads)
        downloaded = first_to_second([line for one in downloaded_lines for line in one.good])
        marked = firsts(self._lines("mrk", marks))
        same = urls.says_the_same(downloads)
        if same:
            self._note_same(urls, downloaded_lines)
        discovered = downloaded.keys() if same else firsts(self._lines("url", urls))
        return count_day(
            discovered,
            downloaded,
            marked,
            gone,
            knows_downloads=downloads.is_whole and not self._is_hidden("dwl", day),
            knows_marks=marks.is_whole and not self._is_hidden("mrk", day),
        )

    def _contents(self, paths: list[Path]) -> Contents:
        """Read the files of one kind and day that can be read."""
        parts: list[tuple[Path, bytes]] = []
        for path in paths:
            with contextlib.suppress(UnreadableError):
                parts.append((path, self._damage.read(path)))
        return Contents(parts, len(parts) == len(paths))

    def _lines(self, kind: Kind, contents: Contents) -> list[bytes]:
        """Return the good lines of a day, and note the others."""
        found = self._note_all(kind, contents)
        return found[0].good if len(found) == 1 else [line for one in found for line in one.good]

    def _note_all(self, kind: Kind, contents: Contents) -> list[Lines]:
        """Split the files of a day into lines, and note the bad ones."""
        found = [read(data, kind) for _, data in contents.parts]
        self._note_same(contents, found)
        return found

    def _note_same(self, contents: Contents, found: list[Lines]) -> None:
        for (path, _), lines in zip(contents.parts, found, strict=True):
            self._damage.note(path, lines.bad)

    @property
    def damage(self) -> list[RegistryDamaged]:
        """The damaged files and folders that were read, by path."""
        return self._damage.listed()

    def is_unreadable(self, day: date, kinds: Iterable[Kind] = tuple(TREES)) -> bool:
        """Whether files of a day were there and could not be read, when they were read last."""
        for kind in kinds:
            if self._is_hidden(kind, day) or any(map(self._damage.is_unread, self._day_paths(kind, day))):
                return True
        return False

    def _is_hidden(self, kind: Kind, day: date) -> bool:
        """Whether the folder of a day could not be listed."""
        return bool(self._damage) and self.day_file(kind, day).parent in self._damage


def _demand(fault: str, text: str) -> None:
    if fault:
        raise InvalidRequestError(f"Cannot register {text[:200]!a}: {fault}")
