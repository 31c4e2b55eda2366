"""Where the satellites are and when: granules as integers on an axis, each a pure function of its number.

Nothing here scans: number to time, time to number and number to ground track are all closed forms.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import cached_property
from typing import Protocol

Track = list[tuple[float, float]]
"""(longitude, latitude) in degrees in flight order; longitudes run on past 180 instead of jumping."""

DAY = 86400
FRAMES = "ABCDEFGH"
ASCENDING = frozenset("ABCH")
"""Frames that begin on the ascending half of the orbit."""

FAR_FUTURE = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp()


def epoch(text: str) -> float:
    """Seconds since 1970 of an ISO date or time; UTC when it names no zone."""
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class Axis(Protocol):
    """A numbered sequence of granules in the order of their sensing start."""

    cycle: int
    """After this many numbers geometry and frame repeat."""

    def start(self, k: int) -> float: ...
    def end(self, k: int) -> float: ...
    def orbit(self, k: int) -> int | None: ...
    def frame(self, k: int) -> str | None: ...
    def last_starting(self, t: float) -> int:
        """Largest number whose start is not after `t`."""
        ...

    def first_ending(self, t: float) -> int:
        """Smallest number whose end is not before `t`."""
        ...

    def numbers_of_orbits(self, first: int, last: int) -> tuple[int, int] | None:
        """First and last number of a range of orbits; None when orbits do not number this axis."""
        ...

    def numbers_at(self, t: float) -> range:
        """The numbers that start in the second of `t`."""
        ...

    def track(self, k: int) -> Track | None: ...


def _ground_track(
    u0: float, u1: float, points: int, t0: float, t1: float, inclination: float, node_hour: float
) -> Track:
    """Sub-satellite points of a sun-synchronous circular orbit between two arguments of latitude.

    `u0`, `u1` are degrees from the ascending node, `node_hour` is the local solar hour of that node.
    In a sun-synchronous orbit the node keeps its solar hour, so the Earth turns 360 degrees a day under it.
    """
    ci, si = math.cos(math.radians(inclination)), math.sin(math.radians(inclination))
    track: Track = []
    for i in range(points):
        part = i / (points - 1)
        u = math.radians(u0 + (u1 - u0) * part)
        t = t0 + (t1 - t0) * part
        lat = math.degrees(math.asin(si * math.sin(u)))
        node = (node_hour - (t % DAY) / 3600) * 15
        lon = node + math.degrees(math.atan2(ci * math.sin(u), math.cos(u)))
        lon = (lon + 180) % 360 - 180
        if track:
            lon += 360 * round((track[-1][0] - lon) / 360)
        track.append((lon, lat))
    return track


class EarthcareFrames:
    """EarthCARE: 389 orbits in 25 days, eight frames an orbit cut at 22.5 and 67.5 degrees of latitude.

    Number = orbit * 8 + frame. The epoch is that of the real frame 08374A, 2025-11-18T02:57:58Z; with it
    the real frames of mid-2025 to 2026 are met to about 30 seconds.
    """

    orbits, days = 389, 25
    cycle = orbits * 8
    inclination = 97.05
    node_hour = 2.0
    """Descending node at 14:00 local time."""

    def __init__(self) -> None:
        self.period = self.days * DAY / self.orbits
        self.epoch = epoch("2025-11-18T02:57:58") - 8374 * self.period
        si = math.sin(math.radians(self.inclination))
        low, high = (math.degrees(math.asin(math.sin(math.radians(lat)) / si)) for lat in (22.5, 67.5))
        rising = (-low, low, high, 180 - high, 180 - low)
        self.arguments = (*rising, 180 + low, 180 + high, 360 - high, 360 - low)
        self.offsets = [(u + low) / 360 * self.period for u in self.arguments[:8]]

    def start(self, k: int) -> float:
        orbit, frame = divmod(k, 8)
        return float(round(self.epoch + orbit * self.period + self.offsets[frame]))

    def end(self, k: int) -> float:
        return self.start(k + 1)

    def orbit(self, k: int) -> int | None:
        return k >> 3

    def frame(self, k: int) -> str | None:
        return FRAMES[k & 7]

    def node(self, k: int) -> float:
        """When the satellite crossed the equator northward before or in it."""
        orbit, frame = divmod(k, 8)
        before = self.epoch + orbit * self.period
        return before + self.offsets[1] / 2 if frame else before - self.period + self.offsets[1] / 2

    def last_starting(self, t: float) -> int:
        k = math.floor((t - self.epoch) / self.period) * 8
        k += max(i for i, offset in enumerate(self.offsets) if i == 0 or self.start(k + i) <= t)
        while self.start(k) > t:
            k -= 1
        while self.start(k + 1) <= t:
            k += 1
        return k

    def first_ending(self, t: float) -> int:
        k = self.last_starting(t)
        return k - 1 if self.start(k) == t else k

    def numbers_of_orbits(self, first: int, last: int) -> tuple[int, int] | None:
        return first * 8, last * 8 + 7

    def numbers_at(self, t: float) -> range:
        k = self.last_starting(t)
        return range(k, k + 1)

    def track(self, k: int) -> Track | None:
        k %= self.cycle
        track = self._tracks[k & 7]
        turned = -360 / DAY * ((k >> 3) * self.period % DAY)
        turned -= 360 * math.floor((track[0][0] + turned + 180) / 360)
        return [(lon + turned, lat) for lon, lat in track]

    @cached_property
    def _tracks(self) -> list[Track]:
        """The eight frames of orbit 0; those of any other orbit are these, turned around the pole."""
        tracks = []
        for offset, u0, u1 in zip(self.offsets, self.arguments, self.arguments[1:], strict=False):
            t0 = self.epoch + offset
            t1 = t0 + (u1 - u0) / 360 * self.period
            tracks.append(_ground_track(u0, u1, 13, t0, t1, self.inclination, self.node_hour))
        return tracks


class AeolusOrbits:
    """Aeolus: 111 orbits in 7 days, one granule an orbit; the epoch is the real orbit 027018."""

    cycle = 111

    def __init__(self, duration: float) -> None:
        self.duration = duration
        self.period = 7 * DAY / 111
        self.epoch = epoch("2023-04-22T16:57:21.033") - 27018 * self.period

    def start(self, k: int) -> float:
        return round(self.epoch + k * self.period, 3)

    def end(self, k: int) -> float:
        return round(self.start(k) + self.duration, 3)

    def orbit(self, k: int) -> int | None:
        return k

    def frame(self, k: int) -> str | None:
        return None

    def last_starting(self, t: float) -> int:
        k = math.floor((t - self.epoch) / self.period) - 1
        while self.start(k + 1) <= t:
            k += 1
        return k

    def first_ending(self, t: float) -> int:
        k = math.floor((t - self.duration - self.epoch) / self.period) - 1
        while self.end(k) < t:
            k += 1
        return k

    def numbers_of_orbits(self, first: int, last: int) -> tuple[int, int] | None:
        return first, last

    def numbers_at(self, t: float) -> range:
        k = self.last_starting(t + 0.999)
        return range(k, k + 1)

    def track(self, k: int) -> Track | None:
        t = self.epoch + (k % self.cycle) * self.period
        return _ground_track(0, 366, 62, t, t + self.duration, 96.97, 18.0)


class Days:
    """One file a day at midnight, valid for some days: predicted and restituted orbits."""

    cycle = 1

    def __init__(self, validity_days: int) -> None:
        self.validity = validity_days * DAY

    def start(self, k: int) -> float:
        return float(k * DAY)

    def end(self, k: int) -> float:
        return float(k * DAY + self.validity)

    def orbit(self, k: int) -> int | None:
        return None

    def frame(self, k: int) -> str | None:
        return None

    def last_starting(self, t: float) -> int:
        return math.floor(t / DAY)

    def first_ending(self, t: float) -> int:
        return math.ceil((t - self.validity) / DAY)

    def numbers_of_orbits(self, first: int, last: int) -> tuple[int, int] | None:
        return None

    def numbers_at(self, t: float) -> range:
        k = math.floor(t / DAY)
        return range(k, k + 1)

    def track(self, k: int) -> Track | None:
        return None


class Scenario:
    """The orbit scenario: some versions of one file that is valid for ever."""

    cycle = 1

    def __init__(self, start: float, versions: int) -> None:
        self.moment = start
        self.versions = versions

    def start(self, k: int) -> float:
        return self.moment

    def end(self, k: int) -> float:
        return FAR_FUTURE

    def orbit(self, k: int) -> int | None:
        return None

    def frame(self, k: int) -> str | None:
        return None

    def last_starting(self, t: float) -> int:
        return self.versions if t >= self.moment else 0

    def first_ending(self, t: float) -> int:
        return 1

    def numbers_of_orbits(self, first: int, last: int) -> tuple[int, int] | None:
        return None

    def numbers_at(self, t: float) -> range:
        return range(1, self.versions + 1)

    def track(self, k: int) -> Track | None:
        return None
