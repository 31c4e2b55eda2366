"""Tracks of platforms, such as ships, aircraft and balloons, as files have them: CSV, GPX and netCDF."""

from __future__ import annotations

import codecs
import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.geometry import Position
from maap_tui.engine.model import parse_zulu
from maap_tui.engine.overpass.plain_xml import read_xml

MOST_BYTES = 256 << 20
"""Bytes of a track that is read."""
MOST_FIXES = 1_000_000
"""Positions of a track."""
SHOWN = 10
"""Rows that were skipped that are named."""

TIMES = (
    "time", "datetime", "date_time", "timestamp", "time_utc", "utc_time", "utc", "datetime_utc", "isotime",
    "iso_time", "gps_time", "date/time",
)  # fmt: skip
LATITUDES = ("latitude", "lat", "y", "lat_deg", "latitude_deg", "gps_lat", "gps_latitude", "nav_lat")
LONGITUDES = (
    "longitude", "lon", "long", "lng", "x", "lon_deg", "longitude_deg", "gps_lon", "gps_longitude", "nav_lon",
)  # fmt: skip
"""The names that columns may have, best first; units in brackets behind them and case are left out."""
_DATES, _CLOCKS = ("date", "date_utc", "day"), ("time", "time_utc", "utc", "clock")

_GPX_KINDS = ("trkpt", "rtept", "wpt")
"""Points of tracks, of routes, and waypoints: the first kind that a file has is taken."""
_DELIMITERS = ",;\t|"
_FIRST, _LAST = datetime(1960, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
"""Between these a satellite may fly; other times stand for a missing one, as 0001-01-01 does."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Fix(NamedTuple):
    """Where a platform was at a moment."""

    time: datetime
    """UTC."""
    at: Position
    """(longitude, latitude) in degrees."""


@dataclass(slots=True)
class PlatformTrack:
    """The positions of a platform, and which of a file could not be used."""

    name: str
    fixes: list[Fix] = field(default_factory=list)
    """By time, each time once."""
    skipped: list[str] = field(default_factory=list)
    """The first of what was skipped, each with its place in the file and why."""
    left_out: int = 0
    """How many were skipped in all."""

    def skip(self, where: str, reason: str) -> None:
        """Note something that cannot be used."""
        self.left_out += 1
        if len(self.skipped) < SHOWN:
            self.skipped.append(f"{where}: {reason}")

    def finished(self) -> PlatformTrack:
        """The track in order, each time once.

        Raises:
            InvalidRequestError: nothing is left.
        """
        self.fixes.sort(key=lambda one: one.time)
        kept: list[Fix] = []
        for one in self.fixes:
            if not kept or one.time > kept[-1].time:
                kept.append(one)
            elif one.at != kept[-1].at:
                self.skip(f"{one.time:%Y-%m-%dT%H:%M:%SZ}", "another position has the same time")
        self.fixes = kept
        if not kept:
            why = f" ({self.skipped[0]})" if self.skipped else ""
            raise InvalidRequestError(f"{self.name} has no position with a time{why}")
        return self

    def add(self, where: str, moment: datetime, latitude: float, longitude: float) -> None:
        """Take a position, or note why it cannot be used."""
        if not (math.isfinite(latitude) and -90 <= latitude <= 90):
            self.skip(where, f"{latitude:g} is not a latitude")
        elif not (math.isfinite(longitude) and -180 <= longitude <= 360):
            self.skip(where, f"{longitude:g} is not a longitude")
        elif not _FIRST <= moment < _LAST:
            self.skip(where, f"no satellite flies in the year {moment.year}")
        elif len(self.fixes) >= MOST_FIXES:
            raise InvalidRequestError(
                f"{self.name} has more than {MOST_FIXES:,} positions",
                "Thin it out, to one a minute for instance.",
            )
        else:
            longitude = longitude - 360 if longitude > 180 else longitude
            self.fixes.append(Fix(moment, (longitude, latitude)))


def read_csv(data: bytes, name: str) -> PlatformTrack:
    """Read a table with columns for time, latitude and longitude.

    Lines before the names of the columns are left out when they begin with `#`. Fields are separated by `,`,
    `;`, tabs or `|`; with `;` numbers may have a decimal comma. The text is UTF-8, or UTF-16 with its mark.

    Raises:
        InvalidRequestError: a column is missing, or no row can be used.
    """
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    # One line at a time: a million of them take more memory than the file.
    lines = enumerate(io.TextIOWrapper(io.BytesIO(data), encoding, "replace"), 1)
    rows = ((number, line) for number, line in lines if line.strip() and not line.lstrip().startswith("#"))
    head = next(rows, None)
    if head is None:
        raise InvalidRequestError(f"{name} is empty")
    delimiter = max(_DELIMITERS, key=head[1].count)
    try:
        names = _split(head[1], delimiter)
    except ValueError as error:
        raise InvalidRequestError(f"{name} is not a table: line {head[0]} has {error}") from None
    columns = _Columns([_plain(one) for one in names], name)
    track = PlatformTrack(name)
    for number, line in rows:
        where = f"line {number}"
        try:
            found = columns.read(_split(line, delimiter), has_commas=delimiter == ";")
        except ValueError as error:
            track.skip(where, str(error))
        else:
            track.add(where, *found)
    return track.finished()


def _split(line: str, delimiter: str) -> list[str]:
    """The fields of a line.

    Raises:
        ValueError: it has none that can be read.
    """
    try:
        return next(csv.reader([line], delimiter=delimiter, skipinitialspace=True), [])
    except csv.Error:
        raise ValueError("a field that is too long") from None


def _plain(name: str) -> str:
    """The name of a column without its unit and in lower case."""
    return "_".join(re.sub(r"[\[(].*?[\])]", "", name).strip().lower().split())


class _Columns:
    """Where time, latitude and longitude are in a row."""

    def __init__(self, names: Sequence[str], file: str) -> None:
        self._latitude = _index(names, LATITUDES)
        self._longitude = _index(names, LONGITUDES)
        date, clock = _index(names, _DATES), _index(names, _CLOCKS)
        self._times = [date, clock] if date is not None and clock is not None else [_index(names, TIMES)]
        if self._times == [None]:
            self._times = [date]
        for what, at, known in (
            ("time", self._times[0], TIMES),
            ("latitude", self._latitude, LATITUDES),
            ("longitude", self._longitude, LONGITUDES),
        ):
            if at is None:
                shown = ", ".join(names)[:100]
                raise InvalidRequestError(
                    f"{file} has no column for {what} (it has {shown})",
                    f"The first line has to name the columns, one of them {' or '.join(known[:2])}.",
                )

    def read(self, cells: Sequence[str], *, has_commas: bool) -> tuple[datetime, float, float]:
        """Time, latitude and longitude of a row.

        Raises:
            ValueError: why they cannot be read.
        """
        values = []
        for at in (*self._times, self._latitude, self._longitude):
            if at is None or at >= len(cells):
                raise ValueError(f"it has {len(cells)} fields")
            values.append(cells[at].strip())
        *times, latitude, longitude = values
        if has_commas:
            latitude, longitude = latitude.replace(",", "."), longitude.replace(",", ".")
        return read_moment(" ".join(times)), _number(latitude), _number(longitude)


def _index(names: Sequence[str], wanted: Iterable[str]) -> int | None:
    return next((names.index(name) for name in wanted if name in names), None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"'{text[:30]}' is not a number") from None


def read_moment(text: str) -> datetime:
    """A time in UTC: ISO 8601, without a zone or with one, or a number of seconds since 1970.

    Raises:
        ValueError: it is none.
    """
    words = text.strip().removesuffix("UTC").strip()
    try:
        if re.fullmatch(r"\d{9,10}(\.\d*)?", words):
            return _EPOCH + timedelta(seconds=float(words))
        return parse_zulu(words.replace("/", "-"))
    except (ValueError, OverflowError):
        raise ValueError(f"'{text[:30]}' is not a time; write 2026-01-31T12:00:00Z") from None


def read_gpx(data: bytes, name: str) -> PlatformTrack:
    """Read a GPX file: its track, or its route, or its waypoints, the first of them that there are.

    Raises:
        InvalidRequestError: it is not XML, declares a document type, or has no position with a time.
    """
    reader = _GpxReader(name)
    read_xml(data, name, reader.begin, reader.end)
    kind = next((one for one in _GPX_KINDS if reader.counts[one]), _GPX_KINDS[0])
    return reader.tracks[kind].finished()


class _GpxReader:
    def __init__(self, name: str) -> None:
        self.tracks = {kind: PlatformTrack(name) for kind in _GPX_KINDS}
        self.counts = dict.fromkeys(_GPX_KINDS, 0)
        """Points of each kind, whether or not they can be used."""
        self._point: tuple[str, str] | None = None
        self._time = ""

    def begin(self, tag: str, attributes: dict[str, str]) -> None:
        if tag in self.counts:
            self._point = attributes.get("lat", ""), attributes.get("lon", "")
            self._time = ""

    def end(self, tag: str, text: str) -> None:
        if tag in self.counts and self._point is not None:
            self.counts[tag] += 1
            self._add(self.tracks[tag], f"{tag} {self.counts[tag]}", *self._point)
            self._point = None
        elif tag == "time" and self._point is not None:
            self._time = text

    def _add(self, track: PlatformTrack, where: str, latitude: str, longitude: str) -> None:
        try:
            if not self._time:
                raise ValueError("it has no time")
            moment, north, east = read_moment(self._time), _number(latitude), _number(longitude)
        except ValueError as error:
            track.skip(where, str(error))
        else:
            track.add(where, moment, north, east)


def pieces(track: PlatformTrack, gap: timedelta) -> Iterator[list[Fix]]:
    """The track cut where positions lack for longer than `gap`."""
    piece: list[Fix] = []
    for one in track.fixes:
        if piece and one.time - piece[-1].time > gap:
            yield piece
            piece = []
        piece.append(one)
    if piece:
        yield piece
