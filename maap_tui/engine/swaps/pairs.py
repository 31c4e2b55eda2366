"""Which granule of the newer baseline takes the place of which of the older one: by orbit and frame."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")

NEAR = timedelta(seconds=60)
"""Granules of one orbit and frame that begin closer together are processings of the same one."""

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Processing(NamedTuple, Generic[T]):
    """A granule of one baseline."""

    name: str
    orbit: int
    frame: str
    start: datetime
    """Sensing start, UTC."""
    created: datetime | None
    """Processing time, UTC; None where neither name nor item says it."""
    of: T
    """What it stands for."""
    is_settled: bool = False
    """Whether a swap has begun with it: it goes before what was processed later."""

    @property
    def rank(self) -> tuple[bool, datetime, str]:
        """Among the processings of one granule the greatest counts."""
        return self.is_settled, self.created or _LONG_AGO, self.name


Old = TypeVar("Old")
New = TypeVar("New")


@dataclass(slots=True)
class Pairs(Generic[Old, New]):
    """What came of comparing two baselines."""

    pairs: list[tuple[Processing[Old], Processing[New]]] = field(default_factory=list)
    """By sensing start."""
    waiting: list[Processing[Old]] = field(default_factory=list)
    """Old ones that nothing takes the place of."""
    duplicates: list[Processing[Old]] = field(default_factory=list)
    """Older processings of an old one that counts."""
    others: list[Processing[New]] = field(default_factory=list)
    """New ones that take nobody's place."""


def pair(old: Iterable[Processing[Old]], new: Iterable[Processing[New]]) -> Pairs[Old, New]:
    """Find what takes the place of what.

    Of several processings of a granule the newest counts, on both sides. Where an orbit and frame has several
    granules, as where a gap cuts it, those belong together that begin at about the same time.
    """
    found: Pairs[Old, New] = Pairs()
    theirs: dict[tuple[int, str], list[Processing[New]]] = defaultdict(list)
    for one in new:
        theirs[one.orbit, one.frame].append(one)
    mine: dict[tuple[int, str], list[Processing[Old]]] = defaultdict(list)
    for other in old:
        mine[other.orbit, other.frame].append(other)
    for spot, versions in mine.items():
        groups, choices = _apart(versions), _apart(theirs.pop(spot, ()))
        olds = [max(group, key=lambda one: one.rank) for group in groups]
        news = [max(group, key=lambda one: one.rank) for group in choices]
        for group, best in zip(groups, olds, strict=True):
            found.duplicates += [one for one in group if one is not best]
        for best in olds:
            near = min(news, key=lambda one: abs(one.start - best.start), default=None)
            is_alone = len(olds) == len(news) == 1
            if near is None or not (is_alone or abs(near.start - best.start) <= NEAR):
                found.waiting.append(best)
                continue
            news.remove(near)
            found.pairs.append((best, near))
        found.others += news
    for several in theirs.values():
        found.others += [max(group, key=lambda one: one.rank) for group in _apart(several)]
    found.pairs.sort(key=lambda both: (both[0].start, both[0].name))
    for some in (found.waiting, found.duplicates):
        some.sort(key=lambda one: (one.start, one.name))
    return found


def _apart(versions: Sequence[Processing[T]]) -> list[list[Processing[T]]]:
    """Processings of one orbit and frame, a list for each granule, by sensing start."""
    groups: list[list[Processing[T]]] = []
    for one in sorted(versions, key=lambda version: version.start):
        if groups and one.start - groups[-1][0].start <= NEAR:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups
