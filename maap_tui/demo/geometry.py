"""Ground tracks, swaths and areas: plane tests in degrees on lines whose longitudes run on past 180."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from maap_tui.demo.orbit import Track

POINT_TOLERANCE = 0.05
"""Degrees around a single point that count as touching it."""


@dataclass
class Area:
    """What a search asks for: rings that enclose, and open lines."""

    rings: list[Track] = field(default_factory=list)
    """Closed rings; a hole is one more ring, since insides follow the even-odd rule."""
    lines: list[Track] = field(default_factory=list)
    """Open lines that only count where they are crossed."""

    def __post_init__(self) -> None:
        self.paths = self.rings + self.lines
        points = [point for path in self.paths for point in path]
        if not points:
            raise ValueError("the geometry is empty")
        lons, lats = [p[0] for p in points], [p[1] for p in points]
        if not all(math.isfinite(value) for value in lons + lats) or min(lats) < -90 or max(lats) > 90:
            raise ValueError("a coordinate is out of range")
        self.box = (min(lons), min(lats), max(lons), max(lats))

    def touches(self, track: Track, is_filled: bool = False) -> bool:
        """Whether the track enters or crosses the area, on any turn of the longitude.

        A filled track is a closed ring, and its inside counts as well.
        """
        lons, lats = [p[0] for p in track], [p[1] for p in track]
        west, south, east, north = self.box
        if max(lats) < south or min(lats) > north:
            return False
        for turn in (-360, 0, 360, 720):
            if max(lons) + turn < west or min(lons) + turn > east:
                continue
            moved = [(lon + turn, lat) for lon, lat in track]
            if any(_holds(self.rings, point) for point in moved) or self._crossed(moved):
                return True
            if is_filled and any(_holds([moved], path[0]) for path in self.paths):
                return True
        return False

    def _crossed(self, track: Track) -> bool:
        for a, b in pairwise(track):
            for path in self.paths:
                for c, d in pairwise(path):
                    if _side(a, b, c) * _side(a, b, d) <= 0 and _side(c, d, a) * _side(c, d, b) <= 0:
                        return True
        return False


def _holds(rings: list[Track], point: tuple[float, float]) -> bool:
    """Whether a point is inside, by the even-odd rule."""
    x, y = point
    inside = False
    for ring in rings:
        for (x0, y0), (x1, y1) in pairwise(ring):
            if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
                inside = not inside
    return inside


def _side(a: tuple[float, float], b: tuple[float, float], p: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])


def _box_ring(west: float, south: float, east: float, north: float) -> Track:
    return [(west, south), (east, south), (east, north), (west, north), (west, south)]


def area_of_bbox(numbers: Iterable[Any]) -> Area:
    """A bounding box of 4 or 6 numbers; west beyond east crosses the date line.

    Raises:
        ValueError: not 4 or 6 numbers, or out of range.
    """
    box = [float(number) for number in numbers]
    if len(box) == 6:
        box = [box[0], box[1], box[3], box[4]]
    if len(box) != 4 or box[1] > box[3]:
        raise ValueError("bbox must be west,south,east,north")
    west, south, east, north = box
    return Area(rings=[_box_ring(west, south, east + 360 if west > east else east, north)])


def area_of_circle(lat: float, lon: float, radius_m: float) -> Area:
    """A circle around a point, as a polygon of 36 corners."""
    dlat = radius_m / 111_195
    dlon = dlat / max(0.01, math.cos(math.radians(lat)))
    ring = [
        (
            lon + dlon * math.cos(i * math.pi / 18),
            max(-90.0, min(90.0, lat + dlat * math.sin(i * math.pi / 18))),
        )
        for i in range(37)
    ]
    return Area(rings=[ring])


def area_of_geojson(geometry: Any) -> Area:
    """A GeoJSON geometry of any type.

    Raises:
        ValueError: not a GeoJSON geometry.
    """
    rings: list[Track] = []
    lines: list[Track] = []
    try:
        _collect(geometry, rings, lines)
    except (KeyError, TypeError, IndexError) as exc:
        raise ValueError("not a GeoJSON geometry") from exc
    return Area(rings, lines)


def _collect(geometry: Any, rings: list[Track], lines: list[Track]) -> None:
    def line(coordinates: Any) -> Track:
        return [(float(point[0]), float(point[1])) for point in coordinates]

    kind = geometry["type"]
    if kind == "GeometryCollection":
        for part in geometry["geometries"]:
            _collect(part, rings, lines)
        return
    coordinates = geometry["coordinates"]
    if kind == "Point":
        x, y = line([coordinates])[0]
        south, north = max(-90.0, y - POINT_TOLERANCE), min(90.0, y + POINT_TOLERANCE)
        rings.append(_box_ring(x - POINT_TOLERANCE, south, x + POINT_TOLERANCE, north))
    elif kind == "MultiPoint":
        for point in coordinates:
            _collect({"type": "Point", "coordinates": point}, rings, lines)
    elif kind == "LineString":
        lines.append(line(coordinates))
    elif kind == "MultiLineString":
        lines.extend(line(part) for part in coordinates)
    elif kind == "Polygon":
        rings.extend(line(part) for part in coordinates)
    elif kind == "MultiPolygon":
        for part in coordinates:
            rings.extend(line(ring) for ring in part)
    else:
        raise KeyError(kind)


def swath_of(track: Track, right_km: float, left_km: float, steps: int = 10) -> Track:
    """The outline of a swath: down the right side, the point below the satellite, back up the left one.

    Each side has `steps` points, each end one more between them; the last point is the first again.
    """
    positions = [_between(track, i / (steps - 1)) for i in range(steps)]
    right = [_beside(position, flight, right_km) for position, flight in positions]
    left = [_beside(position, flight, -left_km) for position, flight in positions]
    ring = [*right, _degrees(positions[-1][0]), *reversed(left), _degrees(positions[0][0]), right[0]]
    outline: Track = []
    for lon, lat in ring:
        outline.append((lon + 360 * round((outline[-1][0] - lon) / 360) if outline else lon, lat))
    return outline


def polygon_of(ring: Track) -> dict[str, Any]:
    """The GeoJSON of a ring: a Polygon, or a MultiPolygon cut at 180 degrees (RFC 7946 section 3.1.9)."""
    west = min(lon for lon, _ in ring)
    turn = 360 * math.floor((west + 180) / 360)
    moved = [(lon - turn, lat) for lon, lat in ring]
    inner = _rounded(_clipped(moved, lambda lon: 180 - lon))
    outer = _rounded([(lon - 360, lat) for lon, lat in _clipped(moved, lambda lon: lon - 180)])
    if not outer:
        return {"type": "Polygon", "coordinates": [inner]}
    return {"type": "MultiPolygon", "coordinates": [[inner], [outer]]}


_Vector = tuple[float, float, float]


def _vector(point: tuple[float, float]) -> _Vector:
    lon, lat = math.radians(point[0]), math.radians(point[1])
    return math.cos(lat) * math.cos(lon), math.cos(lat) * math.sin(lon), math.sin(lat)


def _degrees(vector: _Vector) -> tuple[float, float]:
    x, y, z = vector
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(z, math.hypot(x, y)))


def _unit(x: float, y: float, z: float) -> _Vector:
    length = math.sqrt(x * x + y * y + z * z)
    return x / length, y / length, z / length


def _between(track: Track, part: float) -> tuple[_Vector, _Vector]:
    """A point of a track, and the direction of flight there."""
    position = part * (len(track) - 1)
    i = min(int(position), len(track) - 2)
    a, b = _vector(track[i]), _vector(track[i + 1])
    f = position - i
    point = _unit(*(p + (q - p) * f for p, q in zip(a, b, strict=True)))
    return point, _unit(*(q - p for p, q in zip(a, b, strict=True)))


def _beside(point: _Vector, flight: _Vector, km: float) -> tuple[float, float]:
    """The point so far to the right of the flight."""
    (px, py, pz), (fx, fy, fz) = point, flight
    side = _unit(fy * pz - fz * py, fz * px - fx * pz, fx * py - fy * px)
    angle = km / 6371.0
    return _degrees(
        _unit(*(p * math.cos(angle) + s * math.sin(angle) for p, s in zip(point, side, strict=True)))
    )


def _clipped(ring: Track, depth: Callable[[float], float]) -> Track:
    """The part of a ring where `depth` of the longitude is not negative."""
    kept: Track = []
    for (lon_a, lat_a), (lon_b, lat_b) in pairwise(ring):
        a, b = depth(lon_a), depth(lon_b)
        if a >= 0:
            kept.append((lon_a, lat_a))
        if a * b < 0:
            part = a / (a - b)
            kept.append((lon_a + (lon_b - lon_a) * part, lat_a + (lat_b - lat_a) * part))
    return [*kept, kept[0]] if len(kept) > 2 else []


def _rounded(ring: Track) -> list[list[float]]:
    return [[round(lon, 6), round(lat, 6)] for lon, lat in ring]
