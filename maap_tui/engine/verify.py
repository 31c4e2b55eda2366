"""Verify: are the files that the registry calls downloaded still here, and still what came?"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from maap_tui.engine.hashes import Hashes, Recorded, compare
from maap_tui.engine.registry import Entry, Key, Registry
from maap_tui.engine.transfer import is_whole

GOOD = "good"
MISSING = "missing"
TRUNCATED = "truncated"
CHANGED = "changed"
UNREADABLE = "unreadable"
CLEANED = "cleaned"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one file."""

    key: Key
    entry: Entry
    state: str
    """good, missing, truncated, changed, unreadable, or cleaned (deleted after it was marked)."""
    reason: str = ""
    """What is wrong, in words; '' for a good file."""
    size: int = 0
    """Bytes on disk."""
    is_hashed: bool = False
    """Whether the hash recorded at download was compared too."""

    @property
    def is_bad(self) -> bool:
        """Whether it has to be fetched again."""
        return self.state not in (GOOD, CLEANED)


def verify(
    registry: Registry,
    hashes: Hashes,
    keys: Iterable[Key],
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    read_all: bool = True,
) -> Iterator[Verdict]:
    """Look at every file that is recorded as downloaded, oldest day first.

    Args:
        registry: what was downloaded.
        hashes: what the files were then.
        keys: the baselines to look at.
        first_day: first sensing day; None for all.
        last_day: last sensing day; None for all.
        read_all: whether to read the files and compare hashes; False looks at size and structure alone.
    """
    for key in keys:
        tracker = registry.baseline(key)
        for day, group in itertools.groupby(
            tracker.downloads(first_day, last_day), key=lambda entry: entry.day
        ):
            recorded = hashes.load(key, day)
            marked = {path for path, _ in tracker.marked(day, day)}
            for entry in sorted(group, key=lambda one: one.path):
                if entry.path:
                    yield judge(key, entry, recorded.get(entry.path), entry.path in marked, read_all=read_all)


def judge(
    key: Key, entry: Entry, recorded: Recorded | None, is_marked: bool, *, read_all: bool = True
) -> Verdict:
    """Look at one file."""
    path = Path(entry.path)
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        if is_marked:
            return Verdict(key, entry, CLEANED)
        return Verdict(key, entry, MISSING, "it is not on disk")
    except OSError as error:
        return Verdict(key, entry, UNREADABLE, f"{error.strerror}")
    if not stat.S_ISREG(found.st_mode):
        return Verdict(key, entry, CHANGED, "it is no regular file any more")
    size = found.st_size
    if recorded is not None and size != recorded.size:
        state = TRUNCATED if size < recorded.size else CHANGED
        return Verdict(key, entry, state, f"it has {size} bytes and had {recorded.size}", size)
    if size == 0:
        return Verdict(key, entry, TRUNCATED, "it is empty", size)
    try:
        if not is_whole(path):
            return Verdict(key, entry, TRUNCATED, "its HDF5 header and its length disagree", size)
        if recorded is not None and read_all:
            offset = compare(path, recorded)
            if offset is not None:
                reason = f"its bytes from {offset} on differ from what was downloaded"
                return Verdict(key, entry, CHANGED, reason, size, True)
            return Verdict(key, entry, GOOD, "", size, True)
    except OSError as error:
        return Verdict(key, entry, UNREADABLE, f"{error.strerror}", size)
    return Verdict(key, entry, GOOD, "", size)
