"""A notice is a data gap or a disclaimer: what it is about, and which granules that affects.

A range of orbits and frames, or of time, includes both of its ends: a granule is affected when its frame is
one of them, or when any of its sensing lies in the time.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import accumulate
from typing import Any, Literal, NamedTuple

from maap_tui.engine.file_names import FileName
from maap_tui.engine.missions import MISSIONS, parse_name
from maap_tui.engine.model import Granule, TimeRange, orbit_frame, to_zulu

Kind = Literal["gap", "disclaimer"]

WORDS: dict[Kind, str] = {"gap": "known gap", "disclaimer": "disclaimer"}
"""What they are called."""

_LOWEST, _HIGHEST = 0, 999
"""Frames before and after all others of an orbit."""
_STEP = 1000


class Sensed(NamedTuple):
    """What of a granule decides whether a notice is about it."""

    mission: str
    product_type: str
    baseline: str
    start: datetime
    """Sensing start, UTC."""
    end: datetime
    """Sensing end; of a granule of which only the name is known, about that."""
    orbit: int | None = None
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """A data gap or a disclaimer."""

    kind: Kind
    id: str
    """Its name at the mission; '' for none."""
    mission: str
    products: tuple[str, ...] = ()
    """Product types; one that ends with `*` means all that begin so; () means all."""
    baselines: tuple[str, ...] = ()
    """In upper case; () means all."""
    start: datetime | None = None
    end: datetime | None = None
    """First and last moment, UTC; both or neither."""
    first: tuple[int, str] | None = None
    last: tuple[int, str] | None = None
    """First and last orbit and frame; both or neither. '' stands for the whole orbit."""
    text: str = ""
    """What is wrong, in the words of the mission."""
    link: str = ""

    @property
    def spots(self) -> tuple[int, int] | None:
        """The ranks of its first and last orbit and frame."""
        if self.first is None or self.last is None:
            return None
        return place_of_frame(*self.first, _LOWEST), place_of_frame(*self.last, _HIGHEST)

    def is_about(self, mission: str, product_type: str, baseline: str | None) -> bool:
        """Whether it is about a product and baseline at all; None stands for any baseline."""
        if mission.lower() != self.mission.lower():
            return False
        name = product_type.upper()
        is_of = not self.products or any(
            name.startswith(one[:-1]) if one.endswith("*") else name == one for one in self.products
        )
        return is_of and (baseline is None or not self.baselines or baseline.upper() in self.baselines)

    def affects(self, one: Sensed) -> bool:
        """Whether a granule of such a product is in its ranges; of both, where it has both."""
        spots = self.spots
        has_spot = spots is not None and one.orbit is not None
        if spots is not None and one.orbit is not None:
            rank = place_of_frame(one.orbit, one.frame, _LOWEST)
            high = rank if one.frame else place_of_frame(one.orbit, "", _HIGHEST)
            if high < spots[0] or rank > spots[1]:
                return False
        if self.start is not None and self.end is not None:
            return one.start <= self.end and one.end >= self.start
        return has_spot or spots is None

    @property
    def range_words(self) -> str:
        """From when or where to when or where, in words."""
        parts = []
        if self.first is not None and self.last is not None:
            first, last = orbit_frame(*self.first), orbit_frame(*self.last)
            parts.append(first if first == last else f"{first} to {last}")
        if self.start is not None and self.end is not None:
            first, last = (f"{one:%Y-%m-%d %H:%M:%S}" for one in (self.start, self.end))
            parts.append(first if first == last else f"{first} to {last}")
        return ", ".join(parts) or "always"

    @property
    def title(self) -> str:
        """Its kind and name, in a few words."""
        return f"{WORDS[self.kind]} {self.id}".rstrip()

    @property
    def sentence(self) -> str:
        """All of it in a line."""
        return f"{self.title}{f': {self.text}' if self.text else ''} ({self.range_words})"

    def record(self) -> dict[str, Any]:
        """Ready for JSON; None is what it does not say."""
        return {
            "kind": self.kind,
            "id": self.id,
            "mission": self.mission,
            "products": list(self.products),
            "baselines": list(self.baselines),
            "start": to_zulu(self.start) if self.start is not None else None,
            "end": to_zulu(self.end) if self.end is not None else None,
            "first_frame": orbit_frame(*self.first) if self.first is not None else None,
            "last_frame": orbit_frame(*self.last) if self.last is not None else None,
            "text": self.text,
            "link": self.link,
        }


def place_of_frame(orbit: int, frame: str, default: int) -> int:
    """The place of an orbit and frame among all others; `default` stands for no frame."""
    if not frame:
        number = default
    else:
        number = int(frame) if frame.isdecimal() else ord(frame[0].upper()) - ord("A") + 1
    return orbit * _STEP + max(0, min(number, _STEP - 1))


def sensed_of(granule: Granule) -> Sensed:
    """What decides of a granule."""
    end = granule.sensing_end
    if end is None or end < granule.sensing_start:
        end = granule.sensing_start + _frame_length(granule.mission, granule.frame)
    return Sensed(
        granule.mission, granule.product_type, granule.baseline, granule.sensing_start, end,
        granule.orbit, granule.frame or "",
    )  # fmt: skip


def sensed_of_name(name: FileName) -> Sensed:
    """What decides of a file, by its name: where that does not say its end, a frame has the mean length."""
    end = name.sensing_end or name.sensing_start + _frame_length(name.mission, name.frame)
    return Sensed(
        name.mission, name.product_type, name.baseline or "", name.sensing_start, end, name.orbit,
        name.frame or "",
    )  # fmt: skip


def _frame_length(mission_name: str, frame: str | None) -> timedelta:
    mission = MISSIONS.get(mission_name)
    if mission is None or not mission.frames or mission.repeat is None or not frame:
        return timedelta()
    return timedelta(days=mission.repeat.days) / mission.repeat.orbits / len(mission.frames)


class _Ranges:
    """Notices by a range of numbers, found by those that meet another range."""

    def __init__(self, ranges: Iterable[tuple[float, float, Notice]]) -> None:
        self._ranges = sorted(ranges, key=lambda one: one[:2])
        self._lows = [low for low, _, _ in self._ranges]
        self._reach = list(accumulate((high for _, high, _ in self._ranges), max))

    def meeting(self, low: float, high: float) -> list[Notice]:
        """Those whose range meets another one, ends included, in their order."""
        found = []
        at = bisect_right(self._lows, high) - 1
        while at >= 0 and self._reach[at] >= low:
            if self._ranges[at][1] >= low:
                found.append(self._ranges[at][2])
            at -= 1
        return found[::-1]


@dataclass(slots=True)
class _OfProduct:
    """The notices about one product and baseline."""

    by_time: _Ranges
    by_spot: _Ranges
    """Those that have no time."""
    always: list[Notice]


@dataclass(slots=True)
class Notices:
    """All that is known, to be asked for granules."""

    all: Sequence[Notice] = ()
    _products: dict[tuple[str, str, str], _OfProduct] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.all)

    def of(self, one: Sensed) -> list[Notice]:
        """Those that a granule is affected by, disclaimers after gaps."""
        if not self.all:
            return []
        known = self._of_product(one.mission, one.product_type, one.baseline)
        found = known.by_time.meeting(one.start.timestamp(), one.end.timestamp())
        if one.orbit is not None:
            low = place_of_frame(one.orbit, one.frame, _LOWEST)
            found += known.by_spot.meeting(low, low if one.frame else place_of_frame(one.orbit, "", _HIGHEST))
        return sorted(
            (notice for notice in [*found, *known.always] if notice.affects(one)),
            key=lambda notice: notice.kind != "gap",
        )

    def of_granule(self, granule: Granule) -> list[Notice]:
        """Those that a granule of the archive is affected by."""
        return self.of(sensed_of(granule)) if self.all else []

    def of_url(self, url: str) -> list[Notice]:
        """Those that a file is affected by, as far as its name says it."""
        name = parse_name(url) if self.all else None
        return self.of(sensed_of_name(name)) if name is not None else []

    def gap_of(
        self, mission: str, product_type: str, baseline: str, start: datetime, orbit: int, frame: str
    ) -> bool:
        """Whether a gap is known at an orbit and frame of a product.

        Args:
            mission: of the product.
            product_type: the product type.
            baseline: the one that counts; '' leaves out gaps of some baselines only.
            start: when its sensing would begin, about.
            orbit: absolute orbit.
            frame: '' for a whole orbit.
        """
        end = start + _frame_length(mission, frame)
        found = self.of(Sensed(mission, product_type, baseline, start, end, orbit, frame))
        return any(one.kind == "gap" for one in found)

    def about(self, mission: str, product_type: str, baseline: str = "") -> list[Notice]:
        """Those about a product; a baseline that is '' leaves out those about some baselines only."""
        return [one for one in self.all if one.is_about(mission, product_type, baseline)]

    def on_days(self, mission: str, product_type: str, baseline: str) -> DayNotices:
        """Those about a product, to be asked for days."""
        return DayNotices(self.about(mission, product_type, baseline))

    def _of_product(self, mission: str, product_type: str, baseline: str) -> _OfProduct:
        key = (mission.lower(), product_type.upper(), baseline.upper())
        known = self._products.get(key)
        if known is None:
            about = self.about(mission, product_type, baseline)
            by_time = [
                (one.start.timestamp(), one.end.timestamp(), one)
                for one in about
                if one.start is not None and one.end is not None
            ]
            by_spot = [
                (*spots, one) for one in about if one.start is None and (spots := one.spots) is not None
            ]
            always = [one for one in about if one.start is None and one.spots is None]
            known = self._products[key] = _OfProduct(_Ranges(by_time), _Ranges(by_spot), always)
        return known


class DayNotices:
    """Notices by day; one without a time is of no day that is known."""

    def __init__(self, about: Iterable[Notice]) -> None:
        """Take those that are about one product."""
        self._ranges = _Ranges(
            (one.start.timestamp(), one.end.timestamp(), one)
            for one in about
            if one.start is not None and one.end is not None
        )

    def of(self, day: date) -> list[Notice]:
        """Those whose range touches a day."""
        span = TimeRange.of_day(day)
        return self._ranges.meeting(span.start.timestamp(), span.end.timestamp() - 1e-6)

    def is_gap(self, day: date) -> bool:
        """Whether known gaps leave nothing of a day, but for less than a frame at a time."""
        span = TimeRange.of_day(day)
        at = span.start
        gaps = [
            (one.start, one.end)
            for one in self.of(day)
            if one.kind == "gap" and one.start is not None and one.end is not None
        ]
        for start, end in sorted(gaps):
            if start > at + _FRAME:
                return False
            at = max(at, end)
        return at >= span.end - _FRAME


_FRAME = timedelta(minutes=15)
"""Longer than a frame."""


class Disclaimed:
    """The granules that a disclaimer is about, for queries that leave them out."""

    def __init__(self, notices: Notices) -> None:
        """Take the notices; gaps are none of its business."""
        self._notices = Notices([one for one in notices.all if one.kind == "disclaimer"])
        self.left_out: set[str] = set()
        """Granules, or files, that were asked for and are disclaimed."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Disclaimed) and other._notices.all == self._notices.all

    def __hash__(self) -> int:
        return hash(tuple(self._notices.all))

    def has(self, granule: Granule) -> bool:
        """Whether a granule is one of them; it is counted then."""
        if not self._notices.of_granule(granule):
            return False
        self.left_out.add(granule.id)
        return True

    def __contains__(self, url: object) -> bool:
        name = parse_name(str(url))
        if name is None or not self._notices.of(sensed_of_name(name)):
            return False
        self.left_out.add(name.stem)
        return True
