"""The text-file registry: what was discovered, downloaded, marked as processed, and what failed.

The rule: a line that was acknowledged stays, whole and once, whoever else writes the files at the
same time; a damaged line or file is stepped over and reported, never fatal. The format is that of
maap-client 0.2.1 (docs/files-and-registry.md, The registry), and both may use one registry.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal, NamedTuple

from maap_tui.engine.errors import (
    InvalidRequestError,
    MaapError,
    RegistryError,
    StorageError,
    UnreadableError,
)
from maap_tui.engine.events import Emit, RegistryDamaged, ignore
from maap_tui.engine.model import FORMATS
from maap_tui.engine.registry.deletions import Deletions
from maap_tui.engine.storage import files, locks
from maap_tui.engine.storage.names import URL_PATTERN, is_name, path_fault, url_fault

Kind = Literal["url", "dwl", "mrk"]

_TREES: Final[dict[Kind, str]] = {"url": "urls", "dwl": "downloads", "mrk": "marked"}
_DAY_FILE: Final = re.compile(r"(?:url|dwl|mrk)_(\d{8})\.txt")
# A line of url_ and dwl_ files: a URL, then perhaps a separator and a path without control characters.
_PAIR_LINE: Final = re.compile(URL_PATTERN.encode() + rb"(?:\|[^\x00-\x1f\x7f]*)?")
_PATH_LINE: Final = re.compile(rb"[^\x00-\x1f\x7f]+")
# Files of nothing but these bytes need no look at each line: no comment, space, control or non-ASCII byte.
_PLAIN: Final = bytes(code for code in range(0x21, 0x7F) if code != ord("#")) + b"\n"
_BOM: Final = b"\xef\xbb\xbf"
_BLANK: Final = b" \t\r\n\x0b\x0c"
# What maap-client leaves in the text of an error; a NUL is not text but what a crash leaves of a block.
_IN_ERRORS: Final = bytes(0x20 if 0 < code < 0x20 and code not in b"\n\r" else code for code in range(256))
_SUFFIXES: Final = frozenset(suffix.encode() for suffixes in FORMATS.values() for suffix in suffixes)

_MAX_LINE: Final = 16384
_MAX_ERROR: Final = 300
MISSING_FOR: Final = timedelta(days=1)
"""How long a file that the archive does not have is not asked for again by itself."""
_MISSING: Final = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ) (?:404|410)\b", re.ASCII)
"""How the line of a file begins that the archive does not have."""
_TORN: Final = "the line was cut short"
"""Said of a last line without its line end: its writer got no confirmation, and the next one heals it."""
_UNDATED: Final = "its name holds no date that exists"
_SKIPPED: Final = "skipped: "
"""How the reason of an item begins that could not be used."""
_REMEMBERED_LINES: Final = 50_000
# A file changed this recently may change again within one tick of its clock, with its size kept.
_SETTLED_NS: Final = 2_000_000_000
# A file that was cut short this recently may still be in the hands of its writer.
_SETTLE_NS: Final = 500_000_000
_SETTLE_S: Final = 0.02
_SETTLE_TRIES: Final = 50
_SETTLE_EMPTY: Final = 5


@dataclass(frozen=True, slots=True, order=True)
class Key:
    """The four names a baseline is tracked under; each is also the name of a folder.

    Raises:
        InvalidRequestError: a name cannot be that of a folder everywhere.
    """

    mission: str
    collection: str
    product_type: str
    baseline: str
    """As given: the case is kept."""

    def __post_init__(self) -> None:
        for noun in ("mission", "collection", "product_type", "baseline"):
            name = getattr(self, noun)
            if not (isinstance(name, str) and is_name(name)):
                raise InvalidRequestError(
                    f"Not a name for a {noun.replace('_', ' ')}: {str(name)[:128]!a}",
                    "Use letters, digits and _ . + - only, with no . or - in front, 128 at most.",
                )

    def __str__(self) -> str:
        return f"{self.mission}/{self.collection}/{self.product_type}/{self.baseline}"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file the registry knows of."""

    url: str
    path: str
    """Where it is or will be on disk; empty when unknown."""
    day: date
    """Day of the sensing start, UTC."""


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the entries handed to `BaselineRegistry.add`."""

    new: int
    """How many were not there before."""
    refused: list[tuple[Entry, str]]
    """Entries that cannot be written as one line, each with the reason."""


@dataclass(frozen=True, slots=True)
class Stats:
    """Counts over a range of days; every URL and path counts once."""

    total_urls: int
    downloaded: int
    marked: int
    errors: int
    """URLs whose last download failed, of all days."""
    pending_downloads: int
    """Discovered, not downloaded."""
    pending_marks: int
    """Downloaded to a known path that is not marked."""
    deleted: int = 0
    """Downloaded and marked, and deleted by a clean-up."""

    @property
    def here(self) -> int:
        """Downloaded, and not deleted by a clean-up."""
        return self.downloaded - self.deleted

    def as_dict(self) -> dict[str, int]:
        """Give the counts under the names maap-client's `get_stats` has."""
        return {name: getattr(self, name) for name in self.__slots__ if name != "deleted"}

    def as_view(self) -> dict[str, int]:
        """Give all counts, those that maap-client does not know last."""
        return {**self.as_dict(), "here": self.here, "deleted": self.deleted}


@dataclass(frozen=True, slots=True)
class DayStats:
    """Counts of one sensing day."""

    day: date
    discovered: int
    downloaded: int
    marked: int
    pending_downloads: int
    pending_marks: int
    deleted: int = 0
    """Downloaded and marked, and deleted by a clean-up."""

    @property
    def here(self) -> int:
        """Downloaded, and not deleted by a clean-up."""
        return self.downloaded - self.deleted

    @property
    def marked_here(self) -> int:
        """Marked, and not deleted by a clean-up."""
        return self.marked - self.deleted


@dataclass(frozen=True, slots=True)
class Deletable:
    """What a cleanup would do."""

    files: list[tuple[Path, int]]
    """Marked files below the data folder that exist, with their size in bytes."""
    refused: list[tuple[str, str]]
    """Marked paths that exist and must stay, each with the reason."""

    @property
    def bytes(self) -> int:
        """Size of all the files together."""
        return sum(size for _, size in self.files)


@dataclass(frozen=True, slots=True)
class CleanupReport:
    """What a cleanup did, or would do when it was a dry run."""

    deleted: list[Path]
    bytes: int
    """Bytes freed."""
    refused: list[tuple[str, str]]
    """Marked paths that exist and were kept, each with the reason."""


class Problem(NamedTuple):
    """Something in the registry that cannot be read and is stepped over."""

    file: Path
    line: int
    """Number of the line from 1; 0 when it is the file as a whole."""
    reason: str


class Repaired(NamedTuple):
    """A file of the registry whose unreadable lines are comments now."""

    file: Path
    backup: Path
    """The file as it was."""
    lines: int
    """How many lines were set aside."""


class _Lines(NamedTuple):
    """What a file holds: its good lines, and those stepped over as (line number, reason)."""

    good: list[bytes]
    bad: list[tuple[int, str]]


class _Counts(NamedTuple):
    discovered: int
    downloaded: int
    marked: int
    pending_downloads: int
    pending_marks: int
    deleted: int


_Signature = tuple[tuple[str, int, int, int], ...]


class _Counted(NamedTuple):
    """What is remembered of a day."""

    signature: _Signature
    counts: _Counts
    damage: tuple[tuple[str, int, str], ...] = ()
    """Of each damaged file its path below the registry, how many lines, and why."""


class _Contents(NamedTuple):
    """The files of one kind and day, as bytes."""

    parts: list[tuple[Path, bytes]]
    is_whole: bool
    """Whether all of them could be read."""

    @property
    def is_torn(self) -> bool:
        """Whether one ends without a line end."""
        return any(_tail(data) for _, data in self.parts)

    def says_the_same(self, other: _Contents) -> bool:
        """Whether both hold the same bytes, ended as they should."""
        mine, theirs = ([data for _, data in one.parts] for one in (self, other))
        return mine == theirs and not self.is_torn


class StatsCache:
    """Counts a day, kept in a folder of the caller's so that the next process need not count again.

    A view: it may be deleted at any time, and a file that changed since is counted again.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def _file(self, root: Path, key: Key) -> Path:
        digest = hashlib.sha256(f"{os.path.abspath(root)}\n{key}".encode()).hexdigest()[:16]
        return self._folder / f"stats-{key.product_type}-{key.baseline}-{digest}.json"

    def load(self, root: Path, key: Key) -> dict[str, _Counted]:
        """Read the counts of one baseline; nothing when there are none or they cannot be read."""
        days: dict[str, _Counted] = {}
        try:
            content = json.loads(files.read_data(self._file(root, key)) or b"{}")
            if content.get("version") != 3:
                return {}
            for day, (signature, counts, *rest) in content["days"].items():
                parts = tuple((str(name), int(a), int(b), int(c)) for name, a, b, c in signature)
                damage = tuple((str(name), int(lines), str(why)) for name, lines, why in rest)
                days[day] = _Counted(parts, _Counts(*(int(count) for count in counts)), damage)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError, MaapError):
            return {}
        return days

    def save(self, root: Path, key: Key, days: dict[str, _Counted]) -> None:
        """Write the counts of one baseline; a folder that cannot be written is not a failure."""
        rows = {day: (one.signature, one.counts, *one.damage) for day, one in days.items()}
        content = json.dumps({"version": 3, "days": rows}, separators=(",", ":"))
        with contextlib.suppress(MaapError):
            files.write_atomic(self._file(root, key), content)


class BaselineRegistry:
    """The registry of one baseline of one product.

    Methods that write hold the baseline's lock while they write and no longer, and return when what
    they wrote would survive a power cut. All methods may be called from any thread.

    Args:
        root: The registry folder, shared by all baselines.
        key: Which baseline.
        cache: Where counts are kept between processes; None keeps them in memory only.
        deletions: Where it is kept what clean-ups deleted; None keeps nothing of it.
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
        lock_timeout_s: float = 30.0,
        on_wait: Callable[[str], None] | None = None,
        emit: Emit = ignore,
    ) -> None:
        self.root = root
        self.key = key
        self._cache = cache
        self._deletions = deletions
        self._lock_timeout_s = lock_timeout_s
        self._on_wait = on_wait
        self._emit = emit
        self._damage: dict[Path, tuple[object, RegistryDamaged]] = {}
        self._folders: dict[Kind, Path] = {
            kind: root / tree / key.mission / key.collection / key.product_type / key.baseline
            for kind, tree in _TREES.items()
        }
        self._written: OrderedDict[tuple[Kind, date], dict[bytes, str]] = OrderedDict()
        self._written_lines = 0
        self._left_at: dict[tuple[Kind, date], tuple[int, int, int]] = {}
        self._counted: dict[str, _Counted] | None = None
        self._counting = threading.Lock()

    @property
    def errors_file(self) -> Path:
        """Where failed downloads are listed."""
        return self._folders["dwl"] / "errors.txt"

    def folder(self, kind: Kind) -> Path:
        """Say below which folder the day files of a kind are."""
        return self._folders[kind]

    @property
    def deletions_folder(self) -> Path | None:
        """Below which folder it is kept what clean-ups deleted; None when that is kept nowhere."""
        return self._deletions.folder(str(self.key)) if self._deletions is not None else None

    def day_file(self, kind: Kind, day: date) -> Path:
        """Say which file holds the lines of a day."""
        return (
            self._folders[kind] / f"{day.year:04d}" / f"{kind}_{day.year:04d}{day.month:02d}{day.day:02d}.txt"
        )

    @property
    def lock_files(self) -> tuple[Path, Path]:
        """The lock of its writers, and that of earlier versions, which may not be there."""
        return _lock_file(self.root, "write", self.key), self._folders["dwl"] / ".lock"

    def locked(self, purpose: str, timeout_s: float | None = None) -> contextlib.AbstractContextManager[None]:
        """Be its only writer.

        Args:
            purpose: what for, as others read it that wait.
            timeout_s: longest wait in seconds; None as for all that writes.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        wait_s = self._lock_timeout_s if timeout_s is None else timeout_s
        # maap-client takes the folders of this tree for the list of what is tracked.
        files.make_folder(self._folders["dwl"])
        return _locked(*self.lock_files, wait_s, purpose, str(self._folders["dwl"]), self._on_wait)

    def add(self, entries: Iterable[Entry]) -> Added:
        """Register files as discovered; what is registered already stays as it is.

        Returns:
            How many were new, and those refused because they cannot be one line of the file.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        refused: list[tuple[Entry, str]] = []
        days: dict[date, dict[bytes, str]] = {}
        for entry in entries:
            reason = url_fault(entry.url) or path_fault(entry.path)
            if reason:
                refused.append((entry, reason))
            else:
                lines = days.setdefault(entry.day, {})
                lines.setdefault(entry.url.encode(), f"{entry.url}|{entry.path}")
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
                        refused.append((Entry(url, path, day), error.message))
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
        _demand(url_fault(url) or path_fault(str(path)), url)
        first = url.encode()
        with self.locked("recording a download"):
            # The error goes first: what ends this between the two leaves a file that is still pending,
            # and never one that is downloaded and failed at once, which nothing would fix.
            data = self._error_data()
            if first in data:
                self._drop_lines(self.errors_file, data, {first})
            new = self._append("dwl", day, {first: f"{url}|{path}"})
            self._forget_oldest()
        if str(path) in self.deleted(day):
            self.settle_deleted(day, deleted=(), here=[str(path)])
        return new > 0

    def record_error(
        self, url: str, reason: str, *, code: int | None = None, tries: int = 1, at: datetime | None = None
    ) -> None:
        """List a failed download, in the place of an earlier failure of the same URL.

        Args:
            url: The file that could not be had.
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
        line = f"{url}|{_error_text(reason, code, tries, at or datetime.now(UTC))}"
        first = url.encode()
        with self.locked("recording a failure"):
            data = _read_settled(self.errors_file)
            if _tail(data) and self._set_tail_aside(self.errors_file, data, "url", [line]):
                data = files.read_data(self.errors_file)
            if first in data and first in _firsts(_read(data, "url").good):
                self._drop_lines(self.errors_file, data, {first}, line)
            else:
                files.append_lines(self.errors_file, [line])

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
            url.encode(): f"{url}|{_error_text(f'{_SKIPPED}{reason}', None, 1, now)}"
            for url, reason in listed.items()
            if url not in wrong
        }
        firsts = lines.keys() | {url.encode() for url in gone}
        if not firsts:
            return refused
        with self.locked("recording skipped items"):
            try:
                data = self._read_file(self.errors_file)
            except UnreadableError as error:
                return [(url, error.message) for url in listed]
            if _tail(data) and self._set_tail_aside(self.errors_file, data, "url", lines.values()):
                data = files.read_data(self.errors_file)
            present = firsts & _firsts(_read(data, "url").good)
            if present:
                self._drop_lines(self.errors_file, data, set(present))
            if lines:
                files.append_lines(self.errors_file, list(lines.values()))
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
        """Take marks away; comments and the order of the rest stay.

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
                    present = gone & _firsts(_read(data, "mrk").good)
                    if present:
                        self._drop_lines(path, data, present)
                        found |= present
                kept = self._written.get(("mrk", day), {})
                for first in found & set(kept):
                    del kept[first]
                    self._written_lines -= 1
                removed += len(found)
        return removed

    def reassert(self) -> int:
        """Write again what this object wrote and another program, rewriting a file, lost since.

        Returns:
            How many lines were missing.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written.
        """
        if not self._written:
            return 0
        missing = 0
        with self.locked("checking the registry"):
            for kind, day in list(self._written):
                path = self.day_file(kind, day)
                if _identity(path) != self._left_at.get((kind, day)):
                    missing += self._append(kind, day, {})
        return missing

    def deleted(self, day: date) -> frozenset[str]:
        """The files of a day that clean-ups deleted; the disk is not looked at."""
        if self._deletions is None:
            return frozenset()
        return frozenset(os.fsdecode(path) for path in self._deletions.load(str(self.key), day))

    def settle_deleted(self, day: date, deleted: Iterable[str], here: Iterable[str]) -> None:
        """Take note of what a look at the disk found of marked files: deleted, or here again."""
        if self._deletions is not None:
            self._deletions.settle(str(self.key), day, deleted, here)

    def _by_day(self, paths: Iterable[tuple[str, date]]) -> dict[date, dict[bytes, str]]:
        days: dict[date, dict[bytes, str]] = {}
        for path, day in paths:
            fault = path_fault(path) or ("it is empty" if not path else "")
            fault = fault or ("it starts with #" if path.startswith("#") else "")
            _demand(fault or ("it starts with a blank" if path != path.lstrip() else ""), path)
            days.setdefault(day, {})[path.encode()] = path
        return days

    def _append(self, kind: Kind, day: date, lines: dict[bytes, str]) -> int:
        """Append those of the lines whose first field the day lacks, and own ones that got lost.

        Returns:
            How many were written; of the lines only, when there are any. The lock is held by the caller.
        """
        path = self.day_file(kind, day)
        # Untouched since this object left it, the file still holds what this object wrote.
        untouched = _identity(path) == self._left_at.get((kind, day))
        wanted = lines if untouched else {**self._written.get((kind, day), {}), **lines}
        data = self._read_file(path)
        here = None
        if not untouched:
            here = _read(data, kind)
            self._note(path, here.bad)
        if _tail(data) and self._set_tail_aside(path, data, kind, wanted.values()):
            data, here = files.read_data(path), None
        others = [self._read_file(other) for other in self._day_files(kind, day) if other != path]
        # Most lines are not there, and a search of the bytes shows that without taking them apart.
        present: set[bytes] = set()
        if any(first in part for first in wanted for part in (data, *others)):
            for lines_of in (here or _read(data, kind), *(_read(other, kind) for other in others)):
                present |= _firsts(lines_of.good)
        missing = {first: line for first, line in wanted.items() if first not in present}
        if missing:
            files.append_lines(path, list(missing.values()))
        new = {first: line for first, line in missing.items() if first in lines}
        if new:
            kept = self._written.setdefault((kind, day), {})
            self._written_lines += len(new.keys() - kept.keys())
            kept.update(new)
            self._written.move_to_end((kind, day))
        if (kind, day) in self._written:
            self._left_at[kind, day] = _identity(path) or (0, 0, 0)
        return len(new) if lines else len(missing)

    def _set_tail_aside(self, path: Path, data: bytes, kind: Kind, wanted: Iterable[str]) -> bool:
        """Turn a last line that was cut short into a comment, so that nothing is glued to it.

        Returns:
            Whether the file was rewritten.
        """
        tail = _tail(data)
        if not tail.strip(_BLANK) or tail.startswith(b"#"):
            return False
        judged = _judge_tail(data, kind)
        # The beginning of a line about to be written is what is left of an earlier try at it.
        cut = any(line != tail and line.startswith(tail) for line in map(str.encode, wanted))
        if judged == tail and not cut:
            return False
        healed = data[: len(data) - len(tail)] + _comment(tail, "torn")
        files.write_atomic(path, healed if cut or not judged else healed + judged + b"\n")
        return True

    def _drop_lines(self, path: Path, data: bytes, firsts: set[bytes], instead: str = "") -> None:
        """Rewrite a file without the lines of some first fields, all else byte for byte."""
        kept: list[bytes] = []
        for line in data.splitlines(keepends=True):
            text = line.strip(_BLANK).removeprefix(_BOM)
            if text.startswith(b"#") or text.partition(b"|")[0] not in firsts:
                kept.append(line if line.endswith((b"\n", b"\r")) else line + b"\n")
        if instead:
            kept.append(instead.encode() + b"\n")
        files.sweep_siblings(path.parent, older_than_s=0)
        files.write_atomic(path, b"".join(kept))

    def _forget_oldest(self) -> None:
        """Check the days written to longest ago a last time, so that memory stays bounded."""
        while self._written_lines > _REMEMBERED_LINES and len(self._written) > 1:
            kind, day = oldest = next(iter(self._written))
            self._append(kind, day, {})
            self._written_lines -= len(self._written.pop(oldest))
            self._left_at.pop(oldest, None)

    def urls(self, start: date | None = None, end: date | None = None) -> Iterator[Entry]:
        """Go through the discovered files of some days, both ends included, day by day."""
        return self._entries("url", start, end)

    def downloads(self, start: date | None = None, end: date | None = None) -> Iterator[Entry]:
        """Go through the downloaded files of some days, both ends included, day by day."""
        return self._entries("dwl", start, end)

    def marked(self, start: date | None = None, end: date | None = None) -> Iterator[tuple[str, date]]:
        """Go through the marked paths of some days, both ends included, day by day."""
        for entry in self._entries("mrk", start, end):
            yield entry.url, entry.day

    def _entries(self, kind: Kind, start: date | None, end: date | None) -> Iterator[Entry]:
        for day, paths in self._listing(kind, start, end).items():
            lines = self._lines(kind, self._contents(paths))
            for first, second in _first_to_second(lines).items():
                yield Entry(first.decode(), second.decode(), day)

    def pending_downloads(self, start: date | None = None, end: date | None = None) -> list[Entry]:
        """List what was discovered and is not downloaded, by day and URL.

        A day whose list of downloads cannot be read has nothing pending: all of it would come again.
        """
        pending: list[Entry] = []
        downloaded_files = self._listing("dwl", start, end)
        for day, url_files in self._listing("url", start, end).items():
            found, done = self._contents(url_files), self._contents(downloaded_files.get(day, []))
            if found.says_the_same(done):
                self._note_same(found, self._note_all("dwl", done))
                continue
            discovered = _first_to_second(self._lines("url", found))
            gone = _firsts(self._lines("dwl", done))
            if not done.is_whole or self._is_hidden("dwl", day):
                continue
            for url in sorted(discovered.keys() - gone):
                pending.append(Entry(url.decode(), discovered[url].decode(), day))
        return pending

    def pending_marks(self, start: date | None = None, end: date | None = None) -> list[Entry]:
        """List what was downloaded to a known path that is not marked, by day and path.

        A day whose list of marks cannot be read has nothing pending: all of it would be processed again.
        """
        pending: list[Entry] = []
        marked_files = self._listing("mrk", start, end)
        for day, paths in self._listing("dwl", start, end).items():
            marks = self._contents(marked_files.get(day, []))
            done = _firsts(self._lines("mrk", marks))
            downloaded = _first_to_second(self._lines("dwl", self._contents(paths)))
            if not marks.is_whole or self._is_hidden("mrk", day):
                continue
            found = {path: url for url, path in downloaded.items() if path and path not in done}
            pending.extend(Entry(found[path].decode(), path.decode(), day) for path in sorted(found))
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
            len(self._error_lines()),
            pending_downloads,
            pending_marks,
            deleted,
        )

    def days(self, start: date | None = None, end: date | None = None) -> list[DayStats]:
        """Count each day that has files in the registry, in order."""
        return [DayStats(day, *counts) for day, counts in self._count(start, end)]

    def errors(self) -> dict[str, str]:
        """List the URLs whose last download failed, each with when and why."""
        return {url.decode(): text.decode() for url, text in self._error_lines().items()}

    def missing(self, now: datetime) -> dict[str, datetime]:
        """List the URLs that the archive said within the last day it does not have, each with when."""
        found = {}
        for url, text in self.errors().items():
            dated = _MISSING.match(text)
            if dated is None:
                continue
            try:
                at = datetime.fromisoformat(dated[1])
            except ValueError:
                continue
            if timedelta(0) <= now - at < MISSING_FOR:
                found[url] = at
        return found

    def _error_lines(self) -> dict[bytes, bytes]:
        found = _read(_as_text(self._error_data()), "url")
        self._note(self.errors_file, found.bad)
        return _first_to_second(found.good)

    def _error_data(self) -> bytes:
        """Read the list of errors; one that cannot be read stops nothing else."""
        try:
            return self._read_file(self.errors_file, is_settled=False)
        except UnreadableError:
            return b""

    def _count(self, start: date | None, end: date | None) -> list[tuple[date, _Counts]]:
        """Count each day, from memory or the cache where its files are as they were."""
        listed = {kind: self._listing(kind, start, end) for kind in _TREES}
        with self._counting:
            if self._counted is None:
                self._counted = self._cache.load(self.root, self.key) if self._cache else {}
            known, changed = self._counted, False
            result: list[tuple[date, _Counts]] = []
            for day in sorted(set().union(*listed.values())):
                paths = [listed[kind].get(day, []) for kind in _TREES]
                looked_at = [path for group in paths for path in group]
                if self._deletions is not None:
                    looked_at.append(self._deletions.day_file(str(self.key), day))
                signature, settled = self._signature(looked_at)
                name = day.isoformat()
                remembered = known.get(name)
                if remembered is not None and remembered.signature == signature:
                    result.append((day, remembered.counts))
                    if remembered.damage or self._damage:
                        self._remember(looked_at, remembered.damage)
                    continue
                contents = [self._contents(group) for group in paths]
                counts = self._count_day(day, *contents)
                result.append((day, counts))
                # A file's time and size do not say whether it may be read.
                if settled and all(one.is_whole for one in contents):
                    known[name] = _Counted(signature, counts, self._to_remember(looked_at))
                    changed = True
            if changed and self._cache:
                self._cache.save(self.root, self.key, known)
        return result

    def _signature(self, paths: list[Path]) -> tuple[_Signature, bool]:
        """Give what shows a change of files, and whether none changed within the last moments."""
        parts: list[tuple[str, int, int, int]] = []
        now = time.time_ns()
        settled = True
        for path in paths:
            with contextlib.suppress(OSError):
                status = os.stat(path)
                parts.append((path.name, status.st_mtime_ns, status.st_size, status.st_ino))
                settled = settled and now - status.st_mtime_ns >= _SETTLED_NS
        return tuple(parts), settled

    def _day_files(self, kind: Kind, day: date) -> list[Path]:
        """List where lines of a day may be: its own file, and one moved to a folder above."""
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
            self._note_unread(error)

        for path, day in _day_files_below(self._folders[kind], kind, step_over):
            if day is None:
                self._keep(RegistryDamaged(path, 0, _UNDATED))
            elif (start is None or day >= start) and (end is None or day <= end):
                days.setdefault(day, []).append(path)
        for folder in list(self._damage):
            if folder.parent == self._folders[kind] and folder not in hidden and folder.is_dir():
                self._damage.pop(folder, None)
        return dict(sorted(days.items()))

    def _count_day(self, day: date, urls: _Contents, downloads: _Contents, marks: _Contents) -> _Counts:
        """Count one day by sets of URLs and paths."""
        gone = self._deletions.load(str(self.key), day) if self._deletions else frozenset()
        downloaded_lines = self._note_all("dwl", downloads)
        downloaded = _first_to_second([line for one in downloaded_lines for line in one.good])
        marked = _firsts(self._lines("mrk", marks))
        paths = set(downloaded.values())
        paths.discard(b"")
        pending_marks = len(paths - marked) if marks.is_whole and not self._is_hidden("mrk", day) else 0
        deleted = sum(path in gone and path in marked for path in downloaded.values()) if gone else 0
        if urls.says_the_same(downloads):
            self._note_same(urls, downloaded_lines)
            return _Counts(len(downloaded), len(downloaded), len(marked), 0, pending_marks, deleted)
        discovered = _firsts(self._lines("url", urls))
        is_known = downloads.is_whole and not self._is_hidden("dwl", day)
        pending = len(discovered - downloaded.keys()) if is_known else 0
        return _Counts(len(discovered), len(downloaded), len(marked), pending, pending_marks, deleted)

    def _read_file(self, path: Path, *, is_settled: bool = True) -> bytes:
        """Read a file, and take note of one that cannot be read.

        Raises:
            UnreadableError: it cannot be read.
            StorageError: nothing can be read now, as too many files are open.
        """
        try:
            return _read_settled(path) if is_settled else files.read_data(path)
        except StorageError as error:
            if files.is_out_of_files(error):
                raise
            unreadable = UnreadableError(path, error.message, error.hint)
            self._note_unread(unreadable)
            raise unreadable from error

    def _contents(self, paths: list[Path]) -> _Contents:
        """Read the files of one kind and day, as far as they can be read."""
        parts: list[tuple[Path, bytes]] = []
        for path in paths:
            with contextlib.suppress(UnreadableError):
                parts.append((path, self._read_file(path)))
        return _Contents(parts, len(parts) == len(paths))

    def _lines(self, kind: Kind, contents: _Contents) -> list[bytes]:
        """Give the good lines of a day, and take note of the others."""
        found = self._note_all(kind, contents)
        return found[0].good if len(found) == 1 else [line for one in found for line in one.good]

    def _note_all(self, kind: Kind, contents: _Contents) -> list[_Lines]:
        """Take the files of a day apart, and take note of their bad lines."""
        found = [_read(data, kind) for _, data in contents.parts]
        self._note_same(contents, found)
        return found

    def _note_same(self, contents: _Contents, found: list[_Lines]) -> None:
        for (path, _), lines in zip(contents.parts, found, strict=True):
            self._note(path, lines.bad)

    def _note(self, path: Path, bad: list[tuple[int, str]]) -> None:
        """Take note of the lines of a file that are stepped over, or that there are none any more."""
        damaged = [reason for _, reason in sorted(bad) if reason != _TORN]
        if damaged:
            self._keep(RegistryDamaged(path, len(damaged), damaged[0]))
        elif self._damage:
            self._damage.pop(path, None)

    def _note_unread(self, error: UnreadableError) -> None:
        self._keep(RegistryDamaged(error.path, 0, error.reason))

    def _keep(self, damage: RegistryDamaged) -> None:
        """Remember what is damaged, and report it when that is new."""
        old = self._damage.get(damage.path)
        self._damage[damage.path] = (_identity(damage.path), damage)
        if old is None or old[1] != damage:
            self._emit(damage)

    def _to_remember(self, paths: list[Path]) -> tuple[tuple[str, int, str], ...]:
        found = [kept[1] for kept in map(self._damage.get, paths) if kept is not None]
        return tuple((os.path.relpath(one.path, self.root), one.lines, one.reason) for one in found)

    def _remember(self, paths: list[Path], damage: tuple[tuple[str, int, str], ...]) -> None:
        for path in paths:
            self._note(path, [])
        for name, lines, reason in damage:
            self._keep(RegistryDamaged(self.root / name, lines, reason))

    @property
    def damage(self) -> list[RegistryDamaged]:
        """What could not be read of the files and folders that were read, by path."""
        kept = list(self._damage.items())
        return [
            one
            for path, (identity, one) in sorted(kept)
            if os.path.lexists(path) and _identity(path) == identity
        ]

    def is_unreadable(self, day: date) -> bool:
        """Whether files of a day were there and could not be read, when they were read last."""
        for kind in _TREES:
            kept = [self._damage.get(path) for path in self._day_paths(kind, day)]
            if self._is_hidden(kind, day) or any(one is not None and not one[1].lines for one in kept):
                return True
        return False

    def _is_hidden(self, kind: Kind, day: date) -> bool:
        """Whether the folder of a day could not be listed."""
        return bool(self._damage) and self.day_file(kind, day).parent in self._damage

    def problems(self) -> list[Problem]:
        """List what cannot be read: damaged lines, impossible dates, files without permission."""
        found: list[Problem] = []

        def step_over(error: UnreadableError) -> None:
            found.append(Problem(error.path, 0, error.message))

        for kind in _TREES:
            try:
                for path, day in _day_files_below(self._folders[kind], kind, step_over):
                    if day is None:
                        found.append(Problem(path, 0, f"{_UNDATED}; the file is ignored"))
                    else:
                        found.extend(_file_problems(path, kind))
            except StorageError as error:
                found.append(Problem(self._folders[kind], 0, error.message))
        if os.path.exists(self.errors_file):
            found.extend(_file_problems(self.errors_file, "url"))
        return found

    def repair(self) -> list[Repaired]:
        """Turn lines that cannot be read into comments; each file is kept beside as it was.

        Raises:
            LockedError: another writer held the baseline too long.
            StorageError: the registry cannot be written; the file in question is as it was.
        """
        damaged = sorted({problem.file for problem in self.problems() if problem.line})
        done: list[Repaired] = []
        if not damaged:
            return done
        now = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        with self.locked("repairing the registry"):
            for path in damaged:
                kind: Kind = next((one for one in _TREES if path.name.startswith(f"{one}_")), "url")
                data = _read_settled(path)
                fixed, lines = _fix_lines(_as_text(data) if path == self.errors_file else data, kind)
                if lines:
                    backup = path.with_name(f"{path.name}.{now}.damaged")
                    files.write_atomic(backup, data)
                    files.write_atomic(path, fixed)
                    done.append(Repaired(path, backup, lines))
        return done

    def deletable(self, data_dir: Path, start: date | None = None, end: date | None = None) -> Deletable:
        """List the marked files that a cleanup would delete, and those it would refuse to.

        Only regular files below the data folder are ever deleted: no links, nothing a link or `..`
        leads out to, nothing of the registry. Marked files that are gone are not listed.

        Args:
            data_dir: nothing outside of it is ever deleted.
            start: first sensing day; None is the first there is.
            end: last sensing day; None is the last there is.

        Raises:
            InvalidRequestError: the data folder is the root of the file system.
        """
        found, refused = self._marked_on_disk(data_dir, start, end)
        return Deletable(
            sorted((resolved, size) for resolved, (size, _) in found.items()), sorted(refused.items())
        )

    def _marked_on_disk(
        self, data_dir: Path, start: date | None, end: date | None
    ) -> tuple[dict[Path, tuple[int, list[tuple[str, date]]]], dict[str, str]]:
        """Find marked files, each with its bytes and the marks it has, and those that must stay."""
        base = _data_root(data_dir)
        registry = Path(os.path.realpath(self.root))
        found: dict[Path, tuple[int, list[tuple[str, date]]]] = {}
        refused: dict[str, str] = {}
        for text, day in self.marked(start, end):
            path = Path(text)
            try:
                status = os.lstat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                refused[text] = error.strerror or str(error)
                continue
            resolved = Path(os.path.realpath(path.parent)) / path.name
            if stat.S_ISLNK(status.st_mode):
                refused[text] = "it is a symbolic link"
            elif path.name in ("", "..") or not resolved.is_relative_to(base) or resolved == base:
                refused[text] = f"it is not below {data_dir}"
            elif not stat.S_ISREG(status.st_mode):
                refused[text] = "it is not a regular file"
            elif resolved.is_relative_to(registry):
                refused[text] = "it belongs to the registry"
            else:
                found.setdefault(resolved, (status.st_size, []))[1].append((text, day))
        return found, refused

    def cleanup(
        self,
        data_dir: Path,
        journal: Path,
        dry_run: bool = False,
        *,
        start: date | None = None,
        end: date | None = None,
        only: Container[Path] | None = None,
    ) -> CleanupReport:
        """Delete the marked files below the data folder; the marks stay.

        Args:
            data_dir: Nothing outside of it is touched.
            journal: Gets a line `time|bytes|path` before each deletion.
            dry_run: Only report what would be done.
            start: First sensing day; None is the first there is.
            end: Last sensing day; None is the last there is.
            only: The files, as `deletable` lists them, that may go; None for all of them.

        Raises:
            InvalidRequestError: the data folder is the root of the file system.
            StorageError: the journal cannot be written; the file in question was kept.
        """
        found, kept = self._marked_on_disk(data_dir, start, end)
        plan = sorted((path, *about) for path, about in found.items() if only is None or path in only)
        refused = sorted(kept.items())
        if dry_run:
            return CleanupReport([path for path, *_ in plan], sum(size for _, size, _ in plan), refused)
        base = _data_root(data_dir)
        deleted: list[Path] = []
        freed = 0
        for path, size, marks in plan:
            now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            files.append_lines(journal, [f"{now}|{size}|{path}"])
            try:
                _unlink_below(base, path.relative_to(base))
            except OSError as error:
                reason = error.strerror or str(error)
                refused.append((str(path), reason))
                files.append_lines(journal, [f"# kept: {path}: {reason}"])
                continue
            deleted.append(path)
            freed += size
            if self._deletions is not None:
                for text, day in marks:
                    self._deletions.note(str(self.key), day, [text])
        return CleanupReport(deleted, freed, refused)


_LOCKS = ".locks"
"""The one folder in the registry that holds no data: programs that list its trees do not come across it."""


@dataclass(slots=True)
class Registry:
    """All baselines below one registry folder."""

    root: Path
    cache: StatsCache | None = None
    """Where counts are kept between processes; None keeps them in memory only."""
    deletions: Deletions | None = None
    """Where it is kept what clean-ups deleted; None keeps nothing of it."""
    lock_timeout_s: float = 30.0
    """Longest wait for another writer, in seconds."""
    on_wait: Callable[[str], None] | None = None
    """Called with a sentence about a writer that is waited for longer than `events.LONG_WAIT_S`."""
    emit: Emit = ignore
    """Takes one event for each file and folder that cannot be read whole, once as long as it stays so."""
    _baselines: dict[Key, BaselineRegistry] = field(default_factory=dict, init=False, repr=False)
    _hidden: dict[Path, RegistryDamaged] = field(default_factory=dict, init=False, repr=False)

    def baseline(self, key: Key) -> BaselineRegistry:
        """Give the registry of one baseline, the same object each time; nothing is created on disk."""
        fresh = BaselineRegistry(
            self.root,
            key,
            cache=self.cache,
            deletions=self.deletions,
            lock_timeout_s=self.lock_timeout_s,
            on_wait=self.on_wait,
            emit=self.emit,
        )
        return self._baselines.setdefault(key, fresh)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """Read one of several baselines: one that cannot be read must not keep the others from it.

        Raises:
            StorageError: nothing can be read now, as too many files are open.
        """
        try:
            yield
        except UnreadableError as error:
            self._hide(error.path, error.reason)

    def _hide(self, folder: Path, reason: str) -> None:
        damage = RegistryDamaged(folder, 0, reason)
        if self._hidden.get(folder) != damage:
            self._hidden[folder] = damage
            self.emit(damage)

    @property
    def hidden(self) -> list[RegistryDamaged]:
        """The folders above baselines that could not be listed when `tracked` was asked last."""
        return [self._hidden[folder] for folder in sorted(self._hidden)]

    def sync_lock(self, key: Key, purpose: str) -> contextlib.AbstractContextManager[None]:
        """Hold the one sync a baseline may have at a time, on any host that shares the registry.

        Tried once: who wants to wait tries again. It does not lock the registry's lines.

        Raises:
            LockedError: another sync of the baseline goes on; the message names it.
            StorageError: the registry cannot be written.
        """
        what = f"The sync of {key.collection} {key.product_type} {key.baseline}"
        return _locked(*self._sync_locks(key), 0, purpose, what)

    def _sync_locks(self, key: Key) -> tuple[Path, Path]:
        folder = self.root / _TREES["dwl"] / key.mission / key.collection / key.product_type
        return _lock_file(self.root, "sync", key), folder / f".sync-{key.baseline}.lock"

    def drop_earlier_locks(self, key: Key) -> int:
        """Delete the lock files that earlier versions left among the data; returns how many there were.

        Raises:
            LockedError: a writer or a sync is at work.
            StorageError: one cannot be deleted.
        """
        count = 0
        tracker = self.baseline(key)
        for _, earlier in (tracker.lock_files, self._sync_locks(key)):
            if not os.path.lexists(earlier):
                continue
            is_writers = earlier == tracker.lock_files[1]
            with tracker.locked("doctor", 0) if is_writers else self.sync_lock(key, "doctor"):
                # A holder that comes later sees that the file it opened is gone, and begins again.
                for path in (earlier, Path(f"{earlier}.holder")):
                    try:
                        path.unlink(missing_ok=True)
                    except OSError as error:
                        raise files.storage_error(path, error) from error
                count += 1
        return count

    def tracked(self) -> list[Key]:
        """List the baselines that have a folder in any of the three trees, sorted.

        Folders in the trees that cannot be listed are stepped over, and reported.

        Raises:
            RegistryError: the registry folder is there and cannot be read.
        """
        keys: set[Key] = set()
        seen: set[Path] = set()
        for tree in _TREES.values():
            level: list[tuple[str, ...]] = [()]
            for depth in range(4):
                below: list[tuple[str, ...]] = []
                for names in level:
                    folder = self.root.joinpath(tree, *names)
                    try:
                        below += [(*names, name) for name in _folder_names(folder)]
                    except RegistryError as error:
                        if depth == 0 or files.is_out_of_files(error):
                            raise
                        seen.add(folder)
                        self._hide(folder, error.message.removeprefix(f"Cannot use {folder}: "))
                level = below
            keys.update(Key(*names) for names in level)
        for folder in self._hidden.keys() - seen:
            del self._hidden[folder]
        return sorted(keys)


def _lock_file(root: Path, kind: str, key: Key) -> Path:
    """A lock of a baseline: in the registry, as every host that shares it has to see it, and out of sight."""
    names = (key.mission, key.collection, key.product_type, f"{key.baseline}.lock")
    return root.joinpath(_LOCKS, kind, *names)


@contextlib.contextmanager
def _locked(
    path: Path,
    earlier: Path,
    timeout_s: float,
    purpose: str,
    what: str,
    on_wait: Callable[[str], None] | None = None,
) -> Iterator[None]:
    """Hold a lock, and that of earlier versions where one of them has left it: it may be at work."""
    deadline = time.monotonic() + timeout_s

    def take(one: Path) -> contextlib.AbstractContextManager[None]:
        left_s = max(deadline - time.monotonic(), 0.0)
        return locks.lock(one, timeout_s=left_s, purpose=purpose, what=what, on_wait=on_wait)

    with contextlib.ExitStack() as held:
        is_held = False
        with contextlib.suppress(StorageError):
            held.enter_context(take(path))
            is_held = True
        # Who may write to a baseline alone, and not to the whole registry, locks it there.
        if not is_held or os.path.lexists(earlier):
            held.enter_context(take(earlier))
        yield


def _folder_names(path: Path) -> list[str]:
    """List the folders of a folder whose names can be part of a key."""
    try:
        with os.scandir(path) as found:
            return [item.name for item in found if is_name(item.name) and item.is_dir()]
    except FileNotFoundError:
        return []
    except NotADirectoryError as error:
        blocking = next((one for one in reversed(path.parents) if one.exists() and not one.is_dir()), path)
        raise RegistryError(
            f"{blocking} is a file where a folder of the registry belongs",
            "Move that file away, or set paths.registry_dir to another folder.",
        ) from error
    except OSError as error:
        failure = files.storage_error(path, error)
        raise RegistryError(failure.message, failure.hint) from error


def _day_files_below(
    folder: Path, kind: Kind, step_over: Callable[[UnreadableError], None]
) -> Iterator[tuple[Path, date | None]]:
    """Find the day files of a tree, at any depth as maap-client does, with None for an impossible date.

    Args:
        folder: the tree.
        kind: of which files.
        step_over: called for each folder in it that cannot be listed.

    Raises:
        UnreadableError: the tree itself cannot be listed.
        StorageError: no folder can be listed now, as too many files are open.
    """

    def fail(error: OSError) -> None:
        if isinstance(error, FileNotFoundError):
            return
        where = Path(error.filename or folder)
        failure = files.storage_error(where, error)
        if files.is_out_of_files(error):
            raise failure from error
        unreadable = UnreadableError(where, failure.message, failure.hint)
        if where == folder:
            raise unreadable from error
        step_over(unreadable)

    for parent, names, found in os.walk(folder, onerror=fail):
        names.sort()
        for name in sorted(found):
            if name.startswith(f"{kind}_") and name.endswith(".txt"):
                match = _DAY_FILE.fullmatch(name)
                day = None
                if match:
                    with contextlib.suppress(ValueError):
                        digits = match[1]
                        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
                yield Path(parent, name), day


def _read_settled(path: Path) -> bytes:
    """Read a file once no other program is in the middle of writing it.

    maap-client cuts a file to nothing and fills it again, without a lock: what is written between
    the two is lost, and a last line without its end may only be waiting for the rest.
    """
    data = files.read_data(path)
    same = 0
    for _ in range(_SETTLE_TRIES):
        if data.endswith(b"\n"):
            break
        status = _identity(path)
        if status is None or time.time_ns() - status[1] > _SETTLE_NS:
            break
        time.sleep(_SETTLE_S)
        before, data = data, files.read_data(path)
        same = same + 1 if data == before else 0
        # Between being cut and being filled a file may be held up by the disk.
        if same >= (1 if data else _SETTLE_EMPTY):
            break
    return data


def _tail(data: bytes) -> bytes:
    """Give what stands after the last line end; empty for a file that ends as it should."""
    return data[max(data.rfind(b"\n"), data.rfind(b"\r")) + 1 :]


def _judge_tail(data: bytes, kind: Kind) -> bytes:
    """Say what of a last line without its line end can be believed; empty for nothing.

    Both clients end every line, so such a line is a crash's, a write's in progress, or an editor's
    that leaves the last line end out. Whole lines show which: a URL is whole when its separator
    follows, a path when it ends in the URL's file name.
    """
    tail = _tail(data)
    before = data[: len(data) - len(tail)]
    if kind == "mrk":
        return tail if _ends_like(tail, before) else b""
    url, separator, path = tail.partition(b"|")
    if not separator:
        # A download is recorded with its path: a first line without one was cut.
        bare = b"|" not in before and (kind == "url" or before.strip(_BLANK))
        return tail if bare and _ends_like(tail, before) else b""
    if path.strip(_BLANK).endswith(url.rpartition(b"/")[2]) and not url.endswith(b"/"):
        return tail
    return url + b"|" if kind == "url" else b""


def _comment(line: bytes, what: str) -> bytes:
    """Make a line that cannot be read a comment that shows what it was, as far as there is room."""
    text = line.strip(_BLANK)[:_MAX_LINE].decode("utf-8", "backslashreplace")
    shown = "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in text
    )
    return f"# {what} line set aside: {shown}\n".encode()


def _fix_lines(data: bytes, kind: Kind) -> tuple[bytes, int]:
    """Give a file with its bad lines as comments, and how many those are."""
    bad = {number for number, _ in _read(data, kind).bad}
    tail = _tail(data)
    fixed: list[bytes] = []
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        if number not in bad:
            fixed.append(line)
            continue
        is_torn = bool(tail) and line == tail
        fixed.append(_comment(line, "torn" if is_torn else "damaged"))
        judged = _judge_tail(data, kind) if is_torn else b""
        if judged and _read(judged + b"\n", kind).good:
            fixed.append(judged + b"\n")
    return b"".join(fixed), len(bad)


def _ends_like(tail: bytes, before: bytes) -> bool:
    """Whether a last line ends in a file name as the others do, or as files of the archive do."""
    suffix = os.path.splitext(tail.rstrip(_BLANK))[1]
    others = {os.path.splitext(line)[1] for line in before.split() if not line.startswith(b"#")}
    return suffix in others if others else suffix.lower() in _SUFFIXES


def _as_text(errors: bytes) -> bytes:
    """Give the list of errors with blanks for control characters: their text is what a server sent."""
    return re.sub(rb"\r(?!\n)", b" ", errors).translate(_IN_ERRORS)


def _read(data: bytes, kind: Kind) -> _Lines:
    """Take a file apart into good lines, without blanks around them, and those stepped over."""
    tail = _tail(data)
    bad: list[tuple[int, str]] = []
    if tail.strip(_BLANK) and not tail.lstrip(_BLANK + _BOM).startswith(b"#"):
        judged = _judge_tail(data, kind)
        if judged != tail:
            bad.append((len(data.splitlines()), _TORN))
            data = data[: len(data) - len(tail)] + judged
    if not data.translate(None, _PLAIN):
        lines = data.split(b"\n")
        if not lines[-1]:
            lines.pop()
        plain = kind == "mrk" or data.count(b"\nhttps://") + data.startswith(b"https://") == len(lines)
        # An address without a host begins as the others do.
        plain = plain and b"://\n" not in data and b"://|" not in data and not data.endswith(b"://")
        if plain and b"" not in lines and (not lines or max(map(len, lines)) <= _MAX_LINE):
            return _Lines(lines, bad)
    return _read_carefully(data, kind, bad)


def _read_carefully(data: bytes, kind: Kind, bad: list[tuple[int, str]]) -> _Lines:
    """Take a file apart line by line, as `_read` does where bytes may be anything."""
    good: list[bytes] = []
    pattern = _PATH_LINE if kind == "mrk" else _PAIR_LINE
    for number, raw in enumerate(data.removeprefix(_BOM).splitlines(), start=1):
        line = raw.strip(_BLANK)
        if not line or line.startswith(b"#"):
            continue
        reason = ""
        if len(line) > _MAX_LINE:
            reason = f"the line is longer than {_MAX_LINE} bytes"
        elif not pattern.fullmatch(line):
            controls = any(byte < 0x20 or byte == 0x7F for byte in line)
            reason = "the line holds control characters" if controls else "the line does not start with a URL"
        elif not line.isascii():
            try:
                line.decode()
            except UnicodeDecodeError:
                reason = "the line is not UTF-8"
        if reason:
            bad.append((number, reason))
        else:
            good.append(line)
    return _Lines(good, bad)


def _first_to_second(lines: list[bytes]) -> dict[bytes, bytes]:
    """Map first fields to second ones; of one URL's lines the last counts, as in maap-client."""
    return {first: second for line in lines for first, _, second in (line.partition(b"|"),)}


def _firsts(lines: list[bytes]) -> set[bytes]:
    return {line.partition(b"|")[0] for line in lines}


def _file_problems(path: Path, kind: Kind) -> list[Problem]:
    try:
        data = files.read_data(path)
    except StorageError as error:
        return [Problem(path, 0, error.message)]
    if path.name == "errors.txt":
        data = _as_text(data)
    return [Problem(path, number, reason) for number, reason in sorted(_read(data, kind).bad)]


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size


def _demand(fault: str, text: str) -> None:
    if fault:
        raise InvalidRequestError(f"Cannot register {text[:200]!a}: {fault}")


def is_skipped(text: str) -> bool:
    """Whether the text of an error is of an item that could not be used, not of a file that failed."""
    return text.partition(" ")[2].startswith(_SKIPPED) or text.startswith(_SKIPPED)


def _error_text(reason: str, code: int | None, tries: int, at: datetime) -> str:
    """Write when, code, reason and tries so that they stay on one line of two fields."""
    shown = "".join(char if char.isprintable() else " " for char in reason.replace("|", ";"))
    shown = " ".join(shown.split())
    if code is not None and not shown.startswith(str(code)):
        shown = f"{code} {shown}".rstrip()
    head = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ ")
    end = f" ({tries} {'try' if tries == 1 else 'tries'})"
    room = _MAX_ERROR - len(head) - len(end)
    return head + (shown if len(shown) <= room else shown[: room - 3] + "...") + end


def _data_root(data_dir: Path) -> Path:
    base = Path(os.path.realpath(data_dir))
    if base == Path(base.anchor):
        raise InvalidRequestError(f"Will not clean up below {base}", "Set data_dir to a folder of its own.")
    return base


def _unlink_below(base: Path, relative: Path) -> None:
    """Delete a regular file below a folder, following no link that took a folder's place meanwhile."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(base, flags)
    try:
        for name in relative.parts[:-1]:
            below = os.open(name, flags, dir_fd=folder)
            os.close(folder)
            folder = below
        status = os.stat(relative.name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(0, "it is no longer a regular file")
        os.unlink(relative.name, dir_fd=folder)
    finally:
        os.close(folder)
