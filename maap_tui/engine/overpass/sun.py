"""How high the sun stands: the low-precision formulas of the Astronomical Almanac, within 0.02 degrees.

They hold from 1950 to 2050; the refraction of the air is not in them.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime

from maap_tui.engine.geometry import Position

RISES = -0.833
"""Degrees at which the upper edge of the sun appears, by refraction and its radius."""

_NOON_2000 = datetime(2000, 1, 1, 12, tzinfo=UTC)


def elevation(place: Position, moment: datetime) -> float:
    """Degrees of the centre of the sun above the horizon of a place (longitude, latitude in degrees)."""
    days = (moment - _NOON_2000).total_seconds() / 86400
    anomaly = math.radians(357.528 + 0.9856003 * days)
    mean = 280.460 + 0.9856474 * days
    ecliptic = math.radians(mean + 1.915 * math.sin(anomaly) + 0.020 * math.sin(2 * anomaly))
    tilt = math.radians(23.439 - 4e-7 * days)
    ascension = math.atan2(math.cos(tilt) * math.sin(ecliptic), math.cos(ecliptic))
    declination = math.asin(math.sin(tilt) * math.sin(ecliptic))
    sidereal = math.radians(280.46061837 + 360.98564736629 * days)
    hour = sidereal + math.radians(place[0]) - ascension
    latitude = math.radians(place[1])
    sine = math.sin(latitude) * math.sin(declination)
    sine += math.cos(latitude) * math.cos(declination) * math.cos(hour)
    return math.degrees(math.asin(max(-1.0, min(1.0, sine))))


def is_day(degrees: float) -> bool:
    """Whether some of the sun is above the horizon, by the elevation of its centre."""
    return degrees > RISES
