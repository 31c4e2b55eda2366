"""What a search reads of a window: its pages, in halves where it holds more than the service pages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from maap_tui.engine.catalogue.pages import START_RECORD_LIMIT, ServedPage, TooMany
from maap_tui.engine.catalogue.requests import Fetch, QueryRequests
from maap_tui.engine.catalogue.skipped import SkippedItem, skipped_granule, skipped_item
from maap_tui.engine.catalogue.stac import BadItem, granule_of
from maap_tui.engine.catalogue.windows import Window
from maap_tui.engine.errors import CatalogError
from maap_tui.engine.events import Emit, ItemSkipped, PageFetched
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import Query

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


class WindowReader:
    """Reads the windows of one search, several at a time, and keeps count of what they hold."""

    def __init__(
        self,
        requests: QueryRequests,
        *,
        page_size: int,
        prepare: Callable[[Granule], object] | None,
        emit: Emit,
    ) -> None:
        """Take what is asked.

        Args:
            requests: what asks.
            page_size: items of a page.
            prepare: what is prepared of each granule as it is read: see `stac.prepared_of`; None for nothing.
            emit: takes the events of pages and of items that cannot be used.
        """
        self._requests = requests
        self._query = requests.query
        self._page_size = page_size
        self._prepare = prepare
        self._emit = emit
        self._surroundings = requests.query.surroundings()
        self._span: TimeRange | None = None
        self._all_time: TimeRange | None = None
        self.matched = 0
        """Items the server announced so far."""
        self.skipped: dict[str, SkippedItem] = {}
        """Items that could not be used, by what distinguishes them."""

    def begin(self, span: TimeRange | None, all_time: TimeRange) -> None:
        """Begin from scratch.

        Args:
            span: the time that is searched; None for an orbit search.
            all_time: the time that the mission has, for a window without one that holds too much.
        """
        self._span, self._all_time = span, all_time
        self.matched, self.skipped = 0, {}

    async def fill(self, window: Window[Page]) -> None:
        """Read a window into its queue; errors go there too."""
        try:
            await self._read_span(window, window.range, closing=True)
            await window.pages.put(None)
        except Exception as error:
            window.note_count(window.range, None, 0)
            await window.pages.put(error)

    async def _read_span(self, window: Window[Page], span: TimeRange | None, *, closing: bool) -> None:
        """Read a window or a part of it; `closing` says whether the window ends with it."""
        areas = self._query.areas()
        for number, area in enumerate(areas, start=1):
            try:
                await self._read_area(window, span, area, closing=closing and number == len(areas))
            except TooMany as too_many:
                whole = span or self._span or self._all_time
                assert whole is not None
                window.splits += 1
                if whole.duration < timedelta(seconds=2) or window.splits > _MAX_SPLITS:
                    raise CatalogError(
                        f"the catalogue announces {too_many.matched} items however short the time, "
                        "more than it pages"
                    ) from None
                first, second = whole.halves()[:: -1 if self._query.newest_first else 1]
                await self._read_span(window, first, closing=False)
                await self._read_span(window, second, closing=closing)
                return

    async def _read_area(
        self, window: Window[Page], span: TimeRange | None, area: Mapping[str, Any], *, closing: bool
    ) -> None:
        wanted = self._query.replace(time=span) if span else self._query
        answer = await self._requests.first(span, area, limit=self._page_size, take=self._take)
        page, body, is_filtered = answer.page, answer.body, answer.is_filtered
        del answer
        matched, shown = page.matched, len(page.items)
        window.note_count(span, matched, shown)
        if matched is not None and matched > START_RECORD_LIMIT:
            raise TooMany(matched)
        # What a service announces that does not filter says nothing of what is wanted.
        announced = matched if is_filtered else None
        window.announced += announced or 0
        self.matched += announced or 0
        most = START_RECORD_LIMIT + self._page_size if matched is None else matched
        received = repeated = 0
        asked: set[str] = set()
        came: set[str] = set()
        has_changed = False
        while True:
            count = fresh = len(page.items)
            if self._query.arrived is not None:
                names = [one.id for one in page.items if isinstance(one, Granule)]
                before = len(came)
                came.update(names)
                fresh -= len(names) - (len(came) - before)
                has_changed |= page.matched != matched
            # Items that come twice do no harm where all that are announced come.
            received += fresh
            repeated += count - fresh
            granules = self._wanted(page, wanted, window.seen, is_filtered=is_filtered)
            if not is_filtered:
                window.announced += len(granules)
                self.matched += len(granules)
            self._emit(PageFetched(span.start if span else None, count, announced))
            # A page without anything new ends the search whatever its links say, and so does one too many.
            following: Fetch | None = None
            broken: CatalogError | None = None
            if fresh and received <= most:
                try:
                    following = self._requests.following(page, body, asked, self._take)
                except CatalogError as error:
                    broken = error
            is_whole = (
                not (following or broken)
                and not has_changed
                and (not repeated if matched is None else received == matched)
            )
            # Nothing of a page is held here once it was handed on.
            del page
            await window.pages.put(Page(window.range, granules, announced, is_whole and closing))
            del granules
            if broken is not None:
                raise broken
            if following is None:
                break
            page = await following()
        if has_changed or (repeated and not is_whole):
            raise CatalogError("items changed places while they were read", "Run it again later.")
        if not is_whole or received > most:
            raise CatalogError(
                f"the catalogue announced {matched} items and sent {received}", "Run it again later."
            )
        if matched is None:
            window.note_count(span, received, shown)

    def accepts(self, wanted: Query, granule: Granule, is_filtered: bool) -> bool:
        """Whether a granule that came is wanted, also by where it is."""
        return wanted.accepts(granule, is_filtered=is_filtered) and (
            self._surroundings is None or self._surroundings.reaches(granule.footprint)
        )

    def _take(self, item: Any, text: bytes, url: str) -> Granule | SkippedItem:
        """What is kept of an item of a page."""
        query, mission = self._query, self._requests.mission
        try:
            granule = granule_of(
                item, query.collection, mission.name, formats=query.formats, text=text, url=url
            )
        except BadItem as bad:
            return skipped_item(item, str(bad), query, self._requests.catalogue.root)
        if self._prepare is not None:
            granule.prepare(item, self._prepare)
        return granule

    def _wanted(self, page: ServedPage, wanted: Query, seen: set[str], *, is_filtered: bool) -> list[Granule]:
        granules: list[Granule] = []
        for one in page.items:
            if isinstance(one, SkippedItem):
                self._skip(one)
            elif one.id not in seen and self.accepts(wanted, one, is_filtered):
                seen.add(one.id)
                granules.append(one)
        return granules

    def note_lacking(self, granule: Granule) -> None:
        """Take down a granule that has no file of the formats of its mission, and so is not whole."""
        reason = f"has no file of {', '.join(self._requests.mission.formats)}"
        self._skip(skipped_granule(granule, reason, self._requests.catalogue.root))

    def _skip(self, one: SkippedItem) -> None:
        """Take down an item that cannot be used."""
        # The same item comes again in the next window, and when a window is asked again.
        mark = one.name or one.url or one.reason
        if mark not in self.skipped and one.is_wanted(self._query, self._span):
            self.skipped[mark] = one
            self._emit(ItemSkipped(one.name, one.url, one.reason))
