"""What granules cover: distances, insides and centre lines, against slow answers that are plainly right."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maap_tui.engine.geometry import (
    EARTH_RADIUS_KM,
    Footprint,
    centre_line,
    is_geometry,
    kind_of,
    swath_width_km,
)
from maap_tui.engine.overpass.approach import Outline

VERBATIM = sorted((Path(__file__).parents[1] / "data" / "verbatim").glob("*.json"))

Vector = tuple[float, float, float]
Position = tuple[float, float]


def to_vector(lon: float, lat: float) -> Vector:
    x, y = math.radians(lon), math.radians(lat)
    return math.cos(y) * math.cos(x), math.cos(y) * math.sin(x), math.sin(y)


def angle(a: Vector, b: Vector) -> float:
    return 2 * math.asin(min(1.0, math.dist(a, b) / 2))


def axes(centre: Position) -> tuple[Vector, Vector, Vector]:
    """Up, east and north at a place."""
    lon, lat = map(math.radians, centre)
    up = to_vector(*centre)
    east = (-math.sin(lon), math.cos(lon), 0.0)
    north = (-math.sin(lat) * math.cos(lon), -math.sin(lat) * math.sin(lon), math.cos(lat))
    return up, east, north


def from_plane(centre: Position, x: float, y: float) -> Position:
    """A point of the plane that touches the Earth at a place, seen from the centre of the Earth."""
    up, east, north = axes(centre)
    v = tuple(u + x * e + y * n for u, e, n in zip(up, east, north, strict=True))
    length = math.hypot(*v)
    v = tuple(part / length for part in v)
    return math.degrees(math.atan2(v[1], v[0])), math.degrees(math.asin(max(-1.0, min(1.0, v[2]))))


def to_plane(centre: Position, lon: float, lat: float) -> tuple[float, float]:
    """The inverse of `from_plane`."""
    up, east, north = axes(centre)
    v = to_vector(lon, lat)
    high, x, y = (sum(p * q for p, q in zip(v, axis, strict=True)) for axis in (up, east, north))
    return x / high, y / high


def height(line: list[Position], x: float) -> float:
    """The latitude of a line at a longitude, straight in degrees."""
    (x0, y0), (x1, y1) = next(pair for pair in pairwise(line) if pair[0][0] <= x <= pair[1][0])
    return y0 + (y1 - y0) * (x - x0) / (x1 - x0)


def oracle_km(ring: list[Position], here: Position) -> float:
    """The distance to the nearest of many points of each edge."""
    point = to_vector(*here)

    def at(a: Vector, b: Vector, part: float) -> float:
        w = tuple(p + (q - p) * part for p, q in zip(a, b, strict=True))
        length = math.hypot(*w)
        return angle(point, tuple(one / length for one in w))

    best = math.inf
    for a, b in pairwise(ring):
        u, v = to_vector(*a), to_vector(*b)
        nearest = min(range(101), key=lambda step: at(u, v, step / 100)) / 100
        best = min([best, *(at(u, v, min(1, max(0, nearest + step / 5000))) for step in range(-50, 51))])
    return best * EARTH_RADIUS_KM


def in_plane(points: list[tuple[float, float]], x: float, y: float) -> bool:
    """Whether a plane polygon holds a point: straight lines of the plane are great circles."""
    inside = False
    for (x0, y0), (x1, y1) in pairwise([*points, points[0]]):
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            inside = not inside
    return inside


centres = st.one_of(
    st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
    st.tuples(st.sampled_from([180.0, -180.0, 179.9, -179.9]), st.floats(-80, 80)),
    st.tuples(st.floats(-180, 180), st.sampled_from([90.0, -90.0, 89.8, -89.9])),
)
stars = st.lists(st.floats(0.02, 0.4), min_size=3, max_size=12)
plane = st.tuples(st.floats(-0.6, 0.6), st.floats(-0.6, 0.6))


@given(
    centre=centres, radii=stars, there=plane, backward=st.booleans(), closed=st.booleans(), turn=st.booleans()
)
def test_a_polygon_is_0_km_from_what_is_inside_and_its_nearest_edge_from_the_rest(
    centre: Position,
    radii: list[float],
    there: tuple[float, float],
    backward: bool,
    closed: bool,
    turn: bool,
) -> None:
    flat = [
        (r * math.cos(2 * math.pi * i / len(radii)), r * math.sin(2 * math.pi * i / len(radii)))
        for i, r in enumerate(radii)
    ]
    ring = [from_plane(centre, *one) for one in flat]
    here = from_plane(centre, *there)
    whole = [*ring, ring[0]]
    expected = oracle_km(whole, here)
    given_ring = ring[::-1] if backward else ring
    given_ring = [*given_ring, given_ring[0]] if closed else given_ring
    # Longitudes that run on beyond 180, and a height that nobody asks for.
    coordinates = [[lon + 360 if turn and lon < 0 else lon, lat, 400.0] for lon, lat in given_ring]
    footprint = Footprint.of({"type": "Polygon", "coordinates": [coordinates]})
    assert footprint is not None
    found = footprint.distance_km(*here)
    if expected > 1:
        if in_plane(flat, *there):
            assert found == 0
        else:
            assert found == pytest.approx(expected, rel=1e-3, abs=3)
    else:
        assert found < 2


@given(
    latitude=st.floats(-80, 80),
    rows=st.lists(st.floats(-0.3, 0.3), min_size=2, max_size=6, unique_by=lambda y: round(y, 3)),
    sides=st.lists(st.sampled_from([180.0, -180.0, 179.99999, -179.99999, 179.9, -179.9]), min_size=12),
    there=st.tuples(st.floats(-0.2, 0.2), st.floats(-0.4, 0.4)),
    wide=st.floats(0.03, 0.2),
    is_both=st.booleans(),
)
def test_an_outline_with_corners_at_180_degrees_is_as_wide_as_it_is(
    latitude: float,
    rows: list[float],
    sides: list[float],
    there: tuple[float, float],
    wide: float,
    is_both: bool,
) -> None:
    """One side of it follows 180 degrees, on either side of it; the other one is 6 km away or more."""
    centre = (180.0, latitude)
    lats = sorted(from_plane(centre, 0.0, y)[1] for y in rows)
    one_side = [(lon, lat) for lon, lat in zip(sides, lats, strict=False)]
    flat = [to_plane(centre, *one) for one in one_side]
    if is_both:
        flat += [(x + 1e-3, y) for x, y in flat[::-1]]
    else:
        flat += [(wide, y) for y in sorted(rows, reverse=True)]
    ring = [*one_side, *(from_plane(centre, *one) for one in flat[len(one_side) :])]
    here = from_plane(centre, *there)
    footprint = Footprint.of({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    assert footprint is not None
    expected = oracle_km([*ring, ring[0]], here)
    found = footprint.distance_km(*here)
    outline = Outline({"type": "Polygon", "coordinates": [[*ring, ring[0]]]})
    if expected > 1:
        expected = 0 if in_plane(flat, *there) else expected
        assert found == pytest.approx(expected, rel=1e-3, abs=3)
        assert outline.metres(here) / 1000 == pytest.approx(expected, rel=0.007, abs=3)
    else:
        assert found < 2 and outline.metres(here) < 2500


@given(
    tops=st.lists(st.floats(15, 80), min_size=1, max_size=8),
    bottoms=st.lists(st.floats(-80, 10), min_size=1, max_size=8),
    west=st.sampled_from([-180.0, 0.0, -90.0]),
    caps=st.tuples(st.booleans(), st.booleans()),
    there=st.tuples(st.floats(-180, 180), st.floats(-90, 90)),
    backward=st.booleans(),
)
def test_a_polygon_around_the_earth_is_that_of_the_map(
    tops: list[float],
    bottoms: list[float],
    west: float,
    caps: tuple[bool, bool],
    there: Position,
    backward: bool,
) -> None:
    """Zones, caps and the whole Earth, as other programs write what covers them."""

    def bound(lats: list[float], pole: float, is_cap: bool) -> list[Position]:
        lats = [pole, pole] if is_cap else [*lats, lats[0]]
        return [(west + 360 * i / (len(lats) - 1), lat) for i, lat in enumerate(lats)]

    south, north = bound(bottoms, -90.0, caps[0]), bound(tops, 90.0, caps[1])
    ring = [*south, *north[::-1]]
    ring = ring[::-1] if backward else ring
    geometry = {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}
    edges = [
        (lon + (to_lon - lon) * part / 720, lat + (to_lat - lat) * part / 720)
        for line, is_cap in zip((south, north), caps, strict=True)
        if not is_cap
        for (lon, lat), (to_lon, to_lat) in pairwise(line)
        for part in range(721)
    ]
    x = (there[0] - west) % 360 + west
    is_inside = height(south, x) <= there[1] <= height(north, x)
    point = to_vector(*there)
    apart = min((angle(point, to_vector(*one)) for one in edges), default=math.inf) * EARTH_RADIUS_KM
    footprint, outline = Footprint.of(geometry), Outline.of(geometry)
    assert footprint is not None and outline is not None
    found = footprint.distance_km(*there), outline.metres(there) / 1000
    if apart < 60:
        assert max(found) < 120
    elif is_inside:
        assert found == (0, 0)
    else:
        assert found == (pytest.approx(apart, rel=0.01, abs=40), pytest.approx(apart, rel=0.01, abs=40))


@given(centre=centres, dirs=st.lists(plane, min_size=2, max_size=8, unique=True), there=plane)
def test_a_line_is_as_far_as_its_nearest_arc(
    centre: Position, dirs: list[tuple[float, float]], there: tuple[float, float]
) -> None:
    line = [from_plane(centre, *one) for one in dirs]
    here = from_plane(centre, *there)
    expected = oracle_km(line, here)
    cut = len(line) // 2
    parts = [line[: cut + 1], line[cut:]]
    for geometry in (
        {"type": "LineString", "coordinates": line},
        {"type": "MultiLineString", "coordinates": parts},
        {
            "type": "GeometryCollection",
            "geometries": [{"type": "LineString", "coordinates": part} for part in parts],
        },
    ):
        footprint = Footprint.of(geometry)
        assert footprint is not None
        assert footprint.distance_km(*here) == pytest.approx(expected, rel=1e-3, abs=3)


POLE = [[-180, 60], [180, 60], [180, 90], [-180, 90], [-180, 60]]
AROUND = [[lon, 75] for lon in range(-180, 180, 30)]
CLOSED = [*AROUND, [180, 75], [-180, 75]]
OVER = [
    [170, -10],
    [180, -10],
    [-180, -10],
    [-170, -10],
    [-170, 10],
    [-180, 10],
    [180, 10],
    [170, 10],
    [170, -10],
]
SPLIT = [
    [[[170, -10], [180, -10], [180, 10], [170, 10], [170, -10]]],
    [[[-180, -10], [-170, -10], [-170, 10], [-180, 10], [-180, -10]]],
]
BEYOND = [[[170, -10], [190, -10], [190, 10], [170, 10], [170, -10]]]
JUMPING = [[[170, -10], [-170, -10], [-170, 10], [170, 10], [170, -10]]]
HOLED = [
    [[0, 0], [20, 0], [20, 20], [0, 20], [0, 0]],
    [[5, 5], [15, 5], [15, 15], [5, 15], [5, 5]],
]


@pytest.mark.parametrize(
    ("geometry", "here", "km"),
    [
        ({"type": "Point", "coordinates": [10, 0]}, (11, 0), 111.2),
        ({"type": "MultiPoint", "coordinates": [[50, 0], [10, 0]]}, (11, 0), 111.2),
        ({"type": "MultiPolygon", "coordinates": SPLIT}, (179.99, 0), 0),
        ({"type": "MultiPolygon", "coordinates": SPLIT}, (-179.99, 0), 0),
        ({"type": "MultiPolygon", "coordinates": SPLIT}, (-169, 0), 111.2),
        ({"type": "Polygon", "coordinates": BEYOND}, (-175, 5), 0),
        ({"type": "Polygon", "coordinates": JUMPING}, (-175, 5), 0),
        ({"type": "Polygon", "coordinates": JUMPING}, (0, 0), 18446.6),
        ({"type": "Polygon", "coordinates": [POLE]}, (17, 89), 0),
        ({"type": "Polygon", "coordinates": [POLE]}, (17, 59), 111.2),
        ({"type": "Polygon", "coordinates": [AROUND]}, (17, 90), 0),
        ({"type": "Polygon", "coordinates": [AROUND[::-1]]}, (100, 80), 0),
        ({"type": "Polygon", "coordinates": [AROUND]}, (30, -89), 18236.0),
        ({"type": "Polygon", "coordinates": [CLOSED]}, (17, 90), 0),
        ({"type": "Polygon", "coordinates": [CLOSED]}, (100, 80), 0),
        ({"type": "Polygon", "coordinates": [OVER]}, (-175, 5), 0),
        ({"type": "Polygon", "coordinates": [OVER]}, (0, -10), 17531.2),
        ({"type": "Polygon", "coordinates": HOLED}, (2, 2), 0),
        ({"type": "Polygon", "coordinates": HOLED}, (6, 10), 109.5),
        # Half an orbit: longer than a quarter of the way around the Earth.
        ({"type": "Polygon", "coordinates": [[[0, -85], [1, -85], [1, 85], [0, 85]]]}, (0.5, 3), 0),
        ({"type": "Polygon", "coordinates": [[[0, -85], [1, -85], [1, 85], [0, 85]]]}, (-180, 0), 10563.4),
    ],
)
def test_distances_that_are_known(geometry: dict[str, Any], here: Position, km: float) -> None:
    footprint = Footprint.of(geometry)
    assert footprint is not None
    assert footprint.distance_km(*here) == pytest.approx(km, abs=0.1)


@pytest.mark.parametrize(
    ("bbox", "here", "km"),
    [
        ([0, 0, 10, 10], (5, 5), 0),
        ([0, 0, -1, 10, 10, 99], (5, 11), 111.2),
        ([170, -5, -170, 5], (180, 0), 0),
        ([170, -5, -170, 5], (-169, 0), 111.2),
        ([170, -5, 190, 5], (-175, 0), 0),
        ([-180, -90, 180, 90], (12, 34), 0),
    ],
)
def test_without_a_geometry_the_bbox_tells(bbox: list[float], here: Position, km: float) -> None:
    for geometry in (None, {"type": "LineString", "coordinates": []}, {"type": "Polygon"}):
        footprint = Footprint.of(geometry, bbox)
        assert footprint is not None
        assert footprint.distance_km(*here) == pytest.approx(km, abs=0.1)


@pytest.mark.parametrize(
    "value",
    [
        None, [], "Polygon", {"type": "Polygon"}, {"type": "Polygon", "coordinates": []},
        {"type": "Polygon", "coordinates": [[]]}, {"type": "LineString", "coordinates": [[0, 95]]},
        {"type": "LineString", "coordinates": [[0, float("nan")]]},
        {"type": "LineString", "coordinates": [["0", "1"]]}, {"type": "Circle", "coordinates": [0, 1]},
        {"type": "Point", "coordinates": [True, False]}, {"type": "GeometryCollection", "geometries": []},
        {"type": "MultiPolygon", "coordinates": [[]]}, {"type": "LineString", "coordinates": [[0]]},
    ],
)  # fmt: skip
def test_what_is_no_geometry_is_told_apart(value: Any) -> None:
    assert not is_geometry(value) and Footprint.of(value, [1, 2, 3]) is None and centre_line(value) == []


@pytest.mark.parametrize("file", VERBATIM, ids=lambda path: path.stem[-6:])
def test_the_outline_of_a_real_swath_has_a_centre_line(file: Path) -> None:
    item = json.loads(file.read_text())
    geometry = item["geometry"]
    ring = geometry["coordinates"][0]
    line = centre_line(geometry, "descending")
    assert len(line) == 10 and kind_of(geometry) == "outline"
    assert 140 < (swath_width_km(geometry) or 0) < 165
    # From the north to the south, between the sides, and nowhere near an edge.
    assert line[0][1] > 22 and line[-1][1] < -22
    assert all(a[1] > b[1] for a, b in pairwise(line))
    footprint = Footprint.of(geometry)
    assert footprint is not None
    for lon, lat in line[1:-1]:
        assert footprint.distance_km(lon, lat) == 0
        assert 70 < oracle_km([tuple(one) for one in ring], (lon, lat)) < 85
    # However it is turned, and wherever the ring begins.
    turned = [[((lon + 185) % 360) - 180, lat] for lon, lat in ring]
    for start in (0, 4, 9, 14):
        moved = [*turned[start:-1], *turned[:start], turned[start]]
        for one in (moved, moved[::-1]):
            again = centre_line({"type": "Polygon", "coordinates": [one]}, "descending")
            assert again[0][1] > 22 and again[-1][1] < -22


def test_an_outline_cut_at_180_degrees_has_one_centre_line() -> None:
    ring = [[179, 20], [178, 10], [177, 0], [176, -10], [183, -10], [182, 0], [181, 10], [180.5, 20]]
    whole = centre_line({"type": "Polygon", "coordinates": [ring]}, "DESCENDING")
    east = [[179, 20], [178, 10], [177, 0], [176, -10], [180, -10], [180, 20], [179, 20]]
    west = [[-180, 20], [-180, -10], [-177, -10], [-178, 0], [-179, 10], [-179.5, 20], [-180, 20]]
    cut = centre_line({"type": "MultiPolygon", "coordinates": [[east], [west]]}, "DESCENDING")
    assert len(whole) == len(cut)
    for a, b in zip(whole, cut, strict=True):
        assert angle(to_vector(*a), to_vector(*b)) < 1e-6
    assert whole[0][1] > 19 and whole[-1][1] < -9


def test_a_swath_over_the_pole_has_a_centre_line_over_the_pole() -> None:
    ring = [from_plane((0, 90), 0.02, y) for y in (0.3, 0.2, 0.1, 0, -0.1, -0.2, -0.3)]
    ring += [from_plane((0, 90), -0.02, y) for y in (-0.3, -0.2, -0.1, 0, 0.1, 0.2, 0.3)]
    line = centre_line({"type": "Polygon", "coordinates": [ring]})
    assert line[3][1] == pytest.approx(90, abs=0.01)
    assert angle(to_vector(*line[0]), to_vector(*from_plane((0, 90), 0, 0.3))) < 0.01


@pytest.mark.parametrize(
    "ring", [[[0, 0], [1, 0], [0.5, 3]], [[0, 0], [1, 0], [0, 0]], [[0, 0], [0, 0], [0, 0], [0, 0]]]
)
def test_outlines_that_are_no_swath_do_no_harm(ring: list[list[float]]) -> None:
    geometry = {"type": "Polygon", "coordinates": [ring]}
    assert all(-90 <= lat <= 90 for _, lat in centre_line(geometry))
    footprint = Footprint.of(geometry)
    assert footprint is not None and footprint.distance_km(0.0, 0.0) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    "rings",
    [
        [[[1, 2]], [[3, 4]]],
        [[[180, 0], [180, 5], [180, 0]], [[-180, 0], [-180, 5], [-180, 0]]],
        [[[180, 0], [180, 5]], [[10, 0], [20, 5], [10, 9]]],
        [[[-72, 75]], [[193, -25], [193, -25]], [[-70, -21]]],
        [[[1, 2]], [[10, 0], [20, 5], [10, 9], [10, 0]]],
    ],
)
def test_parts_of_an_outline_that_are_none_are_no_error(rings: list[Any]) -> None:
    geometry = {"type": "MultiPolygon", "coordinates": [[ring] for ring in rings]}
    assert isinstance(centre_line(geometry), list)
    assert isinstance(swath_width_km(geometry), float | None)
