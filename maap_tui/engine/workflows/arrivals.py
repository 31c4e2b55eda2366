"""Arrivals: what came to the archive since the last run, whenever it was sensed.

A sensing range of some days misses granules that come late, and those that are processed again. They are
asked for by the time at which the archive had or changed them, from some days before the newest that is
known, as an item may be found only days after the time that it gives. Where the archive cannot be asked by
that time, the granules of each sensing day are counted, and the days searched whose count is another one.

The cursor is a time of the archive, never of this machine. It moves once all that arrived before it is
downloaded, or gone from the archive; a run that ends before leaves it where it is.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Final, Literal

from maap_tui.engine.catalogue.cursors import Cursor, Cursors
from maap_tui.engine.catalogue.reader import Page
from maap_tui.engine.catalogue.requests import ArrivalsUnknown
from maap_tui.engine.catalogue.search import FailedDay, Search
from maap_tui.engine.catalogue.skipped import SkippedItem
from maap_tui.engine.config.settings import DEFAULT_DAYS_BACK
from maap_tui.engine.download.requests import DownloadRequest
from maap_tui.engine.errors import (
    CatalogError,
    InvalidRequestError,
    MaapError,
    NetworkSetupError,
    StorageError,
)
from maap_tui.engine.events import Noted, Warned
from maap_tui.engine.model import Granule, TimeRange, to_zulu
from maap_tui.engine.query import Arrived, Query
from maap_tui.engine.together import together
from maap_tui.engine.workflows.coverage import archive_days, runs_of, whole_days
from maap_tui.engine.workflows.done import Done
from maap_tui.engine.workflows.filing import Chosen
from maap_tui.engine.workflows.parts import Parts
from maap_tui.engine.workflows.searching import UNCUT, run_of

Kind = Literal["new", "late", "reprocessed"]

NEW: Final = "new"
LATE: Final = "late"
REPROCESSED: Final = "reprocessed"
KINDS: tuple[Kind, ...] = (NEW, LATE, REPROCESSED)
"""What arrives, in the order in which it is said."""

LATE_AFTER = timedelta(days=DEFAULT_DAYS_BACK)
"""From sensing to arrival: what comes later is missed by a sync of the usual days."""

REPROCESSED_AFTER = timedelta(days=30)
"""From sensing to processing: what is made later was made before, of an older baseline or version."""

FIRST = timedelta(days=DEFAULT_DAYS_BACK)
"""How far back the first run looks."""


def kind_of(granule: Granule) -> Kind:
    """What a granule is among those that arrive, by the times that its item says."""
    sensed = granule.sensing_end or granule.sensing_start
    arrived = granule.published or granule.updated
    made = granule.created or arrived
    if made is not None and made - sensed > REPROCESSED_AFTER:
        return REPROCESSED
    return LATE if arrived is not None and arrived - sensed > LATE_AFTER else NEW


class Arrivals:
    """What has arrived since a cursor: iterate it for pages, then read what it has to report."""

    def __init__(
        self,
        parts: Parts,
        query: Query,
        cursor: Cursor | None,
        *,
        first: timedelta = FIRST,
        since: datetime | None = None,
    ) -> None:
        """Take what to ask for; ask nothing.

        Args:
            parts: the engine.
            query: what is meant; its time limits the sensing starts.
            cursor: what the last run left; None for the first one.
            first: how far back the first run looks; it takes all of the query's time where that has one.
            since: the moment to look from in place of the cursor; None for the cursor.
        """
        self._asked = query
        self.query = query.replace(max_items=UNCUT)
        self._parts = parts
        self._cursor = cursor
        self._since = since
        self._overlap = timedelta(days=parts.settings.search.overlap)
        self._by = ""
        self._newest: datetime | None = None
        self._days: Mapping[date, int] | None = None
        begin = parts.now() - first if query.time is None else None
        self._floor = since or (cursor.floor if cursor is not None else begin)
        self.is_first = cursor is None and since is None
        """Whether no run before has left a cursor."""
        self.failed: list[FailedDay] = []
        """What is missing from the result."""
        self.skipped: dict[str, SkippedItem] = {}
        """Items that could not be used, by what distinguishes them."""
        self.range: TimeRange | None = None
        """No sensing time is searched as a whole."""
        self.is_complete = False
        """Whether it saw everything of its sensing time, which it never does."""
        self._is_held = False
        """Whether the cursor stays, as it is there and could not be read."""

    @classmethod
    async def of(
        cls, parts: Parts, query: Query, *, first: timedelta = FIRST, since: datetime | None = None
    ) -> Arrivals:
        """What has arrived since the last run; where its cursor cannot be read, as in a first one."""
        cursor, problem = None, ""
        if since is None:
            try:
                cursor = await asyncio.to_thread(cursors_of(parts).load, query)
            except StorageError as error:
                problem = error.message
        found = cls(parts, query, cursor, first=first, since=since)
        if problem:
            found._is_held = True
            parts.emit(Warned(f"{problem}; this is taken for a first run, and the cursor stays as it is"))
        return found

    @property
    def since(self) -> datetime | None:
        """What it looks from, in the archive's time, without what it looks at again; None for all."""
        if self._cursor is not None and self._since is None:
            return self._cursor.until
        return self._floor

    def __aiter__(self) -> AsyncGenerator[Page, None]:
        return self._pages()

    async def _pages(self) -> AsyncGenerator[Page, None]:
        query = self.query
        known = await self._parts.catalogue.patient().check(
            query.collection, query.product_type, query.baseline
        )
        reason = "the collection has no time of arrival to ask by"
        if known.stamp is not None:
            self._by = known.stamp[1]
            try:
                is_done = False
                async with aclosing(self._by_arrival()) as pages:
                    async for page in pages:
                        is_done = True
                        yield page
                if is_done or self.failed or self.skipped or not await self._is_doubtful():
                    return
                reason = "the catalogue does not find by the time of arrival what it has"
            except ArrivalsUnknown as error:
                reason = error.message
        self._by, self._newest = "", None
        self._parts.emit(Noted(f"Each sensing day is counted, since {reason}"))
        async with aclosing(self._by_count()) as pages:
            async for page in pages:
                yield page

    @property
    def _has_seen_some(self) -> bool:
        """Whether the run before saw something, which is among what is asked for again."""
        cursor = self._cursor
        return self._since is None and cursor is not None and cursor.by == self._by and bool(cursor.by)

    async def _is_doubtful(self) -> bool:
        """Whether something should have been found by the time of arrival."""
        if self._has_seen_some:
            return True
        if self._floor is None:
            return False
        # What was sensed since then has arrived since then.
        span = TimeRange(self._floor, max(self._parts.now(), self._floor + timedelta(seconds=1)))
        if self.query.time is not None:
            begin, end = max(span.start, self.query.time.start), min(span.end, self.query.time.end)
            if begin >= end:
                return False
            span = TimeRange(begin, end)
        return await run_of(self._parts, self.query.replace(time=span), trusting=True).finds_any()

    async def _by_arrival(self) -> AsyncGenerator[Page, None]:
        """Ask for what arrived from some days before the newest that is known."""
        cursor, query = self._cursor, self.query
        after = self._floor
        if self._has_seen_some and cursor is not None and cursor.until is not None:
            after = cursor.until - self._overlap
            after = after if self._floor is None else max(after, self._floor)
        if after is not None:
            query = query.replace(arrived=Arrived(after, self._parts.now()))
        run = run_of(
            self._parts, query, wait_for_service=True, trusting=after is not None, divided=after is None
        )
        async with aclosing(self._read(run)) as pages:
            async for page in pages:
                yield page

    async def _by_count(self) -> AsyncGenerator[Page, None]:
        """Count each sensing day, and search those whose count is another than that of the last run."""
        parts, query, cursor = self._parts, self.query, self._cursor
        known = cursor.days if cursor is not None else {}
        is_whole = not (query.time or query.frames or query.tracks or query.shard)
        counts = await archive_days(parts, query, known, keep=is_whole)
        self._days = counts
        if cursor is not None and cursor.is_counted and self._since is None:
            days = {day for day, count in counts.items() if known.get(day) != count}
        elif self._since is not None or (cursor is None and self._floor is not None):
            assert self._floor is not None
            begin = (self._floor - (LATE_AFTER if self._since else timedelta())).date()
            days = {day for day in counts if day >= begin}
            if self._since is not None:
                parts.emit(Warned(f"Granules that were sensed before {begin} are not looked at"))
        else:
            days = set(counts)
        for first, last in runs_of(days):
            span = whole_days(first, last)
            if query.time is not None:
                span = TimeRange(max(span.start, query.time.start), min(span.end, query.time.end))
            run = run_of(parts, query.replace(time=span), wait_for_service=True)
            async with aclosing(self._read(run)) as pages:
                async for page in pages:
                    yield page

    async def _read(self, run: Search) -> AsyncGenerator[Page, None]:
        """The pages of a search, without what was at the archive before the first run."""
        async with aclosing(aiter(run)) as pages:
            async for page in pages:
                if not page.granules:
                    continue
                for granule in page.granules:
                    stamp = self.stamp_of(granule)
                    if stamp is not None and (self._newest is None or stamp > self._newest):
                        self._newest = stamp
                yield replace(page, granules=[one for one in page.granules if self._is_meant(one)])
        self.failed += run.failed
        self.skipped |= run.skipped

    def kind_of(self, granule: Granule) -> Kind:
        """What a granule is among those that arrive."""
        return kind_of(granule)

    def move(self, undone: Iterable[tuple[date, datetime | None]]) -> None:
        """Move the cursor as far as all is here; arguments as `cursor_behind`.

        Raises:
            StorageError: it cannot be written.
        """
        behind = self.cursor_behind(undone)
        if behind is not None:
            cursors_of(self._parts).save(self._asked, behind)

    def stamp_of(self, granule: Granule) -> datetime | None:
        """The time of a granule that the cursor is of; None where there is none."""
        return getattr(granule, self._by) if self._by else None

    def _is_meant(self, granule: Granule) -> bool:
        """Whether it came after the first run began to look: a change of an older item is not an arrival."""
        arrived = granule.published or granule.updated
        # An item may be found only days after the time that it gives.
        return self._floor is None or arrived is None or arrived >= self._floor - self._overlap

    def cursor_behind(self, undone: Iterable[tuple[date, datetime | None]]) -> Cursor | None:
        """The cursor for the next run; None when it has to stay, or where there is nothing to remember.

        Args:
            undone: sensing day and time of arrival of each file that has to come in a later run.
        """
        left = list(undone)
        if self.failed or self._is_held or self._since is not None:
            return None
        if self._days is not None:
            days = {day for day, _ in left}
            return Cursor(
                self._floor,
                days={day: count for day, count in self._days.items() if day not in days},
                is_counted=True,
            )
        old = self._cursor
        before = old.until if old is not None and old.by == self._by else None
        until = max((one for one in (self._newest, before) if one is not None), default=None)
        stamps = [stamp for _, stamp in left]
        if None in stamps:
            return None
        until = min([until, *(one for one in stamps if one is not None)]) if until is not None else None
        if until is not None and before is not None:
            until = max(until, before)
        return None if until is None else Cursor(self._floor, self._by, until)


def cursors_of(parts: Parts) -> Cursors:
    """The cursors of this user."""
    return Cursors(parts.dirs.state_dir, parts.dirs.registry_dir, parts.emit)


def words_of(counts: Mapping[Kind, int]) -> str:
    """Counts as `126 new, 12 late, 340 reprocessed`."""
    return ", ".join(f"{counts.get(kind, 0):,} {kind}" for kind in KINDS)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One granule that has arrived."""

    granule: Granule
    kind: Kind
    is_here: bool
    """Whether all files meant of it were downloaded."""


@dataclass(slots=True)
class News:
    """What has arrived of a baseline, or of all baselines of a product."""

    query: Query
    since: datetime | None
    """From when on, in the archive's time; None where days are counted, and for all of the time range."""
    is_first: bool
    """Whether no sync has left a cursor, nor a moment was given."""
    arrivals: list[Arrival] = field(default_factory=list)
    """In the order of sensing starts."""
    wanted: list[DownloadRequest] = field(default_factory=list)
    """The files that are not here."""
    failed: list[FailedDay] = field(default_factory=list)
    """What could not be asked."""
    skipped: list[SkippedItem] = field(default_factory=list)
    """Items of the archive that could not be used."""

    @property
    def counts(self) -> Counter[Kind]:
        """Granules of each kind that are not here."""
        return Counter(one.kind for one in self.arrivals if not one.is_here)

    @property
    def here(self) -> int:
        """Granules that were downloaded already."""
        return sum(one.is_here for one in self.arrivals)

    @property
    def sentence(self) -> str:
        """All of it in words."""
        since = "" if self.since is None else f" since {to_zulu(self.since.replace(microsecond=0))}"
        here = f"; {self.here:,} are here already" if self.here else ""
        return f"{words_of(self.counts)}{since}{here}"


async def news(
    parts: Parts,
    query: Query,
    *,
    since: datetime | None = None,
    first: timedelta = FIRST,
    briefly: bool = False,
) -> News:
    """What has arrived and would be fetched by `sync --since-last`; fetches nothing, and moves no cursor.

    Args:
        parts: the engine.
        query: what is meant.
        since: from when on, in the archive's time; None goes on from the cursor of the last sync.
        first: how far back to look where there is no cursor.
        briefly: whether granules are kept without geometry, assets and properties, which take much memory.

    Raises:
        InvalidRequestError: for unknown names.
        CatalogError: when the archive does not answer.
    """
    found = await Arrivals.of(parts, query, first=first, since=since)
    report = News(query, found.since, found.is_first)
    done, chosen = Done(parts.registry), Chosen(parts.formats_of(query))
    async with aclosing(aiter(found)) as pages:
        async for page in pages:
            arrived = await asyncio.to_thread(_judged, parts, page.granules, chosen, done, report)
            if briefly:
                arrived = [replace(one, granule=_brief(one.granule)) for one in arrived]
            report.arrivals += arrived
    report.arrivals.sort(key=lambda one: (one.granule.sensing_start, one.granule.id))
    report.failed, report.skipped = found.failed, list(found.skipped.values())
    return report


def queries_of(
    parts: Parts,
    products: Iterable[tuple[str, str, str | None]] = (),
    *,
    collection: str | None = None,
    product_type: str | None = None,
    baseline: str | None = None,
) -> list[Query]:
    """What to ask news of: the baselines that the registry follows of these names.

    Args:
        parts: the engine.
        products: collection, product type and baseline of what is asked where it follows none of them.
        collection: only this one; None for all.
        product_type: only this one; None for all.
        baseline: only this one; None for all.
    """
    tracked = parts.registry.tracked_of(collection, product_type, baseline)
    return [Query(key.collection, key.product_type, key.baseline) for key in tracked] or [
        Query(*names) for names in products
    ]


def _brief(one: Granule) -> Granule:
    return Granule(
        one.id, one.collection, one.mission, one.product_type, one.baseline, one.sensing_start,
        one.sensing_end, one.created, one.orbit, one.frame, published=one.published, updated=one.updated,
        track_number=one.track_number,
    )  # fmt: skip


async def all_news(
    parts: Parts, queries: Iterable[Query], *, since: datetime | None = None, briefly: bool = False
) -> list[News | MaapError]:
    """`news` of several, some of them at a time; in place of those that cannot be asked, why.

    One may be of a baseline that the archive dropped: the others are asked for all the same.

    Raises:
        NetworkSetupError: nothing can be asked.
    """
    slots = asyncio.Semaphore(parts.settings.search.parallel)

    async def one(query: Query) -> News | MaapError:
        async with slots:
            try:
                return await news(parts, query, since=since, briefly=briefly)
            except NetworkSetupError:
                raise
            except (CatalogError, InvalidRequestError) as error:
                return error

    return await together(*(one(query) for query in queries))


def _judged(
    parts: Parts, granules: Iterable[Granule], chosen: Chosen, done: Done, report: News
) -> list[Arrival]:
    arrivals = []
    for granule in granules:
        requests = parts.filing.requests_of(granule, chosen.files(granule), refuse=lambda asset, error: None)
        missing = [
            one for one in requests if (file := one.tracked) is not None and done.has(file) is not True
        ]
        report.wanted += missing
        arrivals.append(Arrival(granule, kind_of(granule), bool(requests) and not missing))
    return arrivals
