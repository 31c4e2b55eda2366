"""The journal of a swap: what became of each granule, one JSON object a line, below the registry.

The rule: a line is durable before what it announces is done to marks or files, and nothing is deleted that a
line does not say is over. The last line about a granule counts; what the process did not come to is done by
the next run.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import parse_zulu, to_zulu
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.storage import files

State = Literal["planned", "fetched", "swapped", "retired", "undoing", "undone"]
"""What became of a granule: its successor is known; it is here and whole, and the marks as they were are
written down; the marks are handed over; the old files are deleted; its marks are being restored; they are."""

STATES: Final[tuple[State, ...]] = ("planned", "fetched", "swapped", "retired", "undoing", "undone")
HOLDING: Final = frozenset({"fetched", "swapped", "undoing"})
"""States in which the old files have to stay, whatever their marks say."""
SETTLED: Final = frozenset({"fetched", "swapped", "retired", "undoing"})
"""States in which another plan does not change what takes the place of a granule."""

FOLDER: Final = "swaps"


class SwapFile(NamedTuple):
    """A file of a granule, old or new."""

    url: str
    path: str
    day: date
    """Its sensing day in the registry."""
    size: int | None = None
    """Bytes, None while they are not known."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One granule of the old baseline, and the one that takes its place."""

    name: str
    """The old granule."""
    orbit: int | None
    """None where its name has none."""
    frame: str
    """'' for a mission whose orbits are not cut."""
    start: datetime
    """Sensing start of the old one, UTC."""
    old: tuple[SwapFile, ...]
    successor: str
    """The new granule."""
    new: tuple[SwapFile, ...]
    state: State
    at: datetime
    """When it came to this state, UTC."""
    until: datetime | None = None
    """From when on the old files may be deleted; None before the swap."""
    old_marked: frozenset[str] = frozenset()
    """Old files that were marked before the swap."""
    new_marked: frozenset[str] = frozenset()
    """New files that were marked before the swap."""
    had_old: bool = True
    """Whether all old files were here before the swap."""


@dataclass(slots=True)
class SwapBook:
    """The journal of one swap; whoever writes holds the sync locks of both baselines."""

    root: Path
    """The registry folder."""
    old: Key
    new: Key
    entries: dict[str, Entry] = field(default_factory=dict)
    """By the old granule, in the order in which they were planned."""
    bad: int = 0
    """Lines that could not be read."""

    @property
    def file(self) -> Path:
        """Where it is."""
        return self.root / FOLDER / str(self.old) / f"{self.new.baseline}.jsonl"

    def read(self) -> SwapBook:
        """Read it; nothing when this swap was not begun.

        Raises:
            StorageError: it is there and cannot be read.
        """
        self.entries, self.bad = {}, 0
        for line in files.read_lines(self.file):
            if line.strip() and not line.startswith("#"):
                self.bad += not self._take(line)
        return self

    def repair(self) -> int:
        """Make comments of the lines that cannot be read, as a kill in the middle of one leaves it.

        Returns:
            How many there were.

        Raises:
            StorageError: it cannot be written.
        """
        if not self.bad:
            return 0
        lines, found = [], 0
        known = SwapBook(self.root, self.old, self.new)
        for line in files.read_lines(self.file):
            is_bad = bool(line.strip()) and not line.startswith("#") and not known._take(line)
            lines.append(f"# line set aside: {line}\n" if is_bad else f"{line}\n")
            found += is_bad
        files.write_atomic(self.file, "".join(lines))
        self.bad = 0
        return found

    def plan(self, entries: Iterable[Entry]) -> None:
        """Write down what takes the place of what, before anything is fetched.

        Raises:
            StorageError: it cannot be written.
        """
        several = list(entries)
        self._write([_planned(entry) for entry in several])

    def note(self, entries: Iterable[Entry]) -> None:
        """Write down a new state of granules that are planned.

        Raises:
            StorageError: it cannot be written; what it announces may not be done then.
        """
        self._write([_changed(entry, self.entries[entry.name]) for entry in entries])

    def _write(self, lines: list[str]) -> None:
        if lines:
            files.append_lines(self.file, lines)
        for line in lines:
            self._take(line)

    def _take(self, line: str) -> bool:
        """Take in a line; whether it could be read."""
        try:
            row = json.loads(line)
            name = row["granule"]
            if row["state"] == "planned":
                self.entries[name] = _entry_of(row)
            else:
                self.entries[name] = _with(self.entries[name], row)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
            return False
        return True


def _planned(entry: Entry) -> str:
    return json.dumps(
        {
            "granule": entry.name,
            "state": "planned",
            "at": to_zulu(entry.at),
            "orbit": entry.orbit,
            "frame": entry.frame,
            "start": to_zulu(entry.start),
            "successor": entry.successor,
            "old": _listed(entry.old),
            "new": _listed(entry.new),
        }
    )


def _changed(entry: Entry, known: Entry) -> str:
    row: dict[str, Any] = {"granule": entry.name, "state": entry.state, "at": to_zulu(entry.at)}
    if entry.until is not None:
        row["until"] = to_zulu(entry.until)
    if entry.state == "fetched":
        if entry.new != known.new:
            row["new"] = _listed(entry.new)
        row |= {
            "old_marked": sorted(entry.old_marked),
            "new_marked": sorted(entry.new_marked),
            "had_old": entry.had_old,
        }
    return json.dumps(row)


def _listed(some: Iterable[SwapFile]) -> list[list[Any]]:
    return [[one.url, one.path, one.day.isoformat(), one.size] for one in some]


def _files_of(rows: Any) -> tuple[SwapFile, ...]:
    found = []
    for url, path, day, size in rows:
        if not (isinstance(url, str) and isinstance(path, str)):
            raise ValueError("not a file")
        found.append(SwapFile(url, path, date.fromisoformat(day), None if size is None else int(size)))
    return tuple(found)


def _entry_of(row: Mapping[str, Any]) -> Entry:
    return Entry(
        name=str(row["granule"]),
        orbit=None if row["orbit"] is None else int(row["orbit"]),
        frame=str(row["frame"]),
        start=parse_zulu(row["start"]),
        old=_files_of(row["old"]),
        successor=str(row["successor"]),
        new=_files_of(row["new"]),
        state="planned",
        at=parse_zulu(row["at"]),
    )


def _with(entry: Entry, row: Mapping[str, Any]) -> Entry:
    """An entry as a later line leaves it."""
    if row["state"] not in STATES:
        raise ValueError("not a state")
    changed = replace(entry, state=cast(State, row["state"]), at=parse_zulu(row["at"]))
    if "until" in row:
        changed = replace(changed, until=parse_zulu(row["until"]))
    if row["state"] == "fetched":
        changed = replace(
            changed,
            new=_files_of(row["new"]) if "new" in row else entry.new,
            old_marked=frozenset(map(str, row["old_marked"])),
            new_marked=frozenset(map(str, row["new_marked"])),
            had_old=bool(row["had_old"]),
            until=None,
        )
    return changed


def books_of(root: Path, old: Key) -> Iterator[SwapBook]:
    """The swaps of a baseline for others, read; a name that no baseline can have is passed over.

    Raises:
        StorageError: one is there and cannot be read.
    """
    for new, _ in _files_below(root, old):
        yield SwapBook(root, old, new).read()


def _files_below(root: Path, old: Key) -> Iterator[tuple[Key, Path]]:
    """The journals of a baseline, each with the one that takes its place."""
    for path in sorted((root / FOLDER / str(old)).glob("*.jsonl")):
        with contextlib.suppress(InvalidRequestError):
            yield Key(*old[:3], path.stem), path


def all_books(root: Path) -> Iterator[SwapBook]:
    """Every swap below a registry folder, read.

    Raises:
        StorageError: one is there and cannot be read.
    """
    top = root / FOLDER
    for folder in sorted({path.parent for path in top.glob("*/*/*/*/*.jsonl")}):
        try:
            old = Key(*folder.relative_to(top).parts)
        except InvalidRequestError:
            continue
        yield from books_of(root, old)


def held(root: Path, old: Key) -> dict[str, str]:
    """Old files that a clean-up has to leave to a swap: path -> why.

    Raises:
        StorageError: the journal of a swap cannot be read.
    """
    if not os.path.isdir(root / FOLDER):
        return {}
    found: dict[str, str] = {}
    for new, path in _files_below(root, old):
        try:
            status = os.stat(path)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise files.storage_error(path, error) from error
        found |= _held_by(root, old, new, (status.st_ino, status.st_size, status.st_mtime_ns))
    return found


@functools.lru_cache(maxsize=8)
def _held_by(root: Path, old: Key, new: Key, identity: tuple[int, int, int]) -> dict[str, str]:
    """What one journal keeps as it is: who cleans up asks for each month, and it may have 50,000 granules."""
    book = SwapBook(root, old, new).read()
    found: dict[str, str] = {}
    for entry in book.entries.values():
        if entry.state in HOLDING:
            why = f"the swap for {book.new.baseline} keeps files"
            if entry.until is not None:
                why += f" until {entry.until:%Y-%m-%d}, and `maap swap run` then deletes them"
            found |= {one.path: why for one in entry.old}
    return found
