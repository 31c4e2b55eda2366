"""Windows: the spans of time that a long search is asked in, each about one page long."""

from __future__ import annotations

import asyncio
import math
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar

from maap_tui.engine.model import TimeRange

T = TypeVar("T")

WHOLE_UP_TO = timedelta(days=10)
"""Longest range asked for in one piece; longer ones take longer for each day (docs/service.md, Searches)."""

_DAY = timedelta(days=1)
_TICK = timedelta(microseconds=1)

_MOST_AGAIN = 1.5
"""How many times its share of the day's items a part of a day may have, before days are asked for whole."""

_BUFFERED_PAGES = 1
"""Pages of a window that wait to be taken, besides the one that was read next."""


@dataclass(slots=True, eq=False)
class Window(Generic[T]):
    """A span of time that is asked for on its own, and what came of it."""

    range: TimeRange | None
    """None for a search without time."""
    pages: asyncio.Queue[T | BaseException | None] = field(
        default_factory=lambda: asyncio.Queue(_BUFFERED_PAGES)
    )
    """Its pages; the last entry is None, or the error that ended it."""
    seen: set[str] = field(default_factory=set)
    """Ids of its granules."""
    announced: int = 0
    """Items the server announced for it."""
    splits: int = 0
    """How often it was cut because it held more than the service pages."""
    task: asyncio.Task[None] | None = None
    plan: Plan[T] | None = None
    """What it was cut by, None for one that was not."""

    def note_count(self, span: TimeRange | None, count: int | None, shown: int) -> None:
        """Let the plan know of an answer: see `Plan.learn`."""
        if self.plan is not None:
            self.plan.learn(span, count, shown)

    def by_day(self) -> list[Window[T]]:
        """The same as a window a day, which share what was seen."""
        if self.range is None or self.range.duration <= _DAY:
            return [Window(self.range, seen=self.seen)]
        return [Window(day, seen=self.seen) for day in self.range.days()]


class Plan(Generic[T]):
    """Cuts a long range into windows that one page holds, as far as the counts say it.

    The first window is a day, whose count is waited for; a built catalogue may say it before. Counts of the
    latest answers size those that follow: whole days, or equal parts of a day that holds more than a page.
    Without any count each window is a day.
    """

    def __init__(
        self,
        span: TimeRange | None,
        *,
        page_size: int,
        newest_first: bool = False,
        is_divided: bool = True,
        per_day: float | None = None,
    ) -> None:
        """Take what is to be cut.

        Args:
            span: the range; None for a search without time, which is one window.
            page_size: items that fit a page.
            newest_first: whether to begin at the end.
            is_divided: whether the range may be cut at all.
            per_day: granules a day as far as that is known; None where it is not.
        """
        self._left = span
        self._page_size = page_size
        self._newest_first = newest_first
        self._is_whole = span is None or span.duration <= WHOLE_UP_TO or not is_divided
        self._counts: deque[float] = deque([] if per_day is None else [per_day], 8)
        """Items a day of the latest answers."""
        self._in_days = per_day or 0.0
        """The most items that a window of whole days had for each of its days; the first answer's before."""
        self._may_be_short = True
        """Whether windows may be parts of days."""
        self._is_done = span is not None and span.is_empty
        self._has_begun = False
        self._is_waiting = False

    @property
    def is_done(self) -> bool:
        """Whether there are no more windows."""
        return self._is_done

    def next(self) -> Window[T] | None:
        """The next window; None while its size depends on an answer, and at the end."""
        if self._is_done or self._is_waiting:
            return None
        if self._is_whole or self._left is None:
            return self.rest()
        if not self._has_begun and not self._counts:
            self._is_waiting = True
        self._has_begun = True
        return Window(self._cut(self._length()), plan=self)

    def rest(self) -> Window[T]:
        """All that was not asked for yet, as one window."""
        self._is_done = True
        return Window(self._left)

    def learn(self, span: TimeRange | None, count: int | None, shown: int) -> None:
        """Take in an answer.

        Args:
            span: what was asked for.
            count: items announced for it; None when the service does not say, or no answer came.
            shown: items on its first page: fewer than announced, they are as many as a page may have.
        """
        self._is_waiting = False
        if count is None or span is None:
            return
        if 0 < shown < min(count, self._page_size):
            self._page_size = shown
        is_dense = max(self._in_days, count) > self._page_size
        # What overlaps a few hours of a sparse product may be as much as overlaps its day.
        per_day = count * _DAY / (span.duration if is_dense else max(span.duration, _DAY))
        if span.duration >= _DAY or not self._in_days:
            self._in_days = max(self._in_days, per_day)
        elif is_dense and per_day > _MOST_AGAIN * self._in_days:
            # Granules are so long that each is in several windows of this length.
            self._may_be_short = False
            return
        self._counts.append(per_day)

    def _length(self) -> timedelta:
        """The length of the next window: whole days, or a part of a day in whole minutes."""
        # The densest of the latest: a window that is a little too long takes a second request.
        most = max(self._counts, default=0.0)
        if not most:
            return WHOLE_UP_TO if self._counts else _DAY
        if most <= self._page_size:
            return min(WHOLE_UP_TO, int(self._page_size / most) * _DAY)
        if not self._may_be_short:
            return _DAY
        parts = math.ceil(most / self._page_size)
        return timedelta(minutes=math.ceil(24 * 60 / parts))

    def _cut(self, length: timedelta) -> TimeRange:
        left = self._left
        assert left is not None
        if self._newest_first:
            last = left.end - _TICK
            # Parts of a day are counted from its midnight, in both directions.
            since = (last - _midnight(last)) // length * length if length < _DAY else _DAY - length
            cut = max(left.start, _midnight(last) + since)
            found, self._left = TimeRange(cut, left.end), TimeRange(left.start, cut)
        else:
            first = _midnight(left.start)
            since = min(_DAY, ((left.start - first) // length + 1) * length) if length < _DAY else length
            cut = min(left.end, first + since)
            found, self._left = TimeRange(left.start, cut), TimeRange(cut, left.end)
        self._is_done = self._left.is_empty
        return found


def _midnight(moment: datetime) -> datetime:
    return datetime(moment.year, moment.month, moment.day, tzinfo=UTC)
