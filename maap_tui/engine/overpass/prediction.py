"""The ground track between the states of an orbit file, and the passes near a place along it.

Between two states the orbit is integrated from both under the gravity of the Earth with its zonal harmonics,
and what comes of the two is blended: what either lacks (drag, the moon, what the field has besides) grows
from nothing at its own end, where its weight is greatest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from maap_tui.engine.geometry import Position, Vector, vector
from maap_tui.engine.overpass.approach import Approach, Track
from maap_tui.engine.overpass.geodesic import EQUATOR_M, FLATTENING, MEAN_M, POLE_M
from maap_tui.engine.overpass.orbit_files import GRAVITY, J2, J3, J4, RADIUS, ROTATION, State, Triple

_STEP_S = 60.0
"""Seconds of a step of the integration: its error is some 30 m an orbit."""
_POINT_S = 10.0
"""Seconds between points of the ground track: between them it leaves the geodesic by 12 m."""
LONGEST_GAP_S = 7200.0
"""Seconds between two states across which nothing is said: more than an orbit takes."""
_MARGIN_M = 60_000.0
"""What the direction from the centre of the Earth and the vertical make of each other, and more."""

_Moved = tuple[Triple, Triple]
"""Position and velocity."""


def passes(states: Sequence[State], place: Position, metres: float) -> Iterator[tuple[Approach, State]]:
    """The passes along an orbit within so many metres of a place.

    Args:
        states: of the orbit, by time.
        place: longitude and latitude in degrees.
        metres: from the place to the ground track.

    Yields:
        Each with the state before it: its seconds are from that state's time.
    """
    found: tuple[Approach, State] | None = None
    for track, state in _near(states, place, metres):
        for one in track.passes(place, metres):
            # The track of the next two states goes on where this one ends.
            if found is not None and _is_joined(found, (one, state)):
                found = min(found, (one, state), key=lambda each: each[0].metres)
                continue
            if found is not None:
                yield found
            found = one, state
    if found is not None:
        yield found


def _is_joined(found: tuple[Approach, State], other: tuple[Approach, State]) -> bool:
    """Whether two approaches are of one pass: nothing comes near the same place again within 20 minutes."""
    apart = other[1].time - found[1].time
    return apart + timedelta(seconds=other[0].seconds - found[0].seconds) < timedelta(minutes=20)


def _near(states: Sequence[State], place: Position, metres: float) -> Iterator[tuple[Track, State]]:
    """The parts of the ground track that may come near, each with the state before it."""
    up = vector(*place)
    reach = math.cos(min(math.pi, (metres + _MARGIN_M + 8000 * _STEP_S) / MEAN_M))
    for a, b in pairwise(states):
        seconds = (b.time - a.time).total_seconds()
        if not 0 < seconds <= LONGEST_GAP_S or not _may_come_near(a, seconds, up, metres):
            continue
        count = math.ceil(seconds / _STEP_S)
        moved = _between(a, b, seconds, count)
        step = seconds / count
        run: list[int] = []
        for number, ((x, y, z), _) in enumerate(moved):
            cosine = (x * up[0] + y * up[1] + z * up[2]) / math.sqrt(x * x + y * y + z * z)
            if cosine >= reach:
                run.append(number)
            elif run:
                yield _track(moved, run, step), a
                run = []
        if run:
            yield _track(moved, run, step), a


def _may_come_near(state: State, seconds: float, up: Vector, metres: float) -> bool:
    """Whether a circular orbit from a state comes within a distance, and what it may be wrong by.

    It spares the integration of most orbits. A step is 150 s or 1,150 km; within one orbit the true one
    leaves it by 100 km.
    """
    reach = math.cos(min(math.pi, (metres + _MARGIN_M + 900_000) / MEAN_M))
    x, y, z = state.at
    u, v, w = state.speed[0] - ROTATION * y, state.speed[1] + ROTATION * x, state.speed[2]
    r, s = math.sqrt(x * x + y * y + z * z), math.sqrt(u * u + v * v + w * w)
    count = math.ceil(seconds / 150)
    for number in range(count + 1):
        moment = seconds * number / count
        a, b = math.cos(s / r * moment) / r, math.sin(s / r * moment) / s
        px, py, pz = a * x + b * u, a * y + b * v, a * z + b * w
        cosine, sine = math.cos(ROTATION * moment), math.sin(ROTATION * moment)
        if up[0] * (cosine * px + sine * py) + up[1] * (cosine * py - sine * px) + up[2] * pz >= reach:
            return True
    return False


def _track(moved: Sequence[_Moved], run: Sequence[int], step: float) -> Track:
    """The ground track over some steps, with points between them."""
    positions, seconds = [], []
    between = max(1, math.ceil(step / _POINT_S))
    last = min(run[-1] + 1, len(moved) - 1)
    for number in range(max(run[0] - 1, 0), last):
        for part in range(between):
            at = _hermite(moved[number], moved[number + 1], step, part / between)
            positions.append(below(at))
            seconds.append((number + part / between) * step)
    positions.append(below(moved[last][0]))
    seconds.append(last * step)
    return Track(positions, seconds)


def _hermite(a: _Moved, b: _Moved, step: float, part: float) -> Triple:
    """A position between two, by the cubic through both with their velocities."""
    square, cube = part * part, part * part * part
    p, m = 2 * cube - 3 * square + 1, (cube - 2 * square + part) * step
    q, n = 3 * square - 2 * cube, (cube - square) * step
    (ax, ay, az), (au, av, aw) = a
    (bx, by, bz), (bu, bv, bw) = b
    return (
        p * ax + m * au + q * bx + n * bu,
        p * ay + m * av + q * by + n * bv,
        p * az + m * aw + q * bz + n * bw,
    )


def _between(a: State, b: State, seconds: float, count: int) -> list[_Moved]:
    """Positions and velocities at so many even steps from one state to the next, both included."""
    if count == 1:
        return [(a.at, a.speed), (b.at, b.speed)]
    ahead = _integrated((a.at, a.speed), seconds / count, count)
    back = _integrated((b.at, b.speed), -seconds / count, count)[::-1]
    found = []
    for number, ((p, u), (q, v)) in enumerate(zip(ahead, back, strict=True)):
        # A smooth weight, so that the velocity is that of the blended positions.
        part = number / count
        weight = part * part * (3 - 2 * part)
        turn = 6 * part * (1 - part) / seconds
        at = tuple(x + (y - x) * weight for x, y in zip(p, q, strict=True))
        speed = tuple(x + (y - x) * weight + (t - s) * turn for x, y, s, t in zip(u, v, p, q, strict=True))
        found.append(((at[0], at[1], at[2]), (speed[0], speed[1], speed[2])))
    return found


def _integrated(state: _Moved, step: float, count: int) -> list[_Moved]:
    """States at so many steps, by Runge and Kutta's fourth order, in the frame that turns with the Earth."""
    (x, y, z), (u, v, w) = state
    # At this moment the two frames are one; only their velocities differ.
    u, v = u - ROTATION * y, v + ROTATION * x
    found = [state]
    for number in range(1, count + 1):
        a1, b1, c1 = _gravity(x, y, z)
        h = step / 2
        u2, v2, w2 = u + h * a1, v + h * b1, w + h * c1
        a2, b2, c2 = _gravity(x + h * u, y + h * v, z + h * w)
        u3, v3, w3 = u + h * a2, v + h * b2, w + h * c2
        a3, b3, c3 = _gravity(x + h * u2, y + h * v2, z + h * w2)
        u4, v4, w4 = u + step * a3, v + step * b3, w + step * c3
        a4, b4, c4 = _gravity(x + step * u3, y + step * v3, z + step * w3)
        s = step / 6
        x, y, z = (
            x + s * (u + 2 * u2 + 2 * u3 + u4),
            y + s * (v + 2 * v2 + 2 * v3 + v4),
            z + s * (w + 2 * w2 + 2 * w3 + w4),
        )
        u, v, w = (
            u + s * (a1 + 2 * a2 + 2 * a3 + a4),
            v + s * (b1 + 2 * b2 + 2 * b3 + b4),
            w + s * (c1 + 2 * c2 + 2 * c3 + c4),
        )
        turned = ROTATION * step * number
        cosine, sine = math.cos(turned), math.sin(turned)
        ex, ey = cosine * x + sine * y, cosine * y - sine * x
        eu, ev = cosine * u + sine * v + ROTATION * ey, cosine * v - sine * u - ROTATION * ex
        found.append(((ex, ey, z), (eu, ev, w)))
    return found


def _gravity(x: float, y: float, z: float) -> Triple:
    """The acceleration at a position, with the zonal harmonics up to the fourth (Vallado, section 8.7)."""
    r2 = x * x + y * y + z * z
    r = math.sqrt(r2)
    k = -GRAVITY / (r2 * r)
    ratio, s = RADIUS / r, z / r
    s2 = s * s
    ratio2 = ratio * ratio
    two, three, four = J2 * ratio2 * 1.5, J3 * ratio2 * ratio * 2.5, J4 * ratio2 * ratio2 * 0.625
    across = 1 + two * (1 - 5 * s2) + three * s * (3 - 7 * s2) - four * (3 - 42 * s2 + 63 * s2 * s2)
    along = two * (3 - 5 * s2) * z + three * (6 * z * s - 7 * z * s * s2 - 0.6 * r)
    along -= four * (15 - 70 * s2 + 63 * s2 * s2) * z
    return k * x * across, k * y * across, k * (z + along)


def below(at: Triple) -> Position:
    """The point of the ellipsoid below a position: longitude and latitude in degrees (Bowring 1976)."""
    x, y, z = at
    flat = math.hypot(x, y)
    e2 = FLATTENING * (2 - FLATTENING)
    second = e2 / (1 - e2)
    angle = math.atan2(z * EQUATOR_M, flat * POLE_M)
    for _ in range(2):
        up = z + second * POLE_M * math.sin(angle) ** 3
        out = flat - e2 * EQUATOR_M * math.cos(angle) ** 3
        angle = math.atan2((1 - FLATTENING) * up, out)
    return math.degrees(math.atan2(y, x)), math.degrees(math.atan2(up, out))
