"""Missions of which a few granules are listed one by one, with their files in whatever folders they have."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from maap_tui.demo.missions.base import MARK, Collection, Granule, Mission, Series, compact, positions
from maap_tui.demo.orbit import Track


@dataclass(frozen=True)
class File:
    """One file of a granule."""

    key: str
    """Key of its asset; '' for a file that only the zip file of the granule has."""
    path: str
    """Below the granule's home; `{stem}` and `{full}` stand for the granule's names in lower case."""
    media_type: str
    role: str
    size: int


@dataclass(frozen=True)
class Entry:
    """One granule as it is listed."""

    id: str
    folder: str
    """Below /data/."""
    start: float
    end: float
    created: float
    line: Track
    """Centre of what it shows."""
    width: float = 0.0
    """Degrees of longitude that the swath is wide; 0 for a line."""
    orbit: int | None = None
    track: str | None = None
    frame: str | None = None
    stem: str = ""
    """What its measurement files are named after; '' for its id."""


class ListedAxis:
    """The entries of one series in the order of their start."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        self.entries = sorted(entries, key=lambda one: (one.start, one.id))
        self.cycle = len(self.entries)
        self._starts = [one.start for one in self.entries]
        self._ends = [one.end for one in self.entries]
        self._orbits = [one.orbit or 0 for one in self.entries]

    def start(self, k: int) -> float:
        return self._starts[k]

    def end(self, k: int) -> float:
        return self._ends[k]

    def orbit(self, k: int) -> int | None:
        return self.entries[k].orbit

    def frame(self, k: int) -> str | None:
        return self.entries[k].frame

    def last_starting(self, t: float) -> int:
        return bisect_right(self._starts, t) - 1

    def first_ending(self, t: float) -> int:
        return bisect_left(self._ends, t)

    def numbers_of_orbits(self, first: int, last: int) -> tuple[int, int] | None:
        return bisect_left(self._orbits, first), bisect_right(self._orbits, last) - 1

    def numbers_at(self, t: float) -> range:
        return range(bisect_left(self._starts, t), bisect_left(self._starts, t + 1))

    def track(self, k: int) -> Track | None:
        return self.entries[k % self.cycle].line


@dataclass(frozen=True)
class Listing:
    """The entries of one baseline of one product in one collection."""

    collection: str
    product: str
    baseline: str
    level: str
    files: tuple[File, ...]
    entries: list[Entry] = field(default_factory=list)


class ListedMission(Mission):
    """A mission that is filled by `listings`."""

    is_listed = True
    instrument = ""
    has_zip = True
    """Whether a granule is to be had whole."""
    has_own_folder = True
    """Whether the files lie in a folder named after the granule."""
    hides_orbits = False

    def __init__(self) -> None:
        self._listings = {(one.product, one.baseline): one for one in self.listings()}

    def listings(self) -> list[Listing]:
        """What it archived."""
        raise NotImplementedError

    def series(self, now: float) -> Iterator[Series]:
        for listing in self._listings.values():
            entries = [one for one in listing.entries if one.created + 7200 <= now]
            if entries:
                axis = ListedAxis(entries)
                yield Series(self, listing.product, listing.baseline, axis, 0, len(entries) - 1, now)

    def collections(self, series: Mapping[tuple[str, str], Series]) -> Iterator[Collection]:
        members: dict[str, list[Series]] = {}
        for key, one in series.items():
            members.setdefault(self._listings[key].collection, []).append(one)
        for name, listed in members.items():
            yield Collection(name, self, tuple(listed), hides_orbits=self.hides_orbits)

    def entry(self, series: Series, number: int) -> Entry:
        """What is listed of one granule."""
        axis = series.axis
        assert isinstance(axis, ListedAxis)
        return axis.entries[number]

    def listing(self, series: Series) -> Listing:
        """What is listed of a series."""
        return self._listings[series.product, series.baseline]

    def identity(self, granule: Granule) -> str:
        return self.entry(granule.series, granule.number).id

    def read(self, item_id: str) -> tuple[str, str | None, str] | None:
        for (product, baseline), listing in self._listings.items():
            for one in listing.entries:
                if one.id == item_id:
                    return product, baseline, compact(one.start)
        return None

    def folder(self, granule: Granule) -> str:
        return self.entry(granule.series, granule.number).folder

    def home(self, granule: Granule) -> str:
        return f"{granule.folder}/{granule.id}" if self.has_own_folder else granule.folder

    def made(self, granule: Granule) -> float | None:
        return self.entry(granule.series, granule.number).created

    def files(self, granule: Granule) -> dict[str, int]:
        names = self.facts(granule)
        return {
            file.path.format(**names): file.size
            for file in self.listing(granule.series).files
            if not file.path.startswith("public/")
        }

    def track_number(self, granule: Granule) -> str | None:
        return self.entry(granule.series, granule.number).track

    def level(self, product: str) -> str | None:
        return next(one.level for one in self._listings.values() if one.product == product)

    def instruments(self, product: str) -> tuple[str, ...]:
        return (self.instrument,)

    def outline(self, series: Series, number: int) -> tuple[Track, bool]:
        entry = self.entry(series, number % series.axis.cycle)
        if not entry.width:
            return entry.line, False
        half = entry.width / 2
        ring = [(lon - half, lat) for lon, lat in entry.line]
        ring += [(lon + half, lat) for lon, lat in reversed(entry.line)]
        return [*ring, ring[0]], True

    def geometry(self, outline: Track, is_filled: bool) -> dict[str, Any]:
        if not is_filled:
            return super().geometry(outline, is_filled)
        return {"type": "Polygon", "coordinates": [positions(outline)]}

    def assets(self, series: Series, frame: str | None, base: str, me: str) -> dict[str, Any]:
        folder, name = MARK("folder"), MARK("id")
        home = f"{folder}/{name}" if self.has_own_folder else folder
        found: dict[str, Any] = {}
        if self.has_zip:
            found["product"] = {
                "href": f"{base}/data/zipper/{home}",
                "type": "application/zip",
                "file:local_path": f"{name}.zip",
                "auth:refs": ["oidc"],
                "roles": ["archive"],
            }
        marks = {one: MARK(one) for one in ("stem", "full", "name")}
        for file in self.listing(series).files:
            if not file.key:
                continue
            is_public = file.path.startswith("public/")
            path = f"{folder if is_public else home}/{file.path.format(**marks)}"
            found[file.key] = {
                "href": f"{base}/data/{path}",
                "type": file.media_type,
                "roles": [file.role],
            }
            if not is_public:
                size = MARK.raw(f"size_{file.key}")
                found[file.key] |= {"auth:refs": ["oidc"], "file:size": size}
        return found

    def facts(self, granule: Granule) -> dict[str, Any]:
        entry = self.entry(granule.series, granule.number)
        sizes = {f"size_{file.key}": file.size for file in self.listing(granule.series).files}
        stem = (entry.stem or entry.id).lower()
        return {"stem": stem, "full": entry.id.lower(), "name": entry.id, **sizes}
