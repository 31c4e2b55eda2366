"""Where a satellite and a platform come nearest to each other's ways, with some time between the two.

The platform is at one point at one moment, the satellite above another one at another moment, at most so much
earlier or later: of all such pairs that with the shortest geodesic is looked for.
"""

from __future__ import annotations

import heapq
import math
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import NamedTuple

from maap_tui.engine.geometry import Position
from maap_tui.engine.overpass.approach import Approach, Track
from maap_tui.engine.overpass.geodesic import Between, along, between
from maap_tui.engine.overpass.tracks import Fix

_STILL_S = 0.001
"""Seconds to which the moment of the platform is found."""
_SURE_M = 1.0
_LONGEST_LEG_M = 100_000.0
"""Metres of a straight way of the platform within which there is one nearest point."""
_LONGEST_LEG_S = 300.0
_GOLDEN = (math.sqrt(5) - 1) / 2


@dataclass(frozen=True, slots=True)
class Meeting:
    """The nearest pair of points of the two ways."""

    approach: Approach
    """Of the satellite to the platform; its seconds are those of its track."""
    at: Position
    """Where the platform was then."""
    seconds: float
    """When it was there, in the seconds of the satellite's track."""


class Way:
    """How a platform went, without a gap."""

    def __init__(self, fixes: Sequence[Fix]) -> None:
        """Take its positions, by time, each time once; between them it goes evenly along geodesics."""
        self.begin = fixes[0].time
        self.end = fixes[-1].time
        self.fixes = fixes
        self.seconds = array("d", ((one.time - self.begin).total_seconds() for one in fixes))
        """When it was at its positions, since it began."""
        self.runs = array("d", [0.0])
        """Metres that it had gone at each of its positions."""
        for a, b in pairwise(fixes):
            self.runs.append(self.runs[-1] + between(a.at, b.at).metres)
        # A way may have a million legs, of which few come near a satellite.
        self._legs: dict[int, Between] = {}

    def _leg(self, number: int) -> Between:
        """The geodesic between a position and the next one."""
        found = self._legs.get(number)
        if found is None:
            found = self._legs[number] = between(self.fixes[number].at, self.fixes[number + 1].at)
        return found

    def leg_of(self, moment: float) -> int:
        """The number of the leg that a moment is in; the last one at the end."""
        return min(max(bisect_right(self.seconds, moment) - 1, 0), max(len(self.fixes) - 2, 0))

    def at(self, moment: float) -> Position:
        """Where it was so many seconds after it began."""
        if len(self.fixes) == 1:
            return self.fixes[0].at
        number = self.leg_of(moment)
        leg, (t0, t1) = self._leg(number), self.seconds[number : number + 2]
        if not leg.metres:
            return self.fixes[number].at
        return along(self.fixes[number].at, leg.begins, leg.metres * (moment - t0) / (t1 - t0)).at

    def run(self, moment: float) -> float:
        """Metres that it had gone by then."""
        if len(self.fixes) == 1:
            return 0.0
        number = self.leg_of(moment)
        t0, t1 = self.seconds[number : number + 2]
        return self.runs[number] + self._leg(number).metres * (moment - t0) / (t1 - t0)


def meeting(track: Track, start: datetime, way: Way, apart: timedelta, metres: float) -> Meeting | None:
    """The nearest pair of points that are at most so much time and so many metres apart; None without one.

    Args:
        track: of the satellite.
        start: when its times begin.
        way: of the platform.
        apart: the longest time between the two.
        metres: the longest distance.
    """
    offset = (way.begin - start).total_seconds()
    wait = apart.total_seconds()
    low = max(0.0, track.seconds[0] - wait - offset)
    high = min(way.seconds[-1], track.seconds[-1] + wait - offset)
    if low > high:
        return None
    return _Search(track, way, offset, wait, metres).run(low, high)


class _End(NamedTuple):
    """An end of a span of the platform's moments."""

    moment: float
    metres: float
    """Of the nearest pair with that moment."""
    anytime: float
    """Metres from there to the track, whenever the satellite comes."""
    run: float
    """That the platform had gone by then."""


class _Search:
    """Branch and bound over the moments of the platform."""

    def __init__(self, track: Track, way: Way, offset: float, wait: float, metres: float) -> None:
        self._track, self._way = track, way
        self._offset, self._wait = offset, wait
        self._most = metres
        self._best: Meeting | None = None

    def run(self, low: float, high: float) -> Meeting | None:
        """The nearest pair between two moments of the platform."""
        open_spans: list[tuple[float, _End, _End]] = []

        def push(a: _End, b: _End) -> None:
            bound = self._bound(a, b)
            if bound <= self._limit:
                heapq.heappush(open_spans, (bound, a, b))

        push(self._end(low), self._end(high))
        while open_spans:
            bound, a, b = heapq.heappop(open_spans)
            if bound > self._limit:
                break
            moment = self._cut(a.moment, b.moment)
            if moment is None:
                self._close_in(a, b)
            else:
                middle = self._end(moment)
                push(a, middle)
                push(middle, b)
        return self._best

    @property
    def _limit(self) -> float:
        """Metres beyond which nothing is of use: what is found has to be nearer than the best by a bit."""
        return self._most if self._best is None else min(self._most, self._best.approach.metres - _SURE_M)

    def _end(self, moment: float) -> _End:
        anytime = self._track.nearest(self._way.at(moment)).metres
        return _End(moment, self._try(moment), anytime, self._way.run(moment))

    def _bound(self, a: _End, b: _End) -> float:
        """Metres that no pair of the span can come below: the platform goes only so far in it."""
        return max(0.0, (a.anytime + b.anytime - (b.run - a.run)) / 2)

    def _cut(self, a: float, b: float) -> float | None:
        """Where to cut a span that has a bend or is long; None for one that is straight and short."""
        first, last = self._way.leg_of(a), self._way.leg_of(b)
        seconds = self._way.seconds
        # The positions between the two ends are bends.
        bends = range(first + 1, last + (seconds[last] < b))
        if bends:
            return seconds[bends[len(bends) // 2]]
        is_long = b - a > _LONGEST_LEG_S or self._way.run(b) - self._way.run(a) > _LONGEST_LEG_M
        return (a + b) / 2 if is_long else None

    def _try(self, moment: float) -> float:
        """Metres of the nearest pair with one moment of the platform; it is kept when it is the best."""
        place, when = self._way.at(moment), moment + self._offset
        found = self._track.nearest_within(place, when - self._wait, when + self._wait)
        if found is None:
            return math.inf
        if found.metres <= self._most and (self._best is None or found.metres < self._best.approach.metres):
            self._best = Meeting(found, place, when)
        return found.metres

    def _close_in(self, first: _End, last: _End) -> None:
        """Follow a valley of distances to its bottom, by parabolas, and by golden sections where none fits.

        Brent (1973), Algorithms for Minimization without Derivatives, chapter 5.
        """
        a, b = first.moment, last.moment
        # Where it rises from an end, the bottom of the valley is there.
        aside = min(10 * _STILL_S, (b - a) / 4)
        if self._try(a + aside) >= first.metres or self._try(b - aside) >= last.metres:
            return
        x = w = v = a + (1 - _GOLDEN) * (b - a)
        at_x = at_w = at_v = self._try(x) ** 2
        step = before = 0.0
        while max(x - a, b - x) > 2 * _STILL_S:
            by_v, by_w = (x - w) * (at_x - at_v), (x - v) * (at_x - at_w)
            above, below = (x - v) * by_w - (x - w) * by_v, 2 * (by_v - by_w)
            limit, before = abs(before) / 2, step
            if below and abs(above / below) < limit and a < x + above / below < b:
                step = above / below
                if min(x + step - a, b - x - step) < 2 * _STILL_S:
                    step = math.copysign(_STILL_S, a + b - 2 * x)
            else:
                before = (b if 2 * x < a + b else a) - x
                step = (1 - _GOLDEN) * before
            u = x + (step if abs(step) >= _STILL_S else math.copysign(_STILL_S, step))
            at_u = self._try(u) ** 2
            if at_u <= at_x:
                a, b = (x, b) if u >= x else (a, x)
                v, at_v, w, at_w, x, at_x = w, at_w, x, at_x, u, at_u
                continue
            a, b = (u, b) if u < x else (a, u)
            if at_u <= at_w or w == x:
                v, at_v, w, at_w = w, at_w, u, at_u
            elif at_u <= at_v or v in (x, w):
                v, at_v = u, at_u
