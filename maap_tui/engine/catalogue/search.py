"""Search: time windows in flight, paging, splitting, a second try for what failed; pulled page by page.

The server finds what *overlaps* a window, in no order; here a granule belongs to the one window
that its sensing start lies in. A window that fails, or brings fewer items than the server
announced, is asked again at the end and then reported: nothing is lost silently.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

from maap_tui.engine import cql2
from maap_tui.engine.catalogue.client import (
    ENOUGH,
    Answer,
    Catalogue,
    Queryables,
    SearchRefused,
    next_link,
)
from maap_tui.engine.catalogue.skipped import SkippedItem, skipped_granule, skipped_item
from maap_tui.engine.catalogue.stac import BadItem, granule_of
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.events import DayFailed, Emit, ItemSkipped, Noted, PageFetched, Warned, ignore
from maap_tui.engine.missions import MISSIONS, Mission, mission_of_collection, parse_name
from maap_tui.engine.model import Granule, TimeRange, to_zulu
from maap_tui.engine.query import Query

WHOLE_UP_TO = timedelta(days=10)
"""Longest range asked for in one piece; longer ones are faster day by day (docs/service.md, Searches)."""

START_RECORD_LIMIT = 100_000
"""The service pages no further than this record (docs/service.md, Searches)."""

COUNT_LIMIT = 100_000
"""Items that are read at most to count those of one product, where the service does not filter."""

_SAMPLE = 250
"""Items that are looked at to find out whether a filter is obeyed, or why it finds nothing."""

_BUFFERED_PAGES = 2

_Fetch = Callable[[], Awaitable[Mapping[str, Any]]]

_HOPELESS = 8
"""Windows that fail before any has succeeded, after which the rest of them is not asked for."""

_MAX_SPLITS = 200
"""Cuts of one window after which its announced counts are not believed any more."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the granules of one window, ordered by sensing start."""

    window: TimeRange | None
    """The window searched, None for a search without time."""
    granules: list[Granule]
    matched: int | None
    """Items the server announced for the window, those of its edges included; None when it does not say."""
    is_last: bool
    """Whether the window is complete with this page; never so for a window that failed."""


@dataclass(frozen=True, slots=True)
class FailedDay:
    """A window that could not be searched, or not wholly."""

    label: str
    """YYYY-MM-DD, or `orbit 07655` for a search without time."""
    reason: str
    window: TimeRange | None

    @property
    def day(self) -> date | None:
        """The first day of the window, None for a search without time."""
        return self.window.first_day if self.window else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How searches are run."""

    parallel: int
    """Windows in flight."""
    page_size: int
    """Items of a page."""
    mission_name: str
    """Mission to assume when the collection does not say it; '' for none."""
    start: datetime | None
    """Replaces the mission's start."""
    end: datetime | None
    """Replaces the mission's end."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known on this machine of what a search should find."""

    words: str
    """What says so, as `the registry has 12 files of it`."""
    day: date
    """A day that should hold something."""
    is_listed: bool
    """Whether the files themselves are known, not only a span of time."""


@dataclass(slots=True, eq=False)
class _Window:
    range: TimeRange | None
    pages: asyncio.Queue[Page | BaseException | None] = field(
        default_factory=lambda: asyncio.Queue(_BUFFERED_PAGES)
    )
    seen: set[str] = field(default_factory=set)
    announced: int = 0
    """Items the server announced for it."""
    splits: int = 0
    """How often it was cut because it held more than the service pages."""
    task: asyncio.Task[None] | None = None


class Search:
    """One run of a query: iterate it for pages, then read what it has to report."""

    def __init__(
        self,
        catalogue: Catalogue,
        query: Query,
        rules: Rules,
        *,
        now: datetime,
        within: TimeRange | None = None,
        expect: Callable[[Query, TimeRange | None], Expected | None] | None = None,
        trusting: bool = False,
        divided: bool = True,
        emit: Emit = ignore,
    ) -> None:
        """Take the query; ask nothing.

        Args:
            catalogue: where to ask.
            query: what to ask.
            rules: how.
            now: the end of an open range.
            within: the span that the built catalogue knows for it, None without one.
            expect: says of a query and a span what should be found there; reads files.
            trusting: whether finding nothing is believed unless it was expected otherwise.
            divided: whether a long range is asked for day by day, which finds much sooner, and takes a
                request for each day that holds nothing.
            emit: takes the events of pages and of days that failed for good.
        """
        self._catalogue = catalogue
        self.query = query
        self._rules = rules
        self._emit = emit
        self._now = now
        self._within = within
        self._surroundings = query.surroundings()
        self._expect = expect
        self._trusting = trusting
        self._mission: Mission = mission_of_collection(query.collection, rules.mission_name)
        self._queryables: Queryables | None = None
        self._accepted = 0
        self._unfiltered = 0
        self._answered = False
        self._has_ended = False
        self._is_divided = divided
        self._is_exact = False
        self.range: TimeRange | None = None
        """The span that is searched; None for an orbit search."""
        self.failed: list[FailedDay] = []
        """What is missing from the result."""
        self.matched = 0
        """Items the server announced so far."""
        self.skipped: dict[str, SkippedItem] = {}
        """Items that could not be used, by what distinguishes them: they are missing from the result."""
        self.doubts: list[str] = []
        """What the service did that makes its answers doubtful, in sentences; each is warned of too."""

    def __aiter__(self) -> AsyncGenerator[Page, None]:
        return self._pages()

    async def granules(self) -> list[Granule]:
        """All of it at once, in the order asked for."""
        found = [granule async for page in self for granule in page.granules]
        return self.ordered(found)[: self.query.max_items]

    def ordered(self, granules: Sequence[Granule]) -> list[Granule]:
        """By sensing start, then by id."""
        return sorted(granules, key=lambda one: (one.sensing_start, one.id), reverse=self.query.newest_first)

    async def count(self) -> int | None:
        """Items the server announces, from one request for each area; None when it does not say.

        Granules that only overlap the edges of the range are among them.
        """
        await self._prepare()
        total = 0
        for area in self.query.areas():
            answer = await self._ask(self.range, area, limit=self._few)
            matched = _matched(answer.data)
            if matched is None or not answer.is_filtered:
                return None
            total += matched
        if total or (self.range is not None and not self._windows()):
            return total
        # Zero is believed once the filter that may be at fault was left out.
        return None if await self._is_wrong_zero() else 0

    async def total(self) -> int:
        """As `count`; what a service does not announce is read page by page and counted here.

        Raises:
            InvalidRequestError: when the service does not filter, and there is too much to read.
            CatalogError: when the catalogue does not answer, or not wholly.
        """
        count = await self.count()
        if count is not None:
            return count
        for area in self.query.areas():
            await self._ask(self.range, area, limit=1)
        if self._unfiltered > COUNT_LIMIT:
            raise InvalidRequestError(
                f"Without a filter that works, {self._unfiltered} items would have to be read for a count",
                "Give a shorter time range.",
            )
        whole = Search(
            self._catalogue,
            self.query.replace(max_items=sys.maxsize),
            self._rules,
            now=self._now,
            within=self._within,
            expect=self._expect,
            trusting=self._trusting,
            divided=False,
            emit=self._emit,
        )
        count = sum([len(page.granules) async for page in whole])
        self._is_exact = True
        if whole.failed:
            raise CatalogError(whole.failed[0].reason, "Run the same command again later.")
        return count

    def counted_besides(self) -> list[str]:
        """What the last `count` or `total` may have in it that a search does not list, in words."""
        query = self.query
        besides: list[str] = []
        if self._is_exact:
            return besides
        if self.range is not None:
            besides.append("granules that began before the time range and reach into it")
        if query.circle is not None:
            besides.append("those of the box around the circle")
        if len(query.areas()) > 1:
            besides.append("those on both sides of the antimeridian twice")
        if self._by_name and (query.orbits or query.frames):
            besides.append("those of other orbits and frames")
        if self._keeps_newest:
            besides.append("older versions (--all-versions lists them)")
        return besides

    async def finds_any(self) -> bool:
        """Whether the service says there is anything: one request where it filters; errors as `total`."""
        await self._prepare()
        for area in self.query.areas():
            answer = await self._ask(self.range, area, limit=self._few)
            if not answer.is_filtered:
                return await self.total() > 0
            if _matched(answer.data) or (_matched(answer.data) is None and answer.data["features"]):
                return True
        return False

    @property
    def _few(self) -> int:
        """Items to ask for with a number: one, or as many as show whether the service obeys the filter."""
        return 1 if self._catalogue.is_proven else 2 * ENOUGH

    async def _prepare(self) -> None:
        if self._queryables is not None:
            return
        query = self.query
        self._queryables = await self._catalogue.check(query.collection, query.product_type, query.baseline)
        self._refuse_what_means_nothing()
        span = query.time
        if query.orbits and span is None:
            if self._by_name:
                raise InvalidRequestError(
                    f"{query.product_type} has no orbit index at the archive, so its names have to be "
                    "filtered in a time range",
                    "Give one beside --orbit: " + self._orbit_dates() + ".",
                )
            return
        first = self._first_moment
        last = min(self._rules.end or self._mission.end, self._now)
        if span is None and first >= last:
            raise InvalidRequestError(
                f"The mission ends ({to_zulu(last)}) before it starts ({to_zulu(first)})",
                "Correct mission.start and mission.end in the configuration.",
            )
        start, end = (span.start, span.end) if span else (first, last)
        start, end = max(start, first), min(end, max(last, first))
        if self._within is not None:
            start, end = max(start, self._within.start), min(end, self._within.end)
        # A range outside of the mission holds nothing; an empty window is never asked for.
        self.range = TimeRange(start, max(start, end))

    @property
    def _first_moment(self) -> datetime:
        mission = self._mission
        return self._rules.start or mission.starts.get(self.query.collection, mission.start)

    def _refuse_what_means_nothing(self) -> None:
        """Refuse orbits and frames that neither the archive's index nor names and items can answer."""
        query, mission, known = self.query, self._mission, self._queryables
        assert known is not None
        if query.orbits and not mission.has_orbits and not known.has_orbits:
            instead = "--track and --frame, or " if mission.track_digits else ""
            raise InvalidRequestError(
                f"{query.collection} cannot be searched by orbit: neither its index nor its names have one",
                f"Use {instead}a time range.",
            )
        if query.frames and not mission.is_known and "frame" not in known.properties:
            raise InvalidRequestError(f"{query.collection} has no frames", "Leave --frame out.")

    def _orbit_dates(self) -> str:
        low, high = self.query.orbits[0][0], self.query.orbits[-1][1]
        if self._mission.orbit_time is None:
            return "--start DATE --end DATE"
        begin = (self._mission.orbit_time(low) - timedelta(days=1)).date()
        end = (self._mission.orbit_time(high) + timedelta(days=1)).date()
        return f"--start {begin} --end {end} is about when it was flown"

    @property
    def _by_name(self) -> bool:
        """Whether orbits and frames are filtered here because the archive has no index of them."""
        if self.query.product_type in self._mission.unindexed:
            return True
        known = self._queryables
        if known is None:
            return False
        query = self.query
        if query.tracks and not known.has_tracks:
            return True
        if query.frames and self._mission.frame_digits and "frame" not in known.properties:
            return True
        return not (known.has_orbits if query.orbits else known.has_frames)

    def _windows(self) -> list[TimeRange | None]:
        if self.range is None:
            return [None]
        if self.range.start >= self.range.end:
            return []
        if self.range.duration <= WHOLE_UP_TO or not self._is_divided:
            return [self.range]
        days: list[TimeRange | None] = list(self.range.days())
        return days[::-1] if self.query.newest_first else days

    async def _pages(self) -> AsyncGenerator[Page, None]:
        await self._prepare()
        self.doubts = []
        async with aclosing(self._sweep()) as pages:
            async for page in pages:
                yield page
        if self._accepted or self.matched or self.failed or self.skipped or not self._windows():
            return
        try:
            if not await self._is_wrong_zero():
                return
        except CatalogError as error:
            reason = f"nothing was found, which could not be checked: {error.message}"
            for span in self._windows():
                self._report(_Window(span), CatalogError(reason))
            return
        async with aclosing(self._sweep()) as pages:
            async for page in pages:
                yield page

    async def _look(
        self, span: TimeRange | None, area: Mapping[str, Any], without: Collection[str] = ()
    ) -> tuple[list[Granule], bool]:
        """What is wanted among the first items of a time and an area, and whether there were any."""
        answer = await self._ask(span, area, limit=_SAMPLE, without=without)
        features = answer.data["features"]
        wanted = self.query.replace(time=span) if span else self.query
        granules = []
        for item in features:
            with contextlib.suppress(BadItem):
                granules.append(granule_of(item, self.query.collection, self._mission.name))
        return [one for one in granules if self._accepts(wanted, one, False)], bool(features)

    async def _is_wrong_zero(self) -> bool:
        """Whether the archive has what a filter did not find; what is at fault is left out from now on.

        Each part that the service has not yet shown to work is left out in turn, until something comes.

        Raises:
            CatalogError: when that cannot be found out, or nothing at all is where files are known to be.
        """
        query, known = self.query, self._queryables
        assert known is not None
        expected = None
        if self._expect is not None:
            expected = await asyncio.to_thread(self._expect, query, self.range)
        if expected is None and self._trusting:
            return False
        sent = set(query.parts) - self._dropped - ({"orbit", "frame", "track"} if self._by_name else set())
        unproven = sent - self._catalogue.honoured(query.collection)
        if self.range is None:
            unproven -= {"orbit"}  # nothing else would limit the search
        parts = [name for name in query.parts if name in unproven]
        is_empty = bool(parts)
        for number in range(1, len(parts) + 1):
            without = parts[:number]
            self._emit(Noted(f"Nothing found; asking without the filter by {' and '.join(without)}"))
            for span, area in itertools.product(self._probes(expected), query.areas()):
                try:
                    granules, has_any = await self._look(span, area, without)
                except (InvalidRequestError, CatalogError) as error:
                    # All products of a time are much to ask: only what is known to be there is worth a gap.
                    is_broad = "product" in without and expected is None
                    if isinstance(error, CatalogError) and not is_broad:
                        raise
                    self._emit(Noted(f"That is not answered: {error.message}"))
                    return False
                if granules:
                    last = without[-1:]
                    is_last = number > 1 and bool((await self._look(span, area, last))[0])
                    await self._blame(last if is_last else without)
                    return True
                is_empty = is_empty and not has_any
            if not is_empty:
                break
        if expected is not None:
            if is_empty and expected.is_listed and len(parts) == len(sent):
                raise CatalogError(f"{expected.words}, and the catalogue has nothing at all there")
            self._doubt(f"Nothing found, though {expected.words}")
        return False

    def _doubt(self, sentence: str) -> None:
        self.doubts.append(sentence)
        self._emit(Warned(sentence))

    async def _blame(self, parts: Sequence[str]) -> None:
        """Remember that a filter finds nothing of what is there, unless its keys are out of date."""
        query, known = self.query, self._queryables
        assert known is not None
        with contextlib.suppress(CatalogError):
            self._queryables = await self._catalogue.queryables(query.collection, refresh=True)
            if self._queryables.keys != known.keys:
                self._emit(Noted(f"The catalogue has renamed the queryables of {query.collection}"))
                return
        self._catalogue.dropped(query.collection).update(parts)
        self._doubt(
            f"The catalogue finds nothing in {query.collection} by {' and '.join(parts)}, and has what "
            "was asked for: filtered here instead, which takes longer"
        )

    def _probes(self, expected: Expected | None) -> list[TimeRange | None]:
        """The times to look at where nothing was found."""
        span = self.range
        if span is None or span.duration <= WHOLE_UP_TO:
            return [span]
        middle = (span.start + span.duration / 2).date()
        days = [expected.day] if expected else [span.last_day, middle, span.first_day]
        return [TimeRange.of_day(day) for day in days]

    @property
    def _dropped(self) -> set[str]:
        return self._catalogue.dropped(self.query.collection)

    async def _sweep(self) -> AsyncGenerator[Page, None]:
        """Ask all windows, and those that failed once more."""
        self.failed, self.skipped = [], {}
        self.matched = self._accepted = 0
        self._answered = self._has_ended = False
        windows = [_Window(span) for span in self._windows()]
        failed: list[tuple[_Window, CatalogError]] = []
        async with aclosing(self._run(windows, failed, final=False)) as pages:
            async for page in pages:
                yield page
        if self._is_full:
            return
        if failed and (self._answered or len(windows) <= _HOPELESS):
            self._emit(Noted(f"Asking again for {len(failed)} windows that failed"))
            second = [_Window(window.range, seen=window.seen) for window, _ in failed]
            failed = []
            async with aclosing(self._run(second, failed, final=True)) as pages:
                async for page in pages:
                    yield page
        for window, error in failed:
            self._report(window, error)
        self._has_ended = True

    @property
    def is_complete(self) -> bool:
        """Whether the search has ended and saw everything: no window failed, and it was not cut."""
        return self._has_ended and not self.failed and not self._is_full

    @property
    def _is_full(self) -> bool:
        return self._accepted >= self.query.max_items

    async def _run(
        self, windows: list[_Window], failed: list[tuple[_Window, CatalogError]], *, final: bool
    ) -> AsyncGenerator[Page, None]:
        """Pages of all windows in order, `parallel` of them in flight; those that fail end in `failed`."""
        waiting = deque(windows)
        running: deque[_Window] = deque()
        held: list[Granule] | None = None
        try:
            while (waiting or running) and not self._is_full:
                while waiting and len(running) < self._rules.parallel:
                    window = waiting.popleft()
                    window.task = asyncio.create_task(self._fetch(window))
                    running.append(window)
                window = running[0]
                news = await window.pages.get()
                if isinstance(news, Page):
                    if held is None and self._has_to_hold(window, news):
                        held = []
                    if held is None:
                        yield replace(news, granules=self._take(news.granules))
                        continue
                    held = self._condensed([*held, *news.granules])
                    if news.is_last:
                        granules, held = self._take(held), None
                        yield replace(news, granules=granules)
                    continue
                running.popleft()
                if news is None:
                    self._answered = True
                    continue
                if not isinstance(news, CatalogError):
                    raise news
                failed.append((window, news))
                if held is not None and final:
                    yield Page(window.range, self._take(held), None, False)
                elif held is not None:
                    window.seen.difference_update(granule.id for granule in held)
                held = None
                if not final:
                    self.matched -= window.announced
                    if not self._answered and len(failed) >= _HOPELESS:
                        failed += [(other, news) for other in (*running, *waiting)]
                        return
        finally:
            tasks = [window.task for window in running if window.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _has_to_hold(self, window: _Window, page: Page) -> bool:
        """Whether all of a window is needed before any of it is handed on.

        A cut at `max_items` and a choice among versions are made in order; the server has none.
        """
        room = self.query.max_items - self._accepted
        is_cut = page.matched is None or window.announced > room or len(self.query.areas()) > 1
        return is_cut or self._keeps_newest

    @property
    def _keeps_newest(self) -> bool:
        return self._mission.keeps_newest(self.query.product_type) and not self.query.every_version

    def _condensed(self, held: list[Granule]) -> list[Granule]:
        """Without what will not be handed on, once there is so much of it that it matters."""
        room = self.query.max_items - self._accepted
        return self._chosen(held)[:room] if len(held) > 2 * room else held

    def _chosen(self, granules: Sequence[Granule]) -> list[Granule]:
        return self.ordered(_newest_versions(granules) if self._keeps_newest else granules)

    def _take(self, granules: Sequence[Granule]) -> list[Granule]:
        room = self.query.max_items - self._accepted
        taken = self._chosen(granules)[:room]
        self._accepted += len(taken)
        formats = self._mission.formats
        for granule in taken:
            # A format that was asked for is a condition; without the mission's own a granule is not whole.
            if not self.query.formats and not granule.files(formats):
                reason = f"has no file of {', '.join(formats)}"
                self._skip(skipped_granule(granule, reason, self._catalogue.root))
        return taken

    def _report(self, window: _Window, error: CatalogError) -> None:
        if window.range is None:
            low = self.query.orbits[0][0] if self.query.orbits else 0
            labels = [f"orbit {low:05d}"]
        else:
            labels = [span.first_day.isoformat() for span in window.range.days()]
        for label in labels:
            day = None if window.range is None else TimeRange.of_day(date.fromisoformat(label))
            self.failed.append(FailedDay(label, error.message, day))
            self._emit(DayFailed(label, error.message, self.query.baseline))

    async def _fetch(self, window: _Window) -> None:
        """Fill the window's queue; its last entry is None or the error that ended it."""
        try:
            await self._fetch_span(window, window.range, closing=True)
            await window.pages.put(None)
        except Exception as error:
            await window.pages.put(error)

    async def _fetch_span(self, window: _Window, span: TimeRange | None, *, closing: bool) -> None:
        """Fetch a window or a part of it; `closing` says whether the window ends with it."""
        areas = self.query.areas()
        for number, area in enumerate(areas, start=1):
            try:
                await self._fetch_area(window, span, area, closing=closing and number == len(areas))
            except _TooMany as too_many:
                whole = span or self.range or TimeRange(self._first_moment, self._now)
                window.splits += 1
                if whole.duration < timedelta(seconds=2) or window.splits > _MAX_SPLITS:
                    raise CatalogError(
                        f"the catalogue announces {too_many.matched} items however short the time, "
                        "more than it pages"
                    ) from None
                first, second = whole.halves()[:: -1 if self.query.newest_first else 1]
                await self._fetch_span(window, first, closing=False)
                await self._fetch_span(window, second, closing=closing)
                return

    async def _fetch_area(
        self, window: _Window, span: TimeRange | None, area: Mapping[str, Any], *, closing: bool
    ) -> None:
        wanted = self.query.replace(time=span) if span else self.query
        answer = await self._ask(span, area, limit=self._rules.page_size)
        data = answer.data
        matched = _matched(data)
        if matched is not None and matched > START_RECORD_LIMIT:
            raise _TooMany(matched)
        # What a service announces that does not filter says nothing of what is wanted.
        announced = matched if answer.is_filtered else None
        window.announced += announced or 0
        self.matched += announced or 0
        most = START_RECORD_LIMIT + self._rules.page_size if matched is None else matched
        received = 0
        asked: set[str] = set()
        while True:
            features = data["features"]
            received += len(features)
            granules = self._read(features, wanted, window.seen, is_filtered=answer.is_filtered)
            if not answer.is_filtered:
                window.announced += len(granules)
                self.matched += len(granules)
            self._emit(PageFetched(span.start if span else None, len(features), announced))
            # An empty page ends the search whatever its links say, and so does one too many.
            following: _Fetch | None = None
            broken: CatalogError | None = None
            if features and received <= most:
                try:
                    following = self._following(data, answer.body, asked)
                except CatalogError as error:
                    broken = error
            is_whole = not (following or broken) and received == (received if matched is None else matched)
            await window.pages.put(Page(window.range, granules, announced, is_whole and closing))
            if broken is not None:
                raise broken
            if following is None:
                break
            data = await following()
        if not is_whole or received > most:
            raise CatalogError(
                f"the catalogue announced {matched} items and sent {received}", "Run it again later."
            )

    def _accepts(self, wanted: Query, granule: Granule, is_filtered: bool) -> bool:
        """Whether a granule that came is wanted, also by where it is."""
        return wanted.accepts(granule, is_filtered=is_filtered) and (
            self._surroundings is None or self._surroundings.reaches(granule.footprint)
        )

    def _read(
        self, features: list[Any], wanted: Query, seen: set[str], *, is_filtered: bool
    ) -> list[Granule]:
        granules: list[Granule] = []
        for item in features:
            try:
                granule = granule_of(item, self.query.collection, self._mission.name)
            except BadItem as bad:
                self._skip(skipped_item(item, str(bad), self.query, self._catalogue.root))
                continue
            if granule.id in seen or not self._accepts(wanted, granule, is_filtered):
                continue
            seen.add(granule.id)
            granules.append(granule)
        return granules

    def _skip(self, one: SkippedItem) -> None:
        # The same item comes again in the next window, and when a window is asked again.
        mark = one.name or one.url or one.reason
        if mark not in self.skipped and one.is_wanted(self.query, self.range):
            self.skipped[mark] = one
            self._emit(ItemSkipped(one.name, one.url, one.reason))

    async def _ask(
        self, span: TimeRange | None, area: Mapping[str, Any], *, limit: int, without: Collection[str] = ()
    ) -> Answer:
        """The first page of a time and an area; without some parts of the filter it counts as unfiltered."""
        query = self.query
        without = {*without, *self._dropped}
        if self._by_name:
            without |= {"orbit", "frame", "track"}
        body: dict[str, Any] = {"collections": [query.collection], "limit": limit, **area}
        if span is not None:
            body["datetime"] = f"{to_zulu(span.start)}/{to_zulu(span.end)}"
        condition = self._condition(without)
        try:
            answer = await self._catalogue.search(body, condition, partial(self._obeyed, condition))
        except SearchRefused as refused:
            raise self._explained(refused) from None
        if span is None and (not answer.is_filtered or "orbit" in without):
            raise InvalidRequestError(
                "The catalogue does not filter, so an orbit has to be looked for in a time range",
                "Give one beside --orbit: " + self._orbit_dates() + ".",
            )
        asked = set(query.parts) - without
        if answer.is_filtered and answer.data["features"]:
            self._catalogue.honoured(query.collection).update(asked)
        is_filtered = answer.is_filtered and not (set(query.parts) & self._dropped)
        if not is_filtered:
            self._unfiltered = max(self._unfiltered, _matched(answer.data) or 0)
        return replace(answer, is_filtered=is_filtered)

    def _condition(self, without: Collection[str]) -> cql2.Condition | None:
        query, known = self.query, self._queryables
        assert known is not None
        return query.to_filter(
            known.keys,
            baselines=known.baseline_spellings(query.baseline) if query.baseline else (),
            products=known.product_spellings(query.product_type),
            without=without,
            numbers=known.numbers,
        )

    def _obeyed(self, condition: cql2.Condition | None, features: list[Any]) -> bool | None:
        """Whether the properties of these items agree with a filter; None when they say nothing of it."""
        known = self._queryables
        assert known is not None
        if condition is None:
            return None
        judged = []
        for item in features[:_SAMPLE]:
            properties = item.get("properties") if isinstance(item, dict) else None
            if not isinstance(properties, dict):
                continue
            judged.append(cql2.holds(condition, known.keys.values_of(properties)))
        strays, fits = judged.count(False), judged.count(True)
        # One item that is catalogued wrongly is not a sign of a filter that does nothing.
        return False if strays > len(judged) / 2 else True if fits and not strays else None

    def _explained(self, refused: SearchRefused) -> Exception:
        if refused.is_page_limit:
            return _TooMany(START_RECORD_LIMIT)
        if refused.status in (400, 422):
            words = refused.message
            # What a validator writes is for who programs the service.
            said = f": {words}" if words[:1] not in "[{" else f" ({refused.status})"
            return InvalidRequestError(
                f"The catalogue refuses this search{said}", "Check the names with `maap list`."
            )
        return CatalogError(refused.message, "Run the same command again later.")

    def _following(self, data: Mapping[str, Any], body: Mapping[str, Any], asked: set[str]) -> _Fetch | None:
        """What fetches the next page; None on the last one."""
        link = next_link(data)
        if link is None:
            return None
        href = self._catalogue.joined(str(link.get("href") or "search"))
        if not self._catalogue.is_own(href):
            raise CatalogError(f"the next page is on another host, which is not followed: {href[:120]!r}")
        is_post = str(link.get("method", "GET")).upper() == "POST"
        extra = link.get("body")
        if is_post:
            extra = extra if isinstance(extra, dict) else {}
            merged = {**body, **extra} if link.get("merge") else (extra or dict(body))
            mark = json.dumps([href, merged], sort_keys=True)
        else:
            merged, mark = {}, href
        if mark in asked:
            raise CatalogError("the pages of the result lead in a circle")
        asked.add(mark)

        async def fetch() -> Mapping[str, Any]:
            try:
                if is_post:
                    return await self._catalogue.post(merged, href)
                return await self._catalogue.get(href)
            except SearchRefused as refused:
                if refused.is_page_limit:
                    raise _TooMany(START_RECORD_LIMIT) from None
                # The first page was answered, so the search is right; it is asked again as a whole.
                raise CatalogError(f"a page was refused: {refused.message}") from None

        return fetch


class _TooMany(Exception):
    def __init__(self, matched: int) -> None:
        super().__init__(matched)
        self.matched = matched


def _matched(data: Mapping[str, Any]) -> int | None:
    value = data.get("numberMatched")
    if value is None and isinstance(context := data.get("context"), dict):
        value = context.get("matched")  # the STAC API extension of before numberMatched
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _newest_versions(granules: Sequence[Granule]) -> list[Granule]:
    """Of several versions of one granule, the newest."""
    newest: dict[tuple[object, ...], tuple[tuple[Any, ...], Granule]] = {}
    for granule in granules:
        name = parse_name(granule.id)
        if name is None:
            newest[granule.id,] = (), granule
            continue
        version, rank = MISSIONS[name.mission].version_of(name)
        other = newest.get(version)
        if other is None or rank > other[0]:
            newest[version] = rank, granule
    return [granule for _, granule in newest.values()]
