"""The registry held against itself and against the disk: what changed, what is missing, what is unknown.

Nothing here writes; what is found is handed on to `BaselineRegistry` or to the queue by the caller. All
of it reads files and belongs in a thread. Generators do a bounded piece of work between two items, so
that the caller that iterates can show how far it is, and stop.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from maap_tui.engine.errors import InvalidRequestError, StorageError
from maap_tui.engine.events import RegistryDamaged
from maap_tui.engine.integrity.content import is_whole
from maap_tui.engine.missions import parse_name
from maap_tui.engine.registry.registry import (
    BaselineRegistry,
    DayStats,
    Entry,
    Key,
    Kind,
    Registry,
    is_skipped,
)
from maap_tui.engine.storage import files, names

FileState = Literal["discovered", "failed", "downloaded", "marked", "missing", "deleted"]

_KINDS: Final[tuple[Kind, ...]] = ("url", "dwl", "mrk")
_HOT_S: Final = 5.0
"""Seconds for which a baseline is looked at each time after a writer took its lock, before it writes."""
_DUTY: Final = 10.0
"""Times its own length that a look at all day files stays away before the next one."""
_FAILED_AT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) +(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Failure:
    """A download that was given up."""

    url: str
    day: date | None
    """Day of the sensing start; None when the name does not say it."""
    at: datetime | None
    """When it was given up; None when the line does not say."""
    reason: str

    @property
    def is_skipped(self) -> bool:
        """Whether it is an item of the archive that could not be used, and no file that can be fetched."""
        return is_skipped(self.reason)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the registry says of one baseline."""

    days: list[DayStats]
    """Every day that has files, in order."""
    failures: list[Failure]
    """Downloads given up, the latest first."""
    changed: datetime | None
    """When one of its files was last written; None when there is none."""
    damage: tuple[RegistryDamaged, ...] = ()
    """Its files and folders that cannot be read whole: what they say is left out."""

    @property
    def discovered(self) -> int:
        return sum(day.discovered for day in self.days)

    @property
    def downloaded(self) -> int:
        return sum(day.downloaded for day in self.days)

    @property
    def here(self) -> int:
        """Downloaded, and not deleted by a clean-up."""
        return sum(day.here for day in self.days)

    @property
    def marked(self) -> int:
        return sum(day.marked for day in self.days)

    @property
    def marked_here(self) -> int:
        """Marked, and not deleted by a clean-up."""
        return sum(day.marked_here for day in self.days)

    @property
    def deleted(self) -> int:
        """Downloaded and marked, and deleted by a clean-up."""
        return sum(day.deleted for day in self.days)

    @property
    def pending(self) -> int:
        """Discovered, not downloaded."""
        return sum(day.pending_downloads for day in self.days)


@dataclass(frozen=True, slots=True)
class TrackedFile:
    """A file of one day and what is known of it."""

    url: str
    """Empty for a path that is marked and was never downloaded."""
    path: str
    """Where it is or will be on disk; empty when unknown."""
    day: date
    state: FileState
    size: int | None
    """Bytes on disk; None when it is not there."""
    failure: Failure | None = None
    """Why the last download failed; None when it did not."""

    @property
    def name(self) -> str:
        """The last part of its path, or of its address."""
        return (self.path or self.url.partition("?")[0]).rstrip("/").rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Stray:
    """A file on disk that the registry has not as downloaded."""

    path: Path
    day: date
    size: int
    """Bytes on disk."""
    url: str
    """Its address as discovered; empty when the registry does not know the name."""
    is_whole: bool
    """Whether it has bytes, and its own structure says that none is missing."""


class Watch:
    """Notices which baselines changed, by the times and sizes of their files; reads none of them.

    The note that our writers leave beside their lock is looked at each time. All day files, which
    other programs may change too, are looked at as often as a tenth of the time allows.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the registry and a clock that never jumps, in seconds."""
        self._registry = registry
        self._clock = clock
        self._notes: dict[Key, list[tuple[int, int]]] = {}
        self._hot: dict[Key, float] = {}
        self._seen: dict[Key, int] = {}
        self._newest: dict[Key, int] = {}
        self._next_look = 0.0

    def poll(self) -> tuple[list[Key], list[Key]]:
        """Give every baseline there is, sorted, and those of them that changed since the last call.

        Raises:
            RegistryError: the registry folder is there and cannot be read.
        """
        keys = self._registry.tracked()
        for gone in self._seen.keys() - set(keys):
            del self._seen[gone]
        now = self._clock()
        looks_at_all = now >= self._next_look
        changed = []
        for key in keys:
            tracker = self._registry.baseline(key)
            if self._note_changed(key, tracker):
                self._hot[key] = now + _HOT_S
            if looks_at_all or key not in self._seen or self._hot.get(key, 0.0) > now:
                fingerprint, self._newest[key] = _fingerprint(tracker)
                if self._seen.get(key) != fingerprint:
                    self._seen[key] = fingerprint
                    changed.append(key)
        if looks_at_all:
            after = self._clock()
            self._next_look = after + (after - now) * _DUTY
        return keys, changed

    def changed_at(self, key: Key) -> datetime | None:
        """When a file of the baseline was last written; None before `poll` has seen one."""
        newest = self._newest.get(key, 0)
        return datetime.fromtimestamp(newest / 1e9, UTC) if newest else None

    def _note_changed(self, key: Key, tracker: BaselineRegistry) -> bool:
        note = []
        for path in tracker.lock_files:
            with contextlib.suppress(OSError):
                status = os.stat(f"{path}.holder")
                note.append((status.st_mtime_ns, status.st_ino))
        if not note or self._notes.get(key) == note:
            return False
        self._notes[key] = note
        return True


def _fingerprint(tracker: BaselineRegistry) -> tuple[int, int]:
    """Fold names, times and sizes of all files of a baseline into one number; and the newest time, in ns."""
    folded, newest = 0, 0
    folders = [str(tracker.folder(kind)) for kind in _KINDS]
    if tracker.deletions_folder is not None:
        folders.append(str(tracker.deletions_folder))
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as found:
                for item in found:
                    if item.name.endswith(".txt"):
                        status = item.stat()
                        # Summed, so that the order in which a folder lists its files does not matter.
                        folded += hash((item.path, status.st_mtime_ns, status.st_size, status.st_ino))
                        newest = max(newest, status.st_mtime_ns)
                    elif item.is_dir():
                        folders.append(item.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            # So that it is looked at when it cannot be read any more, and when it can be again.
            folded += hash((folder, error.errno))
    return folded, newest


def summarise(tracker: BaselineRegistry, changed: datetime | None = None) -> Summary:
    """Count a baseline day by day; days whose files are as they were are not read again."""
    days, failed = tracker.days(), failures(tracker)
    return Summary(days, failed, changed, tuple(tracker.damage))


def failures(tracker: BaselineRegistry) -> list[Failure]:
    """List the downloads that were given up, the latest first, those without a time last."""
    found = []
    for url, text in tracker.errors().items():
        dated = _FAILED_AT.fullmatch(text)
        at = None
        if dated:
            try:
                at = datetime.fromisoformat(dated[1])
            except ValueError:
                dated = None
        name = parse_name(url)
        day = name.sensing_start.date() if name is not None else None
        found.append(Failure(url, day, at, dated[2] if dated else text))
    earliest = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: (one.at or earliest, one.url), reverse=True)


def files_of_day(tracker: BaselineRegistry, day: date, failed: Sequence[Failure] = ()) -> list[TrackedFile]:
    """List the files of one day with their state, by name.

    Args:
        tracker: The registry of the baseline.
        day: The sensing day.
        failed: What `failures` gave; those of the day, and those whose name gives no day but that are
            discovered on it, are given with their file.

    Raises:
        StorageError: not all of the day can be read, so that nobody knows the states.
    """
    downloads = {entry.url: entry for entry in tracker.downloads(day, day)}
    entries = {entry.url: entry for entry in tracker.urls(day, day)} | downloads
    marks = {path for path, _ in tracker.marked(day, day)}
    if tracker.is_unreadable(day):
        raise StorageError("; ".join(one.words for one in tracker.damage), "See maap doctor.")
    by_url = {one.url: one for one in failed}
    for one in failed:
        if one.day == day and one.url not in entries:
            entries[one.url] = Entry(one.url, "", day)
    found = []
    for url, entry in entries.items():
        failure = by_url.get(url)
        if url not in downloads:
            state: FileState = "discovered" if failure is None else "failed"
            found.append(TrackedFile(url, entry.path, day, state, None, failure))
            continue
        size = size_on_disk(entry.path)
        state = "downloaded"
        if entry.path in marks:
            state = "marked" if size is not None else "deleted"
        elif size is None and entry.path:
            state = "missing"
        marks.discard(entry.path)
        found.append(TrackedFile(url, entry.path, day, state, size))
    for path in marks:
        size = size_on_disk(path)
        found.append(TrackedFile("", path, day, "deleted" if size is None else "marked", size))
    return sorted(found, key=lambda one: (one.name, one.url))


def size_on_disk(path: str) -> int | None:
    """Bytes of a file; None when there is no regular file of that name that can be looked at."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


class Unread:
    """The files and folders that could not be looked at, each with the reason."""

    def __init__(self) -> None:
        self.found: dict[Path, str] = {}

    def note(self, path: Path | str, error: OSError) -> None:
        """Take note of one, unless it has only gone meanwhile."""
        if not isinstance(error, FileNotFoundError):
            where = Path(path)
            self.found[where] = files.storage_error(where, error).message.removeprefix(
                f"Cannot use {where}: "
            )


def keys_on_disk(data_dir: Path, unread: Unread) -> list[Key]:
    """List the baselines that have a folder in the dated layout below the data folder, sorted.

    Args:
        data_dir: the data folder.
        unread: gets the folders that cannot be listed.
    """
    level: list[tuple[str, ...]] = [()]
    for _ in range(4):
        level = [(*names, name) for names in level for name in _names(data_dir.joinpath(*names), unread)]
    keys = []
    for mission, collection, product_type, baseline in level:
        try:
            key = Key(mission, collection, product_type, baseline)
        except InvalidRequestError:
            continue
        if any(re.fullmatch(r"\d{4}", name) for name in _names(data_dir / str(key), unread)):
            keys.append(key)
    return sorted(keys)


def strays(
    tracker: BaselineRegistry, data_dir: Path, name_of: Callable[[Entry], str], unread: Unread
) -> Iterator[Stray | None]:
    """Find the files of a baseline's dated layout that the registry has not as downloaded.

    Args:
        tracker: The registry of the baseline.
        data_dir: Root of the layout.
        name_of: The file name that a discovered line is stored under; raises InvalidRequestError for none.
        unread: Gets the files and folders that cannot be looked at.

    Returns:
        The files, and None after each file that is recorded already.
    """
    base = data_dir.joinpath(*str(tracker.key).split("/"))
    for _, days in groupby(_day_folders(base, unread), key=lambda one: (one[0].year, one[0].month)):
        listed = list(days)
        first, last = listed[0][0], listed[-1][0]
        urls: dict[tuple[date, str], str] = {}
        for entry in tracker.urls(first, last):
            try:
                urls[entry.day, name_of(entry)] = entry.url
            except InvalidRequestError:
                continue
        known = {os.path.abspath(entry.path) for entry in tracker.downloads(first, last) if entry.path}
        for day, folder in listed:
            for path, size in _granules(folder, unread):
                if os.path.abspath(path) in known:
                    yield None
                    continue
                url = urls.get((day, path.name), "")
                yield Stray(path, day, size, url, size > 0 and is_whole(path))


def _day_folders(base: Path, unread: Unread) -> Iterator[tuple[date, Path]]:
    for year in _names(base, unread, r"\d{4}"):
        for month in _names(base / year, unread, r"\d\d"):
            for day in _names(base / year / month, unread, r"\d\d"):
                try:
                    yield date(int(year), int(month), int(day)), base / year / month / day
                except ValueError:
                    continue


def _granules(folder: Path, unread: Unread, inside: str = "") -> Iterator[tuple[Path, int]]:
    """The regular files of a day, and of folders in it that are named after their one file."""
    try:
        with os.scandir(folder) as found:
            items = sorted(found, key=lambda item: item.name)
    except OSError as error:
        unread.note(folder, error)
        return
    for item in items:
        try:
            if item.is_dir(follow_symlinks=False):
                if not inside:
                    yield from _granules(Path(item.path), unread, item.name)
                continue
            # Refuses parts, hidden files and names that nothing here would have written.
            names.safe_file_name(item.name)
            if item.is_file(follow_symlinks=False) and (not inside or Path(item.name).stem == inside):
                yield Path(item.path), item.stat(follow_symlinks=False).st_size
        except InvalidRequestError:
            continue
        except OSError as error:
            unread.note(item.path, error)


def _names(folder: Path, unread: Unread, pattern: str = "") -> list[str]:
    """The folders of a folder, sorted, without links; [] when it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted(
                item.name
                for item in found
                if item.is_dir(follow_symlinks=False) and (not pattern or re.fullmatch(pattern, item.name))
            )
    except OSError as error:
        unread.note(folder, error)
        return []


class DiskUse:
    """Bytes that the downloaded files of a baseline take, remembered day by day.

    A day is measured again when its list of downloads, or a folder that its files are in, changed.
    """

    def __init__(self) -> None:
        self._days: dict[tuple[Key, date], tuple[object, frozenset[str], int]] = {}

    def measure(
        self, tracker: BaselineRegistry, days: Sequence[DayStats], go_on: Callable[[], bool] = lambda: True
    ) -> int | None:
        """Sum the sizes on disk of all downloaded files; None when `go_on` said no."""
        stale = [day.day for day in days if day.downloaded and not self._is_known(tracker, day.day)]
        if stale:
            wanted = set(stale)
            # One pass over the lines: asking day by day would list the folders each time.
            found = tracker.downloads(stale[0], stale[-1])
            for day, entries in groupby(found, key=lambda entry: entry.day):
                if not go_on():
                    return None
                if day in wanted:
                    self._measure(tracker, day, [entry.path for entry in entries if entry.path])
        return sum(
            self._days[tracker.key, day.day][2] for day in days if (tracker.key, day.day) in self._days
        )

    def _is_known(self, tracker: BaselineRegistry, day: date) -> bool:
        known = self._days.get((tracker.key, day))
        if known is None:
            return False
        file = _stamp(tracker.day_file("dwl", day))
        return file is not None and known[0] == (file, _stamps(known[1]))

    def _measure(self, tracker: BaselineRegistry, day: date, paths: Sequence[str]) -> None:
        folders = frozenset(os.path.dirname(path) for path in paths)
        # Taken before the files are looked at: what changes meanwhile is measured again next time.
        stamps = (_stamp(tracker.day_file("dwl", day)), _stamps(folders))
        self._days[tracker.key, day] = (stamps, folders, sum(size_on_disk(path) or 0 for path in paths))


def _stamp(path: Path | str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _stamps(folders: frozenset[str]) -> Mapping[str, tuple[int, int, int] | None]:
    return {folder: _stamp(folder) for folder in folders}
