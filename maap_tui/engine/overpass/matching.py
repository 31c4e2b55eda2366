"""One match of a granule and a platform, and what is asked of the archive for a platform's way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

from maap_tui.engine.geometry import (
    EARTH_RADIUS_KM,
    Position,
    angle,
    circle_around,
    swath_width_km,
    vector,
)
from maap_tui.engine.model import Asset, Granule, orbit_frame, to_zulu
from maap_tui.engine.overpass import sun
from maap_tui.engine.overpass.approach import Outline, Side
from maap_tui.engine.overpass.meeting import Way, meeting
from maap_tui.engine.overpass.passing import csv_of, track_of

FIELDS = (
    "time", "platform_time", "minutes", "distance_km", "swath_km", "side", "daylight", "sun_elevation",
    "direction", "orbit", "frame", "latitude", "longitude", "platform_latitude", "platform_longitude",
    "mission", "collection", "product_type", "baseline", "granule", "state",
)  # fmt: skip
"""The names in a record, in order."""

_STEP_KM, _LEFT_OUT_KM = 200.0, 50.0
"""Kilometres between the points by which a way is cut, at most; the way from one on that is not looked at."""


class Piece(NamedTuple):
    """A part of a platform's way that one question to the archive is about."""

    start: datetime
    end: datetime
    centre: Position
    """(longitude, latitude) in degrees."""
    radius_km: float
    """Of a circle that holds the part; 0 and more, half of the Earth at most."""


@dataclass(frozen=True, slots=True)
class Match:
    """A granule and a platform, where they come nearest to each other."""

    granule: Granule
    time: datetime
    """When the satellite is at its nearest point, UTC."""
    platform_time: datetime
    """When the platform is at its own."""
    metres: float
    """From the platform to the ground track, or to the line down the middle of a swath."""
    swath_metres: float | None
    """From the platform to the swath, 0 inside of it; None for a product without one."""
    side: Side
    """Where the platform is, seen in the direction of flight; '' below the track."""
    is_ascending: bool
    at: Position
    """The point of the track."""
    platform_at: Position
    sun: float
    """Degrees of the sun above the horizon of the platform, when the satellite is nearest."""
    files: tuple[Asset, ...] = ()
    """Those of its files that are meant; () where only its track was looked at."""
    state: str = "new"
    """`here`, `new`, `missing`, `marked`, `deleted` or `queued`, by the registry and the disk."""

    @property
    def name(self) -> str:
        """Orbit and frame, `07655D`; '' where the mission says none."""
        return orbit_frame(self.granule.orbit, self.granule.frame)

    @property
    def is_day(self) -> bool:
        """Whether some of the sun is above the horizon of the platform."""
        return sun.is_day(self.sun)

    @property
    def later(self) -> timedelta:
        """By how much the satellite comes later than the platform; negative when it comes earlier."""
        return self.time - self.platform_time


def match_of(granule: Granule, ways: Sequence[Way], apart: timedelta, metres: float) -> Match | None:
    """Where a granule comes nearest to a platform; None where that is too far away, in space or in time.

    Of a swath the distance to its outline counts, from where the platform is nearest to its middle.

    Raises:
        ValueError: nobody knows the track of the granule.
    """
    track = track_of(granule)
    if track is None:
        raise ValueError("no track")
    outline = Outline.of(granule.geometry)
    most = metres
    if outline is not None:
        most += 1000 * (swath_width_km(granule.geometry) or 0.0)
    best = None
    for way in ways:
        found = meeting(track, granule.sensing_start, way, apart, most)
        if found is not None and (best is None or found.approach.metres < best.approach.metres):
            best = found
    if best is None:
        return None
    across = None if outline is None else outline.metres(best.at)
    if (best.approach.metres if across is None else across) > metres:
        return None
    moment = granule.sensing_start + timedelta(seconds=round(best.approach.seconds, 3))
    return Match(
        granule=granule,
        time=moment,
        platform_time=granule.sensing_start + timedelta(seconds=round(best.seconds, 3)),
        metres=best.approach.metres,
        swath_metres=across,
        side=best.approach.side,
        is_ascending=best.approach.is_ascending,
        at=best.approach.at,
        platform_at=best.at,
        sun=sun.elevation(best.at, moment),
    )


def cut(ways: Sequence[Way], most: int) -> list[Piece]:
    """The ways in pieces that lie within a circle each, the fewer the further the platform goes.

    Args:
        ways: of one platform.
        most: how many pieces there may be; more gaps than that make as many pieces.
    """
    reach_km = 1500.0
    while True:
        found = [piece for way in ways for piece in _pieces(way, reach_km)]
        if len(found) <= max(most, len(ways)):
            return found
        reach_km *= 2


def _pieces(way: Way, reach_km: float) -> Iterator[Piece]:
    moments = _moments(way)
    start, held = moments[0], [way.at(moments[0])]
    before = start
    for moment in moments[1:]:
        place = way.at(moment)
        if angle(vector(*held[0]), vector(*place)) * EARTH_RADIUS_KM > reach_km:
            yield _piece(way, start, before, held)
            start, held = before, [held[-1]]
        held.append(place)
        before = moment
    yield _piece(way, start, before, held)


def _moments(way: Way) -> list[float]:
    """The seconds of the positions by which a way is cut: some where it hardly moves, more where it leaps."""
    found = [0.0]
    left = 0.0
    for number, (a, b) in enumerate(pairwise(way.seconds)):
        length_km = (way.runs[number + 1] - way.runs[number]) / 1000
        left += length_km
        if left >= _LEFT_OUT_KM or number == len(way.seconds) - 2:
            count = int(length_km / _STEP_KM)
            found += [a + (b - a) * part / (count + 1) for part in range(1, count + 1)]
            found.append(b)
            left = 0.0
    return found


def _piece(way: Way, start: float, end: float, held: Sequence[Position]) -> Piece:
    centre, radius_km = circle_around(held) or (held[0], 20_000.0)
    return Piece(
        way.begin + timedelta(seconds=start),
        way.begin + timedelta(seconds=end),
        centre,
        radius_km * 1.01 + _LEFT_OUT_KM,
    )


def record_of(one: Match) -> dict[str, Any]:
    """A match, ready for JSON: distances in km, angles in degrees, times ISO 8601 in UTC."""
    granule, swath = one.granule, one.swath_metres
    values = {
        "time": to_zulu(one.time),
        "platform_time": to_zulu(one.platform_time),
        "minutes": round(one.later.total_seconds() / 60, 2),
        "distance_km": round(one.metres / 1000, 3),
        "swath_km": None if swath is None else round(swath / 1000, 3),
        "side": one.side,
        "daylight": one.is_day,
        "sun_elevation": round(one.sun, 2),
        "direction": "ascending" if one.is_ascending else "descending",
        "orbit": granule.orbit,
        "frame": granule.frame or "",
        "latitude": round(one.at[1], 5),
        "longitude": round(one.at[0], 5),
        "platform_latitude": round(one.platform_at[1], 5),
        "platform_longitude": round(one.platform_at[0], 5),
        "mission": granule.mission,
        "collection": granule.collection,
        "product_type": granule.product_type,
        "baseline": granule.baseline,
        "granule": granule.id,
        "state": one.state,
    }
    return {name: values[name] for name in FIELDS}


def csv_text(found: Sequence[Match]) -> str:
    """A table of matches, the names of its columns first."""
    return csv_of(FIELDS, [record_of(one) for one in found])
