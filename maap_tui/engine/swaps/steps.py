"""The steps of a swap, each of which may be done again: hand marks over, retire old files, restore marks.

The rule: every granule has one whole version at any moment. Old files stay until their successor has been
read whole once more, and are deleted by the clean-up, with its rules and its journal.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from pathlib import Path

from maap_tui.engine.integrity.verify import DELETED, GOOD
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.cleanup import delete_marked
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.swaps.book import Entry, SwapBook, SwapFile
from maap_tui.engine.workflows.parts import Parts

AT_ONCE = 64
"""Granules of which a step is written down together."""

CLEANED = "was deleted by a clean-up"
"""What is wrong with a file that was processed and is gone for that."""

FETCH_HINT = "; `maap swap undo --get` asks the archive for it"
"""What may help where an old file is not here."""


@dataclass(slots=True)
class Kept:
    """A granule that a step left as it was."""

    entry: Entry
    reason: str
    permanent: bool = False
    """Whether the same command will leave it again."""
    is_damaged: bool = False
    """Whether its successor is not here whole, which fetching it again may change."""


@dataclass(slots=True)
class Retired:
    """What retiring did."""

    done: list[Entry] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    """Bytes that deleting freed."""

    def add(self, other: Retired) -> None:
        """Take in what was done after this."""
        self.done += other.done
        self.kept += other.kept
        self.files += other.files
        self.bytes += other.bytes


class Lists:
    """What the registry says of the files of a baseline now; each day is read once."""

    def __init__(self, parts: Parts, key: Key) -> None:
        self._tracker = parts.registry.baseline(key)
        self._judge = parts.judge()
        self._key = key
        self._paths: dict[date, dict[str, str]] = {}
        self._marks: dict[date, frozenset[str]] = {}

    def as_recorded(self, files: Iterable[SwapFile]) -> tuple[SwapFile, ...]:
        """Files with the paths that they were downloaded to, wherever that was."""
        return tuple(
            file._replace(path=self._paths_of(file.day).get(file.url) or file.path) for file in files
        )

    def marked(self, files: Iterable[SwapFile]) -> frozenset[str]:
        """The paths of those that are marked."""
        found = set()
        for file in files:
            if file.day not in self._marks:
                self._marks[file.day] = frozenset(
                    path for path, _ in self._tracker.marked(file.day, file.day)
                )
            if file.path in self._marks[file.day]:
                found.add(file.path)
        return frozenset(found)

    def is_marked(self, files: Sequence[SwapFile]) -> bool:
        """Whether all of them are marked."""
        return self.marked(files) >= {file.path for file in files}

    def fault(self, files: Iterable[SwapFile], *, read_all: bool = True) -> str:
        """What is wrong with files that have to be here, recorded and whole; '' when they are.

        Args:
            files: of one granule.
            read_all: whether they are read to their end and compared with the hash recorded when they came.

        Raises:
            StorageError: the registry or the hashes cannot be read.
        """
        for file in files:
            name = os.path.basename(file.path)
            if self._paths_of(file.day).get(file.url) != file.path:
                return f"{name} is not recorded as downloaded"
            found = self._judge.judge(
                file.path, file.url, tracked=(self._key, file.day), size=file.size, read_all=read_all
            )
            if found.state == DELETED:
                return f"{name} {CLEANED}"
            if found.state != GOOD:
                return f"{name} is {found.sentence}"
        return ""

    def _paths_of(self, day: date) -> dict[str, str]:
        if day not in self._paths:
            self._paths[day] = {one.url: one.path for one in self._tracker.downloads(day, day)}
        return self._paths[day]


def hand_over(
    parts: Parts, book: SwapBook, entries: Sequence[Entry], keep: timedelta
) -> tuple[list[Entry], list[Kept]]:
    """Hand the marks of granules over to their successors, those that are here whole.

    The old ones become marked, so that nothing processes them any more; a successor that was not marked is
    pending, and one that was processed before stays marked.

    Args:
        parts: the engine.
        book: the journal.
        entries: granules that are planned or fetched, in the order of days.
        keep: how long the old files stay.

    Returns:
        The granules that are swapped, and those that are not.

    Raises:
        LockedError: a writer held a baseline too long.
        StorageError: something cannot be written; what was done is done again by the next run.
    """
    whole: list[Entry] = []
    kept: list[Kept] = []
    old, fresh = Lists(parts, book.old), Lists(parts, book.new)
    now = moment(parts)
    for entry in entries:
        new = fresh.as_recorded(entry.new)
        if fault := _shared(entry.old, new):
            kept.append(Kept(entry, fault))
        elif fault := fresh.fault(new):
            kept.append(Kept(entry, fault, is_damaged=True))
        elif fault := _unsettled(parts.registry.baseline(book.new), new):
            kept.append(Kept(entry, fault))
        elif entry.state == "fetched":
            whole.append(entry)
        else:
            whole.append(
                replace(
                    entry,
                    new=new,
                    state="fetched",
                    at=now,
                    old_marked=old.marked(entry.old),
                    new_marked=fresh.marked(new),
                    had_old=not old.fault(entry.old, read_all=False),
                )
            )
    known = book.entries
    book.note(entry for entry in whole if known[entry.name].state != "fetched")
    _set_marks(parts.registry.baseline(book.old), [file for entry in whole for file in entry.old], ())
    done = [replace(entry, state="swapped", at=now, until=now + keep) for entry in whole]
    book.note(done)
    return done, kept


def _shared(old: Iterable[SwapFile], new: Iterable[SwapFile]) -> str:
    """Why new files cannot take the place of old ones that they are the same as, '' where they are others.

    Names of some missions do not say the baseline: in a folder of one's own both have one path.
    """
    places = {_resolved(file.path) for file in old}
    same = next((file.path for file in new if _resolved(file.path) in places), "")
    return f"the registry has both versions at {same}" if same else ""


def _set_marks(tracker: BaselineRegistry, marked: Iterable[SwapFile], unmarked: Iterable[SwapFile]) -> None:
    tracker.unmark([(file.path, file.day) for file in unmarked])
    tracker.mark([(file.path, file.day) for file in marked])


def _unsettled(tracker: BaselineRegistry, files: Iterable[SwapFile]) -> str:
    """See to it that what is here counts as here, and what is gone as deleted, whatever a kill left.

    Returns:
        Why that could not be written, '' where all of it is so.
    """
    for file in files:
        is_here = os.path.lexists(file.path)
        tracker.settle_deleted(
            file.day, deleted=[] if is_here else [file.path], here=[file.path] if is_here else []
        )
        if tracker.deletions_folder is not None and (file.path in tracker.deleted(file.day)) == is_here:
            return f"the list of deleted files of {file.day} cannot be written"
    return ""


def retire(parts: Parts, book: SwapBook, entries: Sequence[Entry]) -> Retired:
    """Delete old files whose successors are here whole at this moment.

    Args:
        parts: the engine.
        book: the journal.
        entries: granules that are swapped, in the order of days.

    Raises:
        LockedError: a writer held a baseline too long.
        StorageError: the journal of deletions cannot be written; the file in question was kept.
    """
    found = Retired()
    tracker = parts.registry.baseline(book.old)
    data_dir, journal = parts.dirs.data_dir, parts.dirs.journal_file
    fresh = Lists(parts, book.new)
    for entry in entries:
        new = fresh.as_recorded(entry.new)
        if fault := _shared(entry.old, new) or fresh.fault(new):
            hint = "; once its swap is undone, a clean-up takes the old one too" if CLEANED in fault else ""
            found.kept.append(Kept(entry, f"its successor cannot take its place: {fault}{hint}"))
            continue
        refused: dict[str, str] = {}
        days: dict[date, list[str]] = defaultdict(list)
        for file in entry.old:
            days[file.day].append(file.path)
        for day, paths in days.items():
            only = {_resolved(path) for path in paths}
            report = delete_marked(tracker, data_dir, journal, start=day, end=day, only=only, is_swapped=True)
            found.files += len(report.deleted)
            found.bytes += report.bytes
            refused |= dict(report.refused)
        left = [file.path for file in entry.old if os.path.lexists(file.path)]
        if left:
            reason = (
                refused.get(left[0])
                or refused.get(str(_resolved(left[0])))
                or "it is not marked any more: mark it, or undo the swap"
            )
            found.kept.append(Kept(entry, f"{os.path.basename(left[0])} stays: {reason}", permanent=True))
        elif fault := _unsettled(tracker, entry.old):
            found.kept.append(Kept(entry, fault))
        else:
            found.done.append(replace(entry, state="retired", at=moment(parts)))
    book.note(found.done)
    return found


def _resolved(path: str) -> Path:
    """A path as the clean-up names it."""
    return Path(os.path.realpath(os.path.dirname(path))) / os.path.basename(path)


def restore(
    parts: Parts,
    book: SwapBook,
    entries: Sequence[Entry],
    *,
    hint: str = FETCH_HINT,
    read: Collection[str] = (),
) -> tuple[list[Entry], list[Kept]]:
    """Give granules the marks back that they had before the swap, old and new.

    Args:
        parts: the engine.
        book: the journal.
        entries: granules in any state but retired and undone.
        hint: what may help where an old file is not here whole, after the reason.
        read: granules whose old files were read a moment ago, and are whole.

    Returns:
        The granules that are as they were, and those whose old files are not here whole any more.

    Raises:
        LockedError: a writer held a baseline too long.
        StorageError: something cannot be written; the next undo, or run, goes on.
    """
    whole: list[Entry] = []
    kept: list[Kept] = []
    untouched: list[Entry] = []
    old = Lists(parts, book.old)
    for entry in entries:
        if entry.state == "planned":
            untouched.append(entry)
        elif entry.had_old and entry.name not in read and (fault := old.fault(entry.old)):
            kept.append(Kept(entry, fault + hint, permanent=True))
        elif entry.had_old and (fault := _unsettled(parts.registry.baseline(book.old), entry.old)):
            kept.append(Kept(entry, fault))
        else:
            whole.append(entry)
    now = moment(parts)
    book.note(replace(entry, state="undoing", at=now) for entry in whole if entry.state != "undoing")
    _set_marks(
        parts.registry.baseline(book.old),
        [file for entry in whole for file in entry.old if file.path in entry.old_marked],
        [file for entry in whole for file in entry.old if file.path not in entry.old_marked],
    )
    # A new file that a clean-up deleted meanwhile keeps the mark that it was deleted by.
    new = [(entry, file) for entry in whole for file in entry.new if os.path.lexists(file.path)]
    _set_marks(
        parts.registry.baseline(book.new),
        [file for entry, file in new if file.path in entry.new_marked],
        [file for entry, file in new if file.path not in entry.new_marked],
    )
    done = [replace(entry, state="undone", at=now) for entry in (*untouched, *whole)]
    book.note(done)
    return done, kept


def moment(parts: Parts) -> datetime:
    """The present, in whole seconds."""
    return parts.now().replace(microsecond=0)


def chunks(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Granules as many at a time as a step takes, by their days."""
    ordered = sorted(entries, key=lambda entry: (entry.start, entry.name))
    return [ordered[at : at + AT_ONCE] for at in range(0, len(ordered), AT_ONCE)]
