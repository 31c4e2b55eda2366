"""A search as counts and positions: which granules match, how many, and which is the n-th, without a scan.

The order of results is a fixed shuffle of the positions, so a page costs what the page holds.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from maap_tui.demo import filters, ranges
from maap_tui.demo.content import Content
from maap_tui.demo.geometry import Area
from maap_tui.demo.missions.base import Collection, Granule, Series
from maap_tui.demo.orbit import FRAMES
from maap_tui.demo.ranges import Ranges


class SearchError(ValueError):
    """A search the service refuses with status 400."""


@dataclass
class Search:
    """What a client asked for."""

    collections: list[str] = field(default_factory=list)
    """Collection ids; empty searches all."""
    ids: list[str] | None = None
    """Item ids, None for any."""
    window: tuple[float, float] = (-math.inf, math.inf)
    """Items whose sensing interval overlaps it, both ends included."""
    area: Area | None = None
    """Items whose ground track touches it, None for any."""
    where: Any = None
    """CQL2 tree of `filters.parse`, None for no filter."""


@dataclass
class Strand:
    """The matches in one series of one collection: ranges of numbers, thinned to residues of the cycle."""

    collection: Collection
    series: Series
    numbers: list[tuple[int, int]]
    residues: list[int] | None
    """Residues modulo the axis cycle that match; None for all."""

    def __post_init__(self) -> None:
        self._ends: list[int] = []
        total = 0
        for low, high in self.numbers:
            total += self._below(high + 1) - self._below(low)
            self._ends.append(total)
        self.count = total * self.series.versions

    def _below(self, number: int) -> int:
        if self.residues is None:
            return number
        turns, rest = divmod(number, self.series.axis.cycle)
        return turns * len(self.residues) + bisect_left(self.residues, rest)

    def granule(self, n: int) -> Granule:
        """The n-th match, from 0."""
        n, version = divmod(n, self.series.versions)
        i = bisect_right(self._ends, n)
        low = self.numbers[i][0]
        n -= self._ends[i - 1] if i else 0
        if self.residues is None:
            return Granule(self.series, low + n, version)
        turns, rest = divmod(self._below(low) + n, len(self.residues))
        return Granule(self.series, turns * self.series.axis.cycle + self.residues[rest], version)


Match = tuple[Collection, Granule]

ByArea = dict[tuple[int, bool, int], dict[int, bool]]
"""Axis, whether its granules have an inside, and area to whether each residue that was tried touches it."""


class Results:
    """All matches of a search, addressed by position."""

    def __init__(self, strands: list[Strand], listed: list[Match]) -> None:
        self._strands = [strand for strand in strands if strand.count]
        self._listed = listed
        self._ends: list[int] = []
        total = 0
        for strand in self._strands:
            total += strand.count
            self._ends.append(total)
        self._computed = total
        self.matched = total + len(listed)
        self._step = max(1, int(self.matched * 0.6180339887))
        while math.gcd(self._step, self.matched or 1) != 1:
            self._step += 1

    def page(self, first: int, limit: int) -> Iterator[Match]:
        """Matches number `first` (from 0) to `first + limit` of the shuffled order."""
        for position in range(first, min(first + limit, self.matched)):
            n = (position * self._step + self.matched // 3) % self.matched
            if n >= self._computed:
                yield self._listed[n - self._computed]
                continue
            i = bisect_right(self._ends, n)
            strand = self._strands[i]
            yield strand.collection, strand.granule(n - (self._ends[i - 1] if i else 0))


def values_of(collection: Collection, granule: Granule) -> dict[str, Any]:
    """What filters can ask of one item."""
    return series_values(collection, granule.series) | {
        "id": granule.id,
        "orbit": granule.orbit,
        "frame": granule.frame,
        "direction": granule.direction,
        "track": granule.series.mission.track_number(granule),
        "updated": granule.updated,
        "created": granule.published,
        "processed": granule.created,
        "start": granule.start,
        "end": granule.end,
        "geometry": granule.outline[0] if granule.outline else None,
    }


def series_values(collection: Collection, series: Series) -> dict[str, Any]:
    """What filters can ask that is the same for a whole series."""
    return {
        "product": series.product,
        "version": series.baseline,
        "exact_version": series.baseline,
        "instrument": series.instruments,
        "platform": series.mission.name,
        "level": series.level,
        "collection": collection.id,
        "acquisition": "OTHER",
        "phase": "Routine",
        "sensor": "OPTICAL",
        "status": "ARCHIVED",
        "mode": "DEFAULT",
        "center": series.mission.center(series),
    }


class Finder:
    """Runs searches over the content."""

    def __init__(self, content: Content) -> None:
        self.content = content

    def run(self, search: Search) -> Results:
        """All matches of a search.

        Raises:
            SearchError: an unknown collection, or a queryable one of the collections does not have.
        """
        names = search.collections or list(self.content.collections)
        unknown = [name for name in names if name not in self.content.collections]
        if unknown:
            raise SearchError(f"Unknown collection: {unknown[0]}")
        collections = [self.content.collections[name] for name in dict.fromkeys(names)]
        about = filters.meanings(search.where) if search.where is not None else set()
        for collection in collections if search.collections else ():
            if about & {"orbit", "direction"} and not collection.has_orbit:
                raise SearchError(f"Unknown queryable of {collection.id}: orbit number or direction")
        if search.ids is not None:
            listed = [match for one in search.ids for match in self._by_id(one, collections, search)]
            return Results([], listed)
        strands: list[Strand] = []
        listed = []
        residues_of_area: ByArea = {}
        for collection in collections:
            for series in collection.series:
                strand, rest = self._narrow(collection, series, search, residues_of_area)
                if strand is None:
                    continue
                if not rest:
                    strands.append(strand)
                    continue
                for n in range(strand.count):
                    granule = strand.granule(n)
                    values = values_of(collection, granule)
                    if all(filters.evaluate(part, values) for part in rest):
                        listed.append((collection, granule))
        return Results(strands, listed)

    def _by_id(self, item_id: str, collections: list[Collection], search: Search) -> Iterator[Match]:
        granule = self.content.find(item_id)
        if granule is None or not (granule.start <= search.window[1] and granule.end >= search.window[0]):
            return
        if search.area and not (granule.outline and search.area.touches(*granule.outline)):
            return
        for collection in collections:
            if granule.series in collection.series and (
                search.where is None or filters.evaluate(search.where, values_of(collection, granule))
            ):
                yield collection, granule

    def _narrow(
        self,
        collection: Collection,
        series: Series,
        search: Search,
        residues_of_area: ByArea,
    ) -> tuple[Strand | None, list[Any]]:
        """The tightest strand that holds all matches, and the conditions it does not settle."""
        axis = series.axis
        constants = series_values(collection, series)
        low, high = search.window
        residues: frozenset[int] | None = None
        rest: list[Any] = []
        areas = [search.area] if search.area else []
        parts = filters.conjuncts(search.where) if search.where is not None else []
        for part in parts:
            if filters.meanings(part) <= filters.PER_SERIES and not filters.evaluate(part, constants):
                return None, []
        numbers: Ranges = series.numbers
        for part in parts:
            about = filters.meanings(part)
            area = filters.area_of(part)
            if about <= filters.PER_SERIES:
                continue
            if area is not None:
                areas.append(area)
            elif about <= filters.PER_SERIES | {"frame", "direction"} and not series.mission.is_listed:
                found = _residues_of_frames(part, series, constants)
                if found is not None:
                    residues = found if residues is None else residues & found
            elif about <= filters.PER_SERIES | {"orbit"} and not series.has_orbit:
                if not filters.evaluate(part, constants):
                    return None, []
            elif (
                about <= filters.PER_SERIES | {"orbit"}
                and (orbits := filters.number_ranges(part, constants, "orbit")) is not None
            ):
                numbers = ranges.intersect(numbers, _numbers_of(series, orbits))
            else:
                rest.append(part)
                after, before = filters.time_bounds(part, series.delay)
                low, high = max(low, after), min(high, before)
                if series.has_orbit:
                    bounds = filters.number_bounds(part, constants, "orbit")
                    numbers = ranges.intersect(numbers, _numbers_of(series, bounds))
        if low > -math.inf:
            numbers = ranges.intersect(numbers, [(axis.first_ending(low), math.inf)])
        if high < math.inf:
            numbers = ranges.intersect(numbers, [(-math.inf, axis.last_starting(high))])
        if not numbers or residues == frozenset():
            return None, []
        for area in areas:
            if not series.has_orbit:
                return None, []
            key = (id(axis), series.mission.outline(series, series.first)[1], id(area))
            known = residues_of_area.setdefault(key, {})
            near = _residues_in(numbers, axis.cycle)
            if residues is not None:
                near &= residues
            for k in near - known.keys():
                known[k] = area.touches(*series.mission.outline(series, k))
            residues = frozenset(k for k in near if known[k])
        thinned = None if residues is None else sorted(residues)
        strand = Strand(collection, series, [(int(a), int(b)) for a, b in numbers], thinned)
        return (strand if strand.count else None), rest


def _residues_in(numbers: Ranges, cycle: int) -> frozenset[int]:
    """Residues of the numbers in these ranges: few of a day, all of some months."""
    found: set[int] = set()
    for low, high in numbers:
        found.update(n % cycle for n in range(int(low), min(int(high), int(low) + cycle - 1) + 1))
    return frozenset(found)


def _residues_of_frames(part: Any, series: Series, constants: dict[str, Any]) -> frozenset[int] | None:
    """Residues of the frames a condition on frame and direction admits; None when it admits all."""
    axis = series.axis
    if axis.frame(series.first) is None:
        return None if filters.evaluate(part, constants | {"frame": None, "direction": None}) else frozenset()
    admitted: list[int] = []
    for i, letter in enumerate(FRAMES):
        granule = Granule(series, i)
        if filters.evaluate(part, constants | {"frame": letter, "direction": granule.direction}):
            admitted.append(i)
    return None if len(admitted) == 8 else _thin(tuple(admitted), axis.cycle)


@lru_cache(maxsize=512)
def _thin(admitted: tuple[int, ...], cycle: int) -> frozenset[int]:
    return frozenset(k for k in range(cycle) if k % 8 in admitted)


def _numbers_of(series: Series, orbits: Ranges) -> Ranges:
    found: Ranges = []
    for low, high in orbits:
        first = series.axis.orbit(series.first) if low == -math.inf else int(low)
        last = series.axis.orbit(series.last) if high == math.inf else int(high)
        pair = series.axis.numbers_of_orbits(first or 0, last or 0)
        if pair is not None and pair[0] <= pair[1]:
            found.append(pair)
    return found
