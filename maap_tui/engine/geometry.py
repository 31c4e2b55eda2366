"""What a granule covers, on the sphere: how far a point is from it, and the line down its middle.

Edges are arcs of great circles. Longitudes may jump at 180 degrees or run on beyond it, rings may be open
or closed and wound either way, and an outline may go over a pole: the smaller side of a ring is its inside.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

EARTH_RADIUS_KM = 6371.0

Position = tuple[float, float]
"""(longitude, latitude) in degrees."""
Vector = tuple[float, float, float]
"""A unit vector from the centre of the Earth."""

_Middle = tuple[list[Vector], list[tuple[Vector, Vector]]]
"""Points along a line, and of the middle of an outline the points on both sides of each."""
_Parts = tuple[list[list[Position]], list[list[list[Position]]]]
"""Lines, and polygons of rings."""

MAX_POSITIONS = 20_000
"""Positions of a geometry beyond which it is not looked at."""

_SAME = 1e-9
"""Radians within which two positions are one: 6 mm."""
_SAME_DEG = 2e-7
"""Degrees within which two positions are one: what is written with seven digits."""
_CORNER = math.tan(math.radians(50))
"""Tangent of the turn of an outline that makes a corner."""


def vector(longitude: float, latitude: float) -> Vector:
    """The unit vector of a position in degrees."""
    lon, lat = math.radians(longitude), math.radians(latitude)
    across = math.cos(lat)
    return across * math.cos(lon), across * math.sin(lon), math.sin(lat)


def position(v: Vector) -> Position:
    """The inverse of `vector`, longitude from -180 to 180."""
    return math.degrees(math.atan2(v[1], v[0])), math.degrees(math.atan2(v[2], math.hypot(v[0], v[1])))


def angle(a: Vector, b: Vector) -> float:
    """Radians between two unit vectors, exact for small angles too."""
    # Written out, because a search asks it a hundred times for each granule.
    ax, ay, az = a
    bx, by, bz = b
    x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return math.atan2(math.sqrt(x * x + y * y + z * z), ax * bx + ay * by + az * bz)


def _is_same(a: Vector, b: Vector) -> bool:
    """Whether two unit vectors are one position: so close together a chord is as long as its arc."""
    return math.dist(a, b) < _SAME


def angle_to_arc(point: Vector, a: Vector, b: Vector) -> float:
    """Radians between a point and the nearest point of the arc from `a` to `b`."""
    normal = _cross(a, b)
    length = _length(normal)
    if length < 1e-12:
        return angle(point, a)
    # The nearest point lies within the arc when the point is ahead of a and behind b.
    if _dot(_cross(normal, a), point) >= 0 and _dot(_cross(b, normal), point) >= 0:
        return abs(math.asin(max(-1.0, min(1.0, _dot(normal, point) / length))))
    return min(angle(point, a), angle(point, b))


def circle_around(positions: Iterable[Position]) -> tuple[Position, float] | None:
    """(centre, radius in km) of a circle that holds these positions; None where that is half of the Earth."""
    vectors = [vector(*position) for position in positions]
    if not vectors:
        return None
    centre = _unit([sum(part) for part in zip(*vectors, strict=True)])
    reach = max(angle(centre, one) for one in vectors)
    if reach > math.radians(60) or centre == (0.0, 0.0, 0.0):
        return None
    return position(centre), reach * EARTH_RADIUS_KM


def straight(line: Sequence[Position], degrees: float) -> list[Position]:
    """A line with points so close together that it is straight in degrees, as GeoJSON has it."""
    found = list(line[:1])
    for (lon, lat), (to_lon, to_lat) in itertools.pairwise(line):
        way, up = to_lon - lon, to_lat - lat
        steps = math.ceil(max(abs(way), abs(up)) / degrees) or 1
        found += [(lon + way * n / steps, lat + up * n / steps) for n in range(1, steps)]
        found.append((to_lon, to_lat))
    return found


@dataclass(frozen=True, slots=True)
class Extent:
    """A `bbox`: edges along meridians and parallels, degrees; `west` may be greater than `east`."""

    west: float
    south: float
    east: float
    north: float

    def angle_to(self, longitude: float, latitude: float) -> float:
        """Radians from a position to the nearest point of it, 0 inside."""
        width = (self.east - self.west) % 360
        if self.east - self.west >= 360 or (longitude - self.west) % 360 <= width:
            return math.radians(max(self.south - latitude, latitude - self.north, 0.0))
        here = vector(longitude, latitude)
        return min(
            angle_to_arc(here, vector(side, self.south), vector(side, self.north))
            for side in (self.west, self.east)
        )


class Footprint:
    """Points, lines and polygons that a granule covers."""

    __slots__ = ("_boxes", "_lines", "_polygons", "rings")

    def __init__(
        self,
        *,
        lines: Iterable[Sequence[Position]] = (),
        polygons: Iterable[Sequence[Sequence[Position]]] = (),
        boxes: Iterable[Extent] = (),
    ) -> None:
        """Take what it is made of.

        Args:
            lines: open lines; one of a single position is a point.
            polygons: each its outer ring, then its holes; open or closed, wound either way.
            boxes: boxes along meridians and parallels.
        """
        self._lines = [[vector(*one) for one in line] for line in lines]
        self._polygons: list[list[_Ring | _Around]] = []
        self._boxes = list(boxes)
        self.rings: list[list[Position]] = []
        """The outer ring of each polygon, as given."""
        for polygon in polygons:
            outer, *holes = map(_side_of, polygon)
            if outer is not None:
                self._polygons.append([outer, *(hole for hole in holes if hole is not None)])
                self.rings.append(list(polygon[0]))
            else:
                self._lines.append([vector(*one) for one in polygon[0]])

    @classmethod
    def of(cls, geometry: Any, bbox: Any = None) -> Footprint | None:
        """Read GeoJSON of any type, or the bounding box where there is none; None without either."""
        if (found := _parts_of(geometry)) is not None:
            lines, polygons = found
            return cls(lines=lines, polygons=polygons)
        box = read_bbox(bbox)
        return cls(boxes=[Extent(*box)]) if box else None

    def angle_to(self, longitude: float, latitude: float) -> float:
        """Radians from a position to the nearest point of it, 0 inside of a polygon."""
        here = vector(longitude, latitude)
        found = [box.angle_to(longitude, latitude) for box in self._boxes]
        for line in self._lines:
            found.append(angle(here, line[0]))
            found += [angle_to_arc(here, a, b) for a, b in itertools.pairwise(line)]
        for outer, *holes in self._polygons:
            if not outer.holds(here):
                found.append(outer.angle_to(here))
                continue
            around = [hole.angle_to(here) for hole in holes if hole.holds(here)]
            found.append(min(around, default=0.0))
        return min(found)

    def distance_km(self, longitude: float, latitude: float) -> float:
        """Kilometres along the great circle from a position to the nearest point of it, 0 inside."""
        return self.angle_to(longitude, latitude) * EARTH_RADIUS_KM


class _Ring:
    """A closed ring of at least three different points; its inside is its smaller side."""

    __slots__ = ("_edges", "_normals", "_sign", "points")

    def __init__(self, points: list[Vector]) -> None:
        self.points = points
        self._edges = list(zip(points, [*points[1:], points[0]], strict=True))
        self._normals = [_unit(_cross(a, b)) for a, b in self._edges]
        middle = _unit(tuple(map(math.fsum, zip(*points, strict=True)))) or points[0]
        area = math.fsum(_excess(middle, a, b) for a, b in self._edges)
        self._sign = 1.0 if area >= 0 else -1.0

    def angle_to(self, point: Vector) -> float:
        return min(angle_to_arc(point, a, b) for a, b in self._edges)

    def holds(self, point: Vector) -> bool:
        """Whether a point is inside: on the inner side of what is nearest to it, an edge or a corner."""
        best, nearest = math.inf, 0
        for i, (a, b) in enumerate(self._edges):
            distance = angle_to_arc(point, a, b)
            if distance < best:
                best, nearest = distance, i
        if best < _SAME:
            return True
        a, b = self._edges[nearest]
        normal = self._normals[nearest]
        if abs(angle(point, a) - best) < 1e-12:
            normal = _sum(normal, self._normals[nearest - 1])
        elif abs(angle(point, b) - best) < 1e-12:
            normal = _sum(normal, self._normals[(nearest + 1) % len(self._normals)])
        return _dot(normal, point) * self._sign > 0


class _Around:
    """A ring that spans all longitudes of the map; its inside is that of the map."""

    __slots__ = ("_edges", "_ring", "_west")

    def __init__(self, ring: Sequence[Position], lines: Iterable[Sequence[Position]]) -> None:
        self._ring = list(ring)
        self._west = min(lon for lon, _ in ring)
        vectors = ([vector(*one) for one in line] for line in lines)
        self._edges = [edge for line in vectors for edge in itertools.pairwise(line)]

    def angle_to(self, point: Vector) -> float:
        return min((angle_to_arc(point, a, b) for a, b in self._edges), default=math.inf)

    def holds(self, point: Vector) -> bool:
        """Whether a point is inside: an odd number of edges is between it and the upper side of the map."""
        lon, lat = position(point)
        # Of a side of the map itself nothing is between, so that a point there is taken a centimetre away.
        x = self._west + min(max((lon - self._west) % 360, _SAME_DEG), 360 - _SAME_DEG)
        y = min(lat, 90 - _SAME_DEG)
        count = 0
        for (ax, ay), (bx, by) in zip(self._ring, [*self._ring[1:], self._ring[0]], strict=True):
            if (ax > x) != (bx > x) and ay + (by - ay) * (x - ax) / (bx - ax) > y:
                count += 1
        return count % 2 == 1


def _side_of(ring: Sequence[Position]) -> _Ring | _Around | None:
    """The ring with an inside; None for one that has none."""
    lines = lines_around(ring)
    if lines is not None:
        return _Around(ring, lines)
    points = _cleaned(list(itertools.starmap(vector, ring)))
    return _Ring(points) if len(points) > 2 else None


def read_bbox(value: Any) -> tuple[float, float, float, float] | None:
    """West, south, east, north of a `bbox` of four or six numbers; None when it is none."""
    if not isinstance(value, list | tuple) or len(value) not in (4, 6):
        return None
    numbers = [*value[:2], *value[len(value) // 2 :][:2]]
    if not all(_is_number(one) for one in numbers):
        return None
    west, south, east, north = map(float, numbers)
    is_right = -90 <= south <= north <= 90 and max(abs(west), abs(east)) <= 540
    return (west, south, east, north) if is_right else None


def is_geometry(value: Any) -> bool:
    """Whether something is GeoJSON whose coordinates can be used."""
    return _parts_of(value) is not None


def _read(geometry: Any) -> _Parts:
    """The lines and the polygons of GeoJSON; neither when it is none."""
    lines: list[list[Position]] = []
    polygons: list[list[list[Position]]] = []
    try:
        _collect(geometry, lines, polygons, depth=0)
    except (TypeError, ValueError, KeyError, IndexError):
        return [], []
    return lines, polygons


def _parts_of(geometry: Any) -> _Parts | None:
    """The lines and the polygons of GeoJSON; None when it is none, or too much."""
    lines, polygons = _read(geometry)
    count = sum(map(len, lines)) + sum(len(ring) for polygon in polygons for ring in polygon)
    return (lines, polygons) if 0 < count <= MAX_POSITIONS else None


def outlines_of(geometry: Any) -> list[list[Position]]:
    """The lines of GeoJSON and the rings of its polygons, to be drawn; [] when it is none, or too much."""
    lines, polygons = _parts_of(geometry) or ([], [])
    return [*lines, *(ring for polygon in polygons for ring in polygon)]


def kind_of(geometry: Mapping[str, Any] | None) -> str:
    """`line`, `outline`, `point` or `mixture`; '' without a geometry."""
    name = str((geometry or {}).get("type") or "")
    if name == "GeometryCollection":
        parts = (geometry or {}).get("geometries") or []
        kinds = {kind_of(part) for part in parts if isinstance(part, dict)}
        return kinds.pop() if len(kinds) == 1 else "mixture"
    names = {"LineString": "line", "Polygon": "outline", "Point": "point"}
    return names.get(name.removeprefix("Multi"), "")


def centre_line(geometry: Mapping[str, Any] | None, orbit_state: str | None = None) -> list[Position]:
    """The line along a ground track, or down the middle of the outline of a swath; [] without either.

    An outline goes down one side of the swath and back up the other, from the end that was seen first;
    `orbit_state` goes before that, since not every outline begins there.
    """
    return list(map(position, _middle(geometry, orbit_state)[0]))


def swath_width_km(geometry: Mapping[str, Any] | None) -> float | None:
    """Kilometres across the outline of a swath, half way down; None for anything else."""
    _, sides = _middle(geometry, None)
    if kind_of(geometry) != "outline" or not sides:
        return None
    return sorted(angle(left, right) for left, right in sides)[len(sides) // 2] * EARTH_RADIUS_KM


def _middle(geometry: Mapping[str, Any] | None, orbit_state: str | None) -> _Middle:
    """Points along the middle, and of an outline the points on both sides of each."""
    lines, polygons = _read(geometry)
    tracks = [line for line in lines if len(line) > 1]
    if tracks:
        # A track that was cut at 180 degrees has the place of the cut twice.
        whole = [vector(*one) for line in tracks for one in line]
        kept = [a for a, b in itertools.pairwise(whole) if not _is_same(a, b)]
        return [*kept, whole[-1]], []
    if not polygons:
        return [], []
    ring = _cleaned(list(itertools.starmap(vector, _joined([polygon[0] for polygon in polygons]))))
    return _between_sides(ring, orbit_state) if len(ring) > 2 else ([], [])


def _between_sides(ring: list[Vector], orbit_state: str | None) -> _Middle:
    corners = _corners(ring)
    count = len(ring)
    if len(corners) == 4:
        around = [*ring, *ring]
        stretches = [around[a : b + 1] for a, b in itertools.pairwise([*corners, corners[0] + count])]
        even = _run(stretches[0]) + _run(stretches[2])
        odd = _run(stretches[1]) + _run(stretches[3])
        first = 0 if even >= odd else 1
        # A side and the end behind it; the first position is at the start of the side that it begins.
        down, up = stretches[first], stretches[first + 2][::-1]
        end = stretches[first + 1]
        is_back = ring[0] in end
    else:
        a, b = max(
            itertools.combinations(range(count), 2),
            key=lambda pair: angle(ring[pair[0]], ring[pair[1]]),
        )
        down, up = ring[a : b + 1], [*ring[b:], *ring[: a + 1]][::-1]
        is_back = False
    steps = max(len(down), len(up), 5)
    if len(down) != len(up) or len(down) < 5:
        down, up = _resampled(down, steps), _resampled(up, steps)
    sides = list(zip(down, up, strict=True))
    middle = [_unit(_sum(left, right)) for left, right in sides]
    if orbit_state:
        steps_up = {b[2] > a[2] for a, b in itertools.pairwise(middle)}
        if len(steps_up) == 1:
            # Where the line turns at a pole, the state at its start says nothing of its ends.
            is_back = steps_up.pop() != (orbit_state.upper() == "ASCENDING")
    return (middle[::-1], sides[::-1]) if is_back else (middle, sides)


def _corners(ring: list[Vector]) -> list[int]:
    """Where an outline turns by more than an edge of a swath does."""
    # Written out, because a search asks it of each granule: the turn from one chord to the next, both laid
    # flat at their common end.
    found = []
    (bx, by, bz), (hx, hy, hz) = ring[-1], ring[0]
    dx, dy, dz = hx - bx, hy - by, hz - bz
    for i in range(len(ring)):
        ax, ay, az = ring[i + 1 - len(ring)]
        ex, ey, ez = ax - hx, ay - hy, az - hz
        sine = hx * (dy * ez - dz * ey) + hy * (dz * ex - dx * ez) + hz * (dx * ey - dy * ex)
        cosine = dx * ex + dy * ey + dz * ez - (dx * hx + dy * hy + dz * hz) * (ex * hx + ey * hy + ez * hz)
        if abs(sine) > _CORNER * cosine:
            found.append(i)
        hx, hy, hz, dx, dy, dz = ax, ay, az, ex, ey, ez
    return found


def _joined(rings: list[list[Position]]) -> list[Position]:
    """One ring of the parts that an outline was cut into at 180 degrees; the longest part if they do not fit.

    The cuts are the edges along 180 degrees; without them the parts follow one another.
    """
    if len(rings) == 1:
        return rings[0]
    chains: list[list[Position]] = []
    for ring in rings:
        closed = ring if ring[0] == ring[-1] else [*ring, ring[0]]
        pieces: list[list[Position]] = [[closed[0]]]
        for a, b in itertools.pairwise(closed):
            if _is_cut(a) and _is_cut(b):
                pieces.append([b])
            else:
                pieces[-1].append(b)
        # What was before the first cut goes on behind the last one.
        if len(pieces) > 1:
            pieces[0] = [*pieces.pop(), *pieces[0][1:]]
        chains += [piece for piece in pieces if len(piece) > 1]
    if not chains:
        return _longest(rings)
    whole = chains.pop(0)
    while chains:
        at = vector(*whole[-1])
        following = min(chains, key=lambda chain: angle(at, vector(*chain[0])))
        if angle(at, vector(*following[0])) > 1e-6:
            break
        chains.remove(following)
        whole += following[1:]
    if chains or angle(vector(*whole[0]), vector(*whole[-1])) > 1e-6:
        return _longest(rings)
    # The place of a cut is nothing of the outline's own.
    kept = [one for one in whole if not _is_cut(one)]
    if not kept:
        return _longest(rings)
    own = set(kept)
    first = next((one for one in rings[0] if one in own), kept[0])
    start = kept.index(first)
    return [*kept[start:], *kept[:start]]


def _longest(rings: list[list[Position]]) -> list[Position]:
    return max(rings, key=lambda ring: _run([vector(*one) for one in ring]))


def _is_cut(position: Position) -> bool:
    return abs(abs(position[0]) - 180) < 1e-7


def _resampled(line: list[Vector], count: int) -> list[Vector]:
    """So many points along a line, equally far from one another."""
    runs = [0.0, *itertools.accumulate(angle(a, b) for a, b in itertools.pairwise(line))]
    found = []
    at = 0
    for i in range(count):
        wanted = runs[-1] * i / (count - 1)
        while at < len(line) - 2 and runs[at + 1] < wanted:
            at += 1
        length = runs[at + 1] - runs[at]
        part = (wanted - runs[at]) / length if length else 0.0
        a, b = line[at], line[at + 1]
        found.append(_unit(tuple(p + (q - p) * part for p, q in zip(a, b, strict=True))) or a)
    return found


def _run(line: Sequence[Vector]) -> float:
    # By the chords, which is exact enough to compare two ways and four times as quick as the angles.
    return math.fsum([2 * math.asin(min(1.0, chord / 2)) for chord in map(math.dist, line, line[1:])])


def lines_around(ring: Sequence[Position]) -> list[list[Position]] | None:
    """The lines that bound a ring which spans all longitudes of the map, such as a cap on a pole.

    They have a point each degree; the sides of the map and the poles bound nothing. None for a ring that
    spans less or more, and for one that jumps to the other side of the map: that crosses 180 degrees.
    """
    longitudes = [lon for lon, _ in ring]
    if abs(max(longitudes) - min(longitudes) - 360) > _SAME_DEG:
        return None
    points = [one for one, after in zip(ring, [*ring[1:], ring[0]], strict=True) if one != after]
    lines: list[list[Position]] = []
    for i, (lon, lat) in enumerate(points):
        to_lon, to_lat = points[(i + 1) % len(points)]
        way = to_lon - lon
        if abs(way) > 180 and _is_jump(
            points[i - 1], (lon, lat), (to_lon, to_lat), points[(i + 2) % len(points)]
        ):
            return None
        if (abs(way) <= _SAME_DEG and _is_side(lon, longitudes)) or abs(lat) == abs(to_lat) == 90:
            continue
        lines.append(straight([(lon, lat), (to_lon, to_lat)], 1.0))
    return lines


def _is_jump(before: Position, a: Position, b: Position, after: Position) -> bool:
    """Whether an edge of more than 180 degrees of longitude goes the short way, over 180 degrees.

    The long way is meant where both ends are one place and the outline does not go on behind it in the
    direction in which it came.
    """
    if abs(abs(b[0] - a[0]) - 360) > _SAME_DEG or abs(b[1] - a[1]) > _SAME_DEG:
        return True
    came, goes = a[0] - before[0], after[0] - b[0]
    return (came > 0 and goes > 0) if a[0] > b[0] else (came < 0 and goes < 0)


def _is_side(longitude: float, longitudes: Sequence[float]) -> bool:
    return min(longitude - min(longitudes), max(longitudes) - longitude) <= _SAME_DEG


def _cleaned(ring: list[Vector]) -> list[Vector]:
    """Without repetitions, the closing one among them, and without ways out and straight back."""
    if len(ring) > 3 and min(*map(math.dist, ring, ring[1:]), *map(math.dist, ring, ring[2:])) >= _SAME:
        # Nothing of it is there twice but the closing position, as in nearly all that is served.
        return ring[:-1] if _is_same(ring[0], ring[-1]) else ring
    points: list[Vector] = []
    for point in ring:
        if points and _is_same(points[-1], point):
            continue
        if len(points) > 1 and _is_same(points[-2], point):
            points.pop()
            continue
        points.append(point)
    while len(points) > 1 and _is_same(points[0], points[-1]):
        points.pop()
    return points


def _collect(
    geometry: Any, lines: list[list[Position]], polygons: list[list[list[Position]]], *, depth: int
) -> None:
    """Sort the parts of GeoJSON.

    Raises:
        TypeError, ValueError, KeyError, IndexError: when it is none.
    """
    kind = geometry["type"]
    if kind == "GeometryCollection":
        if depth > 8:
            raise ValueError("nested too deep")
        for part in geometry["geometries"]:
            _collect(part, lines, polygons, depth=depth + 1)
        return
    coordinates = geometry["coordinates"]
    if kind == "Point":
        lines.append(_line([coordinates]))
    elif kind == "MultiPoint":
        lines.extend(_line([one]) for one in coordinates)
    elif kind == "LineString":
        lines.append(_line(coordinates))
    elif kind == "MultiLineString":
        lines.extend(_line(one) for one in coordinates)
    elif kind == "Polygon":
        polygons.append([_line(ring) for ring in coordinates])
        polygons[-1][0]  # an outline without an outer ring is none
    elif kind == "MultiPolygon":
        for one in coordinates:
            polygons.append([_line(ring) for ring in one])
            polygons[-1][0]
    else:
        raise ValueError(kind)


def _line(coordinates: Any) -> list[Position]:
    line = []
    if not isinstance(coordinates, list | tuple) or not coordinates:
        raise ValueError("no positions")
    for position in coordinates:
        lon, lat = position[0], position[1]
        if type(lon) is not float or type(lat) is not float:
            if not (_is_number(lon) and _is_number(lat)):
                raise ValueError("no position")
            lon, lat = float(lon), float(lat)
        # Whatever is not finite is not within them either.
        if not (-540 <= lon <= 540 and -90 <= lat <= 90):
            raise ValueError("no position")
        line.append((lon, lat))
    return line


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _dot(a: Vector, b: Vector) -> float:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _sum(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _length(a: Vector) -> float:
    return math.sqrt(_dot(a, a))


def _unit(a: Sequence[float]) -> Vector:
    """The unit vector along `a`; one of no length stays."""
    x, y, z = a
    length = math.sqrt(x * x + y * y + z * z)
    return (x / length, y / length, z / length) if length > 1e-12 else (0.0, 0.0, 0.0)


def _excess(a: Vector, b: Vector, c: Vector) -> float:
    """The signed area of a triangle, positive when it turns left (Van Oosterom and Strackee 1983)."""
    return 2 * math.atan2(_dot(a, _cross(b, c)), 1 + _dot(a, b) + _dot(b, c) + _dot(c, a))
