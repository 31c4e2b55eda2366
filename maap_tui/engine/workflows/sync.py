"""Search -> registry -> downloads: what is found is registered at once, what is pending is fetched."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import ParamSpec, TypeVar

from maap_tui.engine.catalogue.search import FailedDay, Search
from maap_tui.engine.catalogue.skipped import SkippedItem, by_key
from maap_tui.engine.download.downloads import Downloads, Report, Tracked
from maap_tui.engine.download.transfer import Wanted
from maap_tui.engine.errors import InvalidRequestError, LockedError, MaapError, NoLockError
from maap_tui.engine.events import Emit, ItemSkipped, Warned, ignore
from maap_tui.engine.missions import granule_name, has_format, parse_name
from maap_tui.engine.model import Asset, Granule, TimeRange, to_zulu
from maap_tui.engine.query import Query
from maap_tui.engine.registry.registry import MISSING_FOR, BaselineRegistry, Entry, Key, Registry, Stats
from maap_tui.engine.storage import files
from maap_tui.engine.workflows.filing import Chosen, Filing

P = ParamSpec("P")
T = TypeVar("T")

_LOCK_POLL_S = 0.25
_FILES_WAIT_S = 0.1
"""Seconds until work that found too many files open is tried again."""
_REWRITE_S = 0.05
"""Seconds that another program may take to rewrite a file of the registry."""

_LOOKS = 10
"""How often lines that another program took away are written again before it is left to the next run."""


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
    undecided: int = 0
    """Files of days whose lists in the registry cannot be read: nobody knows whether they are downloaded."""
    refused: int = 0
    """Files of the range that cannot be registered, because of their names or of the data folder's."""
    pending: int = 0
    """Files that were to be fetched, those that earlier runs left included."""
    held_back: int = 0
    """Pending files beyond `max_items`, left for another run."""
    failed_days: list[FailedDay] = field(default_factory=list)
    lacking: InvalidRequestError | None = None
    """Says that no granule found has a file in the formats meant; None otherwise."""
    skipped: list[SkippedItem] = field(default_factory=list)
    """Items of the archive that could not be used."""
    downloads: Report = field(default_factory=Report)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which lines of a registry are meant: what a query says, judged by file names."""

    formats: tuple[str, ...]
    """Formats meant; () and `("all",)` take every file."""
    span: TimeRange | None = None
    """Sensing starts meant; None means all."""
    orbits: tuple[tuple[int, int], ...] = ()
    """Absolute orbits meant as (first, last) pairs, both included; () means all."""
    frames: tuple[str, ...] = ()
    """Frames meant; () means all."""
    every_version: bool = False
    """Whether older processings of the same granule are meant too, see `Query.every_version`."""
    tracks: tuple[str, ...] = ()
    """Track numbers meant; () means all."""

    @classmethod
    def of_query(cls, query: Query, formats: tuple[str, ...], span: TimeRange | None = None) -> Selection:
        """What a query means, in the span that is searched where that is another than its own."""
        return cls(formats, span or query.time, query.orbits, query.frames, query.every_version, query.tracks)

    @property
    def first_day(self) -> date | None:
        return self.span.first_day if self.span else None

    @property
    def last_day(self) -> date | None:
        return self.span.last_day if self.span else None

    def accepts(self, entry: Entry) -> bool:
        """Whether a line is meant; a name that says nothing is judged by its day alone."""
        if self.formats and not any(has_format(entry.url, name) for name in self.formats):
            return False
        name = parse_name(entry.url)
        if name is None:
            return not (self.orbits or self.frames or self.tracks)
        if self.span and name.sensing_start not in self.span:
            return False
        if self.orbits and not any(
            name.orbit is not None and low <= name.orbit <= high for low, high in self.orbits
        ):
            return False
        if self.tracks and name.track not in self.tracks:
            return False
        return not (self.frames and name.frame not in self.frames)


def stats_of(tracker: BaselineRegistry, span: TimeRange | None = None) -> Stats:
    """Counts of one baseline, of the sensing starts in `span` or of all."""
    if span is None:
        return tracker.stats()
    first, last = span.first_day, span.last_day
    if all(moment.time() == datetime.min.time() for moment in (span.start, span.end)):
        return tracker.stats(first, last)
    selection = Selection((), span)
    urls = {entry.url for entry in tracker.urls(first, last) if selection.accepts(entry)}
    rows = [entry for entry in tracker.downloads(first, last) if selection.accepts(entry)]
    done = {entry.url for entry in rows}
    paths = {entry.path for entry in rows if entry.path}
    marked = {path for path, day in tracker.marked(first, last) if selection.accepts(Entry(path, path, day))}
    gone = {path for day in {entry.day for entry in rows} for path in tracker.deleted(day)} & marked
    return Stats(
        len(urls),
        len(done),
        len(marked),
        len(tracker.errors()),
        len(urls - done),
        len(paths - marked),
        sum(entry.path in gone for entry in rows),
    )


def pending_of(filing: Filing, keys: Iterable[Key], selection: Selection) -> list[tuple[Key, Entry]]:
    """Discovered and not downloaded, of several baselines, oldest first."""
    found: list[tuple[Key, Entry]] = []
    for key in keys:
        with filing.registry.going_on():
            entries = filing.registry.baseline(key).pending_downloads(selection.first_day, selection.last_day)
            found += [(key, entry) for entry in entries if selection.accepts(entry)]
    found.sort(key=lambda one: (one[1].day, one[1].url))
    return found


def first_granules(entries: Sequence[tuple[Key, Entry]], count: int | None) -> list[tuple[Key, Entry]]:
    """The lines of the first `count` granules, all of them for None."""
    if count is None:
        return list(entries)
    room = Room(count)
    return [one for one in entries if room.has(one[1].url)]


class Room:
    """The granules that files are fetched of, no more than so many."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._granules: set[str] = set()

    def has(self, url: str) -> bool:
        """Whether a file belongs to one of them; a granule that is new takes a place while there is one."""
        granule = granule_name(url)
        if len(self._granules) < self._most:
            self._granules.add(granule)
        return granule in self._granules


@dataclass(slots=True)
class Filed:
    """What came of registering some granules."""

    files: list[tuple[Wanted, Tracked]] = field(default_factory=list)
    """The files that the registry follows now."""
    new: int = 0
    refused: int = 0


async def register(
    filing: Filing, granules: Sequence[Granule], formats: tuple[str, ...], *, emit: Emit = ignore
) -> Filed:
    """Write the files of granules into the registry as discovered."""
    return await asyncio.to_thread(_register, filing, granules, Chosen(formats), emit)


def _register(filing: Filing, granules: Sequence[Granule], chosen: Chosen, emit: Emit) -> Filed:
    filed = Filed()

    def refuse(asset: Asset, error: InvalidRequestError) -> None:
        filed.refused += 1
        emit(_not_registered(asset.href, error.message))

    by_key: dict[Key, list[Entry]] = defaultdict(list)
    for granule in granules:
        filed.files += filing.tracked_files_of(granule, chosen.files(granule), refuse=refuse)
    for wanted, tracked in filed.files:
        by_key[tracked.key].append(Entry(wanted.url, str(wanted.path), tracked.day))
    for key, entries in by_key.items():
        added = filing.registry.baseline(key).add(entries)
        filed.new += added.new
        for entry, reason in added.refused:
            filed.refused += 1
            emit(_not_registered(entry.url, reason))
        refused = {entry.url for entry, _ in added.refused}
        filed.files = [one for one in filed.files if one[0].url not in refused]
    return filed


def record_skipped(filing: Filing, search: Search, emit: Emit = ignore) -> None:
    """List the items that a search could not use in the registry, and take off what it found usable or gone.

    Only a search that was not cut and has no gaps can tell what is gone.
    """
    query = search.query
    mission = filing.mission_of(query.collection).name
    found = by_key(search.skipped.values(), mission, query.collection)
    meant = Selection((), search.range or query.time, query.orbits, query.frames)
    has_seen_all = search.is_complete and not query.areas()[0]
    for key in found.keys() | set(filing.tracked_keys(query.collection, query.product_type, query.baseline)):
        tracker = filing.registry.baseline(key)
        listed = {one.url: one.reason for one in found.get(key, ())}
        old = [url for url in tracker.skipped() if url not in listed]
        gone = [url for url in old if has_seen_all and _is_meant(meant, url)]
        refused = tracker.record_skipped(listed, gone)
        for url, reason in refused:
            emit(Warned(f"Not listed in errors.txt: {url[:120]!a} ({reason})"))


def _is_meant(selection: Selection, url: str) -> bool:
    """Whether an item's address tells that a selection means it; one that tells nothing is not meant."""
    name = parse_name(url)
    return name is not None and selection.accepts(Entry(url, "", name.sensing_start.date()))


@asynccontextmanager
async def alone(
    registry: Registry, keys: Iterable[Key], wait_s: float, *, emit: Emit = ignore
) -> AsyncIterator[None]:
    """Be the only sync of these baselines, here and on every host that shares the registry.

    Args:
        registry: where the locks are.
        keys: the baselines, locked in one order so that two of us never wait for each other.
        wait_s: longest wait for the other one, in seconds; 0 for none.
        emit: told once that there is something to wait for.

    Raises:
        LockedError: another sync was not over by then; the message names its process, host and start.
    """
    deadline = time.monotonic() + wait_s
    is_told = False
    with ExitStack() as held:
        for key in sorted(set(keys)):
            while True:
                try:
                    held.enter_context(registry.sync_lock(key, "sync"))
                    break
                except NoLockError:
                    raise
                except LockedError as error:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        hint = "Run again when it is over, or wait for it with --lock-wait SECONDS."
                        raise LockedError(error.message, hint) from None
                    if not is_told:
                        emit(Warned(f"{error.message}; waiting up to {wait_s:g} s for it"))
                        is_told = True
                await asyncio.sleep(min(left, _LOCK_POLL_S))
        yield


async def sync(
    filing: Filing,
    search: Search,
    downloads: Downloads,
    *,
    formats: tuple[str, ...],
    max_items: int,
    product_dir: bool = False,
    emit: Emit = ignore,
    is_waited_for: bool = True,
) -> SyncReport:
    """Register all that a search finds, and fetch what is pending in its range.

    What earlier runs left in the range is pending too, also when today's search fails or no longer
    finds it.

    Args:
        filing: where files belong.
        search: a search that is not cut, so that everything is registered.
        downloads: a queue that records into the same registry.
        formats: formats meant.
        max_items: granules at most of which files are fetched.
        product_dir: whether each file gets a folder named after its stem.
        emit: told of lines that cannot be registered or fetched.
        is_waited_for: whether to wait for the downloads; without it the report says nothing of them.
    """
    query = search.query
    report = SyncReport(query)
    keys: set[Key] = set()
    missing = _Missing(filing, downloads)
    room = Room(max_items)
    chosen = Chosen(formats)
    async with aclosing(aiter(search)) as pages:
        async for page in pages:
            pending = await _outlast(downloads, _take_page, filing, page.granules, chosen, keys, report, emit)
            for wanted, tracked in pending:
                if missing.has(tracked.key, wanted.url) or not room.has(wanted.url):
                    continue
                report.pending += downloads.add(
                    filing.in_product_dir(wanted) if product_dir else wanted, tracked
                )
    report.failed_days = search.failed
    report.lacking = chosen.error()
    if warning := chosen.warning():
        emit(Warned(warning))
    report.skipped = list(search.skipped.values())
    await _outlast(downloads, record_skipped, filing, search, emit)
    names = (query.collection, query.product_type, query.baseline)
    keys |= set(await _outlast(downloads, filing.tracked_keys, *names))
    selection = Selection.of_query(query, formats, search.range)
    left = await _outlast(downloads, pending_of, filing, sorted(keys), selection)
    if not query.every_version:
        # What is queued already takes part in the choice among versions, and is left out only then.
        left = await _outlast(downloads, filing.only_newest, query.product_type, sorted(keys), left)
    left = [
        (key, entry)
        for key, entry in left
        if entry.url not in downloads.jobs and not missing.has(key, entry.url)
    ]
    for key, entry in left:
        if not room.has(entry.url):
            report.held_back += 1
            continue
        report.pending += queue_entry(filing, downloads, key, entry, product_dir=product_dir, emit=emit)
    if is_waited_for:
        report.downloads = await downloads.join()
    await _keep_lines(filing, sorted(keys), wait_s=_REWRITE_S if report.new else 0.0)
    report.keys = sorted(keys)
    return report


async def _outlast(downloads: Downloads, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Do work of the disk in a thread, again while transfers hold all files that may be open at once."""
    while True:
        try:
            return await asyncio.to_thread(work, *args, **options)
        except (OSError, MaapError) as error:
            if not (files.is_out_of_files(error) and downloads.active):
                raise
        await asyncio.sleep(_FILES_WAIT_S)


class _Missing:
    """The files that the archive said within the last day it does not have: each reported, none asked for."""

    def __init__(self, filing: Filing, downloads: Downloads) -> None:
        self._filing = filing
        self._downloads = downloads
        self._known: dict[Key, dict[str, datetime]] = {}
        self._told: set[str] = set()

    def has(self, key: Key, url: str) -> bool:
        if key not in self._known:
            self._known[key] = self._filing.registry.baseline(key).missing(datetime.now(UTC))
        at = self._known[key].get(url)
        if at is not None and url not in self._told:
            self._told.add(url)
            again = to_zulu((at + MISSING_FOR).replace(microsecond=0))
            reason = f"the archive does not have it; not asked for again before {again}"
            self._downloads.refuse(url, reason, permanent=True)
        return at is not None


async def _keep_lines(filing: Filing, keys: Sequence[Key], wait_s: float) -> None:
    """See to it that no other program, rewriting a day's file from an older copy, has taken lines away.

    Its copy may be older than the newest line and not be written yet, hence a wait before each look.
    """
    for _ in range(_LOOKS):
        await asyncio.sleep(wait_s)
        wait_s = _REWRITE_S
        missing = [await asyncio.to_thread(filing.registry.baseline(key).reassert) for key in keys]
        if not any(missing):
            return


def queue_entry(
    filing: Filing,
    downloads: Downloads,
    key: Key,
    entry: Entry,
    *,
    product_dir: bool = False,
    emit: Emit = ignore,
) -> bool:
    """Queue a line of the registry; a path that cannot be is reported and left."""
    try:
        wanted = filing.wanted_of_entry(key, entry, product_dir=product_dir)
    except InvalidRequestError as error:
        emit(left_in_registry(entry, error))
        return False
    return downloads.add(wanted, Tracked(key, entry.day))


def _not_registered(url: str, reason: str) -> ItemSkipped:
    return ItemSkipped(f"{url[:120]!a}", url, f"not registered: {reason}", permanent=True)


def left_in_registry(entry: Entry, error: InvalidRequestError) -> ItemSkipped:
    """That a line of the registry names no file that can be fetched."""
    return ItemSkipped(f"{entry.url[:120]!a}", entry.url, f"left in the registry: {error.message}")


def _take_page(
    filing: Filing,
    granules: Sequence[Granule],
    chosen: Chosen,
    keys: set[Key],
    report: SyncReport,
    emit: Emit,
) -> list[tuple[Wanted, Tracked]]:
    """Register a page and count it; returns what of it has to be fetched."""
    filed = _register(filing, granules, chosen, emit)
    pending: dict[tuple[Key, date], set[str]] = {}
    wanted: list[tuple[Wanted, Tracked]] = []
    undecided = 0
    for file, tracked in filed.files:
        key, day = tracked.key, tracked.day
        keys.add(key)
        if (key, day) not in pending:
            entries = filing.registry.baseline(key).pending_downloads(day, day)
            pending[key, day] = {entry.url for entry in entries}
        if file.url in pending[key, day]:
            wanted.append((file, tracked))
        else:
            undecided += filing.registry.baseline(key).is_unreadable(day)
    report.undecided += undecided
    report.found += len(filed.files) + filed.refused
    report.refused += filed.refused
    report.new += filed.new
    report.already += len(filed.files) - len(wanted) - undecided
    return wanted
