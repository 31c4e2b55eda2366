"""How near tracks and swaths come to places, against PROJ."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime

import pytest

from maap_tui.engine.overpass import sun
from maap_tui.engine.overpass.approach import Outline, Track
from maap_tui.engine.overpass.geodesic import along, between
from tests.engine.geod_kit import GEOD, Position, Sampled, apart, random_place, random_track, swath

PARTS = [pytest.param(range(at, at + 60), id=str(at)) for at in (0, 60, 120)]
MANY = [
    pytest.param(range(at, at + 2500), id=str(at), marks=pytest.mark.long) for at in range(0, 10_000, 2500)
]


@pytest.mark.parametrize("seeds", PARTS + MANY)
def test_nearest_point_of_random_tracks(seeds: range) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        positions, seconds = random_track(chance)
        place = random_place(chance, positions)
        metres, moment = Sampled(positions, seconds).nearest(place)
        found = Track.even(positions, seconds).nearest(place)
        assert found.metres == pytest.approx(metres, abs=100), seed
        assert found.metres == pytest.approx(apart(found.at, place), abs=1), seed
        # Where two parts of a track are equally near, as seen from a pole, either may be meant.
        assert found.seconds == pytest.approx(moment, abs=0.1) or found.metres < metres + 0.01, seed


@pytest.mark.parametrize("seeds", [range(1000, 1025), *MANY])
def test_every_stretch_within_a_distance_is_found_and_no_other(seeds: range) -> None:
    count = 0
    for seed in seeds:
        chance = random.Random(seed)
        positions, seconds = random_track(chance)
        place, within = random_place(chance, positions), chance.choice([30e3, 100e3, 400e3, 1500e3])
        slow = Sampled(positions, seconds)
        sure, perhaps = slow.stretches(place, within - 100), slow.stretches(place, within + 100)
        found = Track.even(positions, seconds).passes(place, within)
        if len(sure) == len(perhaps):
            assert len(found) == len(sure), seed
            for one, metres in zip(found, sure, strict=True):
                # Points 2 km apart are up to 1 km away from the nearest one.
                assert metres - 1000 <= one.metres <= metres + 0.001, seed
            count += len(found)
        assert found == sorted(found, key=lambda one: one.seconds)
    assert count > len(seeds) / 4


def test_a_geodesic_leads_where_it_comes_from() -> None:
    chance = random.Random(4)
    for _ in range(300):
        a, b = random_place(chance, [(0.0, 0.0)], 90), random_place(chance, [(179.0, 60.0)], 90)
        found = between(a, b)
        assert found.metres == pytest.approx(apart(a, b), abs=0.001)
        assert apart(along(a, found.begins, found.metres).at, b) < 0.001


@pytest.mark.parametrize(
    ("place", "side", "ascending"),
    [((1.0, 0.0), "right", True), ((-1.0, 0.0), "left", True), ((0.0, 0.0), "", True)],
)
def test_side_is_that_of_the_flight(place: Position, side: str, ascending: bool) -> None:
    north = Track.even([(0.0, -5.0), (0.0, 5.0)], 100)
    found = north.nearest(place)
    assert (found.side, found.is_ascending, found.is_at_end) == (side, ascending, False)
    assert found.seconds == pytest.approx(50)
    back = Track.even([(0.0, 5.0), (0.0, -5.0)], 100).nearest(place)
    assert back.side == {"right": "left", "left": "right", "": ""}[side]
    assert not back.is_ascending


def test_ends_and_single_points() -> None:
    track = Track.even([(0.0, 0.0), (0.0, 5.0)], 100)
    assert track.nearest((0.5, 6.0)).is_at_end and track.nearest((0.5, 6.0)).seconds == pytest.approx(100)
    assert track.nearest((0.5, -6.0)).seconds == 0
    point = Track.even([(10.0, 10.0)], 0)
    assert point.nearest((10.0, 11.0)).metres == pytest.approx(apart((10.0, 10.0), (10.0, 11.0)), abs=1)
    assert len(point.passes((10.0, 11.0), 200e3)) == 1 and point.passes((10.0, 11.0), 100e3) == []
    still = Track.even([(5.0, 5.0), (5.0, 5.0)], 10)
    assert still.nearest((5.0, 5.0)).metres == 0


def test_a_place_passed_twice_in_one_orbit_is_passed_twice() -> None:
    positions = [(x / 60 * 360.0 - 180, 0.0) for x in range(61)] + [
        (-180 + 6.0 * x, 0.0) for x in range(1, 4)
    ]
    passes = Track.even(positions, 5600).passes((-170.0, 1.0), 200e3)
    assert len(passes) == 2
    assert passes[1].seconds - passes[0].seconds > 5000


@pytest.mark.parametrize("seeds", [range(40), pytest.param(range(40, 2040), marks=pytest.mark.long)])
def test_inside_and_beside_a_swath(seeds: range) -> None:
    for seed in seeds:
        chance = random.Random(seed)
        ring, width, middle = swath(chance)
        outline = Outline({"type": "Polygon", "coordinates": [ring]})
        # From a point of the middle straight to the side: by so much less than half the width it is inside.
        at = chance.randrange(5, 26)
        leg = GEOD.inv(*middle.positions[at], *middle.positions[at + 1])
        away = width * chance.uniform(0, 2)
        lon, lat, _ = GEOD.fwd(*middle.positions[at], leg[0] + chance.choice([90, -90]), away)
        found = outline.metres((lon, lat))
        slow = Sampled(ring, 1).nearest((lon, lat))[0]
        if away < width - 200:
            assert found == 0, seed
            assert middle.nearest((lon, lat)).metres == pytest.approx(away, abs=100), seed
        elif away > width + 200:
            assert found == pytest.approx(slow, abs=100), seed
            assert found == pytest.approx(away - width, abs=0.02 * away), seed


@pytest.mark.parametrize("lon", [-16.0, 0.0, 164.0, 179.9999])
@pytest.mark.parametrize("pole", [1, -1])
def test_an_edge_over_the_pole_is_none_around_the_earth(lon: float, pole: int) -> None:
    """A swath that begins at the pole: its first edge leads over it."""
    ring = [(lon, 89.1), (lon - 45, 70.0), (lon - 135, 70.0), (lon - 180, 89.1), (lon, 89.1)]
    outline = Outline({"type": "Polygon", "coordinates": [[(one[0], pole * one[1]) for one in ring]]})
    assert outline.metres((lon - 90, pole * 89.0)) == 0 < outline.metres((lon + 90, pole * 89.0))


def test_an_outline_that_was_cut_at_180_degrees() -> None:
    west = [[[179.0, 0.0], [180.0, 0.0], [180.0, 10.0], [179.0, 10.0], [179.0, 0.0]]]
    east = [[[-180.0, 0.0], [-179.0, 0.0], [-179.0, 10.0], [-180.0, 10.0], [-180.0, 0.0]]]
    outline = Outline.of({"type": "MultiPolygon", "coordinates": [west, east]})
    assert outline is not None
    for inside in ((179.5, 5.0), (-179.5, 5.0), (180.0, 5.0), (-180.0, 5.0)):
        assert outline.metres(inside) == 0
    assert outline.metres((-178.0, 5.0)) == pytest.approx(apart((-178.0, 5.0), (-179.0, 5.0)), rel=1e-3)
    assert Outline.of({"type": "LineString", "coordinates": [[0, 0], [1, 1]]}) is None
    assert Outline.of(None) is None


@pytest.mark.parametrize(
    ("moment", "place", "degrees"),
    [
        # The example of Reda and Andreas (2004), Solar Energy 76, 577-589: without refraction 39.872 degrees.
        ("2003-10-17T19:30:30", (-105.1786, 39.742476), 39.872),
        # Equinox and solstices: the sun stands above the equator and the tropics at its own noon.
        ("2025-03-20T12:07:24", (0.0, 0.0), 90.0),
        ("2025-06-21T12:01:55", (0.0, 23.437), 90.0),
        ("2025-12-21T11:58:10", (0.0, 90.0), -23.437),
        ("2025-06-21T00:00:00", (0.0, 78.923), 12.36),
    ],
)
def test_height_of_the_sun(moment: str, place: Position, degrees: float) -> None:
    when = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert sun.elevation(place, when) == pytest.approx(degrees, abs=0.1 if degrees == 90 else 0.03)


def test_day_begins_with_the_upper_edge_of_the_sun() -> None:
    assert sun.is_day(-0.8) and not sun.is_day(-0.9)
    assert math.isclose(sun.RISES, -0.833)
