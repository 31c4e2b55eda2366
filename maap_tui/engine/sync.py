"""Search -> registry -> downloads: what is found is registered at once, what is pending is fetched."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING

from maap_tui.engine.downloads import Downloads, Report, Tracked
from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.events import Warned
from maap_tui.engine.missions import format_of, parse_name
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry import Entry, Key
from maap_tui.engine.search import FailedDay, Page
from maap_tui.engine.transfer import Wanted

if TYPE_CHECKING:
    from maap_tui.engine.session import Session


@dataclass(slots=True)
class SyncReport:
    """What a sync found and fetched."""

    query: Query
    keys: list[Key] = field(default_factory=list)
    """Baselines that took part."""
    found: int = 0
    """Files the archive has in the range."""
    new: int = 0
    """Of them, not known to the registry before."""
    already: int = 0
    """Files of the range that the registry had as downloaded."""
    pending: int = 0
    """Files that were to be fetched, those that earlier runs left included."""
    held_back: int = 0
    """Pending files beyond `max_items`, left for another run."""
    failed_days: list[FailedDay] = field(default_factory=list)
    bad_items: int = 0
    downloads: Report = field(default_factory=Report)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which lines of a registry are meant: what a query says, judged by file names."""

    formats: tuple[str, ...]
    span: TimeRange | None = None
    orbits: tuple[tuple[int, int], ...] = ()
    frames: tuple[str, ...] = ()

    @property
    def first_day(self) -> date | None:
        return self.span.first_day if self.span else None

    @property
    def last_day(self) -> date | None:
        return self.span.last_day if self.span else None

    def accepts(self, entry: Entry) -> bool:
        """Whether a line is meant; a name that says nothing is judged by its day alone."""
        if "all" not in self.formats and self.formats and format_of(entry.url) not in self.formats:
            return False
        name = parse_name(entry.url)
        if name is None:
            return not (self.orbits or self.frames)
        if self.span and name.sensing_start not in self.span:
            return False
        if self.orbits and not any(
            name.orbit is not None and low <= name.orbit <= high for low, high in self.orbits
        ):
            return False
        return not (self.frames and name.frame not in self.frames)


def pending_of(session: Session, keys: Iterable[Key], selection: Selection) -> list[tuple[Key, Entry]]:
    """Discovered and not downloaded, of several baselines, oldest first."""
    found = [
        (key, entry)
        for key in keys
        for entry in session.registry.baseline(key).pending_downloads(selection.first_day, selection.last_day)
        if selection.accepts(entry)
    ]
    return sorted(found, key=lambda one: (one[1].day, one[1].url))


async def register(session: Session, granules: Sequence[Granule], formats: tuple[str, ...]) -> int:
    """Write the files of granules into the registry as discovered; returns how many are new."""
    return await asyncio.to_thread(_register, session, granules, formats)


def _register(session: Session, granules: Sequence[Granule], formats: tuple[str, ...]) -> int:
    by_key: dict[Key, list[Entry]] = defaultdict(list)
    for granule in granules:
        key = session.key_of(granule)
        for asset in granule.files(formats):
            path = session.path_of(granule, asset.name)
            by_key[key].append(Entry(asset.href, str(path), granule.day))
    new = 0
    for key, entries in by_key.items():
        added = session.registry.baseline(key).add(entries)
        new += added.new
        for entry, reason in added.refused:
            session.emit(Warned(f"Not registered: {entry.url[:120]!a} ({reason})"))
    return new


async def sync(
    session: Session,
    query: Query,
    *,
    max_items: int,
    product_dir: bool = False,
    max_consecutive_failures: int | None = None,
) -> SyncReport:
    """Register all that the archive has in the query's range, and fetch what is pending there.

    What earlier runs left in the range is pending too, also when today's search fails or no longer
    finds it.
    """
    report = SyncReport(query)
    formats = session.formats_of(query)
    keys: set[Key] = set()
    search = session.search(query.replace(max_items=10_000_000))
    room = max_items
    async with session.downloads(max_consecutive_failures) as downloads:
        async for page in search:
            new, wanted = await asyncio.to_thread(_take_page, session, page, formats, keys, report)
            report.new += new
            for granule_wanted, tracked in wanted:
                if product_dir:
                    granule_wanted = session.in_product_dir(granule_wanted)
                if room > 0 and downloads.add(granule_wanted, tracked):
                    room -= 1
                    report.pending += 1
                elif granule_wanted.url not in downloads.jobs:
                    report.held_back += 1
        report.failed_days = search.failed
        report.bad_items = len(search.bad_items)
        keys |= set(session.tracked_keys(query.collection, query.product_type, query.baseline))
        selection = Selection(formats, search.range or query.time, query.orbits, query.frames)
        left = await asyncio.to_thread(pending_of, session, sorted(keys), selection)
        left = [one for one in left if one[1].url not in downloads.jobs]
        for key, entry in session.only_newest(query.product_type, left, query.every_version):
            if room <= 0:
                report.held_back = len(left)
                break
            if queue_entry(session, downloads, key, entry, product_dir=product_dir):
                room -= 1
                report.pending += 1
        report.downloads = await downloads.join()
    for key in sorted(keys):
        # Another program may have rewritten a day's file from an older copy while this one ran.
        await asyncio.to_thread(session.registry.baseline(key).reassert)
    report.keys = sorted(keys)
    return report


def queue_entry(
    session: Session, downloads: Downloads, key: Key, entry: Entry, *, product_dir: bool = False
) -> bool:
    """Queue a line of the registry; a path that cannot be is reported and left."""
    try:
        wanted = session.wanted_of_entry(key, entry, product_dir=product_dir)
    except InvalidRequestError as error:
        session.emit(Warned(f"Left in the registry: {error.message}"))
        return False
    return downloads.add(wanted, Tracked(key, entry.day))


def _take_page(
    session: Session, page: Page, formats: tuple[str, ...], keys: set[Key], report: SyncReport
) -> tuple[int, list[tuple[Wanted, Tracked]]]:
    """Register a page; returns what is new in it and what of it has to be fetched."""
    new = _register(session, page.granules, formats)
    pending: dict[Key, dict[date, set[str]]] = defaultdict(dict)
    wanted: list[tuple[Wanted, Tracked]] = []
    for granule in page.granules:
        key = session.key_of(granule)
        keys.add(key)
        days = pending[key]
        if granule.day not in days:
            entries = session.registry.baseline(key).pending_downloads(granule.day, granule.day)
            days[granule.day] = {entry.url for entry in entries}
        for asset in granule.files(formats):
            report.found += 1
            if asset.href in days[granule.day]:
                wanted.append((session.wanted_of(granule, asset), Tracked(key, granule.day)))
            else:
                report.already += 1
    return new, wanted
