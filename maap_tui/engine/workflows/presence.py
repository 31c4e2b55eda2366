"""What registry and disk say of granules that a search found: here, marked, deleted, missing or new."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol, TypeVar

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Asset, Granule
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.workflows.parts import Parts

_ORDER = ("queued", "failed", "missing", "new", "deleted", "marked", "here")
"""States of files, the one that a granule of several is called by first."""

HAD = frozenset(("here", "marked", "deleted"))
"""States of granules that need not be fetched: they are here, or a clean-up deleted them."""


class Found(Protocol):
    """A granule that a search found."""

    @property
    def granule(self) -> Granule: ...

    @property
    def files(self) -> Sequence[Asset]:
        """The files of it that are wanted."""


T = TypeVar("T", bound=Found)

DayOf = tuple[Key, date]
"""A baseline's day: the unit that states are looked up in."""


def worst_of(states: Iterable[str], default: str) -> str:
    """The state that a granule with files in these states is called by; `default` for no file."""
    return min(states, key=_ORDER.index, default=default)


def by_day(parts: Parts, results: Iterable[T]) -> dict[DayOf, list[T]]:
    """Results by the day file of the registry that holds their state, without those that have none."""
    keys: dict[tuple[str, str, str, str], Key | None] = {}
    days: dict[DayOf, list[T]] = defaultdict(list)
    for result in results:
        granule = result.granule
        names = (granule.mission, granule.collection, granule.product_type, granule.baseline)
        if names not in keys:
            try:
                keys[names] = parts.filing.key_of(granule)
            except InvalidRequestError:
                keys[names] = None
        key = keys[names]
        if key is not None:
            days[key, granule.day].append(result)
    return days


def look_at_disk(
    parts: Parts, days: Mapping[DayOf, Sequence[T]], *, queued: Collection[str] = ()
) -> list[tuple[T, str, bool]]:
    """The states of results by registry and disk: (result, state, whether all of it is on disk).

    It reads files: call it from a thread.

    Args:
        parts: the engine.
        days: the results, as `by_day` gives them.
        queued: URLs that are in the queue.
    """
    found = []
    spans: dict[Key, tuple[date, date]] = {}
    for key, day in days:
        low, high = spans.get(key, (day, day))
        spans[key] = min(low, day), max(high, day)
    for key, (low, high) in spans.items():
        wanted = {day for other, day in days if other == key}
        registry = parts.registry.baseline(key)
        downloaded: dict[date, dict[str, str]] = defaultdict(dict)
        marked: set[str] = set()
        # Of a baseline that cannot be read the disk alone says what is here.
        with parts.registry.skip_unreadable():
            for entry in registry.downloads(low, high):
                if entry.day in wanted:
                    downloaded[entry.day][entry.url] = entry.path
            marked = {path for path, day in registry.marked(low, high) if day in wanted}
        for day in wanted:
            folders: dict[str, frozenset[str]] = {}
            for result in days[key, day]:
                states = []
                here = bool(result.files)
                for asset in result.files:
                    path = downloaded[day].get(asset.href)
                    expected = path or _path_of(parts, result.granule, asset)
                    is_there = bool(expected) and _is_there(expected, folders)
                    here = here and is_there
                    if asset.href in queued:
                        states.append("queued")
                    elif expected in marked:
                        states.append("marked" if is_there else "deleted")
                    elif is_there:
                        states.append("here")
                    else:
                        states.append("missing" if path else "new")
                found.append((result, worst_of(states, "new"), here))
    return found


@dataclass(frozen=True, slots=True)
class _Pair:
    granule: Granule
    files: Sequence[Asset]


def not_here(parts: Parts, granules: Sequence[Granule], formats: tuple[str, ...]) -> list[Granule]:
    """Those of the granules that were not downloaded, or are gone without a clean-up, in their order.

    It reads files: call it from a thread.
    """
    results = [_Pair(granule, granule.files(formats)) for granule in granules]
    had = {
        id(result.granule) for result, state, _ in look_at_disk(parts, by_day(parts, results)) if state in HAD
    }
    return [granule for granule in granules if id(granule) not in had]


def files_there(tracked: Iterable[TrackedFile]) -> list[TrackedFile]:
    """Those of downloaded files that are still on disk; it reads folders."""
    folders: dict[str, frozenset[str]] = {}
    return [file for file in tracked if file.path and _is_there(file.path, folders)]


def _path_of(parts: Parts, granule: Granule, asset: Asset) -> str:
    """Where a file would go, '' for one whose name is refused."""
    try:
        return str(parts.filing.request_of(granule, asset).path)
    except InvalidRequestError:
        return ""


def _is_there(path: str, folders: dict[str, frozenset[str]]) -> bool:
    folder, name = os.path.split(path)
    names = folders.get(folder)
    if names is None:
        try:
            names = frozenset(os.listdir(folder))
        except OSError:
            names = frozenset()
        folders[folder] = names
    return name in names
