"""Verify: is a downloaded file still here, and still what came? What every face asks and says.

The states, the same words everywhere: good; missing (not on disk); truncated (its end is missing);
changed (other bytes, or no regular file any more); unreadable; deleted (by a clean-up, after it was
marked).
"""

from __future__ import annotations

import contextlib
import itertools
import os
import stat
from collections.abc import Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Literal

from maap_tui.engine.integrity.content import says_length, structure_fault
from maap_tui.engine.integrity.hashes import Hashes, Recorded, compare
from maap_tui.engine.integrity.inner import inner_fault
from maap_tui.engine.integrity.running import compare_sums
from maap_tui.engine.integrity.sums import Sum
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry
from maap_tui.text import format_count

Evidence = Literal["archive sum", "inner sum", "header size", "length only", ""]
"""What shows a file to be what the archive has, the best first: a sum that the archive offered; sums in the
file of its own content; a length that stands in the file; the length that came or was announced; nothing."""

EVIDENCES: Final[tuple[Evidence, ...]] = ("archive sum", "inner sum", "header size", "length only")

State = Literal["good", "missing", "truncated", "changed", "unreadable", "deleted"]

GOOD: Final = "good"
MISSING: Final = "missing"
TRUNCATED: Final = "truncated"
CHANGED: Final = "changed"
UNREADABLE: Final = "unreadable"
DELETED: Final = "deleted"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found of one file."""

    path: str
    url: str
    """Where it came from; '' when unknown."""
    state: State
    reason: str = ""
    """What is wrong, in words; '' for a good file and for a deleted one."""
    size: int = 0
    """Bytes on disk."""
    is_hashed: bool = False
    """Whether the hash recorded at download was compared too."""
    evidence: Evidence = ""
    """The best that shows a good file to be what the archive has; '' where nothing does."""

    @property
    def is_bad(self) -> bool:
        """Whether it has to be fetched again."""
        return self.state not in (GOOD, DELETED)

    @property
    def sentence(self) -> str:
        """All of it in words, without the name of the file."""
        if self.state == GOOD:
            words = f"good: all {self.size:,} bytes are here" + (
                ", its hash agrees" if self.is_hashed else ""
            )
            return f"{words} ({self.evidence or 'no evidence'})"
        if self.state == DELETED:
            return "deleted: a clean-up deleted it after it was marked"
        return f"{self.state}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Checked:
    """A file that the registry has as downloaded, and what was found of it."""

    file: TrackedFile
    verdict: Verdict


def evidence_words(counts: Mapping[str, int]) -> str:
    """How many good files each kind of evidence shows to be right, `3 archive sum, 1 length only`."""
    kinds = (*((one, one) for one in EVIDENCES), ("", "no evidence"))
    return ", ".join(f"{format_count(counts[one])} {words}" for one, words in kinds if counts.get(one))


def outcome_words(bad: int, evidence: Mapping[str, int]) -> str:
    """What came of some files, `all good (4 header size)` or `3 bad, 1 good (1 header size)`."""
    good = sum(evidence.values())
    words = f"{format_count(bad)} bad, {format_count(good)} good" if bad else "all good"
    return f"{words} ({grades})" if (grades := evidence_words(evidence)) else words


class Judge:
    """Decides about files one by one; the hashes of the last day looked at are remembered."""

    def __init__(self, registry: Registry, hashes: Hashes) -> None:
        """Take what the files were, and which of them are marked."""
        self._registry = registry
        self._hashes = hashes
        self._day: tuple[Key, date] | None = None
        self._recorded: dict[str, Recorded] = {}
        self._sums: dict[str, Sum] = {}
        self._marked: frozenset[str] = frozenset()

    def judge(
        self,
        path: Path | str,
        url: str,
        *,
        tracked: tuple[Key, date] | None = None,
        size: int | None = None,
        read_all: bool = True,
    ) -> Verdict:
        """Look at one file.

        Args:
            path: where it is, as the registry has it.
            url: where it came from.
            tracked: its place in the registry, None for a file that none follows.
            size: bytes that the archive announced, for a file of which nothing was recorded.
            read_all: whether to read it whole and compare hashes; False looks at size and structure.

        Raises:
            StorageError: the registry or the hashes cannot be read.
        """
        if tracked is not None and tracked != self._day:
            key, day = tracked
            self._recorded = self._hashes.load(key, day)
            self._sums = self._hashes.load_sums(key, day)
            self._marked = frozenset(path for path, _ in self._registry.baseline(key).marked(day, day))
            self._day = tracked
        text = str(path)
        recorded = self._recorded.get(text) if tracked is not None else None
        agreed = self._sums.get(text) if tracked is not None else None
        found = _judge(text, url, recorded, agreed, size, read_all=read_all)
        if found.state == MISSING and tracked is not None and text in self._marked:
            return Verdict(text, url, DELETED)
        return found


def verify(
    registry: Registry,
    hashes: Hashes,
    keys: Iterable[Key],
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    urls: Container[str] | None = None,
    read_all: bool = True,
) -> Iterator[Checked]:
    """Look at every file that is recorded as downloaded, oldest day first.

    Args:
        registry: what was downloaded.
        hashes: what the files were then.
        keys: the baselines to look at.
        first_day: first sensing day; None for all.
        last_day: last sensing day; None for all.
        urls: the files meant; None for all.
        read_all: whether to read the files and compare hashes; False looks at size and structure alone.

    Raises:
        StorageError: the registry or the hashes cannot be read.
    """
    several = list(keys)
    for key in several:
        with registry.skip_unreadable() if len(several) > 1 else contextlib.nullcontext():
            yield from _verify(registry, hashes, key, first_day, last_day, urls, read_all=read_all)


def _verify(
    registry: Registry,
    hashes: Hashes,
    key: Key,
    first_day: date | None,
    last_day: date | None,
    urls: Container[str] | None,
    *,
    read_all: bool,
) -> Iterator[Checked]:
    judge = Judge(registry, hashes)
    downloads = registry.baseline(key).downloads(first_day, last_day)
    for day, group in itertools.groupby(downloads, key=lambda file: file.day):
        deleted, here = [], []
        for file in sorted(group, key=lambda one: one.path):
            if file.path and (urls is None or file.url in urls):
                verdict = judge.judge(file.path, file.url, tracked=(key, day), read_all=read_all)
                if verdict.state == DELETED:
                    deleted.append(file.path)
                elif verdict.state != MISSING:
                    here.append(file.path)
                yield Checked(file, verdict)
        # What is deleted, or here again, without our doing is counted as such from now on.
        registry.baseline(key).settle_deleted(day, deleted, here)


def _judge(
    path: str, url: str, recorded: Recorded | None, agreed: Sum | None, size: int | None, *, read_all: bool
) -> Verdict:
    try:
        found = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return Verdict(path, url, MISSING, "it is not on disk")
    except (OSError, ValueError) as error:
        return Verdict(path, url, UNREADABLE, _words(error))
    if stat.S_ISLNK(found.st_mode):
        return Verdict(path, url, CHANGED, "it is a symbolic link in place of the file")
    if not stat.S_ISREG(found.st_mode):
        return Verdict(path, url, CHANGED, "it is not a regular file any more")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        return Verdict(path, url, UNREADABLE, _words(error), found.st_size)
    try:
        return _judge_open(descriptor, path, url, recorded, agreed, size, read_all=read_all)
    except OSError as error:
        return Verdict(path, url, UNREADABLE, _words(error), found.st_size)
    finally:
        os.close(descriptor)


def _judge_open(
    descriptor: int,
    path: str,
    url: str,
    recorded: Recorded | None,
    agreed: Sum | None,
    size: int | None,
    *,
    read_all: bool,
) -> Verdict:
    here = os.fstat(descriptor).st_size
    if here == 0:
        return Verdict(path, url, TRUNCATED, "it is empty")
    expected = size if recorded is None else recorded.size
    whose = "the archive has" if recorded is None else "it had"
    if expected is not None and here != expected:
        state: State = TRUNCATED if here < expected else CHANGED
        return Verdict(path, url, state, f"it has {here:,} bytes and {whose} {expected:,}", here)
    if fault := structure_fault(descriptor, url or path, here):
        return Verdict(path, url, TRUNCATED if fault.is_short else CHANGED, fault.reason, here)
    length: Evidence = "length only" if expected is not None else ""
    evidence: Evidence = "header size" if says_length(url or path) else length
    if not read_all:
        return Verdict(path, url, GOOD, "", here, evidence=evidence)
    if recorded is not None:
        offset = compare(descriptor, recorded)
        if offset is not None:
            reason = f"its bytes from {offset:,} on differ from what was downloaded"
            return Verdict(path, url, CHANGED, reason, here, True)
        # What came had the sum, and is what is here.
        if agreed is not None:
            evidence = "archive sum" if agreed.value else "inner sum"
        return Verdict(path, url, GOOD, "", here, True, evidence)
    if agreed is not None and agreed.value:
        if compare_sums(descriptor, here, [agreed]):
            reason = f"its bytes do not have the archive's {agreed.source} ({agreed.algorithm})"
            return Verdict(path, url, CHANGED, reason, here)
        return Verdict(path, url, GOOD, "", here, evidence="archive sum")
    inner, wrong = inner_fault(descriptor, url or path)
    if wrong is not None:
        return Verdict(path, url, CHANGED, wrong.reason, here)
    return Verdict(path, url, GOOD, "", here, evidence="inner sum" if inner else evidence)


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
