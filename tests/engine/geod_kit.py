"""Slow answers by PROJ's geodesics: a track sampled densely, again and again where it is nearest."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from pyproj import Geod

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


def nearest_pair(
    satellite: Sampled, platform: Sampled, offset: float, wait: float
) -> tuple[float, float, float]:
    """(metres, seconds of the satellite, seconds of the platform in its time) of the nearest pair on grids.

    Args:
        satellite: its track.
        platform: its way.
        offset: seconds of the satellite's time when the platform begins.
        wait: seconds that the two may be apart.
    """
    low, high = max(-wait, offset), min(satellite.seconds + wait, offset + platform.seconds)
    first, last = 0.0, satellite.seconds
    best = (math.inf, 0.0, 0.0)
    count = 61
    for _ in range(8):
        # The platform's moments, and for each those of the satellite within the wait.
        there = np.linspace(low, high, count)
        begin = np.clip(there - wait, first, last)
        end = np.clip(there + wait, first, last)
        when = begin + (end - begin) * np.linspace(0, 1, count)[:, None]
        is_apart = np.abs(when - there) > wait + 1e-6
        lons, lats = platform.at(np.clip(there - offset, 0, platform.seconds))
        x, y = satellite.at(when.ravel())
        metres = GEOD.inv(np.tile(lons, count), np.tile(lats, count), x, y)[2].reshape(count, count)
        metres = np.where(is_apart, math.inf, metres)
        row, column = np.unravel_index(int(metres.argmin()), metres.shape)
        if metres[row, column] < best[0]:
            best = float(metres[row, column]), float(when[row, column]), float(there[column])
        width, length = (high - low) * 4 / count, (last - first) * 4 / count
        low, high = max(low, best[2] - width), min(high, best[2] + width)
        first, last = max(first, best[1] - length), min(last, best[1] + length)
    return best


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
