"""A search as data: checked, turned into a filter for the catalogue, and back into a `maap` command line."""

from __future__ import annotations

import json
import math
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from maap_tui.engine import cql2
from maap_tui.engine.defaults import DEFAULT_MAX_ITEMS
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.file_names import ALL, FORMAT_NAMES
from maap_tui.engine.geometry import EARTH_RADIUS_KM, Footprint, circle_around, outlines_of, straight
from maap_tui.engine.model import Granule, TimeRange, to_zulu
from maap_tui.engine.storage.names import is_name, is_searchable

if TYPE_CHECKING:
    from maap_tui.engine.missions import Mission
    from maap_tui.engine.quality.notices import Disclaimed
    from maap_tui.engine.search_keys import Keys
    from maap_tui.engine.shard import Shard

MAX_ORBIT_TERMS = 50
"""Terms of one orbit filter that the service takes in a request (docs/service.md, Searches)."""

_LETTERS = "ABCDEFGH"


@dataclass(frozen=True, slots=True)
class Box:
    """Degrees; `west` > `east` means that it crosses the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def __post_init__(self) -> None:
        if not (-90 <= self.south <= self.north <= 90):
            raise InvalidRequestError(
                f"A box from {self.south:g} to {self.north:g} degrees of latitude is impossible",
                "Give WEST,SOUTH,EAST,NORTH with -90 <= SOUTH <= NORTH <= 90.",
            )
        if not (-180 <= self.west <= 180 and -180 <= self.east <= 180):
            raise InvalidRequestError(
                f"A box from {self.west:g} to {self.east:g} degrees of longitude is impossible",
                "Give longitudes from -180 to 180; WEST > EAST crosses the antimeridian.",
            )

    def parts(self) -> list[tuple[float, float, float, float]]:
        """One box, or the two on both sides of the antimeridian, as STAC wants them."""
        if self.west <= self.east:
            return [(self.west, self.south, self.east, self.north)]
        return [(self.west, self.south, 180.0, self.north), (-180.0, self.south, self.east, self.north)]


@dataclass(frozen=True, slots=True)
class Circle:
    """Everything within `radius_km` of a point (degrees)."""

    latitude: float
    longitude: float
    radius_km: float = 50.0

    def __post_init__(self) -> None:
        if not (-90 <= self.latitude <= 90 and -180 <= self.longitude <= 180):
            raise InvalidRequestError(
                f"{self.latitude:g},{self.longitude:g} is not a point on Earth", "Give LATITUDE,LONGITUDE."
            )
        if not 0 < self.radius_km <= 20_000:
            raise InvalidRequestError(
                f"A radius of {self.radius_km:g} km is impossible", "Give one from 1 to 20000."
            )

    def box(self) -> Box:
        """The box around the circle, with a margin for tracks given by few points."""
        reach = math.degrees(self.radius_km / EARTH_RADIUS_KM) * 1.05
        south, north = max(-90.0, self.latitude - reach), min(90.0, self.latitude + reach)
        widest = max(abs(south), abs(north))
        if widest >= 89.0:
            return Box(-180.0, south, 180.0, north)
        wide = reach / math.cos(math.radians(widest))
        if wide >= 180.0:
            return Box(-180.0, south, 180.0, north)
        west, east = self.longitude - wide, self.longitude + wide
        return Box(west + 360 if west < -180 else west, south, east - 360 if east > 180 else east, north)

    def touches(self, track: Sequence[tuple[float, float]]) -> bool:
        """Whether a ground track of (longitude, latitude) comes within the radius."""
        if not track:
            return True  # without a track the box search is all there is
        return self.reaches(Footprint(lines=[track]))

    def reaches(self, footprint: Footprint | None) -> bool:
        """Whether any of what a granule covers is within the radius; so it is when nobody knows."""
        if footprint is None:
            return True
        return footprint.distance_km(self.longitude, self.latitude) <= self.radius_km


@dataclass(frozen=True, slots=True)
class Arrived:
    """A span of the archive's own time: what came to it, or was changed there, from then on."""

    after: datetime
    """First moment, UTC."""
    until: datetime | None = None
    """Last moment, UTC; what comes while the pages are read would move what is on them. None for no limit."""

    def to_filter(self, key: str, *, as_text: bool = False) -> cql2.Condition:
        """The filter by a property that holds a time.

        Args:
            key: the property.
            as_text: whether it is compared as a text, as by services that do not list it as a time.
        """

        def value(moment: datetime) -> cql2.Value:
            return to_zulu(moment) if as_text else moment

        later = cql2.Comparison(key, ">=", value(self.after))
        if self.until is None or self.until < self.after:
            return later
        return cql2.Every((later, cql2.Comparison(key, "<=", value(self.until))))


@dataclass(frozen=True, slots=True)
class Query:
    """One search. Frozen; `replace()` makes another."""

    collection: str
    product_type: str
    baseline: str | None = None
    """None searches every baseline."""
    time: TimeRange | None = None
    """Sensing starts wanted; None means the whole mission, or no limit for an orbit search."""
    orbits: tuple[tuple[int, int], ...] = ()
    """Absolute orbits wanted as (first, last) pairs, both included; () means all."""
    frames: tuple[str, ...] = ()
    """Frames wanted, letters or numbers with their leading zeros; () means all."""
    box: Box | None = None
    circle: Circle | None = None
    area: Mapping[str, Any] | None = None
    """A GeoJSON geometry that the ground track has to meet."""
    formats: tuple[str, ...] = ()
    """Formats wanted, best first; `("all",)` takes every file; () takes the mission's own."""
    newest_first: bool = False
    max_items: int = DEFAULT_MAX_ITEMS
    """Granules at most, cut after ordering."""
    use_catalog: bool = False
    """Whether the built catalogue narrows the time range before anything is asked."""
    every_version: bool = False
    """Whether older processings of the same granule are kept for products that are archived in several."""
    tracks: tuple[str, ...] = ()
    """Track numbers wanted, with their leading zeros; () means all."""
    shard: Shard | None = None
    """The part of the granules that is meant, where several jobs share them; None means all."""
    days_back: int | None = None
    """The `--days-back` that made `time`, so that the command line stays relative; None otherwise."""
    open_end: bool = False
    """Whether `time` ends at the moment of the search, so that the command line names no end."""
    area_file: str = ""
    """The file that `area` was read from, so that the command line names it; '' for none."""
    missing: bool = False
    """Whether only those days of `time` are meant that lack something here, as `maap coverage` has them."""
    disclaimed: Disclaimed | None = None
    """The granules that a disclaimer is about, which are left out; None leaves out none."""
    arrived: Arrived | None = None
    """When the archive has to have had it; None for any time. No command line says it."""

    def __post_init__(self) -> None:
        for what, value in (("collection", self.collection), ("product type", self.product_type)):
            if not is_searchable(value):
                raise InvalidRequestError(f"'{value[:60]}' is not a {what} name", "See `maap list`.")
        if self.baseline is not None and not is_name(self.baseline):
            raise InvalidRequestError(f"'{self.baseline[:60]}' is not a baseline", "See `maap list`.")
        if self.max_items < 1:
            raise InvalidRequestError(f"A maximum of {self.max_items} items finds nothing", "Give 1 or more.")
        if self.time and self.time.is_empty:
            raise InvalidRequestError(
                f"start ({to_zulu(self.time.start)}) must be before end ({to_zulu(self.time.end)})"
            )
        if sum(1 for one in (self.box, self.circle, self.area) if one is not None) > 1:
            raise InvalidRequestError("A box, a point and an area exclude one another", "Give one of them.")
        if len(self.orbits) > MAX_ORBIT_TERMS:
            raise InvalidRequestError(
                f"{len(self.orbits)} orbit ranges are more than the service takes ({MAX_ORBIT_TERMS})",
                "Search them in parts, or give a time range.",
            )
        for name in self.formats:
            if name != ALL and name not in FORMAT_NAMES:
                raise _unknown_format(name, FORMAT_NAMES)

    def replace(self, **changes: Any) -> Query:
        return replace(self, **changes)

    def accepts(self, granule: Granule, *, is_filtered: bool = True) -> bool:
        """Whether a granule the catalogue sent is truly wanted: what the server only knows roughly.

        Args:
            granule: what came.
            is_filtered: whether the service filtered, so that a granule of unknown product is one asked for.
        """
        is_known = granule.product_type != "unknown"
        if (is_known or not is_filtered) and granule.product_type.casefold() != self.product_type.casefold():
            return False
        if self.time and granule.sensing_start not in self.time:
            return False
        if self.baseline and granule.baseline.lower() != self.baseline.lower():
            return False
        if self.orbits and not any(
            granule.orbit is not None and low <= granule.orbit <= high for low, high in self.orbits
        ):
            return False
        if self.tracks and granule.track_number not in self.tracks:
            return False
        if self.frames and granule.frame is not None and granule.frame not in self.frames:
            return False
        if self.frames and granule.frame is None and granule.orbit is not None:
            return False
        if self.shard is not None and not self.shard.has(granule):
            return False
        if self.circle is not None and not self.circle.reaches(granule.footprint):
            return False
        return self.disclaimed is None or not self.disclaimed.has(granule)

    @property
    def parts(self) -> tuple[str, ...]:
        """What the filter asks for: those of frame, track, baseline, orbit and product that it has."""
        given = {
            "frame": self.frames,
            "track": self.tracks,
            "baseline": self.baseline,
            "orbit": self.orbits,
            "product": True,
        }
        return tuple(name for name, value in given.items() if value)

    def to_filter(
        self,
        keys: Keys,
        *,
        baselines: Sequence[str] = (),
        products: Sequence[str] = (),
        without: Collection[str] = (),
        numbers: Collection[str] = (),
    ) -> cql2.Condition | None:
        """The filter for the catalogue; None when nothing is left to ask.

        Args:
            keys: how the collection spells its properties.
            baselines: the spellings that the baseline may have there; () takes the query's own.
            products: the same of the product type.
            without: parts to leave out.
            numbers: the properties that are numbers there.
        """
        frames = _spellings(self.frames, as_numbers=keys.frame in numbers)
        tracks = _spellings(self.tracks, as_numbers=keys.track in numbers)
        conditions = {
            "product": lambda: cql2.equals(keys.product, products or [self.product_type]),
            "baseline": lambda: cql2.equals(keys.baseline, baselines or [self.baseline or ""]),
            "orbit": lambda: cql2.either(cql2.between(keys.orbit, low, high) for low, high in self.orbits),
            "frame": lambda: cql2.equals(keys.frame, frames),
            "track": lambda: cql2.equals(keys.track, tracks),
        }
        wanted = [name for name in conditions if name in self.parts and name not in without]
        return cql2.every(conditions[name]() for name in wanted)

    def areas(self) -> list[dict[str, Any]]:
        """The spatial part of each request to send: usually one, two across the antimeridian."""
        box = self.box or (self.circle.box() if self.circle else None)
        if box is not None:
            return [{"bbox": list(part)} for part in box.parts()]
        if self.area is not None:
            return [{"intersects": dict(self.area)}]
        return [{}]

    def surroundings(self) -> Circle | None:
        """A circle beyond which nothing touches the box or the area; None where there is no such circle.

        A service that takes a track across 180 degrees for one around the Earth sends it for areas that
        it never comes near.
        """
        if self.area is not None:
            # An edge of many degrees leads through places that are far from both of its ends.
            positions = [one for line in outlines_of(self.area) for one in straight(line, 5.0)]
        elif self.box is not None:
            box = self.box
            wide = box.east - box.west + (360 if box.east < box.west else 0)
            if wide > 120:
                return None
            positions = [
                (box.west + wide * part / 4, latitude)
                for part in range(5)
                for latitude in (box.south, (box.south + box.north) / 2, box.north)
            ]
        else:
            return None
        found = circle_around(positions)
        if found is None:
            return None
        # Edges run straight in degrees for one service and along great circles for another.
        (longitude, latitude), radius_km = found
        return Circle(latitude, longitude, radius_km * 1.2 + 300)

    def demand_bounds(self) -> None:
        """Refuse a query that means all of a product: fetching it takes days and fills disks.

        Raises:
            InvalidRequestError: when neither time, orbits, tracks nor an area bound it.
        """
        if self.time is None and not (self.orbits or self.tracks or self.box or self.circle or self.area):
            names = f"{self.product_type} {self.baseline or ''}".strip()
            raise InvalidRequestError(
                f"This would download all of {names}",
                "Give a time, an orbit, an area or --max-items, or --everything if all of it is meant.",
            )

    def time_words(self) -> list[str]:
        """The options of the command line that say the time."""
        if self.missing:
            return ["--date", f"missing {self.time_text()}"]
        if self.days_back is not None:
            return ["--days-back", str(self.days_back)]
        if self.time is None:
            return []
        start, end = self.time.start.astimezone(UTC), self.time.end.astimezone(UTC)
        if self.open_end:
            return ["--start", start.date().isoformat() if _is_midnight(start) else to_zulu(start)]
        whole_days = _is_midnight(start) and _is_midnight(end)
        if whole_days and end - start == timedelta(days=1):
            return ["--date", start.date().isoformat()]
        if whole_days:
            return ["--start", start.date().isoformat(), "--end", self.time.last_day.isoformat()]
        return ["--start", to_zulu(start), "--end", to_zulu(end - timedelta(seconds=1))]

    def time_text(self) -> str:
        """The time as one text, as `time_words.read_time` reads it, without `missing`; '' for no limit."""
        if self.days_back is not None:
            return f"{self.days_back}d"
        if self.time is None:
            return ""
        words = self.replace(missing=False).time_words()
        if words[0] == "--date":
            return words[1]
        if len(words) == 4:
            return f"{words[1]}..{words[3]}"
        return f"{words[1]}.." if self.open_end else f"{to_zulu(self.time.start)}.."

    def to_command(self, verb: str = "search") -> str:
        """The `maap` command line that does the same."""
        words = ["maap", verb, self.collection, self.product_type]
        if self.baseline:
            words.append(self.baseline)
        words += self.time_words()
        if self.orbits:
            low, high = self.orbits[0]
            if len(self.orbits) == 1 and low == high and len(self.frames) == 1 and self.frames[0].isalpha():
                words += ["--orbit", f"{low:05d}{self.frames[0]}"]
            else:
                words += ["--orbit", format_orbits(self.orbits)]
                if self.frames:
                    words += ["--frame", ",".join(self.frames)]
        elif self.frames:
            words += ["--frame", ",".join(self.frames)]
        if self.tracks:
            words += ["--track", ",".join(self.tracks)]
        if self.box:
            box = self.box
            words += [f"--bbox={','.join(map(_degrees, (box.west, box.south, box.east, box.north)))}"]
        if self.circle:
            words += [f"--point={_degrees(self.circle.latitude)},{_degrees(self.circle.longitude)}"]
            words += ["--radius", _degrees(self.circle.radius_km)]
        if self.area is not None:
            words += ["--area", self.area_file or json.dumps(self.area, separators=(",", ":"))]
        if self.formats:
            words += ["--format", ",".join(self.formats)]
        if self.newest_first:
            words.append("--newest-first")
        if self.every_version:
            words.append("--all-versions")
        if self.max_items != DEFAULT_MAX_ITEMS:
            words += ["--max-items", str(self.max_items)]
        if self.shard is not None:
            words += ["--shard", str(self.shard)]
        if self.disclaimed is not None:
            words.append("--skip-disclaimed")
        if self.use_catalog and verb == "search":
            words.append("--use-catalog")
        return shlex.join(words)


def _degrees(number: float) -> str:
    """A number as short as it can be written, without an exponent."""
    return f"{number:.9f}".rstrip("0").rstrip(".")


def _is_midnight(moment: datetime) -> bool:
    return (moment.hour, moment.minute, moment.second, moment.microsecond) == (0, 0, 0, 0)


def _spellings(values: Sequence[str], *, as_numbers: bool) -> Sequence[str | int]:
    """Frames or tracks as they may be spelled; a number is also asked for without its leading zeros."""
    if as_numbers and all(value.isdecimal() for value in values):
        return [int(value) for value in values]
    return list(dict.fromkeys(form for value in values for form in (value, value.lstrip("0") or value)))


def parse_frames(text: str, letters: str = _LETTERS) -> tuple[str, ...]:
    """Read frame letters such as `C,D`, in any case, with commas or spaces or neither.

    Raises:
        InvalidRequestError: when one of them is not a frame.
    """
    found = [letter for letter in text.upper() if letter not in ", \t"]
    wrong = [letter for letter in found if letter not in letters]
    if wrong or not found:
        raise InvalidRequestError(
            f"'{text[:40]}' is not a list of frames", f"Use letters {letters[0]}-{letters[-1]}, as in C,D."
        )
    return tuple(sorted(set(found)))


def parse_orbits(text: str, letters: str = _LETTERS) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """Read `07655`, `07655C`, `8960-8970`, or a comma-separated list of them.

    Returns:
        ((first, last), ...) with both ends included, and the frame letters named (for one orbit only).

    Raises:
        InvalidRequestError: when it is none of these.
    """
    ranges: list[tuple[int, int]] = []
    frames: list[str] = []
    parts = [part for part in re.split(r"[,\s]+", text.strip()) if part]
    for part in parts:
        match = re.fullmatch(r"(\d{1,6})([A-Za-z])?(?:-(\d{1,6}))?", part)
        if match is None or (match[2] and (match[3] or len(parts) > 1)):
            raise InvalidRequestError(
                f"'{text[:40]}' is not an orbit", "Write 07655, 07655C, 8960-8970 or 8960,8962."
            )
        if match[2]:
            frames += parse_frames(match[2], letters)
        low = int(match[1])
        high = int(match[3]) if match[3] else low
        if high < low:
            raise InvalidRequestError(f"The orbit range '{part}' runs backwards", f"Write {high}-{low}.")
        ranges.append((low, high))
    if not ranges:
        raise InvalidRequestError("An empty --orbit finds nothing", "Write 07655 or 07655C.")
    return _merged(ranges), tuple(frames)


def _merged(ranges: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(high, merged[-1][1]))
        else:
            merged.append((low, high))
    return tuple(merged)


def format_orbits(orbits: Sequence[tuple[int, int]]) -> str:
    """The inverse of `parse_orbits`: `07655`, `08960-08970`, or a list."""
    return ",".join(f"{low:05d}" if low == high else f"{low:05d}-{high:05d}" for low, high in orbits)


def read_orbits(text: str, mission: Mission) -> tuple[tuple[tuple[int, int], ...], tuple[str, ...]]:
    """As `parse_orbits`, with the frames that the mission has.

    Raises:
        InvalidRequestError: when it is not an orbit, or names a letter where frames have none.
    """
    letters = mission.frames or ("" if mission.is_known else _LETTERS)
    if not letters and re.search(r"\d[A-Za-z]", text):
        raise InvalidRequestError(
            f"'{text[:40]}' names a frame, and orbits of {mission.name} are not cut into lettered frames",
            "Give the number of the orbit alone.",
        )
    return parse_orbits(text, letters or _LETTERS)


def read_frames(text: str, mission: Mission) -> tuple[str, ...]:
    """Read the frames of `--frame`: letters such as `C,D`, or numbers such as `192,193`.

    Raises:
        InvalidRequestError: when one of them is not a frame, or the mission has none.
    """
    if mission.frame_digits:
        return _parse_digits(text, mission.frame_digits, "F", "frames")
    if mission.frames:
        return parse_frames(text, mission.frames)
    if mission.is_known:
        raise InvalidRequestError(f"Orbits of {mission.name} are not cut into frames", "Leave --frame out.")
    return _parse_digits(text, 0, "F", "frames") if re.search(r"\d", text) else parse_frames(text)


def read_tracks(text: str, mission: Mission) -> tuple[str, ...]:
    """Read the track numbers of `--track`, such as `14` or `14,15`.

    Raises:
        InvalidRequestError: when one of them is not a number, or the mission has no tracks.
    """
    if not mission.track_digits and mission.is_known:
        raise InvalidRequestError(
            f"{mission.name} does not number its ground tracks",
            "Leave --track out" + ("; --orbit takes an orbit." if mission.has_orbits else "."),
        )
    return _parse_digits(text, mission.track_digits, "T", "tracks")


def _parse_digits(text: str, digits: int, prefix: str, what: str) -> tuple[str, ...]:
    parts = [part for part in re.split(r"[,\s]+", text.strip()) if part]
    numbers = [part[1:] if part[:1].upper() == prefix else part for part in parts]
    if not numbers or not all(re.fullmatch(r"[0-9]{1,6}", one) for one in numbers):
        raise InvalidRequestError(
            f"'{text[:40]}' is not a list of {what}", f"Write numbers, as in {'192'[: digits or 3]}."
        )
    return tuple(sorted({one.lstrip("0").zfill(max(digits, 1)) for one in numbers}))


def parse_formats(text: str, mission: Mission | None = None) -> tuple[str, ...]:
    """Read `h5`, `h5,hdr` or `all`, best first; a message names the formats of `mission`.

    Raises:
        InvalidRequestError: for a format that does not exist.
    """
    known = mission.all_formats if mission is not None else FORMAT_NAMES
    names = tuple(part.strip().lower().lstrip(".") for part in text.split(",") if part.strip())
    for name in names:
        if name != ALL and name not in FORMAT_NAMES:
            raise _unknown_format(name, known)
    if not names:
        raise InvalidRequestError("An empty --format finds nothing", f"Use one of {', '.join(known)}, all.")
    return (ALL,) if ALL in names else tuple(dict.fromkeys(names))


def _unknown_format(name: str, known: Sequence[str]) -> InvalidRequestError:
    return InvalidRequestError(f"'{name[:40]}' is not a file format", f"Use one of {', '.join(known)}, all.")


def parse_numbers(text: str, count: int, option: str, form: str) -> list[float]:
    """Read `count` comma-separated numbers.

    Raises:
        InvalidRequestError: with `option` and its `form` named.
    """
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(math.isfinite(number) for number in numbers):
        raise InvalidRequestError(f"{option} '{text[:40]}' is not {form}", f"Write {option}={form}.")
    return numbers
