"""Slow answers by PROJ's geodesics: a track sampled densely, again and again where it is nearest."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from pyproj import Geod

from maap_tui.engine.overpass.approach import Track

GEOD = Geod(ellps="WGS84")
Position = tuple[float, float]


def apart(a: Position, b: Position) -> float:
    """Metres between two positions."""
    return float(GEOD.inv(*a, *b)[2])


class Sampled:
    """A track that is flown evenly within some seconds."""

    def __init__(self, positions: Sequence[Position], seconds: float) -> None:
        self.positions = positions
        self.seconds = seconds
        legs = [GEOD.inv(*a, *b) for a, b in pairwise(positions)]
        self.headings = [leg[0] for leg in legs]
        self.lengths = [leg[2] for leg in legs]
        self.runs = [0.0, *np.cumsum(self.lengths)]

    def metres(self, leg: int, runs: np.ndarray, place: Position) -> np.ndarray:
        """From a place to points of a leg, given by their metres from its start."""
        lon, lat = self.positions[leg]
        same = np.ones_like(runs)
        lons, lats, _ = GEOD.fwd(lon * same, lat * same, self.headings[leg] * same, runs)
        found: np.ndarray = GEOD.inv(lons, lats, place[0] * same, place[1] * same)[2]
        return found

    def nearest(self, place: Position) -> tuple[float, float]:
        """(metres, seconds) of the point nearest to a place."""
        ends = [apart(one, place) for one in self.positions]
        best = min(ends), self.runs[ends.index(min(ends))] / self.runs[-1] * self.seconds
        for leg, length in enumerate(self.lengths):
            if ends[leg] - length > best[0]:
                continue  # no point of it can be nearer
            low, high = 0.0, length
            for _ in range(7):
                runs = np.linspace(low, high, 80)
                metres = self.metres(leg, runs, place)
                at = int(metres.argmin())
                best = min(
                    best, (float(metres[at]), (self.runs[leg] + runs[at]) / self.runs[-1] * self.seconds)
                )
                low, high = runs[max(at - 1, 0)], runs[min(at + 1, 79)]
                if high - low < 0.01 or metres[at] > best[0] + (high - low):
                    break
        return best

    def stretches(self, place: Position, within: float, step: float = 2000.0) -> list[float]:
        """The least metres of each stretch that comes so near, by points every so many metres."""
        found: list[float] = []
        was_near = False
        ends = [apart(one, place) for one in self.positions]
        for leg, length in enumerate(self.lengths):
            if ends[leg] - length > within + 1:
                was_near = False
                continue  # no point of it comes so near
            for metres in self.metres(leg, np.linspace(0, length, int(length / step) + 2), place):
                is_near = metres <= within
                if is_near and was_near:
                    found[-1] = min(found[-1], float(metres))
                elif is_near:
                    found.append(float(metres))
                was_near = is_near
        return found

    def at(self, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Longitudes and latitudes at some moments."""
        runs = np.asarray(seconds) / self.seconds * self.runs[-1]
        legs = np.clip(np.searchsorted(self.runs, runs, side="right") - 1, 0, len(self.lengths) - 1)
        known = np.array(self.positions)[legs]
        lons, lats, _ = GEOD.fwd(
            known[:, 0], known[:, 1], np.array(self.headings)[legs], runs - np.array(self.runs)[legs]
        )
        return lons, lats


class Gone(Sampled):
    """A platform that was at its positions at given seconds."""

    def __init__(self, positions: Sequence[Position], moments: Sequence[float]) -> None:
        super().__init__(positions, moments[-1])
        self.moments = np.array(moments)

    def at(self, seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seconds = np.asarray(seconds)
        legs = np.clip(np.searchsorted(self.moments, seconds, side="right") - 1, 0, len(self.lengths) - 1)
        parts = (seconds - self.moments[legs]) / (self.moments[legs + 1] - self.moments[legs])
        known = np.array(self.positions)[legs]
        lons, lats, _ = GEOD.fwd(
            known[:, 0], known[:, 1], np.array(self.headings)[legs], np.array(self.lengths)[legs] * parts
        )
        return lons, lats


def position_at(gone: Sampled, seconds: float) -> Position:
    """Where a satellite or a platform is at one moment."""
    lons, lats = gone.at(np.array([seconds]))
    return float(lons[0]), float(lats[0])


def nearest_pair(
    satellite: Sampled, platform: Gone, offset: float, wait: float
) -> tuple[float, float, float]:
    """(metres, seconds of the satellite, seconds of the platform in its time) of the nearest pair.

    Of moments all along the platform's way the nearest point of the satellite's is looked for, and again
    between the neighbours of the best ones, in smaller and smaller steps.

    Args:
        satellite: its track.
        platform: its way.
        offset: seconds of the satellite's time when the platform begins.
        wait: seconds that the two may be apart.
    """
    low, high = max(-wait, offset), min(satellite.seconds + wait, offset + platform.seconds)
    moments = np.array(platform.moments) + offset
    there = np.concatenate([np.linspace(low, high, 41), moments[(moments > low) & (moments < high)]])
    there.sort()
    lons, lats = platform.at(np.clip(there - offset, 0, platform.seconds))
    # All pairs of both ways, by chords, which order as geodesics do but for some metres.
    first, last = (np.clip(there + away, 0, satellite.seconds) for away in (-wait, wait))
    when = first + (last - first) * np.linspace(0, 1, 101)[:, None]
    chords = np.linalg.norm(
        _earth(*satellite.at(when.ravel())) - np.tile(_earth(lons, lats), (1, 101)), axis=0
    )
    begin = when[chords.reshape(when.shape).argmin(axis=0), range(len(there))]
    metres, whens = _nearest_moments(satellite, (lons, lats), begin, (first, last), (last - first) / 100)
    best = math.inf, 0.0, 0.0
    padded = np.array([math.inf, *metres, math.inf])
    valleys = np.flatnonzero((metres <= padded[:-2]) & (metres <= padded[2:]))
    for start in sorted(valleys, key=lambda number: metres[number])[:2]:
        at, when_at = there[start], whens[start]
        step = float(np.diff(there[max(start - 1, 0) : start + 2]).max())
        best = min(best, (float(metres[start]), float(when_at), float(at)))
        while step > 0.005:
            tries = np.clip(at + step * np.linspace(-1, 1, 17), low, high)
            places = platform.at(np.clip(tries - offset, 0, platform.seconds))
            window = tuple(np.clip(tries + away, 0, satellite.seconds) for away in (-wait, wait))
            # No platform here has a third of a satellite's speed.
            found, when = _nearest_moments(satellite, places, np.clip(when_at, *window), window, step / 3)
            row = int(found.argmin())
            at, when_at = tries[row], when[row]
            best = min(best, (float(found[row]), float(when_at), float(at)))
            step /= 8
    return best


def _earth(lons: np.ndarray, lats: np.ndarray) -> np.ndarray:
    """Metres from the centre of the Earth, in three directions."""
    east, north = np.radians(lons), np.radians(lats)
    radius = GEOD.a / np.sqrt(1 - GEOD.es * np.sin(north) ** 2)
    level = radius * np.cos(north)
    found: np.ndarray = np.array(
        [level * np.cos(east), level * np.sin(east), radius * (1 - GEOD.es) * np.sin(north)]
    )
    return found


def _nearest_moments(
    satellite: Sampled,
    places: tuple[np.ndarray, np.ndarray],
    begin: np.ndarray,
    window: tuple[np.ndarray, ...],
    step: np.ndarray | float,
) -> tuple[np.ndarray, np.ndarray]:
    """(metres, seconds) of a satellite nearest to each of some places, by parabolas in smaller steps."""
    best, step = np.array(begin), np.maximum(step, 0.01)

    def metres_at(*moments: np.ndarray) -> np.ndarray:
        lons, lats = (np.tile(one, len(moments)) for one in places)
        found: np.ndarray = GEOD.inv(*satellite.at(np.concatenate(moments)), lons, lats)[2]
        return found.reshape(len(moments), -1)

    (metres,) = metres_at(best)
    while np.max(step) > 0.002:
        step = np.minimum(step, (window[1] - window[0]) / 2)
        middle = np.clip(best, window[0] + step, window[1] - step)
        a, b, c = metres_at(middle - step, middle, middle + step)
        bend = a**2 - 2 * b**2 + c**2
        with np.errstate(divide="ignore", invalid="ignore"):
            move = np.nan_to_num((a**2 - c**2) / (2 * bend), nan=0.0, posinf=0.0, neginf=0.0)
        vertex = middle + np.clip(move, -1, 1) * step
        tried = np.array([metres, a, b, c, *metres_at(vertex)])
        row = tried.argmin(axis=0)
        best = np.array([best, middle - step, middle, middle + step, vertex])[row, range(len(best))]
        metres = tried[row, range(len(best))]
        step = step / 4
    return metres, best


def random_track(chance: random.Random) -> tuple[list[Position], float]:
    """A track as a satellite flies it, a part of an orbit or all of it, and its seconds."""
    tilt = math.radians(chance.uniform(60, 120))
    span, count = chance.choice([(2, 2), (5, 3), (45, 5), (45, 13), (90, 13), (180, 24), (366, 62)])
    first, node = chance.uniform(0, 360), chance.uniform(-180, 180)
    if chance.random() < 0.1:
        tilt = math.radians(90)  # right over the poles
    positions = []
    for part in range(count):
        turn = span * part / (count - 1)
        angle = math.radians(first + turn)
        latitude = math.degrees(math.asin(math.sin(tilt) * math.sin(angle)))
        longitude = (
            node - turn / 15.6 + math.degrees(math.atan2(math.cos(tilt) * math.sin(angle), math.cos(angle)))
        )
        positions.append(((longitude + 180) % 360 - 180, latitude))
    return positions, span / 360 * 5550.0


def random_place(chance: random.Random, track: Sequence[Position], degrees: float = 3.0) -> Position:
    """A pole, a place at 180 degrees, one anywhere, or one near the track."""
    kind = chance.random()
    if kind < 0.05:
        return chance.uniform(-180, 180), chance.choice([90.0, -90.0])
    if kind < 0.15:
        return chance.choice([180.0, -180.0, 179.999]), chance.uniform(-90, 90)
    if kind < 0.25:
        return chance.uniform(-180, 180), math.degrees(math.asin(chance.uniform(-1, 1)))
    longitude, latitude = chance.choice(track)
    longitude += chance.uniform(-degrees, degrees)
    return (longitude + 180) % 360 - 180, max(-90.0, min(90.0, latitude + chance.uniform(-degrees, degrees)))


def swath(chance: random.Random) -> tuple[list[Position], float, Track]:
    """The outline of a swath, half its width in metres, and the track in its middle."""
    start = random_place(chance, [(0.0, 0.0)], 60)
    heading, width = chance.uniform(0, 360), chance.uniform(20e3, 150e3)
    length = chance.uniform(500e3, 3000e3)
    runs = [length * part / 30 for part in range(31)]
    left, right, middle = [], [], []
    for run in runs:
        lon, lat, back = GEOD.fwd(*start, heading, run)
        middle.append((lon, lat))
        right.append(GEOD.fwd(lon, lat, back + 180 + 90, width)[:2])
        left.append(GEOD.fwd(lon, lat, back + 180 - 90, width)[:2])
    ring = [*right, *left[::-1], right[0]]
    return ring, width, Track.even(middle, 400)


def beside(ring: Sequence[Position], place: Position) -> float:
    """Metres from a place to the outline of a swath; 0 inside, where it turns around the place."""
    headings = []
    for a, b in pairwise(ring):
        heading, _, length = GEOD.inv(*a, *b)
        runs = np.linspace(0, length, 40)
        same = np.ones_like(runs)
        lons, lats, _ = GEOD.fwd(a[0] * same, a[1] * same, heading * same, runs)
        headings.append(GEOD.inv(place[0] * same, place[1] * same, lons, lats)[0])
    turns = (np.diff(np.concatenate(headings)) + 180) % 360 - 180
    # It turns around the other side of the Earth as well.
    is_inside = abs(turns.sum()) > 180 and apart(ring[0], place) < 10_000e3
    return 0.0 if is_inside else Sampled(ring, 1).nearest(place)[0]
