"""The registry as a screen shows it: a baseline day by day, and the files of a day with their state.

Nothing here writes. All of it reads files and belongs in a thread.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import groupby
from pathlib import Path
from typing import Final, Literal

from maap_tui.engine.errors import StorageError
from maap_tui.engine.events import RegistryDamaged
from maap_tui.engine.missions import parse_name
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import DayStats, Key, TrackedFile
from maap_tui.engine.registry.lines import is_skipped
from maap_tui.engine.registry.searched import Days

FileState = Literal["discovered", "failed", "downloaded", "marked", "missing", "deleted"]

_FAILED_AT: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) +(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class FailedDownload:
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
    failures: list[FailedDownload]
    """Downloads given up, the latest first."""
    changed: datetime | None
    """When one of its files was last written; None when there is none."""
    searched: tuple[Days, ...] = ()
    """Runs of days that whole searches looked at: one of them without files has none at the archive."""
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
class FileRow:
    """A file of one day and what is known of it."""

    url: str
    """Empty for a path that is marked and was never downloaded."""
    path: str
    """Where it is or will be on disk; empty when unknown."""
    day: date
    state: FileState
    size: int | None
    """Bytes on disk; None when it is not there."""
    failure: FailedDownload | None = None
    """Why the last download failed; None when it did not."""

    @property
    def name(self) -> str:
        """The last part of its path, or of its address."""
        return (self.path or self.url.partition("?")[0]).rstrip("/").rpartition("/")[2]


def summarise(tracker: BaselineRegistry, changed: datetime | None = None) -> Summary:
    """Count a baseline day by day; days whose files are as they were are not read again."""
    days, failed = tracker.days(), failures(tracker)
    return Summary(days, failed, changed, tuple(tracker.searched_days()), tuple(tracker.damage))


def failures(tracker: BaselineRegistry) -> list[FailedDownload]:
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
        found.append(FailedDownload(url, day, at, dated[2] if dated else text))
    earliest = datetime.min.replace(tzinfo=UTC)
    return sorted(found, key=lambda one: (one.at or earliest, one.url), reverse=True)


def files_of_day(
    tracker: BaselineRegistry, day: date, failed: Sequence[FailedDownload] = ()
) -> list[FileRow]:
    """List the files of one day with their state, by name.

    Args:
        tracker: The registry of the baseline.
        day: The sensing day.
        failed: What `failures` gave; those of the day, and those whose name gives no day but that are
            discovered on it, are given with their file.

    Raises:
        StorageError: not all of the day can be read, so that nobody knows the states.
    """
    downloads = {file.url: file for file in tracker.downloads(day, day)}
    tracked = {file.url: file for file in tracker.urls(day, day)} | downloads
    marks = {path for path, _ in tracker.marked(day, day)}
    if tracker.is_unreadable(day):
        raise StorageError("; ".join(one.words for one in tracker.damage), "See maap doctor.")
    by_url = {one.url: one for one in failed}
    for one in failed:
        if one.day == day and one.url not in tracked:
            tracked[one.url] = TrackedFile(tracker.key, day, one.url)
    found = []
    for url, file in tracked.items():
        failure = by_url.get(url)
        if url not in downloads:
            state: FileState = "discovered" if failure is None else "failed"
            found.append(FileRow(url, file.path, day, state, None, failure))
            continue
        size = size_on_disk(file.path)
        state = "downloaded"
        if file.path in marks:
            state = "marked" if size is not None else "deleted"
        elif size is None and file.path:
            state = "missing"
        marks.discard(file.path)
        found.append(FileRow(url, file.path, day, state, size))
    for path in marks:
        size = size_on_disk(path)
        found.append(FileRow("", path, day, "deleted" if size is None else "marked", size))
    return sorted(found, key=lambda one: (one.name, one.url))


def size_on_disk(path: str) -> int | None:
    """Bytes of a file; None when there is no regular file of that name that can be looked at."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


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
            for day, group in groupby(found, key=lambda file: file.day):
                if not go_on():
                    return None
                if day in wanted:
                    self._measure(tracker, day, [file.path for file in group if file.path])
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
