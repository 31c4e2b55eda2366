"""The nouns: collection, granule, asset, baseline, time range; plain data made from what was served."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import UTC, date, datetime, timedelta
from typing import Any

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.file_names import ALL, LEAP_SECOND, has_format
from maap_tui.engine.geometry import Footprint, centre_line
from maap_tui.text import clean

PICTURES = frozenset({"jpeg", "jpg", "png", "gif", "webp"})
"""Suffixes of files that can be looked at."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A half-open span of UTC time: `start` belongs to it, `end` does not."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name, value in (("start", self.start), ("end", self.end)):
            if value.tzinfo is None:
                raise InvalidRequestError(
                    f"'{name}' must be timezone-aware", "Use datetime(..., tzinfo=timezone.utc)."
                )
            # Days are cut and named in UTC, wherever the times came from.
            object.__setattr__(self, name, value.astimezone(UTC))

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def __str__(self) -> str:
        return f"{to_zulu(self.start)} to {to_zulu(self.end)}"

    @property
    def last_day(self) -> date:
        """The last calendar day that the range touches."""
        return (self.end - timedelta(microseconds=1)).date()

    @property
    def first_day(self) -> date:
        return self.start.date()

    @property
    def duration(self) -> timedelta:
        return self.end - self.start

    @property
    def is_empty(self) -> bool:
        """Whether it holds no moment, as what is left of a range outside of a mission."""
        return self.start >= self.end

    def of(self, day: date) -> timedelta:
        """How much of a day is in the range."""
        whole = TimeRange.of_day(day)
        return max(timedelta(), min(self.end, whole.end) - max(self.start, whole.start))

    def days(self) -> Iterator[TimeRange]:
        """Cut the range at UTC midnights, oldest first."""
        start = self.start
        while start < self.end:
            midnight = datetime(start.year, start.month, start.day, tzinfo=UTC) + timedelta(days=1)
            yield TimeRange(start, min(midnight, self.end))
            start = midnight

    def halves(self) -> tuple[TimeRange, TimeRange]:
        """Cut the range in the middle, at a whole second."""
        middle = self.start + timedelta(seconds=self.duration // timedelta(seconds=2))
        return TimeRange(self.start, middle), TimeRange(middle, self.end)

    @classmethod
    def of_day(cls, day: date) -> TimeRange:
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return cls(start, start + timedelta(days=1))


@dataclass(frozen=True, slots=True)
class Collection:
    """A collection as the catalogue describes it."""

    id: str
    title: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    restricted: bool = False
    """Whether its keywords say that only some users may download from it."""
    start: datetime | None = None
    end: datetime | None = None
    """None while the collection still grows, or when the catalogue does not say."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One file of a granule."""

    key: str
    """The asset's key in the item; it says nothing reliable about the content."""
    href: str
    name: str
    """File name on disk."""
    format: str
    """One of `FORMATS`, `OTHER`, or '' for what is not of the product: previews, catalogue records."""
    size: int | None = None
    """Bytes, None when the catalogue does not say."""
    media_type: str = ""
    roles: tuple[str, ...] = ()
    checksum: str = ""
    """Multihash of the file in hex, as `file:checksum` has it; '' when the catalogue does not say it."""

    @property
    def is_picture(self) -> bool:
        """Whether it can be looked at: by its suffix, since a header may call itself an image too."""
        suffix = self.name.lower().rpartition(".")[2]
        return suffix in PICTURES if "." in self.name else self.media_type in ("image/jpeg", "image/png")


@dataclass(frozen=True, slots=True, repr=False)
class Granule:
    """One product of one stretch of an orbit, with its files."""

    id: str
    collection: str
    mission: str
    product_type: str
    baseline: str
    """As archived, upper case for EarthCARE."""
    sensing_start: datetime
    """UTC."""
    sensing_end: datetime | None = None
    created: datetime | None = None
    """Processing time, UTC; None when neither name nor item says it."""
    orbit: int | None = None
    frame: str | None = None
    """A letter, or digits where the mission numbers its frames."""
    orbit_state: str | None = None
    """ASCENDING, DESCENDING or None."""
    geometry: Mapping[str, Any] | None = None
    """GeoJSON, ground track or footprint in degrees; None when the item has none."""
    assets: tuple[Asset, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    """All properties as served."""
    bbox: tuple[float, float, float, float] | None = None
    """West, south, east, north in degrees; west is greater than east across 180 degrees. None without one."""
    published: datetime | None = None
    """When the archive had it, UTC; None when the item does not say it."""
    updated: datetime | None = None
    """When the catalogue last changed the item, UTC; None when the item does not say it."""
    track_number: str | None = None
    """Number of the repeating ground track, digits; None where the mission has none."""
    doi: str | None = None
    """What it is cited by, `10.57780/eca-94b4e53`; None when the item does not say it."""

    def __repr__(self) -> str:
        # All of its item would fill a notebook.
        return clean(f"Granule({self.collection}/{self.id})")

    @property
    def day(self) -> date:
        """The sensing day, which is the day the granule is filed under."""
        return self.sensing_start.date()

    @property
    def orbit_frame(self) -> str:
        """`07655C`, `07655`, or '' without an orbit; a frame that is a number is not part of it."""
        return orbit_frame(self.orbit, self.frame)

    @property
    def track_frame(self) -> str:
        """`T014_F192`, or '' where the mission has no track numbers."""
        if self.track_number is None:
            return ""
        return f"T{self.track_number}" + (f"_F{self.frame}" if self.frame else "")

    def files(self, formats: Sequence[str]) -> list[Asset]:
        """The assets wanted: those of the first format that the granule has, or every file for `all`.

        The zip file of a whole granule is among all its files only where there is nothing else.
        """
        data = list({asset.href: asset for asset in self.assets if asset.format}.values())
        for wanted in formats:
            if wanted == ALL:
                return [asset for asset in data if asset.format != "zip"] or data
            found = [asset for asset in data if has_format(asset.href, wanted)]
            if found:
                return found
        return []

    @property
    def track(self) -> list[tuple[float, float]]:
        """(longitude, latitude) in degrees along the flight direction.

        The ground track, or the line down the middle of the outline of a swath; [] without either.
        """
        return centre_line(self.geometry, self.orbit_state)

    @property
    def footprint(self) -> Footprint | None:
        """What it covers: its geometry, or its bounding box where it has none; None without either."""
        return Footprint.of(self.geometry, self.bbox)

    @property
    def quicklook(self) -> Asset | None:
        """A picture of it: the overview, or the thumbnail; None when it has none."""
        return quicklook_of(asset for asset in self.assets if asset.is_picture)


def quicklook_of(pictures: Iterable[Asset]) -> Asset | None:
    """The one to show of the pictures of a granule: the overview, or the thumbnail; None when it has none."""
    pictures = list(pictures)
    return next((asset for asset in pictures if "overview" in asset.roles), None) or next(
        (asset for asset in pictures if "thumbnail" in asset.roles or "quicklook" in asset.key), None
    )


DOI_PATTERN = r"10\.\d{4,9}/[!-~]{1,200}"
"""A DOI alone (ISO 26324)."""

RECORD_TIMES = ("sensing_start", "sensing_end", "created", "published", "updated")
"""The moments of a record."""
RECORD_FIELDS = (
    "id", "url", "collection", "mission", "product_type", "baseline", "sensing_start", "sensing_end",
    "created", "orbit", "frame", "orbit_state", "size", "format", "geometry", "bbox", "track",
    "published", "updated", "quicklook", "doi",
)  # fmt: skip
"""The names in a record, in order."""


def granule_record(granule: Granule, asset: Asset) -> dict[str, Any]:
    """One file of a granule, ready for JSON, as `maap search --json` prints it.

    Times are ISO 8601 in UTC, sizes bytes, `geometry` GeoJSON and `bbox` west, south, east, north in degrees,
    `track` longitude and latitude in degrees along the flight direction, to 0.1 m; None is what the item does
    not say.
    """
    moments = {name: getattr(granule, name) for name in RECORD_TIMES}
    said = {name: to_zulu(moment) if moment else None for name, moment in moments.items()}
    quicklook = granule.quicklook
    return {
        "id": granule.id,
        "url": asset.href,
        "collection": granule.collection,
        "mission": granule.mission,
        "product_type": granule.product_type,
        "baseline": granule.baseline,
        "sensing_start": said["sensing_start"],
        "sensing_end": said["sensing_end"],
        "created": said["created"],
        "orbit": granule.orbit,
        "frame": granule.frame,
        "orbit_state": granule.orbit_state,
        "size": asset.size,
        "format": asset.format,
        "geometry": granule.geometry,
        "bbox": granule.bbox,
        "track": [(round(longitude, 6), round(latitude, 6)) for longitude, latitude in granule.track],
        "published": said["published"],
        "updated": said["updated"],
        "quicklook": quicklook.href if quicklook else None,
        "doi": granule.doi,
    }


@dataclass(frozen=True, slots=True)
class BaselineInfo:
    """What a built catalogue knows of one baseline."""

    time_start: datetime | None = None
    time_end: datetime | None = None
    """Sensing start of the first and the last granule; None for an empty baseline."""
    frame_start: str | None = None
    frame_end: str | None = None
    """Orbit and frame of the first and the last granule, `07655C`; None without an orbit."""
    count: int = 0
    updated_at: datetime | None = None

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BaselineInfo:
        """Read the entry of a built catalogue; what it has besides is left out.

        Raises:
            ValueError: when a time or the count cannot be read.
        """

        def moment(name: str) -> datetime | None:
            value = data.get(name)
            if isinstance(value, datetime):
                return value
            return parse_zulu(value) if isinstance(value, str) and value else None

        def text(name: str) -> str | None:
            value = data.get(name)
            return value if isinstance(value, str) and value else None

        return cls(
            time_start=moment("time_start"),
            time_end=moment("time_end"),
            frame_start=text("frame_start"),
            frame_end=text("frame_end"),
            count=int(data.get("count") or 0),
            updated_at=moment("updated_at"),
        )

    def to_dict(self, sort_keys: bool | None = None, dedupe_str_lists: bool | None = None) -> dict[str, Any]:
        """The entry of a built catalogue, ready for JSON; frames that are not there are left out.

        Args:
            sort_keys: whether the keys are sorted.
            dedupe_str_lists: as in maap-client; an entry has no lists.
        """
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is None and one.name.startswith("frame_"):
                continue
            found[one.name] = to_zulu(value) if isinstance(value, datetime) else value
        return dict(sorted(found.items())) if sort_keys else found

    @property
    def time_range(self) -> TimeRange | None:
        """From the first to the last sensing start, the last included."""
        if self.time_start is None or self.time_end is None:
            return None
        return TimeRange(self.time_start, self.time_end + timedelta(seconds=1))


def orbit_frame(orbit: int | None, frame: str | None) -> str:
    """`07655C`, `07655`, or '' without an orbit."""
    if orbit is None:
        return ""
    return f"{orbit:05d}" + (frame if frame and frame.isalpha() else "")


def to_zulu(moment: datetime) -> str:
    """`2025-03-16T13:30:58Z`, with a fraction only where there is one."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat().removesuffix("+00:00") + "Z"


def parse_zulu(text: str) -> datetime:
    """Read an ISO 8601 time; without a zone it is UTC, and a leap second is the second before it.

    Raises:
        ValueError: when the text is not a time.
    """
    text = text.strip()
    if "60" in text:
        text = LEAP_SECOND.sub(r"\g<1>59", text)
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
