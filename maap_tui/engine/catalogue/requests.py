"""What a query asks of the catalogue: its filter, first pages and the pages that follow them."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

from maap_tui.engine import cql2
from maap_tui.engine.catalogue.client import Answer, Catalogue
from maap_tui.engine.catalogue.pages import ConditionRefused, SearchRefused, ServedPage, Take, whole
from maap_tui.engine.catalogue.queryables import Queryables
from maap_tui.engine.errors import CatalogError, InvalidRequestError, MaapError
from maap_tui.engine.missions import Mission
from maap_tui.engine.model import TimeRange, to_zulu
from maap_tui.engine.query import Query

Fetch = Callable[[], Awaitable[ServedPage]]


class ArrivalsUnknown(MaapError):
    """The catalogue cannot be asked what has arrived; what is on each sensing day has to be compared."""


class QueryRequests:
    """The requests of one query."""

    def __init__(self, catalogue: Catalogue, query: Query, mission: Mission) -> None:
        """Take what is asked, and where; ask nothing."""
        self.catalogue = catalogue
        self.query = query
        self.mission = mission
        self.queryables: Queryables | None = None
        """What the collection can be searched by; None before `check`."""
        self.unfiltered = 0
        """The most items that an answer without a filter announced."""

    async def check(self) -> Queryables:
        """Judge the names; errors as `Catalogue.check`."""
        query = self.query
        self.queryables = await self.catalogue.check(query.collection, query.product_type, query.baseline)
        return self.queryables

    @property
    def dropped(self) -> set[str]:
        """Parts of the filter by which the collection finds nothing of what it has; changed in place."""
        return self.catalogue.dropped(self.query.collection)

    @property
    def by_name(self) -> bool:
        """Whether orbits and frames are filtered here because the archive has no index of them."""
        if self.query.product_type in self.mission.unindexed:
            return True
        known = self.queryables
        if known is None:
            return False
        query = self.query
        if query.tracks and not known.has_tracks:
            return True
        if query.frames and self.mission.frame_digits and "frame" not in known.properties:
            return True
        return not (known.has_orbits if query.orbits else known.has_frames)

    @property
    def sent(self) -> set[str]:
        """The parts of the filter that are sent."""
        return set(self.query.parts) - self._left_out()

    def _left_out(self) -> set[str]:
        return self.dropped | ({"orbit", "frame", "track"} if self.by_name else set())

    async def first(
        self,
        span: TimeRange | None,
        area: Mapping[str, Any],
        *,
        limit: int,
        without: Collection[str] = (),
        take: Take = whole,
    ) -> Answer:
        """The first page of a time and an area; without some parts of the filter it counts as unfiltered.

        Args:
            span: the time; None for an orbit search.
            area: the spatial part of the request.
            limit: items at most.
            without: parts of the filter to leave out.
            take: see `pages.read_page`.

        Raises:
            CatalogError: when it cannot be fetched.
            InvalidRequestError: when the catalogue will not search that.
            TooMany: when it says that it pages no further.
            ArrivalsUnknown: when it does not filter by the time of arrival.
        """
        query = self.query
        without = {*without, *self._left_out()}
        body: dict[str, Any] = {"collections": [query.collection], "limit": limit, **area}
        if span is not None:
            body["datetime"] = f"{to_zulu(span.start)}/{to_zulu(span.end)}"
        condition, arrival = self._condition(without), self._arrival()
        obeyed = partial(self._obeyed, condition)
        try:
            if arrival is None:
                answer = await self.catalogue.search(body, condition, obeyed, take)
            else:
                answer = await self.catalogue.search_with(body, condition, arrival, obeyed, take)
        except ConditionRefused as refused:
            how = "does not filter" if refused.status == 200 else f"refuses ({refused.status}) to filter"
            raise ArrivalsUnknown(f"the catalogue {how} by the time of arrival") from None
        except SearchRefused as refused:
            raise refused.explained(is_first=True) from None
        if query.arrived is not None and not self._is_of_time(answer):
            raise ArrivalsUnknown("the catalogue does not filter by the time of arrival")
        if span is None and (not answer.is_filtered or "orbit" in without):
            raise InvalidRequestError(
                "The catalogue does not filter, so an orbit has to be looked for in a time range",
                "Give one beside --orbit: " + self.orbit_dates() + ".",
            )
        asked = set(query.parts) - without
        if answer.is_filtered and answer.page.items:
            self.catalogue.honoured(query.collection).update(asked)
        is_filtered = answer.is_filtered and not (set(query.parts) & self.dropped)
        if not is_filtered:
            self.unfiltered = max(self.unfiltered, answer.page.matched or 0)
        return replace(answer, is_filtered=is_filtered)

    def following(
        self, page: ServedPage, body: Mapping[str, Any], asked: set[str], take: Take = whole
    ) -> Fetch | None:
        """What fetches the next page; None on the last one.

        Args:
            page: the page before it.
            body: what the first page was asked with.
            asked: marks of the pages that were asked for; extended in place.
            take: see `pages.read_page`.

        Raises:
            CatalogError: when its link leads to another host or back.
        """
        link = page.next_link
        if link is None:
            return None
        href = self.catalogue.joined(str(link.get("href") or "search"))
        if not self.catalogue.is_own(href):
            raise CatalogError(f"the next page is on another host, which is not followed: {href[:120]!r}")
        method = "POST" if str(link.get("method", "GET")).upper() == "POST" else "GET"
        merged: dict[str, Any] | None = None
        mark = href
        if method == "POST":
            extra = link.get("body")
            extra = extra if isinstance(extra, dict) else {}
            merged = {**body, **extra} if link.get("merge") else (extra or dict(body))
            mark = json.dumps([href, merged], sort_keys=True)
        if mark in asked:
            raise CatalogError("the pages of the result lead in a circle")
        asked.add(mark)

        async def fetch() -> ServedPage:
            try:
                return await self.catalogue.page(method, href, merged, take)
            except SearchRefused as refused:
                raise refused.explained(is_first=False) from None

        return fetch

    def orbit_dates(self) -> str:
        """Options of the command line for about the time of the orbits."""
        low, high = self.query.orbits[0][0], self.query.orbits[-1][1]
        if self.mission.orbit_time is None:
            return "--start DATE --end DATE"
        begin = (self.mission.orbit_time(low) - timedelta(days=1)).date()
        end = (self.mission.orbit_time(high) + timedelta(days=1)).date()
        return f"--start {begin} --end {end} is about when it was flown"

    def _condition(self, without: Collection[str]) -> cql2.Condition | None:
        query, known = self.query, self.queryables
        assert known is not None
        return query.to_filter(
            known.keys,
            baselines=known.baseline_spellings(query.baseline) if query.baseline else (),
            products=known.product_spellings(query.product_type),
            without=without,
            numbers=known.numbers,
        )

    def _arrival(self) -> cql2.Condition | None:
        """The filter by the time of arrival; None where that is not asked for."""
        if self.query.arrived is None:
            return None
        assert self.queryables is not None
        if self.queryables.stamp is None:
            raise ArrivalsUnknown("the collection has no time of arrival to ask by")
        name = self.queryables.stamp[0]
        # Where any property may be asked for, those that are not listed are texts (stac-fastapi-pgstac).
        return self.query.arrived.to_filter(name, as_text=name not in self.queryables.properties)

    def _is_of_time(self, answer: Answer) -> bool:
        """Whether the first items of an answer came when they had to."""
        arrived, known = self.query.arrived, self.queryables
        assert arrived is not None and known is not None and known.stamp is not None
        field = known.stamp[1]
        # Services compare times as texts, or by whole seconds.
        limit = cql2.Comparison(field, ">=", arrived.after - timedelta(seconds=2))
        judged = [cql2.holds(limit, one) for one in answer.page.sample if isinstance(one, dict)]
        return answer.is_filtered and judged.count(False) <= len(judged) / 2

    def _obeyed(self, condition: cql2.Condition | None, sample: list[Any]) -> bool | None:
        """Whether these properties of items agree with a filter; None when they say nothing of it."""
        known = self.queryables
        assert known is not None
        if condition is None:
            return None
        judged = [
            cql2.holds(condition, known.keys.values_of(properties))
            for properties in sample
            if isinstance(properties, dict)
        ]
        strays, fits = judged.count(False), judged.count(True)
        # One item that is catalogued wrongly is not a sign of a filter that does nothing.
        return False if strays > len(judged) / 2 else True if fits and not strays else None
