"""What every mission of the archive fills in, and its nouns: series, granules, collections.

A series is one baseline of one product: a range of numbers on an axis. A granule is a number in a series.
All of it is computed and none of it stored.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from maap_tui.demo.orbit import ASCENDING, DAY, FAR_FUTURE, Axis, Track
from maap_tui.demo.ranges import Ranges

KIB = 1024

GEOJSON = "application/geo+json"

OPEN = ("PUBLIC", "ESA_open_and_free")
"""Keywords of a collection that everyone may download from."""

DELAYS_H = (1.0, 4.2, 38.4, 62.4, 93.6)
"""Hours from sensing to publication as real granules have them; each is as likely as the others."""
DELAY = 5 * DAY
"""Seconds after which every granule is published, whatever became of it."""


def compact(t: float) -> str:
    """A time as it stands in file names, whole seconds: 20250316T133058."""
    if t >= FAR_FUTURE:
        return "99999999T999999"
    return datetime.fromtimestamp(t, UTC).isoformat()[:19].replace("-", "").replace(":", "")


def iso(t: float) -> str:
    """A time as it stands in items, milliseconds and Z."""
    return datetime.fromtimestamp(t, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def plain(t: float) -> str:
    """A time as `datetime` and `updated` have it: without a fraction where there is none."""
    return iso(t).replace(".000Z", "Z")


class Mark:
    """Writes places into an item that a granule's own values are put into later."""

    def __call__(self, name: str) -> str:
        """A text to stand alone or within another one."""
        return f"@{name}@"

    def raw(self, name: str) -> str:
        """Something that is not text: a number, a list, an object."""
        return f"@#{name}@"


MARK = Mark()


class Mission:
    """One mission: what it archived, how that is named, and what its items say beyond the common part."""

    name = ""
    bucket = ""
    """First folders of its files below /data/."""
    extensions: tuple[str, ...] = ()
    """STAC extensions that its items declare."""
    is_listed = False
    """Whether its granules are listed one by one, so that their frames follow no rule."""

    def series(self, now: float) -> Iterator[Series]:
        """Every series as of a moment."""
        raise NotImplementedError

    def collections(self, series: Mapping[tuple[str, str], Series]) -> Iterator[Collection]:
        """Its collections, of the series it gave by product and baseline."""
        raise NotImplementedError

    def identity(self, granule: Granule) -> str:
        """The identifier of a granule, which is what its folder and files are named after."""
        raise NotImplementedError

    def read(self, item_id: str) -> tuple[str, str | None, str] | None:
        """(product, baseline or None, sensing start as `compact` writes it); None for another's name."""
        raise NotImplementedError

    def folder(self, granule: Granule) -> str:
        """Path of a granule's folder below /data/."""
        series = granule.series
        day = iso(granule.start)[:10].replace("-", "/")
        return f"{self.bucket}/{series.product}/{series.baseline}/{day}/{granule.id}"

    def home(self, granule: Granule) -> str:
        """Path below /data/ of what its files lie in, which is what a whole product is zipped from."""
        return f"{granule.folder}/{granule.id}"

    def files(self, granule: Granule) -> dict[str, int]:
        """Path below `home` to bytes of each file, the measurement first."""
        raise NotImplementedError

    def made(self, granule: Granule) -> float | None:
        """When a granule was processed, None for the rule that is common to all."""
        return None

    def track_number(self, granule: Granule) -> str | None:
        """Number of the repeating ground track, None where the mission has none."""
        return None

    def level(self, product: str) -> str | None:
        """Processing level, None for auxiliary files."""
        return None

    def instruments(self, product: str) -> tuple[str, ...]:
        """Instruments that a product is made of."""
        return ()

    def center(self, series: Series) -> str:
        """Where it was processed."""
        return ""

    def has_orbit(self, series: Series) -> bool:
        """Whether the catalogue knows orbit and ground track of its items."""
        return True

    def outline(self, series: Series, number: int) -> tuple[Track, bool]:
        """What a granule covers, and whether that is a closed ring with an inside and not a line."""
        return series.axis.track(number) or [], False

    def geometry(self, outline: Track, is_filled: bool) -> dict[str, Any]:
        """The GeoJSON of an outline."""
        return {"type": "LineString", "coordinates": positions(outline)}

    def properties(self, series: Series, frame: str | None) -> dict[str, Any]:
        """Properties beyond those every item has, with marks for what differs by granule."""
        return {}

    def assets(self, series: Series, frame: str | None, base: str, me: str) -> dict[str, Any]:
        """All assets, with marks.

        Args:
            series: whose assets.
            frame: frame of the granule.
            base: scheme and host of the archive.
            me: URL of the item.
        """
        raise NotImplementedError

    def links(self, series: Series) -> list[dict[str, Any]]:
        """Links beyond those every item has."""
        return []

    def facts(self, granule: Granule) -> dict[str, Any]:
        """Mark to value beyond those every item has."""
        return {}


@dataclass(frozen=True, eq=False)
class Series:
    """One baseline of one product."""

    mission: Mission
    product: str
    baseline: str
    axis: Axis
    first: int
    """Number of the first granule."""
    last: int
    """Number of the last granule, included, published or not."""
    now: float
    """Moment of the archive: what is published later is not in it."""
    versions: int = 1
    """Items a granule has, each with its own creation time."""
    campaign: float | None = None
    """Start of the reprocessing that made what was sensed before it; None when there was none."""

    @property
    def has_orbit(self) -> bool:
        """Whether the catalogue knows orbit and ground track of its items."""
        return self.mission.has_orbit(self)

    @cached_property
    def level(self) -> str | None:
        """Processing level, None for auxiliary files."""
        return self.mission.level(self.product)

    @cached_property
    def instruments(self) -> tuple[str, ...]:
        """Instruments the product is made of."""
        return self.mission.instruments(self.product)

    def direction(self, frame: str | None) -> str | None:
        """ASCENDING or DESCENDING at the start of a frame, None where there is no orbit."""
        if not self.has_orbit or frame is None:
            return None
        return "ASCENDING" if frame in ASCENDING else "DESCENDING"

    @cached_property
    def numbers(self) -> Ranges:
        """The numbers that are published, as ranges: of the last days some are there and some are not.

        While a reprocessing is published, that is so of all days.
        """
        settled = min(self.last, self.axis.last_starting(self.now - DELAY - self.versions * DAY / 4))
        if self.campaign is not None and self.now < self.campaign + CAMPAIGN_OVER:
            settled = self.first - 1
        found: Ranges = [(self.first, settled)] if settled >= self.first else []
        for number in range(max(self.first, settled + 1), self.last + 1):
            if Granule(self, number, self.versions - 1).updated <= self.now:
                if found and found[-1][1] == number - 1:
                    found[-1] = found[-1][0], number
                else:
                    found.append((number, number))
        return found

    def newest(self, back: int = 0) -> Granule:
        """The newest published granule, or the one so many before it."""
        for low, high in reversed(self.numbers):
            if back <= high - low:
                return Granule(self, int(high) - back)
            back -= int(high - low) + 1
        raise IndexError(back)

    def holds(self, number: int) -> bool:
        """Whether a number is published."""
        return any(low <= number <= high for low, high in self.numbers)

    @property
    def delay(self) -> float:
        """Seconds within which every granule of it is published and updated."""
        if self.campaign is None:
            return DELAY + self.versions * DAY / 4
        return max(DELAY, self.campaign + CAMPAIGN_OVER - self.axis.start(self.first))


CAMPAIGN_DAYS = 30
"""Days that a reprocessing took."""
CAMPAIGN_OVER = 90 * DAY
"""Seconds after the start of a reprocessing by which all of it is published."""


@dataclass(frozen=True)
class Granule:
    """One item of the archive."""

    series: Series
    number: int
    version: int = 0

    @cached_property
    def start(self) -> float:
        """Sensing start, seconds since 1970."""
        return self.series.axis.start(self.number)

    @cached_property
    def end(self) -> float:
        """Sensing end, seconds since 1970."""
        return self.series.axis.end(self.number)

    @cached_property
    def chance(self) -> int:
        """A number of 32 bits that is this granule's own."""
        return zlib.crc32(f"{self.series.product}{self.series.baseline}{self.number}".encode())

    @property
    def is_reprocessed(self) -> bool:
        """Whether it was sensed before its baseline was made."""
        return self.series.campaign is not None and self.start < self.series.campaign

    @cached_property
    def created(self) -> float:
        """When it was processed, whole seconds."""
        made = self.series.mission.made(self)
        if made is not None:
            return made
        if self.is_reprocessed:
            assert self.series.campaign is not None
            return float(int(self.series.campaign) + self.chance % (CAMPAIGN_DAYS * DAY))
        return float(int(self.start) + 1800 + self.chance % 1200 + self.version * DAY // 4)

    @cached_property
    def published(self) -> float:
        """When the archive had it, milliseconds."""
        if self.series.mission.is_listed:
            return self.created + 3600
        if self.is_reprocessed:
            return self.created + 28 * DAY + self.chance % (2 * DAY * 1000) / 1000
        hours = DELAYS_H[self.chance // 7 % len(DELAYS_H)] * (1 + self.chance // 41 % 200 / 1000)
        return round(int(self.start) + hours * 3600 + self.version * DAY / 4 + self.chance % 1000 / 1000, 3)

    @cached_property
    def updated(self) -> float:
        """When the catalogue last changed it, whole seconds."""
        return float(
            int(self.published) + 1 + (2 * DAY if self.is_reprocessed else self.chance // 3600 % 900)
        )

    @cached_property
    def size_factor(self) -> float:
        """From 1 to 1.37: by how much its measurement is larger than the smallest of its product."""
        return 1 + self.chance // 13 % 371 / 1000

    @property
    def orbit(self) -> int | None:
        """Absolute orbit as the catalogue indexes it, None where it does not."""
        return self.series.axis.orbit(self.number) if self.series.has_orbit else None

    @property
    def frame(self) -> str | None:
        """Frame, None for products without frames."""
        return self.series.axis.frame(self.number)

    @property
    def direction(self) -> str | None:
        """ASCENDING or DESCENDING at the start, None where there is no orbit."""
        return self.series.direction(self.frame)

    @cached_property
    def id(self) -> str:
        """Item identifier, which is the stem of the file names."""
        return self.series.mission.identity(self)

    @cached_property
    def folder(self) -> str:
        """Path of its folder below /data/."""
        return self.series.mission.folder(self)

    @cached_property
    def home(self) -> str:
        """Path below /data/ of what its files lie in."""
        return self.series.mission.home(self)

    @cached_property
    def files(self) -> dict[str, int]:
        """Path below `home` to bytes of each file of it, the measurement first."""
        return self.series.mission.files(self)

    @property
    def outline(self) -> tuple[Track, bool] | None:
        """What it covers and whether that has an inside, None where the catalogue knows nothing of it."""
        return self.series.mission.outline(self.series, self.number) if self.series.has_orbit else None


@dataclass(frozen=True)
class Collection:
    """A collection and the series it lists."""

    id: str
    mission: Mission
    series: tuple[Series, ...]
    rights: tuple[str, ...] = OPEN
    """Keywords of who may download."""
    hides_orbits: bool = False
    """Whether orbit and direction are kept out of its queryables."""

    @property
    def restricted(self) -> bool:
        """Whether its files are for nobody with the demo token."""
        return "RESTRICTED" in self.rights

    @property
    def products(self) -> list[str]:
        return sorted({series.product for series in self.series})

    @property
    def baselines(self) -> list[str]:
        return sorted({series.baseline.lower() for series in self.series})

    @property
    def has_orbit(self) -> bool:
        """Whether orbit number and direction are queryables of it."""
        return any(series.has_orbit for series in self.series) and not self.hides_orbits

    @property
    def has_frame(self) -> bool:
        """Whether frame is a queryable of it."""
        return any(series.axis.frame(series.first) for series in self.series)


def positions(track: Track) -> list[list[float]]:
    """GeoJSON positions, longitudes between -180 and 180."""
    return [[round((lon + 180) % 360 - 180, 6), round(lat, 6)] for lon, lat in track]


def bbox_of(track: Track) -> list[float]:
    """The box around it; west is greater than east where it crosses 180 degrees (RFC 7946 section 5.2)."""
    lons, lats = [lon for lon, _ in track], [lat for _, lat in track]
    west, east = min(lons), max(lons)
    if east - west >= 360:
        west, east = -180.0, 180.0
    else:
        west, east = ((lon + 180) % 360 - 180 for lon in (west, east))
    return [round(west, 6), round(min(lats), 6), round(east, 6), round(max(lats), 6)]
