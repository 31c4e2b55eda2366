"""How near a ground track or a swath comes to a place, when, and on which side: geodesics on WGS84.

The model: the points of a track are joined by geodesics, and between two points the satellite moves evenly.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from maap_tui.engine.geometry import (
    Footprint,
    Position,
    angle,
    angle_to_arc,
    kind_of,
    lines_around,
    vector,
)
from maap_tui.engine.overpass.geodesic import EQUATOR_M, FLATTENING, MEAN_M, Between, along, between

Side = Literal["left", "right", ""]

_LEAST, _MOST = 0.993, 1.006
"""A geodesic against the great circle between the same latitudes, in `MEAN_M`: the extremes of its radius."""
_STEPS = 20
_STILL_M = 1e-3
_BELOW_M = 1.0
"""Metres up to which a place lies below the track, on neither side."""
_EDGE_M = 50_000.0
"""Length of the pieces in which the edge of an outline is followed."""


@dataclass(frozen=True, slots=True)
class Approach:
    """Where a track is nearest to a place."""

    seconds: float
    """Since the beginning of the times of the track."""
    metres: float
    """From the place to the track."""
    at: Position
    """The point of the track."""
    heading: float
    """Radians from north, clockwise, of the flight there."""
    side: Side
    """Where the place lies, seen in the direction of flight; '' below the track."""
    is_at_end: bool
    """Whether the track begins or ends there, so that the satellite came nearer before or after it."""

    @property
    def is_ascending(self) -> bool:
        return math.cos(self.heading) >= 0


class Track:
    """Positions in the order of flight, with their times."""

    def __init__(self, positions: Sequence[Position], seconds: Sequence[float]) -> None:
        """Take the points.

        Args:
            positions: (longitude, latitude) in degrees, one at least.
            seconds: when each is passed; as many, rising.
        """
        self.positions = list(positions)
        self.seconds = list(seconds)
        self._vectors = [vector(*one) for one in self.positions]
        self._legs: list[Between | None] = [None] * (len(self.positions) - 1)

    @classmethod
    def even(cls, positions: Sequence[Position], seconds: float) -> Track:
        """A track that is flown evenly, within so many seconds from its first point to its last one."""
        legs = [between(a, b) for a, b in itertools.pairwise(positions)]
        runs = [0.0, *itertools.accumulate(leg.metres for leg in legs)]
        whole = runs[-1] or 1.0
        track = cls(positions, [seconds * run / whole for run in runs])
        track._legs = list(legs)
        return track

    def leg(self, number: int) -> Between:
        """The geodesic between a point and the next one."""
        found = self._legs[number]
        if found is None:
            found = self._legs[number] = between(self.positions[number], self.positions[number + 1])
        return found

    def nearest(self, place: Position) -> Approach:
        """Where it is nearest to a place."""
        bounds = [self._bounds(number, place) for number in range(len(self._legs))]
        if not bounds:
            return _single(self, place)
        most = min(most for _, most in bounds)
        found = [self._on_leg(number, place) for number, (least, _) in enumerate(bounds) if least <= most]
        return min(found, key=lambda one: one.metres)

    def nearest_within(self, place: Position, low: float, high: float) -> Approach | None:
        """Where it is nearest to a place between two moments, in its seconds; None when it is not flown then.

        Args:
            place: longitude and latitude in degrees.
            low: the first moment.
            high: the last one.
        """
        if high < self.seconds[0] or low > self.seconds[-1] or not self._legs:
            return None
        legs = [
            number
            for number in range(len(self._legs))
            if self.seconds[number] <= high and self.seconds[number + 1] >= low
        ]
        bounds = {number: self._bounds(number, place) for number in legs}
        best: Approach | None = None
        # The most promising leg first: it spares most of the others.
        for number in sorted(legs, key=lambda number: bounds[number][0]):
            if best is None or bounds[number][0] < best.metres:
                one = self._on_leg(number, place, low, high)
                best = one if best is None or one.metres < best.metres else best
        return best

    def passes(self, place: Position, metres: float) -> list[Approach]:
        """The nearest point of each stretch of it that comes within so many metres of a place, in order."""
        if not self._legs:
            one = _single(self, place)
            return [one] if one.metres <= metres else []
        found: list[Approach] = []
        last = -2
        for number in range(len(self._legs)):
            if self._bounds(number, place)[0] > metres:
                continue
            one = self._on_leg(number, place)
            if one.metres > metres:
                continue
            is_joined = number == last + 1 and between(place, self.positions[number]).metres <= metres
            if not is_joined:
                found.append(one)
            elif one.metres < found[-1].metres:
                found[-1] = one
            last = number
        return found

    def _bounds(self, number: int, place: Position) -> tuple[float, float]:
        """The least and the most metres that a leg may be from a place, from the sphere."""
        a, b = self._vectors[number], self._vectors[number + 1]
        round_metres = angle_to_arc(vector(*place), a, b) * MEAN_M
        length = angle(a, b) * MEAN_M
        # How far a geodesic may leave the great circle between its ends.
        apart = FLATTENING * length * length / (2 * EQUATOR_M) + 1.0
        return _LEAST * round_metres - apart, _MOST * round_metres + apart

    def _on_leg(
        self, number: int, place: Position, low: float = -math.inf, high: float = math.inf
    ) -> Approach:
        leg, start = self.leg(number), self.positions[number]
        t0, t1 = self.seconds[number], self.seconds[number + 1]
        speed = leg.metres / (t1 - t0) if t1 > t0 else 0.0
        first = max(0.0, (low - t0) * speed) if low > t0 else 0.0
        last = min(leg.metres, (high - t0) * speed) if high < t1 else leg.metres
        tried = []
        for run in _runs(leg, start, place, min(first, last), last):
            reached = along(start, leg.begins, run)
            tried.append((between(reached.at, place), run, reached))
        to_place, run, reached = min(tried, key=lambda one: one[0].metres)
        part = run / leg.metres if leg.metres else 0.0
        is_end = (number == 0 and run <= 0) or (number == len(self._legs) - 1 and run >= leg.metres)
        return Approach(
            t0 + (t1 - t0) * part,
            to_place.metres,
            reached.at,
            reached.heading,
            _side(to_place, reached.heading),
            is_end,
        )


def _runs(leg: Between, start: Position, place: Position, first: float, last: float) -> Iterator[float]:
    """Metres from the start of a leg to where a part of it may be nearest to a place: its ends, one between.

    The step to the foot of a perpendicular on the sphere, repeated from the foot that was found, as Baselga
    and Martinez-Llario (2018), Stud. Geophys. Geod. 62, 353-363, do it.
    """
    yield first
    yield last
    run = first
    for _ in range(_STEPS):
        here = along(start, leg.begins, run)
        to_place = between(here.at, place)
        arc, turn = to_place.metres / MEAN_M, to_place.begins - here.heading
        step = MEAN_M * math.atan2(math.sin(arc) * math.cos(turn), math.cos(arc))
        before, run = run, min(max(run + step, first), last)
        if abs(run - before) < _STILL_M:
            break
    yield run


def _side(to_place: Between, heading: float) -> Side:
    if to_place.metres <= _BELOW_M:
        return ""
    return "right" if math.sin(to_place.begins - heading) >= 0 else "left"


def _single(track: Track, place: Position) -> Approach:
    """What a track of one point is to a place: it has no direction."""
    return Approach(
        track.seconds[0], between(track.positions[0], place).metres, track.positions[0], 0.0, "", True
    )


class Outline:
    """What a swath covers."""

    def __init__(self, geometry: Mapping[str, Any]) -> None:
        """Take GeoJSON whose polygons are outlines of swaths; their edges are geodesics."""
        polygons = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        rings = [[[_position(one) for one in ring] for ring in polygon] for polygon in polygons]
        self._inside = Footprint(polygons=[[_followed(ring) for ring in polygon] for polygon in rings])
        self._edges = [
            Track(line, [0.0] * len(line)) for polygon in rings for ring in polygon for line in _bounds(ring)
        ]

    @classmethod
    def of(cls, geometry: Mapping[str, Any] | None) -> Outline | None:
        """The outline that a geometry is; None for a track, for a mixture, and for none."""
        if geometry is None or geometry.get("type") not in ("Polygon", "MultiPolygon"):
            return None
        return cls(geometry) if kind_of(geometry) == "outline" else None

    def metres(self, place: Position) -> float:
        """From a place to the nearest point of it; 0 inside."""
        if self._inside.angle_to(*place) == 0.0:
            return 0.0
        return min((edge.nearest(place).metres for edge in self._edges), default=0.0)


def _position(value: Sequence[float]) -> Position:
    return float(value[0]), float(value[1])


def _bounds(ring: Sequence[Position]) -> list[list[Position]]:
    """The lines along a ring whose edges are geodesics, or along the parallels of one around the Earth."""
    around = lines_around(ring)
    return [[*ring, ring[0]]] if around is None else around


def _followed(ring: Sequence[Position]) -> list[Position]:
    """A ring with points along its edges, so close that geodesics and great circles are the same."""
    if lines_around(ring) is not None:
        return list(ring)
    found = list(ring[:1])
    for a, b in itertools.pairwise([*ring, ring[0]]):
        leg = between(a, b)
        count = int(leg.metres / _EDGE_M)
        found += [along(a, leg.begins, leg.metres * part / (count + 1)).at for part in range(1, count + 1)]
        found.append(b)
    return found
