"""Orbit files of ESA's ground segments: state vectors, and the reference orbit of a scenario.

They are Earth Explorer files (ESA, Earth Observation Ground Segment File Format Standard; EO CFI, File
Handling): `List_of_OSVs` in predicted and restituted orbits, `List_of_Orbit_Changes` in orbit scenarios.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import parse_zulu
from maap_tui.engine.overpass.plain_xml import read_xml

MOST_BYTES = 64 << 20
"""Bytes of an orbit file that is read: 30 days of a vector every 30 s have 40 MB."""
_MOST_VECTORS = 500_000

GRAVITY = 3.986004418e14
"""m^3/s^2."""
ROTATION = 7.292115e-5
"""Of the Earth, radians per second."""
RADIUS = 6_378_136.3
J2, J3, J4 = 1.0826357e-3, -2.5324e-6, -1.6199e-6
"""Zonal harmonics of the field of gravity (EGM96)."""
YEAR_S = 365.2421897 * 86400
"""The tropical year."""

Triple = tuple[float, float, float]


class State(NamedTuple):
    """Where a satellite is at a moment, in the frame that turns with the Earth."""

    time: datetime
    orbit: int
    """Its absolute number, from one ascending node to the next."""
    at: Triple
    """Metres."""
    speed: Triple
    """Metres per second, as seen from the Earth."""


@dataclass(frozen=True, slots=True)
class OrbitChange:
    """An orbit that is to be flown from a node on."""

    time: datetime
    """Of the ascending node of its first orbit."""
    orbit: int
    repeat_days: float
    repeat_orbits: int
    longitude: float
    """Degrees, of that node."""
    drift: float
    """Seconds a day by which the local time of the node changes."""

    @property
    def period(self) -> float:
        """Seconds from node to node: the ground track closes when the place of the node comes again."""
        return self.repeat_days * (86400 + self.drift) / self.repeat_orbits


@dataclass(frozen=True, slots=True)
class OrbitFile:
    """What an orbit file says."""

    name: str
    states: tuple[State, ...] = ()
    """By time."""
    changes: tuple[OrbitChange, ...] = ()
    """By time."""


def read_orbit_file(data: bytes, name: str) -> OrbitFile:
    """Read an orbit file.

    Raises:
        InvalidRequestError: it is none, its frame does not turn with the Earth, or a part of it is wrong.
    """
    reader = _Reader(name)
    try:
        read_xml(data, name, reader.begin, reader.end)
    except InvalidRequestError:
        raise
    except (KeyError, ValueError, OverflowError) as error:
        raise InvalidRequestError(f"{name} has a state or an orbit that cannot be read ({error})") from None
    if not reader.states and not reader.changes:
        raise InvalidRequestError(f"{name} is not an orbit file: it lists no states and no orbit")
    if reader.states and reader.frame not in ("EARTH_FIXED", ""):
        raise InvalidRequestError(f"{name} has its states in the frame {reader.frame[:40]}, not EARTH_FIXED")
    return OrbitFile(
        name,
        tuple(sorted(reader.states, key=lambda one: one.time)),
        tuple(sorted(reader.changes, key=lambda one: one.time)),
    )


class _Reader:
    def __init__(self, name: str) -> None:
        self.states: list[State] = []
        self.changes: list[OrbitChange] = []
        self.frame = ""
        self._name = name
        self._values: dict[str, str] = {}

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in ("OSV", "Orbit_Change"):
            self._values = {}

    def end(self, tag: str, text: str) -> None:
        if tag == "Ref_Frame":
            self.frame = text
        elif tag == "OSV":
            self.states.append(self._state())
            if len(self.states) > _MOST_VECTORS:
                raise InvalidRequestError(f"{self._name} has more than {_MOST_VECTORS:,} states")
        elif tag == "Orbit_Change":
            self.changes.append(self._change())
        else:
            self._values[tag] = text

    def _time(self) -> datetime:
        return parse_zulu(self._values["UTC"].removeprefix("UTC="))

    def _number(self, tag: str) -> float:
        number = float(self._values[tag])
        if not math.isfinite(number):
            raise ValueError(f"{tag} is not a number")
        return number

    def _state(self) -> State:
        x, y, z, vx, vy, vz = (self._number(tag) for tag in ("X", "Y", "Z", "VX", "VY", "VZ"))
        if not 6.4e6 < math.sqrt(x * x + y * y + z * z) < 6e7:
            raise ValueError("a position is not that of a satellite")
        return State(self._time(), int(self._values["Absolute_Orbit"]), (x, y, z), (vx, vy, vz))

    def _change(self) -> OrbitChange:
        days, orbits = self._number("Repeat_Cycle"), int(self._values["Cycle_Length"])
        if not 0 < days < 10_000 or not 0 < orbits < 1_000_000 or not 5000 < days * 86400 / orbits < 90_000:
            raise ValueError("its cycle is not that of a satellite")
        return OrbitChange(
            self._time(),
            int(self._values["Absolute_Orbit"]),
            days,
            orbits,
            self._number("ANX_Longitude"),
            float(self._values.get("MLST_Drift") or 0.0),
        )


def nodes_of(changes: Sequence[OrbitChange], start: datetime, end: datetime) -> list[State]:
    """The states at the ascending nodes that a scenario plans, from one before `start` to one after `end`.

    The orbit is taken as circular and sun-synchronous; that is what its cycle says of it.
    """
    found: list[State] = []
    for number, change in enumerate(changes):
        last = changes[number + 1].time if number + 1 < len(changes) else end + timedelta(days=1)
        period = timedelta(seconds=change.period)
        first = max(0, math.floor((start - change.time) / period) - 1)
        count = first
        # Periods added up would drift: a timedelta has whole microseconds.
        while (moment := change.time + timedelta(seconds=count * change.period)) < last:
            if moment > end + period:
                break
            turn = 360 * (change.repeat_days / change.repeat_orbits) * count
            found.append(_node(moment, change.orbit + count, change.longitude - turn, change.period))
            count += 1
    return found


def _node(moment: datetime, orbit: int, longitude: float, period: float) -> State:
    """The state at the ascending node of a circular, sun-synchronous orbit of a nodal period."""
    axis = (GRAVITY * (period / math.tau) ** 2) ** (1 / 3)
    tilt = math.pi / 2
    for _ in range(20):
        # Nodal period and drift of the node by J2, of a circular orbit (Vallado, section 9.6).
        factor = 1.5 * J2 * (RADIUS / axis) ** 2
        mean = math.sqrt(GRAVITY / axis**3)
        tilt = math.acos(-math.tau / YEAR_S / (factor * mean))
        change = factor * (4 * math.cos(tilt) ** 2 - 1)
        axis = (GRAVITY * (period * (1 + change) / math.tau) ** 2) ** (1 / 3)
    speed = math.sqrt(GRAVITY / axis * (1 + 1.5 * J2 * (RADIUS / axis) ** 2))
    east, north = speed * math.cos(tilt) - ROTATION * axis, speed * math.sin(tilt)
    angle = math.radians(longitude)
    cosine, sine = math.cos(angle), math.sin(angle)
    return State(moment, orbit, (axis * cosine, axis * sine, 0.0), (-east * sine, east * cosine, north))
