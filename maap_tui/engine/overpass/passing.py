"""One overpass: when a satellite comes nearest to a place, how far away, and what says so."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from maap_tui.engine.geometry import Position
from maap_tui.engine.model import Granule, orbit_frame, to_zulu
from maap_tui.engine.overpass import sun
from maap_tui.engine.overpass.approach import Approach, Outline, Side, Track

ARCHIVE = "archive"
"""The source of an overpass whose granule the archive has."""
REPEAT = "repeat cycle"
"""The source of one that is expected, since the ground track was flown one cycle before."""

FIELDS = (
    "time", "distance_km", "swath_km", "side", "daylight", "sun_elevation", "direction", "orbit", "frame",
    "at_end", "latitude", "longitude", "source", "mission", "granule", "here",
)  # fmt: skip
"""The names in a record, in order."""


_ONE_PASS = timedelta(minutes=20)
"""How far apart the granules of one pass are nearest to a place, at most; the next pass is an orbit later."""


class Place(NamedTuple):
    """Where overpasses are looked for."""

    name: str
    """As it was asked for, for people."""
    at: Position
    """(longitude, latitude) in degrees."""


@dataclass(frozen=True, slots=True)
class Overpass:
    """One pass near a place."""

    time: datetime
    """Of the closest approach, UTC."""
    metres: float
    """From the place to the ground track, or to the line down the middle of a swath."""
    swath_metres: float | None
    """From the place to the swath, 0 inside of it; None for a product without one."""
    side: Side
    """Where the place lies, seen in the direction of flight; '' below the track."""
    is_ascending: bool
    is_at_end: bool
    """Whether the granule begins or ends there: the satellite came nearer in the one before or after it."""
    at: Position
    """The point of the track."""
    sun: float
    """Degrees of the sun above the horizon of the place."""
    mission: str
    orbit: int | None
    frame: str | None
    source: str
    """`ARCHIVE`, `REPEAT`, or the orbit file that says it."""
    granule: Granule | None = None
    """What the archive has of it; None for one that is expected."""
    here: tuple[str, ...] = ()
    """Product types of this orbit and frame that were downloaded and are on disk."""

    @property
    def is_day(self) -> bool:
        """Whether some of the sun is above the horizon of the place."""
        return sun.is_day(self.sun)

    @property
    def nearest(self) -> float:
        """Metres by which it is judged: to the swath where there is one, otherwise to the track."""
        return self.metres if self.swath_metres is None else self.swath_metres

    @property
    def name(self) -> str:
        """Orbit and frame, `07655D`; '' where the mission says none."""
        return orbit_frame(self.orbit, self.frame)

    @property
    def day_words(self) -> str:
        return "day" if self.is_day else "night"

    @property
    def direction(self) -> str:
        return "ascending" if self.is_ascending else "descending"


def track_of(granule: Granule) -> Track | None:
    """The ground track of a granule with its times; None where the archive has none of it."""
    positions = granule.track
    if not positions:
        return None
    end = granule.sensing_end or granule.sensing_start
    return Track.even(positions, (end - granule.sensing_start).total_seconds())


def passes_of(granule: Granule, place: Place, metres: float) -> list[Overpass] | None:
    """Where the track or the swath of a granule comes within so many metres of a place; None without a track.

    Of a swath the nearest point of its middle is given, though that may be further away.
    """
    track = track_of(granule)
    if track is None:
        return None
    outline = Outline.of(granule.geometry)
    across = None if outline is None else outline.metres(place.at)
    if across is None:
        found = track.passes(place.at, metres)
    else:
        found = [track.nearest(place.at)] if across <= metres else []
    return [
        overpass(
            one,
            granule.sensing_start,
            place,
            swath_metres=across,
            mission=granule.mission,
            orbit=granule.orbit,
            frame=granule.frame,
            source=ARCHIVE,
            granule=granule,
        )
        for one in found
    ]


def overpass(
    found: Approach,
    start: datetime,
    place: Place,
    *,
    mission: str,
    orbit: int | None,
    frame: str | None,
    source: str,
    swath_metres: float | None = None,
    granule: Granule | None = None,
) -> Overpass:
    """An overpass from where a track is nearest to a place; `start` is when the times of the track begin."""
    moment = start + timedelta(seconds=round(found.seconds, 3))
    return Overpass(
        time=moment,
        metres=found.metres,
        swath_metres=swath_metres,
        side=found.side,
        is_ascending=found.is_ascending,
        is_at_end=found.is_at_end,
        at=found.at,
        sun=sun.elevation(place.at, moment),
        mission=mission,
        orbit=orbit,
        frame=frame,
        source=source,
        granule=granule,
    )


def one_a_pass(found: Sequence[Overpass]) -> list[Overpass]:
    """Overpasses without the granules that end where another one comes nearer in the same pass."""
    return [
        one
        for one in found
        if not one.is_at_end
        or not any(
            other.metres < one.metres and abs(other.time - one.time) < _ONE_PASS and other is not one
            for other in found
        )
    ]


def record_of(one: Overpass) -> dict[str, Any]:
    """An overpass, ready for JSON: distances in km, angles in degrees, times ISO 8601 in UTC."""
    swath = one.swath_metres
    values = {
        "time": to_zulu(one.time),
        "distance_km": round(one.metres / 1000, 3),
        "swath_km": None if swath is None else round(swath / 1000, 3),
        "side": one.side,
        "daylight": one.is_day,
        "sun_elevation": round(one.sun, 2),
        "direction": one.direction,
        "orbit": one.orbit,
        "frame": one.frame or "",
        "at_end": one.is_at_end,
        "latitude": round(one.at[1], 5),
        "longitude": round(one.at[0], 5),
        "source": one.source,
        "mission": one.mission,
        "granule": one.granule.id if one.granule is not None else "",
        "here": list(one.here),
    }
    return {name: values[name] for name in FIELDS}


def csv_text(found: Sequence[Overpass]) -> str:
    """A table of overpasses, the names of its columns first."""
    return csv_of(FIELDS, [record_of(one) for one in found])


def csv_of(names: Sequence[str], records: Iterable[Mapping[str, Any]]) -> str:
    """Records as a table, the names of its columns first."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(record[name]) for name in names] for record in records)
    return text.getvalue()


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else str(value)
