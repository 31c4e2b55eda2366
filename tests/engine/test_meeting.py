"""Where satellites and platforms come nearest to each other's ways, against grids of PROJ."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from maap_tui.engine.overpass.approach import Track
from maap_tui.engine.overpass.matching import cut
from maap_tui.engine.overpass.meeting import Way, meeting
from maap_tui.engine.overpass.tracks import Fix
from tests.engine.geod_kit import GEOD, Gone, Position, Sampled, apart, nearest_pair, random_track

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MANY = [pytest.param(range(at, at + 250), id=str(at), marks=pytest.mark.long) for at in range(0, 1000, 250)]


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


@pytest.mark.parametrize("seeds", [range(12), *MANY])
def test_the_nearest_pair(seeds: range) -> None:
    same = 0
    for seed in seeds:
        chance = random.Random(seed)
        positions, seconds = random_track(chance)
        at = chance.randrange(len(positions))
        lon, lat = positions[at]
        near = lon + chance.uniform(-0.5, 0.5), max(-90.0, min(90.0, lat + chance.uniform(-0.5, 0.5)))
        fixes = random_way(chance, near, seconds * at / len(positions))
        wait = chance.choice([0, 60, 1800, 7200])
        offset = (fixes[0].time - BEGIN).total_seconds()
        moments = [(one.time - fixes[0].time).total_seconds() for one in fixes]
        platform = Gone([one.at for one in fixes], moments)
        satellite = Sampled(positions, seconds)

        found = meeting(Track.even(positions, seconds), BEGIN, Way(fixes), timedelta(seconds=wait), 500e3)
        if max(-wait, offset) > min(seconds + wait, offset + moments[-1]):
            assert found is None
            continue
        metres, moment, there = nearest_pair(satellite, platform, offset, wait)
        if found is None:
            assert metres > 500e3 - 100, seed
            continue
        # It is a pair that there is: of the two ways, in time, and as far apart as it says.
        when, then = found.approach.seconds, found.seconds
        assert -1e-3 <= when <= seconds + 1e-3 and abs(when - then) <= wait + 1e-3
        assert apart(tuple(float(one[0]) for one in satellite.at([when])), found.approach.at) < 10
        assert apart(tuple(float(one[0]) for one in platform.at([then - offset])), found.at) < 10
        assert apart(found.approach.at, found.at) == pytest.approx(found.approach.metres, abs=1)
        # And no pair of the grids is nearer.
        assert found.approach.metres <= metres + 100, seed
        if abs(found.approach.metres - metres) < 0.01 and abs(then - there) < 0.05:
            assert abs(when - moment) < 0.1, seed
            same += 1
    assert same > len(seeds) / 6


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
