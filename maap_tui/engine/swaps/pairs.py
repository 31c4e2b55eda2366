"""Which granule of the newer baseline takes the place of which of the older one.

The rule: a mission says what names an observation; granules with the same label that begin at about the same
time are of one observation. What could be of two is paired with neither.
"""

from __future__ import annotations

import heapq
import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from maap_tui.engine.file_names import FileName
from maap_tui.engine.missions import Observation
from maap_tui.engine.model import Granule
from maap_tui.engine.observations import name_of, observation_of, rank_of

T = TypeVar("T")
Old = TypeVar("Old")
New = TypeVar("New")

_MARGIN = timedelta(hours=1)


class Processing(NamedTuple, Generic[T]):
    """A granule of one baseline."""

    name: str
    orbit: int | None
    frame: str
    observation: Observation
    start: datetime
    """Sensing start, UTC."""
    end: datetime | None
    """Sensing end, UTC; None where neither name nor item says it."""
    version: tuple[Any, ...]
    """Among the processings of one granule the greatest is the newest."""
    of: T
    """What it stands for."""
    is_settled: bool = False
    """Whether a swap has begun with it: it goes before what was processed later."""

    @property
    def rank(self) -> tuple[Any, ...]:
        """Among the processings of one granule the greatest counts."""
        return self.is_settled, *self.version

    @property
    def margin(self) -> timedelta:
        """How far from it another processing of the same observation begins at most, by a wide margin."""
        return max(_MARGIN, self.end - self.start) if self.end is not None else _MARGIN


def processing_of(what: FileName | Granule, of: T, *, is_settled: bool = False) -> Processing[T]:
    """What a granule is a processing of, from its name; from its item where no mission knows the name."""
    name = what if isinstance(what, FileName) else name_of(what)
    return Processing(
        name.stem if isinstance(what, FileName) else what.id,
        what.orbit,
        name.frame or "",
        observation_of(name),
        name.sensing_start,
        name.sensing_end,
        rank_of(what),
        of,
        is_settled,
    )


@dataclass(slots=True)
class Pairs(Generic[Old, New]):
    """What came of comparing two baselines."""

    pairs: list[tuple[Processing[Old], Processing[New]]] = field(default_factory=list)
    """By sensing start."""
    waiting: list[Processing[Old]] = field(default_factory=list)
    """Old ones that nothing takes the place of."""
    ambiguous: list[tuple[Processing[Old], list[Processing[New]]]] = field(default_factory=list)
    """Old ones whose place several may take, with those that begin near them."""
    duplicates: list[Processing[Old]] = field(default_factory=list)
    """Older processings of an old one that counts."""
    others: list[Processing[New]] = field(default_factory=list)
    """New ones that take nobody's place."""


@dataclass(slots=True)
class _Group(Generic[Old, New]):
    """Granules of one label that begin near one another, by sensing start."""

    old: list[Processing[Old]] = field(default_factory=list)
    new: list[Processing[New]] = field(default_factory=list)

    def is_one(self, tolerance: timedelta) -> bool:
        """Whether all of them are processings of one observation, and not of several in a row, or of parts.

        Where the label does not say all, ends have to agree too: a granule that is cut otherwise has other
        data, and must not take the place of a longer one.
        """
        starts = [one.start for one in self.all]
        if max(starts) - min(starts) > tolerance:
            return False
        if all(one.observation.is_unique for one in self.all):
            return True
        ends = [one.end for one in self.all if one.end is not None]
        return not ends or (max(ends) - min(ends) <= tolerance and _share_a_moment(self.all))

    @property
    def all(self) -> list[Processing[Any]]:
        found: list[Processing[Any]] = list(self.old)
        found += self.new
        return found


def pair(
    old: Iterable[Processing[Old]], new: Iterable[Processing[New]], tolerance: timedelta
) -> Pairs[Old, New]:
    """Find what takes the place of what.

    Of several processings of a granule the newest counts, on both sides, and one that a swap has begun with
    before all others; that one is in none of the lists.

    Args:
        old: what is here of the old baseline.
        new: what the archive has of the new one.
        tolerance: how far apart the processings of one observation begin at most.
    """
    found: Pairs[Old, New] = Pairs()
    labels: dict[str, _Group[Old, New]] = defaultdict(_Group)
    for one in old:
        labels[one.observation.label].old.append(one)
    for other in new:
        labels[other.observation.label].new.append(other)
    for several in labels.values():
        groups = _apart(several, tolerance)
        if (
            all(one.observation.is_unique for one in several.all)
            and len(groups) == 2
            and all(group.is_one(tolerance) for group in groups)
            and not (groups[0].old and groups[1].old)
            and not (groups[0].new and groups[1].new)
        ):
            # One observation on both sides, whenever the two begin.
            both = _Group(groups[0].old + groups[1].old, groups[0].new + groups[1].new)
            _judge(found, both, tolerance, is_one=True)
            continue
        for group in groups:
            _judge(found, group, tolerance, is_one=group.is_one(tolerance))
    found.pairs.sort(key=lambda both: (both[0].start, both[0].name))
    found.ambiguous.sort(key=lambda both: (both[0].start, both[0].name))
    for rest in (found.waiting, found.duplicates):
        rest.sort(key=lambda one: (one.start, one.name))
    return found


def _judge(found: Pairs[Old, New], group: _Group[Old, New], tolerance: timedelta, *, is_one: bool) -> None:
    """Say what becomes of the granules of a group."""
    begun = any(one.is_settled for one in group.old)
    fresh = [one for one in group.old if not one.is_settled]
    if not is_one:
        if group.new or begun:
            starts = [one.start for one in group.new]
            for one in fresh:
                low = bisect_left(starts, one.start - tolerance)
                found.ambiguous.append((one, group.new[low : bisect_right(starts, one.start + tolerance)]))
        else:
            found.waiting += fresh
        if not group.old:
            found.others += group.new
        return
    newest = max(group.new, key=lambda one: one.rank, default=None)
    if begun:
        found.duplicates += fresh
    elif fresh:
        best = max(fresh, key=lambda one: one.rank)
        found.duplicates += [one for one in fresh if one is not best]
        if newest is None:
            found.waiting.append(best)
        else:
            found.pairs.append((best, newest))
    elif newest is not None:
        found.others.append(newest)


def _apart(several: _Group[Old, New], tolerance: timedelta) -> list[_Group[Old, New]]:
    """Granules of one label, in groups whose neighbours could be processings of one observation."""
    groups: list[_Group[Old, New]] = []
    run: list[tuple[Processing[Any], bool]] = []
    ordered = [(one, False) for one in several.old] + [(one, True) for one in several.new]
    ordered.sort(key=lambda both: both[0].start)
    for both in ordered:
        if run and both[0].start - run[-1][0].start > tolerance:
            groups += _joined(run, tolerance)
            run = []
        run.append(both)
    return groups + _joined(run, tolerance)


def _joined(run: Sequence[tuple[Processing[Any], bool]], tolerance: timedelta) -> list[_Group[Any, Any]]:
    """A run of granules that begin near one another, cut where one is over before the next begins."""
    whole = _group_of(run)
    if not run or whole.is_one(tolerance):
        return [whole] if run else []
    over: list[list[tuple[Processing[Any], bool]]] = []
    going: list[list[tuple[Processing[Any], bool]]] = []
    for both in run:
        # What began too long ago is near nothing that comes: a run may have thousands of granules.
        over += [some for some in going if both[0].start - some[-1][0].start > tolerance]
        still = [some for some in going if both[0].start - some[-1][0].start <= tolerance]
        near: list[list[tuple[Processing[Any], bool]]] = []
        going = []
        for some in still:
            (near if _is_near(both[0], some, tolerance) else going).append(some)
        if len(near) == 1:
            near[0].append(both)
            going += near
        else:
            going.append([*heapq.merge(*near, key=lambda one: one[0].start), both])
    return [_group_of(some) for some in (*over, *going)]


def _is_near(
    one: Processing[Any], before: Sequence[tuple[Processing[Any], bool]], tolerance: timedelta
) -> bool:
    """Whether a granule could be a processing of one of those that began before it, given by their start."""
    recent = itertools.takewhile(lambda other: one.start - other[0].start <= tolerance, reversed(before))
    return any(_share_a_moment((one, other)) for other, _ in recent)


def _group_of(some: Iterable[tuple[Processing[Any], bool]]) -> _Group[Any, Any]:
    group: _Group[Any, Any] = _Group()
    for one, is_new in some:
        (group.new if is_new else group.old).append(one)
    return group


def _share_a_moment(some: Sequence[Processing[Any]]) -> bool:
    """Whether all of them were sensing at some moment, as far as their ends are known."""
    ends = [one.end for one in some if one.end is not None]
    return not ends or len(some) == 1 or max(one.start for one in some) < min(ends)
