"""Whether finding nothing is believed: a filter may find nothing of what the archive has."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from maap_tui.engine.catalogue.pages import SAMPLE
from maap_tui.engine.catalogue.requests import QueryRequests
from maap_tui.engine.catalogue.stac import BadItem, granule_of
from maap_tui.engine.catalogue.windows import WHOLE_UP_TO
from maap_tui.engine.errors import CatalogError, InvalidRequestError
from maap_tui.engine.events import Emit, Noted, Warned
from maap_tui.engine.model import Granule, TimeRange
from maap_tui.engine.query import Query


@dataclass(frozen=True, slots=True)
class Expected:
    """What is known on this machine of what a search should find."""

    words: str
    """What says so, as `the registry has 12 files of it`."""
    day: date
    """A day that should hold something."""
    is_listed: bool
    """Whether the files themselves are known, not only a span of time."""


class ZeroCheck:
    """Doubts that a query finds nothing, and finds out what is at fault."""

    def __init__(
        self,
        requests: QueryRequests,
        span: TimeRange | None,
        *,
        accepts: Callable[[Query, Granule, bool], bool],
        expect: Callable[[Query, TimeRange | None], Expected | None] | None,
        trusting: bool,
        doubts: list[str],
        emit: Emit,
    ) -> None:
        """Take what found nothing.

        Args:
            requests: what asks.
            span: the span that was searched; None for an orbit search.
            accepts: whether a query means a granule that came, filtered or not.
            expect: says of a query and a span what should be found there; reads files.
            trusting: whether finding nothing is believed unless it was expected otherwise.
            doubts: takes what makes the answers doubtful, in sentences.
            emit: takes the events.
        """
        self._requests = requests
        self._span = span
        self._accepts = accepts
        self._expect = expect
        self._trusting = trusting
        self._doubts = doubts
        self._emit = emit

    async def _look(
        self, span: TimeRange | None, area: Mapping[str, Any], without: Collection[str] = ()
    ) -> tuple[list[Granule], bool]:
        """What is wanted among the first items of a time and an area, and whether there were any."""
        answer = await self._requests.first(span, area, limit=SAMPLE, without=without)
        query = self._requests.query
        wanted = query.replace(time=span) if span else query
        granules = []
        for item in answer.page.items:
            with contextlib.suppress(BadItem):
                granules.append(granule_of(item, query.collection, self._requests.mission.name))
        return [one for one in granules if self._accepts(wanted, one, False)], bool(answer.page.items)

    async def is_wrong(self) -> bool:
        """Whether the archive has what a filter did not find; what is at fault is left out from now on.

        Each part that the service has not yet shown to work is left out in turn, until something comes.

        Raises:
            CatalogError: when that cannot be found out, or nothing at all is where files are known to be.
        """
        query = self._requests.query
        expected = None
        if self._expect is not None:
            expected = await asyncio.to_thread(self._expect, query, self._span)
        if expected is None and self._trusting:
            return False
        sent = self._requests.sent
        unproven = sent - self._requests.catalogue.honoured(query.collection)
        if self._span is None:
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
        self._doubts.append(sentence)
        self._emit(Warned(sentence))

    async def _blame(self, parts: Sequence[str]) -> None:
        """Remember that a filter finds nothing of what is there, unless its keys are out of date."""
        requests, query = self._requests, self._requests.query
        known = requests.queryables
        assert known is not None
        with contextlib.suppress(CatalogError):
            requests.queryables = await requests.catalogue.queryables(query.collection, refresh=True)
            if requests.queryables.keys != known.keys:
                self._emit(Noted(f"The catalogue has renamed the queryables of {query.collection}"))
                return
        requests.dropped.update(parts)
        self._doubt(
            f"The catalogue finds nothing in {query.collection} by {' and '.join(parts)}, and has what "
            "was asked for: filtered here instead, which takes longer"
        )

    def _probes(self, expected: Expected | None) -> list[TimeRange | None]:
        """The times to look at where nothing was found."""
        span = self._span
        if span is None or span.duration <= WHOLE_UP_TO:
            return [span]
        middle = (span.start + span.duration / 2).date()
        days = [expected.day] if expected else [span.last_day, middle, span.first_day]
        # What is beside the range says nothing of it.
        parts = [
            TimeRange(max(one.start, span.start), min(one.end, span.end))
            for one in map(TimeRange.of_day, days)
        ]
        return [one for one in parts if one.start < one.end]
