"""Search: time windows in flight, paging, splitting, a second try for what failed; pulled page by page.

The server finds what *overlaps* a window, in no order; here a granule belongs to the one window
that its sensing start lies in. A window that fails, or brings fewer items than the server
announced, is asked again at the end and then reported: nothing is lost silently.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from maap_tui.engine.catalogue.client import ENOUGH, Catalogue
from maap_tui.engine.catalogue.reader import Page, WindowReader
from maap_tui.engine.catalogue.requests import QueryRequests
from maap_tui.engine.catalogue.skipped import SkippedItem
from maap_tui.engine.catalogue.windows import WHOLE_UP_TO, Plan, Window
from maap_tui.engine.catalogue.zero import Expected, ZeroCheck
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.events import DayFailed, Emit, Noted, ignore
from maap_tui.engine.missions import MISSIONS, mission_of_collection, parse_name
from maap_tui.engine.model import Granule, TimeRange, to_zulu
from maap_tui.engine.query import Query

COUNT_LIMIT = 100_000
"""Items that are read at most to count those of one product, where the service does not filter."""

_HOPELESS = 8
"""Windows that fail before any has succeeded, after which the rest of them is not asked for."""


@dataclass(frozen=True, slots=True)
class FailedDay:
    """A window that could not be searched, or not wholly."""

    label: str
    """YYYY-MM-DD, `orbit 07655` for a search without time, or `arrived since TIME`."""
    reason: str
    window: TimeRange | None

    @property
    def day(self) -> date | None:
        """The first day of the window, None for a search without time."""
        return self.window.first_day if self.window else None

    @property
    def words(self) -> str:
        """What could not be searched, and why, as a sentence without its full stop."""
        return f"{self.label[:1].upper()}{self.label[1:]} could not be searched: {self.reason}"


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
        per_day: Callable[[Query], float | None] | None = None,
        missing: Callable[[Query], Awaitable[Sequence[TimeRange]]] | None = None,
        trusting: bool = False,
        divided: bool = True,
        prepare: Callable[[Granule], object] | None = None,
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
            per_day: says of a query about how many granules a day has, None when that is not known; reads
                files.
            missing: says which stretches of a query's time lack something here, where it asks for those.
            trusting: whether finding nothing is believed unless it was expected otherwise.
            divided: whether a long range is asked for in parts, several at a time.
            prepare: what is prepared of each granule as it is read: see `stac.prepared_of`.
            emit: takes the events of pages and of days that failed for good.
        """
        self.query = query
        self._rules = rules
        self._emit = emit
        self._now = now
        self._within = within
        self._expect = expect
        self._per_day = per_day
        self._find_missing = missing
        self._stretches: list[TimeRange] | None = None
        """What of the range is searched, the oldest first; None for all of it."""
        self._trusting = trusting
        self._mission = mission_of_collection(query.collection, rules.mission_name)
        self._requests = QueryRequests(catalogue, query, self._mission)
        self._reader = WindowReader(self._requests, page_size=rules.page_size, prepare=prepare, emit=emit)
        self._accepted = 0
        self._answered = False
        self._has_ended = False
        self._is_divided = divided
        self._is_exact = False
        self.range: TimeRange | None = None
        """The span that is searched; None for an orbit search. What is asked may be parts of it."""
        self.failed: list[FailedDay] = []
        """What is missing from the result."""
        self.has_gaps = False
        """Whether windows have failed so far: what is missing of them comes after the others, if at all."""
        self.doubts: list[str] = []
        """What the service did that makes its answers doubtful, in sentences; each is warned of too."""

    @property
    def matched(self) -> int:
        """Items the server announced so far."""
        return self._reader.matched

    @property
    def skipped(self) -> dict[str, SkippedItem]:
        """Items that could not be used, by what distinguishes them: they are missing from the result."""
        return self._reader.skipped

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
        for span in [self.range] if self._stretches is None else self._stretches:
            for area in self.query.areas():
                answer = await self._requests.first(span, area, limit=self._few)
                matched = answer.page.matched
                if matched is None or not answer.is_filtered:
                    return None
                total += matched
        if total or self._is_empty_range or self._stretches is not None:
            return total
        # Zero is believed once the filter that may be at fault was left out.
        return None if await self._zero_check().is_wrong() else 0

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
            await self._requests.first(self.range, area, limit=1)
        self.refuse_to_read_all()
        whole = Search(
            self._requests.catalogue,
            self.query.replace(max_items=sys.maxsize),
            self._rules,
            now=self._now,
            within=self._within,
            expect=self._expect,
            missing=self._find_missing,
            trusting=self._trusting,
            divided=False,
            emit=self._emit,
        )
        count = sum([len(page.granules) async for page in whole])
        self._is_exact = True
        if whole.failed:
            raise CatalogError(whole.failed[0].reason, "Run the same command again later.")
        return count

    def refuse_to_read_all(self) -> None:
        """Refuse to read what the service has, where it does not filter and has too much.

        Raises:
            InvalidRequestError: the last answer showed that.
        """
        if (most := self._requests.unfiltered) > COUNT_LIMIT:
            raise InvalidRequestError(
                f"Without a filter that works, {most} items would have to be read for a count",
                "Give a shorter time range.",
            )

    @property
    def counts_all_frames(self) -> bool:
        """Whether counts have granules of other frames too, because the archive does not filter by them."""
        return bool(self.query.frames) and "frame" not in self._requests.sent

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
        if self._requests.by_name and (query.orbits or query.frames):
            besides.append("those of other orbits and frames")
        if self._keeps_newest:
            besides.append("older versions (--all-versions lists them)")
        return besides

    async def finds_any(self) -> bool:
        """Whether the service says there is anything: one request where it filters; errors as `total`."""
        await self._prepare()
        for area in self.query.areas():
            answer = await self._requests.first(self.range, area, limit=self._few)
            if not answer.is_filtered:
                return await self.total() > 0
            page = answer.page
            if page.matched or (page.matched is None and page.items):
                return True
        return False

    @property
    def _few(self) -> int:
        """Items to ask for with a number: one, or as many as show whether the service obeys the filter."""
        return 1 if self._requests.catalogue.is_proven else 2 * ENOUGH

    async def _prepare(self) -> None:
        if self._requests.queryables is not None:
            return
        query = self.query
        await self._requests.check()
        self._refuse_what_means_nothing()
        span = query.time
        if query.orbits and span is None:
            if self._requests.by_name:
                raise InvalidRequestError(
                    f"{query.product_type} has no orbit index at the archive, so its names have to be "
                    "filtered in a time range",
                    "Give one beside --orbit: " + self._requests.orbit_dates() + ".",
                )
            return
        first = self._first_moment
        last = self._rules.end or self._mission.end
        if query.arrived is None:
            # What has arrived was sensed by now, and a clock that is slow must not keep it out.
            last = min(last, self._now)
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
        if query.missing:
            await self._narrow_to_missing(self.range)

    async def _narrow_to_missing(self, span: TimeRange) -> None:
        """Narrow the range to the stretches that lack something here."""
        assert self._find_missing is not None
        found = [] if span.is_empty else await self._find_missing(self.query.replace(time=span))
        cut = [
            TimeRange(max(one.start, span.start), min(one.end, span.end))
            for one in found
            if one.start < span.end and one.end > span.start
        ]
        self._stretches = cut
        self.range = TimeRange(cut[0].start, cut[-1].end) if cut else TimeRange(span.start, span.start)

    @property
    def _first_moment(self) -> datetime:
        mission = self._mission
        return self._rules.start or mission.starts.get(self.query.collection, mission.start)

    def _refuse_what_means_nothing(self) -> None:
        """Refuse orbits and frames that neither the archive's index nor names and items can answer."""
        query, mission, known = self.query, self._mission, self._requests.queryables
        assert known is not None
        if query.orbits and not mission.has_orbits and not known.has_orbits:
            instead = "--track and --frame, or " if mission.track_digits else ""
            raise InvalidRequestError(
                f"{query.collection} cannot be searched by orbit: neither its index nor its names have one",
                f"Use {instead}a time range.",
            )
        if query.frames and not mission.is_known and "frame" not in known.properties:
            raise InvalidRequestError(f"{query.collection} has no frames", "Leave --frame out.")

    @property
    def _is_empty_range(self) -> bool:
        return self.range is not None and self.range.is_empty

    async def _plan(self) -> Plan[Page]:
        is_long = self.range is not None and self._is_divided
        per_day = None
        if is_long and self._per_day is not None:
            per_day = await asyncio.to_thread(self._per_day, self.query)
        return Plan(
            self.range,
            page_size=self._rules.page_size,
            newest_first=self.query.newest_first,
            is_divided=self._is_divided,
            per_day=per_day,
        )

    def _zero_check(self) -> ZeroCheck:
        return ZeroCheck(
            self._requests,
            self.range,
            accepts=self._reader.accepts,
            expect=self._expect,
            trusting=self._trusting,
            doubts=self.doubts,
            emit=self._emit,
        )

    async def _pages(self) -> AsyncGenerator[Page, None]:
        await self._prepare()
        self.doubts = []
        async with aclosing(self._sweep()) as pages:
            async for page in pages:
                yield page
        if self._accepted or self.matched or self.failed or self.skipped or self._is_empty_range:
            return
        if self._stretches is not None:
            return  # what the range has else is here, and says nothing of the filter
        try:
            if not await self._zero_check().is_wrong():
                return
        except CatalogError as error:
            reason = f"nothing was found, which could not be checked: {error.message}"
            self._report(self.range, CatalogError(reason))
            return
        async with aclosing(self._sweep()) as pages:
            async for page in pages:
                yield page

    async def _sweep(self) -> AsyncGenerator[Page, None]:
        """Ask all windows, and those that failed once more."""
        self.failed = []
        self._accepted = 0
        self._reader.begin(self.range, TimeRange(self._first_moment, self._now))
        self._answered = self._has_ended = self._has_given_up = self.has_gaps = False
        failed: list[tuple[Window[Page], CatalogError]] = []
        plan = await self._plan() if self._stretches is None else None
        async with aclosing(self._run(plan, self._windows_of_stretches(), failed, final=False)) as pages:
            async for page in pages:
                yield page
        if self._is_full:
            return
        if failed and not self._has_given_up:
            self._emit(Noted(f"Asking again for {len(failed)} windows that failed"))
            again = deque(part for window, _ in failed for part in self._by_day(window))
            failed = []
            async with aclosing(self._run(None, again, failed, final=True)) as pages:
                async for page in pages:
                    yield page
        for window, error in failed:
            self._report(window.range, error)
        self._has_ended = True

    def _windows_of_stretches(self) -> deque[Window[Page]]:
        """The stretches that lack something in windows that are not too long, in the order asked for."""
        windows: list[Window[Page]] = []
        for span in self._stretches or ():
            start = span.start
            while start < span.end:
                end = min(start + WHOLE_UP_TO, span.end)
                windows.append(Window(TimeRange(start, end)))
                start = end
        return deque(windows[::-1] if self.query.newest_first else windows)

    def _by_day(self, window: Window[Page]) -> list[Window[Page]]:
        """A window that failed in the parts that it is asked again in, so that a gap is a day and no more."""
        if not self._is_divided:
            return [Window(window.range, seen=window.seen)]
        parts = window.by_day()
        return parts[::-1] if self.query.newest_first else parts

    @property
    def is_complete(self) -> bool:
        """Whether the search has ended and saw everything: no window failed, and it was not cut."""
        return self._has_ended and not self.failed and not self._is_full

    @property
    def _is_full(self) -> bool:
        return self._accepted >= self.query.max_items

    async def _run(
        self,
        plan: Plan[Page] | None,
        waiting: deque[Window[Page]],
        failed: list[tuple[Window[Page], CatalogError]],
        *,
        final: bool,
    ) -> AsyncGenerator[Page, None]:
        """Pages of windows in order, `parallel` of them in flight; those that fail end in `failed`.

        Args:
            plan: what the windows are cut from; None for those that wait alone.
            waiting: windows.
            failed: takes windows and their errors.
            final: whether they are not asked again.
        """
        running: deque[Window[Page]] = deque()
        held: list[Granule] | None = None

        def start() -> None:
            while len(running) < self._rules.parallel:
                window = waiting.popleft() if waiting else plan.next() if plan is not None else None
                if window is None:
                    break
                window.task = asyncio.create_task(self._reader.fill(window))
                running.append(window)

        try:
            start()
            while running and not self._is_full:
                window = running[0]
                news = await window.pages.get()
                if isinstance(news, Page):
                    if held is None and self._has_to_hold(window, news):
                        held = []
                    if held is not None:
                        held = self._condensed([*held, *news.granules])
                        if not news.is_last:
                            continue
                    granules = self._take(news.granules if held is None else held)
                    held = None
                    if not self._is_full:
                        start()  # its answer may say how long the others are
                    yield replace(news, granules=granules)
                    continue
                running.popleft()
                if news is None:
                    self._answered = True
                    start()
                    continue
                if not isinstance(news, CatalogError):
                    raise news
                failed.append((window, news))
                self.has_gaps = True
                if held is not None and final:
                    yield Page(window.range, self._take(held), None, False)
                elif held is not None:
                    window.seen.difference_update(granule.id for granule in held)
                held = None
                if not final:
                    self._reader.matched -= window.announced
                    if not self._answered and len(failed) >= _HOPELESS:
                        rest = [] if plan is None or plan.is_done else [plan.rest()]
                        failed += [(other, news) for other in (*running, *waiting, *rest)]
                        self._has_given_up = True
                        return
                start()
        finally:
            tasks = [window.task for window in running if window.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _has_to_hold(self, window: Window[Page], page: Page) -> bool:
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
                self._reader.note_lacking(granule)
        return taken

    def _report(self, window: TimeRange | None, error: CatalogError) -> None:
        arrived = self.query.arrived
        if arrived is not None:
            labels = [f"arrived since {to_zulu(arrived.after)}"]
        elif window is None:
            low = self.query.orbits[0][0] if self.query.orbits else 0
            labels = [f"orbit {low:05d}"]
        else:
            labels = [span.first_day.isoformat() for span in window.days()]
        # Of a day that is asked for in parts, several may have failed.
        known = {one.label for one in self.failed}
        for label in labels:
            if label in known:
                continue
            day = None if window is None or arrived else TimeRange.of_day(date.fromisoformat(label))
            self.failed.append(FailedDay(label, error.message, day))
            self._emit(DayFailed(label, error.message, self.query.baseline))


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
