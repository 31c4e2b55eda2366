"""Shortest lines on the WGS84 ellipsoid: how far and in which direction, and where one leads.

Vincenty (1975), Survey Review 23 (176), 88-93: within a millimetre. Points nearly opposite each other on the
Earth, for which his series does not converge, are joined by the arc of a sphere.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from maap_tui.engine.geometry import Position

EQUATOR_M = 6_378_137.0
"""Semi-major axis of WGS84."""
FLATTENING = 1 / 298.257223563
POLE_M = EQUATOR_M * (1 - FLATTENING)
"""Semi-minor axis."""
MEAN_M = (2 * EQUATOR_M + POLE_M) / 3
"""Radius of the sphere that approximations are made on."""

_STEPS = 60
_CLOSE = 1e-12
"""Radians: a hundredth of a millimetre."""
_SECOND_FLATTENING = (EQUATOR_M**2 - POLE_M**2) / POLE_M**2
"""Square of the second eccentricity."""


class Between(NamedTuple):
    """The shortest line from one position to another."""

    metres: float
    begins: float
    """Radians from north, clockwise, of its direction at the first position."""
    ends: float
    """The same at the second one; it leads on, not back."""


class Reached(NamedTuple):
    """Where a line leads."""

    at: Position
    heading: float
    """Radians from north, clockwise, of its direction there."""


def between(a: Position, b: Position) -> Between:
    """The shortest line from `a` to `b`."""
    turn = math.radians((b[0] - a[0] + 180) % 360 - 180)
    sin_a, cos_a = _reduced(a[1])
    sin_b, cos_b = _reduced(b[1])
    longer = turn
    for _ in range(_STEPS):
        sin_turn, cos_turn = math.sin(longer), math.cos(longer)
        x, y = cos_b * sin_turn, cos_a * sin_b - sin_a * cos_b * cos_turn
        sin_arc, cos_arc = math.hypot(x, y), sin_a * sin_b + cos_a * cos_b * cos_turn
        if sin_arc < _CLOSE and cos_arc > 0:
            return Between(0.0, 0.0, 0.0)
        arc = math.atan2(sin_arc, cos_arc)
        sin_node = cos_a * cos_b * sin_turn / sin_arc if sin_arc else 0.0
        cos_node2 = 1 - sin_node * sin_node
        cos_middle = cos_arc - 2 * sin_a * sin_b / cos_node2 if cos_node2 > _CLOSE else 0.0
        before, longer = longer, turn + _lengthening(sin_node, cos_node2, arc, sin_arc, cos_arc, cos_middle)
        if abs(longer) > math.pi:
            break
        if abs(longer - before) < _CLOSE:
            scale, change = _series(cos_node2, sin_arc, cos_arc, cos_middle)
            metres = POLE_M * scale * (arc - change)
            begins = math.atan2(cos_b * sin_turn, y)
            ends = math.atan2(cos_a * sin_turn, cos_a * sin_b * cos_turn - sin_a * cos_b)
            return Between(metres, begins, ends)
    return _on_sphere(a, b)


def along(a: Position, heading: float, metres: float) -> Reached:
    """Where the line from `a` with a heading (radians from north, clockwise) is after so many metres."""
    sin_heading, cos_heading = math.sin(heading), math.cos(heading)
    sin_a, cos_a = _reduced(a[1])
    first = math.atan2(sin_a, cos_a * cos_heading)
    sin_node = cos_a * sin_heading
    cos_node2 = 1 - sin_node * sin_node
    scale, _ = _series(cos_node2, 0.0, 1.0, 0.0)
    arc = even = metres / (POLE_M * scale)
    sin_arc = cos_arc = cos_middle = 0.0
    for _ in range(_STEPS):
        cos_middle = math.cos(2 * first + arc)
        sin_arc, cos_arc = math.sin(arc), math.cos(arc)
        change = _series(cos_node2, sin_arc, cos_arc, cos_middle)[1]
        before, arc = arc, even + change
        if abs(arc - before) < _CLOSE:
            break
    cos_middle = math.cos(2 * first + arc)
    sin_arc, cos_arc = math.sin(arc), math.cos(arc)
    north = sin_a * sin_arc - cos_a * cos_arc * cos_heading
    latitude = math.atan2(
        sin_a * cos_arc + cos_a * sin_arc * cos_heading, (1 - FLATTENING) * math.hypot(sin_node, north)
    )
    turn = math.atan2(sin_arc * sin_heading, cos_a * cos_arc - sin_a * sin_arc * cos_heading)
    turn -= _lengthening(sin_node, cos_node2, arc, sin_arc, cos_arc, cos_middle)
    longitude = (a[0] + math.degrees(turn) + 180) % 360 - 180
    return Reached((longitude, math.degrees(latitude)), math.atan2(sin_node, -north))


def _reduced(latitude: float) -> tuple[float, float]:
    """Sine and cosine of the reduced latitude."""
    radians = math.radians(latitude)
    x, y = math.cos(radians), (1 - FLATTENING) * math.sin(radians)
    length = math.hypot(x, y)
    return y / length, x / length


def _series(cos_node2: float, sin_arc: float, cos_arc: float, cos_middle: float) -> tuple[float, float]:
    """His A and delta sigma."""
    u2 = cos_node2 * _SECOND_FLATTENING
    scale = 1 + u2 / 16384 * (4096 + u2 * (-768 + u2 * (320 - 175 * u2)))
    b = u2 / 1024 * (256 + u2 * (-128 + u2 * (74 - 47 * u2)))
    m2 = cos_middle * cos_middle
    inner = cos_arc * (2 * m2 - 1) - b / 6 * cos_middle * (4 * sin_arc * sin_arc - 3) * (4 * m2 - 3)
    return scale, b * sin_arc * (cos_middle + b / 4 * inner)


def _lengthening(
    sin_node: float, cos_node2: float, arc: float, sin_arc: float, cos_arc: float, cos_middle: float
) -> float:
    """By how much the longitude on his sphere is longer than that on the ellipsoid."""
    c = FLATTENING / 16 * cos_node2 * (4 + FLATTENING * (4 - 3 * cos_node2))
    inner = cos_middle + c * cos_arc * (2 * cos_middle * cos_middle - 1)
    return (1 - c) * FLATTENING * sin_node * (arc + c * sin_arc * inner)


def _on_sphere(a: Position, b: Position) -> Between:
    lat_a, lat_b = math.radians(a[1]), math.radians(b[1])
    turn = math.radians(b[0] - a[0])
    x, y = math.cos(lat_b) * math.sin(turn), math.cos(lat_a) * math.sin(lat_b)
    y -= math.sin(lat_a) * math.cos(lat_b) * math.cos(turn)
    over = math.sin(lat_a) * math.sin(lat_b) + math.cos(lat_a) * math.cos(lat_b) * math.cos(turn)
    back = math.cos(lat_a) * math.sin(lat_b) * math.cos(turn) - math.sin(lat_a) * math.cos(lat_b)
    return Between(
        MEAN_M * math.atan2(math.hypot(x, y), over),
        math.atan2(x, y),
        math.atan2(math.cos(lat_a) * math.sin(turn), back),
    )
