"""Lines on a plane of longitude and latitude: coasts, and tracks in pieces to be drawn straight; pure."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from importlib.resources import files

from maap_tui.engine.geometry import angle, position, vector

Line = Sequence[tuple[float, float]]
"""Longitude and latitude of each point, degrees."""

STEP_DEG = 4.0
"""Longest piece of a great circle that is drawn as a straight line."""
POLAR_DEG = 80.0
"""Latitude beyond which a jump in longitude is a way past the pole."""


@functools.cache
def coastlines() -> tuple[tuple[tuple[float, float], ...], ...]:
    """The coasts of the world, in lines."""
    text = files("maap_tui.engine").joinpath("coastlines.txt").read_text("ascii")
    found = []
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        x = y = 0
        points = []
        for word in line.split():
            step_x, step_y = word.split(",")
            x, y = x + int(step_x), y + int(step_y)
            points.append((x / 10, y / 10))
        found.append(tuple(points))
    return tuple(found)


def drawable(line: Line) -> list[list[tuple[float, float]]]:
    """A line in pieces that may be drawn straight: great circles bent, and cut where they pass a pole."""
    pieces: list[list[tuple[float, float]]] = [[]]
    for point in line:
        piece = pieces[-1]
        if not piece:
            piece.append(point)
            continue
        for step in _steps(piece[-1], point):
            piece = pieces[-1]
            jump = abs((step[0] - piece[-1][0] + 540) % 360 - 180)
            if jump > 60 and max(abs(step[1]), abs(piece[-1][1])) > POLAR_DEG:
                pole = math.copysign(90.0, step[1])
                piece.append((piece[-1][0], pole))
                pieces.append([(step[0], pole)])
            pieces[-1].append(step)
    return [piece for piece in pieces if piece]


def _steps(a: tuple[float, float], b: tuple[float, float]) -> list[tuple[float, float]]:
    """Points on the great circle from a (left out) to b."""
    if abs(a[0] - b[0]) < STEP_DEG and abs(a[1] - b[1]) < STEP_DEG:
        return [b]
    va, vb = vector(*a), vector(*b)
    between = angle(va, vb)
    count = math.ceil(math.degrees(between) / STEP_DEG)
    if count < 2 or math.sin(between) < 1e-9:
        return [b]
    found = []
    for at in range(1, count):
        share = at / count
        wa, wb = math.sin((1 - share) * between), math.sin(share * between)
        x, y, z = (wa * one + wb * other for one, other in zip(va, vb, strict=True))
        step = position((x, y, z))
        if abs(step[1]) < 89.99:  # the pole itself has every longitude
            found.append(step)
    return [*found, b]
