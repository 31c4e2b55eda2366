"""Search -> registry -> downloads: what is found is registered at once, what is pending is fetched."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import ExitStack, aclosing, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from maap_tui.engine.catalogue.search import FailedDay, Search
from maap_tui.engine.catalogue.skipped import SkippedItem
from maap_tui.engine.download.downloads import Downloads
from maap_tui.engine.download.jobs import Report
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import InvalidRequestError, LockedError, MaapError, NoLockError
from maap_tui.engine.events import Emit, Warned, ignore
from maap_tui.engine.model import Granule, to_zulu
from maap_tui.engine.net.statuses import GONE
from maap_tui.engine.query import Query
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.lines import MISSING_FOR
from maap_tui.engine.registry.registry import Registry
from maap_tui.engine.storage import files
from maap_tui.engine.workflows.done import Done
from maap_tui.engine.workflows.filing import Chosen, Filing
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.pending import (
    Room,
    left_in_registry,
    pending_of,
)
from maap_tui.engine.workflows.register import record_skipped, register_now
from maap_tui.engine.workflows.searching import UNCUT, search

if TYPE_CHECKING:
    from maap_tui.engine.hooks import Hook
    from maap_tui.engine.workflows.arrivals import Arrivals, Kind

UNREAD_DAYS = "days whose lists in the registry cannot be read"

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
    held_days: set[tuple[Key, date]] = field(default_factory=set)
    """Their baselines and sensing days."""
    failed_days: list[FailedDay] = field(default_factory=list)
    lacking: InvalidRequestError | None = None
    """Says that no granule found has a file in the formats meant; None otherwise."""
    skipped: list[SkippedItem] = field(default_factory=list)
    """Items of the archive that could not be used."""
    wanted: dict[str, DownloadRequest] = field(default_factory=dict)
    """URL -> file that a dry run would have fetched, in order; a run that fetches leaves it empty."""
    downloads: Report = field(default_factory=Report)
    since: datetime | None = None
    """From when on was asked, in the archive's time, by a sync since the last one; None for another one."""
    is_first: bool = False
    """Whether a sync since the last one found no cursor."""
    arrived: Counter[Kind] = field(default_factory=Counter)
    """Granules of each kind that a sync since the last one had to fetch."""
    hook_failures: list[str] = field(default_factory=list)
    """`name: reason` of hooks that failed, which stay owed."""


@asynccontextmanager
async def exclusive_sync(
    registry: Registry, keys: Iterable[Key], wait_s: float, *, part: str = "", emit: Emit = ignore
) -> AsyncIterator[None]:
    """Be the only sync of these baselines, here and on every host that shares the registry.

    Args:
        registry: where the locks are.
        keys: the baselines, locked in one order so that two of us never wait for each other.
        wait_s: longest wait for the other one, in seconds; 0 for none.
        part: the shard of the granules that is synced, beside others of the same baselines; '' for all.
        emit: takes one event when there is something to wait for.

    Raises:
        LockedError: another sync was not over by then; the message names its process, host and start.
    """
    deadline = time.monotonic() + wait_s
    is_reported = False
    with ExitStack() as held:
        for key in sorted(set(keys)):
            while True:
                try:
                    held.enter_context(registry.sync_lock(key, "sync", part))
                    break
                except NoLockError:
                    raise
                except LockedError as error:
                    left = deadline - time.monotonic()
                    if left <= 0:
                        hint = "Run again when it is over, or wait for it with --lock-wait SECONDS."
                        raise LockedError(error.message, hint) from None
                    if not is_reported:
                        emit(Warned(f"{error.message}; waiting up to {wait_s:g} s for it"))
                        is_reported = True
                await asyncio.sleep(min(left, _LOCK_POLL_S))
        yield


async def _outlast(downloads: Downloads, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """Do work of the disk in a thread, again while transfers hold all open files or memory there are."""
    while True:
        try:
            return await asyncio.to_thread(work, *args, **options)
        except (OSError, MaapError, MemoryError, RuntimeError) as error:
            if not (files.is_starved(error) and downloads.active):
                raise
        await asyncio.sleep(_FILES_WAIT_S)


class Missing:
    """The files that the archive said within the last day it does not have: each reported, none asked for."""

    def __init__(self, filing: Filing, downloads: Downloads) -> None:
        self._filing = filing
        self._downloads = downloads
        self._known: dict[Key, dict[str, datetime]] = {}
        self._reported: set[str] = set()

    def has(self, file: TrackedFile) -> bool:
        """Whether it is one of them; the first time it is asked for, it is reported."""
        key, url = file.key, file.url
        if key not in self._known:
            self._known[key] = self._filing.registry.baseline(key).missing(datetime.now(UTC))
        at = self._known[key].get(url)
        if at is not None and url not in self._reported:
            self._reported.add(url)
            again = to_zulu((at + MISSING_FOR).replace(microsecond=0))
            reason = f"the archive does not have it; not asked for again before {again}"
            self._downloads.refuse(url, reason, permanent=True)
        return at is not None


async def keep_lines(filing: Filing, keys: Sequence[Key], *, is_new: bool) -> None:
    """See to it that no other program, rewriting a day's file from an older copy, has taken lines away.

    Its copy may be older than the newest line and not be written yet, hence a wait before each look.

    Args:
        filing: the registry.
        keys: the baselines that lines were written of.
        is_new: whether lines may have been written a moment ago.
    """
    wait_s = _REWRITE_S if is_new else 0.0
    for _ in range(_LOOKS):
        await asyncio.sleep(wait_s)
        wait_s = _REWRITE_S
        missing = [await asyncio.to_thread(filing.registry.baseline(key).reassert) for key in keys]
        if not any(missing):
            return


def _take_page(
    filing: Filing,
    granules: Sequence[Granule],
    chosen: Chosen,
    keys: set[Key],
    done: Done,
    report: SyncReport,
    emit: Emit,
    *,
    is_dry: bool,
) -> list[DownloadRequest]:
    """Register a page and count it; returns what of it has to be fetched."""
    filed = register_now(filing, granules, chosen, emit, is_dry=is_dry)
    wanted: list[DownloadRequest] = []
    undecided = filed.undecided
    tracked = [(request, request.tracked) for request in filed.files if request.tracked is not None]
    for request, file in tracked:
        keys.add(file.key)
        is_done = done.has(file)
        undecided += is_done is None
        if is_done is False:
            wanted.append(request)
    done.leave_all_but(file for _, file in tracked)
    report.undecided += undecided
    report.found += len(filed.files) + filed.refused + filed.undecided
    report.refused += filed.refused
    report.new += filed.new
    report.already += len(filed.files) + filed.undecided - len(wanted) - undecided
    return wanted


async def sync(
    parts: Parts,
    query: Query,
    *,
    max_items: int | None = None,
    product_dir: bool | None = None,
    max_consecutive_failures: int | None = None,
    into: Downloads | None = None,
    hook: Hook | None = None,
    since_last: timedelta | None = None,
) -> SyncReport:
    """Register what the archive has in the query's range and fetch what is pending there.

    What earlier runs left in the range is pending too, also when today's search fails or no longer
    finds it. A sync since the last one has no range: it asks for what has arrived, see `arrivals`.

    Args:
        parts: the engine.
        query: what to find; everything is registered, whatever its `max_items`.
        max_items: granules at most of which files are fetched; None for those of the query.
        product_dir: whether each file gets a folder named after its stem; None takes the setting.
        max_consecutive_failures: files failing in a row that end the run; None for no such limit.
        into: the queue where the files go, which is not waited for; None for one of its own.
        hook: the command to run after each file, or each day; what earlier runs left owed is run too.
        since_last: how far back the first sync looks that has no last one; None for a sync of the range.

    Raises:
        LockedError: another sync of a baseline meant here was not over in time.
        InvalidRequestError: for unknown names.
        CatalogError: when the names cannot be checked.
    """
    queryables = await parts.catalogue.patient().check(query.collection, query.product_type, query.baseline)
    names = [query.baseline] if query.baseline else queryables.baselines
    keys = [key for name in names for key in _keys_of(parts, query, name.upper())]
    wait_s = parts.settings.downloads.lock_wait
    hooking = None
    if hook is not None:
        # Most runs have none: a command that starts need not know of hooks.
        from maap_tui.engine.workflows.hooking import Hooking

        meant = (query.collection, query.product_type, query.baseline or "all", query.shard or "")
        hooking = Hooking(parts, hook, f"sync {' '.join(map(str, meant))}".strip())
    downloads = into or parts.downloads(max_consecutive_failures, verb="sync", watcher=hooking)
    async with (
        exclusive_sync(parts.registry, keys, wait_s, part=str(query.shard or ""), emit=parts.emit),
        hooking or nullcontext(),
        nullcontext() if into else downloads,
    ):
        arrivals = None if since_last is None else await _arrivals(parts, query, since_last)
        report, undone = await _sync(
            parts,
            arrivals or search(parts, query.replace(max_items=UNCUT), wait_for_service=True),
            downloads,
            arrivals=arrivals,
            room=Room(max_items or query.max_items),
            product_dir=parts.in_product_dir(product_dir),
            is_waited_for=into is None,
        )
        if hooking is not None:
            windows = [failed.window for failed in report.failed_days if failed.window is not None]
            days = {part.first_day for window in windows for part in window.days()}
            await hooking.finish(
                downloads, report.held_days | {(key, day) for key in report.keys for day in days}
            )
            report.hook_failures = hooking.failures
        if arrivals is not None and into is None and not report.undecided and report.lacking is None:
            await asyncio.to_thread(arrivals.move, undone)
        return report


async def _arrivals(parts: Parts, query: Query, first: timedelta) -> Arrivals:
    """What has arrived since the last sync; loaded for those who ask alone."""
    from maap_tui.engine.workflows.arrivals import Arrivals

    return await Arrivals.of(parts, query, first=first)


async def _sync(
    parts: Parts,
    search: Search | Arrivals,
    downloads: Downloads,
    *,
    arrivals: Arrivals | None,
    room: Room,
    product_dir: bool,
    is_waited_for: bool = True,
    is_dry: bool = False,
) -> tuple[SyncReport, list[tuple[date, datetime | None]]]:
    """Returns the report, and day and arrival of each file that has arrived and is to come in a later run."""
    filing, emit, query = parts.filing, parts.emit, search.query
    formats = parts.formats_of(query)
    report = SyncReport(query)
    keys: set[Key] = set()
    missing = Missing(filing, downloads)
    done = Done(filing.registry, reads_discovered=is_dry)
    chosen = Chosen(formats)
    taken = report.wanted if is_dry else downloads.jobs
    discovered: dict[str, TrackedFile] = {}
    awaited: dict[str, tuple[date, datetime | None]] = {}
    if arrivals is not None:
        report.since, report.is_first = arrivals.since, arrivals.is_first
    async with aclosing(aiter(search)) as pages:
        async for page in pages:
            wanted = await _outlast(
                downloads,
                _take_page,
                filing,
                page.granules,
                chosen,
                keys,
                done,
                report,
                emit,
                is_dry=is_dry,
            )
            if arrivals is not None:
                urls = {request.url for request in wanted}
                for granule in page.granules:
                    if came := [one.href for one in granule.files(formats) if one.href in urls]:
                        report.arrived[arrivals.kind_of(granule)] += 1
                        awaited |= dict.fromkeys(came, (granule.day, arrivals.stamp_of(granule)))
            for request in wanted:
                file = request.tracked
                if is_dry and file is not None:
                    discovered[file.url] = file
                if file is not None and missing.has(file):
                    awaited.pop(request.url, None)
                    continue
                if not room.has(request.url):
                    if arrivals is not None and file is not None:
                        report.held_back += 1
                        report.held_days.add((file.key, file.day))
                    continue
                request = filing.in_product_dir(request) if product_dir else request
                report.pending += _add(request, downloads, report.wanted if is_dry else None)
    report.failed_days = search.failed
    report.lacking = chosen.error()
    if warning := chosen.warning():
        emit(Warned(warning))
    report.skipped = list(search.skipped.values())
    if not is_dry:
        await _outlast(downloads, record_skipped, filing, search, emit)
    names = (query.collection, query.product_type, query.baseline)
    keys |= set(await _outlast(downloads, filing.tracked_keys, *names))
    span = search.range
    if query.missing or span is None or span.is_empty:
        # A search of nothing says nothing of what earlier runs left in the range.
        span = query.time
    meant = query.replace(formats=formats, time=span)
    left: list[TrackedFile] = []
    if arrivals is None:
        # What has arrived and is not here is found again by the next run, as the cursor waits for it.
        left = await _outlast(downloads, pending_of, filing, sorted(keys), meant, discovered)
    if not query.every_version:
        # What is queued already takes part in the choice among versions, and is left out only then.
        left = await _outlast(downloads, filing.only_newest, query.product_type, sorted(keys), left)
    for file in left:
        if file.url in taken or missing.has(file):
            continue
        if not room.has(file.url):
            report.held_back += 1
            report.held_days.add((file.key, file.day))
            continue
        try:
            request = filing.request_of_tracked(file, product_dir=product_dir)
        except InvalidRequestError as error:
            emit(left_in_registry(file.url, error))
            continue
        report.pending += _add(request, downloads, report.wanted if is_dry else None)
    report.keys = sorted(keys)
    if is_dry:
        return report, []
    if is_waited_for:
        report.downloads = await downloads.join()
    await keep_lines(filing, report.keys, is_new=report.new > 0)
    over = {*report.downloads.downloaded, *report.downloads.skipped}
    over |= {one.url for one in report.downloads.failed if one.status in GONE}
    return report, [one for url, one in awaited.items() if url not in over]


def _add(request: DownloadRequest, downloads: Downloads, wanted: dict[str, DownloadRequest] | None) -> bool:
    """Queue a file, or list it as wanted; whether it was not there yet."""
    if wanted is None:
        return downloads.add(request)
    return wanted.setdefault(request.url, request) is request


async def would_sync(
    parts: Parts,
    query: Query,
    *,
    product_dir: bool | None = None,
    since_last: timedelta | None = None,
) -> SyncReport:
    """What `sync` would do now, with the files that it would fetch; needs no token and writes nothing.

    Raises:
        InvalidRequestError: for unknown names.
        CatalogError: when they cannot be checked.
    """
    await parts.catalogue.check(query.collection, query.product_type, query.baseline)
    arrivals = None if since_last is None else await _arrivals(parts, query, since_last)
    async with parts.downloads(verb="sync") as downloads:
        report, _ = await _sync(
            parts,
            arrivals or search(parts, query.replace(max_items=UNCUT)),
            downloads,
            arrivals=arrivals,
            room=Room(query.max_items),
            product_dir=parts.in_product_dir(product_dir),
            is_dry=True,
        )
    return report


def _keys_of(parts: Parts, query: Query, baseline: str) -> list[Key]:
    """The key of a baseline; none for a name that no registry could have."""
    try:
        mission = parts.mission_of(query.collection).name
        return [Key(mission, query.collection, query.product_type, baseline)]
    except InvalidRequestError:
        return []
