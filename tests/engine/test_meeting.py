"""Where satellites and platforms come nearest to each other's ways, against grids of PROJ."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from maap_tui.engine.model import Granule
from maap_tui.engine.overpass.approach import Track
from maap_tui.engine.overpass.matching import cut, match_of
from maap_tui.engine.overpass.meeting import Way, meeting
from maap_tui.engine.overpass.tracks import Fix
from tests.engine.geod_kit import (
    GEOD,
    Gone,
    Position,
    Sampled,
    apart,
    beside,
    nearest_pair,
    position_at,
    random_place,
    random_track,
    swath,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MANY = [
    pytest.param(range(at, at + 2500), id=str(at), marks=pytest.mark.long) for at in range(0, 10_000, 2500)
]


def random_way(chance: random.Random, near: Position, moment: float) -> list[Fix]:
    """A drifting buoy, a ship or an aircraft that is near a place about a moment."""
    speed = chance.choice([0.2, 8, 8, 30, 230])
    seconds, count = chance.choice([(1800, 2), (7200, 20), (7200, 100), (86_400, 5), (86_400, 50)])
    heading = chance.uniform(0, 360)
    lon, lat, _ = GEOD.fwd(*near, heading + 180, speed * seconds / 2 * chance.uniform(0.3, 1.7))
    start = moment - seconds * chance.uniform(0.2, 0.8)
    fixes = []
    for number in range(count):
        fixes.append(Fix(BEGIN + timedelta(seconds=start + seconds * number / (count - 1)), (lon, lat)))
        heading += chance.uniform(-40, 40)
        lon, lat, _ = GEOD.fwd(lon, lat, heading, speed * seconds / (count - 1))
    return fixes


def random_granule(chance: random.Random) -> tuple[Granule, list[Position] | None]:
    """A track, or a swath and its outline."""
    if chance.random() < 0.7:
        positions, seconds = random_track(chance)
        ring, geometry = None, {"type": "LineString", "coordinates": positions}
    else:
        ring, _, middle = swath(chance)
        seconds, geometry = middle.seconds[-1], {"type": "Polygon", "coordinates": [ring]}
    end = BEGIN + timedelta(seconds=seconds)
    return Granule("x", "c", "EarthCARE", "p", "A", BEGIN, end, geometry=geometry), ring


def middle_of(ring: list[Position]) -> list[Position]:
    """Half way along the geodesics between the two sides of a swath."""
    half = len(ring) // 2
    legs = [(a, *GEOD.inv(*a, *b)) for a, b in zip(ring[:half], ring[half : 2 * half][::-1], strict=True)]
    return [GEOD.fwd(*a, heading, metres / 2)[:2] for a, heading, _, metres in legs]


@pytest.mark.parametrize("seeds", [range(24), *MANY])
def test_every_match_and_no_other(seeds: range) -> None:
    """Ships, aircraft and buoys, at the poles and at 180 degrees too, beside tracks and swaths."""
    found_ones = missing = same = 0
    for seed in seeds:
        chance = random.Random(seed)
        granule, ring = random_granule(chance)
        assert granule.sensing_end is not None
        seconds = (granule.sensing_end - BEGIN).total_seconds()
        positions = granule.track if ring is None else middle_of(ring)
        # The middle that is taken is that of great circles, which the times are those of.
        assert all(apart(*pair) < 30 for pair in zip(positions, granule.track, strict=True)), seed
        positions = granule.track
        near = random_place(chance, positions, chance.choice([0.3, 3.0]))
        at = min(range(len(positions)), key=lambda number: apart(positions[number], near))
        fixes = random_way(chance, near, seconds * at / len(positions))
        wait = chance.choice([0, 60, 1800, 7200])
        within = chance.choice([20e3, 100e3, 500e3])
        offset = (fixes[0].time - BEGIN).total_seconds()
        platform = Gone(
            [one.at for one in fixes], [(one.time - fixes[0].time).total_seconds() for one in fixes]
        )
        satellite = Sampled(positions, seconds)

        found = match_of(granule, [Way(fixes)], timedelta(seconds=wait), within)
        if max(-wait, offset) > min(seconds + wait, offset + platform.seconds):
            assert found is None
            continue
        metres, moment, there = nearest_pair(satellite, platform, offset, wait)
        away = metres if ring is None else beside(ring, position_at(platform, there - offset))
        if found is None:
            assert away > within - 100, seed
            missing += 1
            continue
        found_ones += 1
        assert away < within + 100, seed
        assert found.metres < metres + 30, seed
        assert apart(found.at, found.platform_at) == pytest.approx(found.metres, abs=1), seed
        if ring is not None:
            assert found.swath_metres == pytest.approx(beside(ring, found.platform_at), abs=100), seed
        # It is a pair that there is, so that no nearer one than there is was made up.
        when, then = ((one - BEGIN).total_seconds() for one in (found.time, found.platform_time))
        assert -0.001 <= when <= seconds + 0.001 and abs(when - then) <= wait + 0.002, seed
        assert apart(position_at(satellite, when), found.at) < 10, seed
        assert apart(position_at(platform, then - offset), found.platform_at) < 10, seed
        # Where two moments are equally good, either may be meant.
        assert abs(when - moment) < 0.1 or found.metres < metres + 0.01, seed
        same += abs(when - moment) < 0.1 and abs(found.metres - metres) < 30
    assert found_ones > len(seeds) / 3 and missing > len(seeds) / 20
    assert same > 0.95 * found_ones


def test_a_platform_that_stays_is_a_place() -> None:
    positions = [(0.0, -10.0), (0.0, 10.0)]
    track = Track.even(positions, 600)
    place = (1.0, 2.0)
    for fixes in ([Fix(BEGIN, place)], [Fix(BEGIN, place), Fix(BEGIN + timedelta(hours=1), place)]):
        found = meeting(track, BEGIN, Way(fixes), timedelta(hours=1), 200e3)
        assert found is not None
        nearest = track.nearest(place)
        assert found.approach.metres == pytest.approx(nearest.metres, abs=1e-3)
        assert found.approach.seconds == pytest.approx(nearest.seconds, abs=1e-3)
    assert meeting(track, BEGIN, Way(fixes), timedelta(hours=1), 100e3) is None
    late = [Fix(BEGIN + timedelta(hours=3), place)]
    assert meeting(track, BEGIN, Way(late), timedelta(hours=1), 200e3) is None


def test_time_apart_keeps_the_satellite_away() -> None:
    """What flew over long before the ship came is not a match, though their ways cross."""
    track = Track.even([(0.0, -10.0), (0.0, 10.0)], 600)
    ship = [Fix(BEGIN + timedelta(hours=hour), (-2.0 + hour * 0.2, 0.0)) for hour in range(21)]
    crossing = BEGIN + timedelta(hours=10)
    assert crossing == ship[10].time and ship[10].at[0] == pytest.approx(0)
    found = meeting(track, BEGIN, Way(ship), timedelta(hours=1), 200e3)
    assert found is not None and found.approach.metres == pytest.approx(apart(ship[0].at, (0, 0)), rel=0.15)
    assert abs(found.approach.seconds - found.seconds) <= 3600.001
    wide = meeting(track, BEGIN, Way(ship), timedelta(hours=24), 200e3)
    assert wide is not None and wide.approach.metres < 1


@pytest.mark.parametrize("speed", [0.0, 8.0, 230.0, 600.0])
def test_pieces_hold_the_whole_way_and_are_few(speed: float) -> None:
    chance = random.Random(7)
    lon, lat, heading, fixes = 10.0, 50.0, 200.0, []
    for hour in range(24 * 20):
        fixes.append(Fix(BEGIN + timedelta(hours=hour), (lon, lat)))
        heading += chance.uniform(-20, 20)
        lon, lat, _ = GEOD.fwd(lon, lat, heading, speed * 3600)
    way = Way(fixes)
    pieces = cut([way], 40)
    assert 1 <= len(pieces) <= 40
    assert pieces[0].start == fixes[0].time and pieces[-1].end == fixes[-1].time
    for first, second in pairwise(pieces):
        assert first.end == second.start
    for piece in pieces:
        for part in range(25):
            moment = piece.start + (piece.end - piece.start) * part / 24
            there = way.at((moment - way.begin).total_seconds())
            assert apart(there, piece.centre) <= piece.radius_km * 1000
    if speed < 10:
        assert len(pieces) <= 12
