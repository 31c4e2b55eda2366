"""SearchRun: a search that the mode makes: its query, its pages as they come, and its words."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

from maap_tui.engine.catalogue.reader import Page
from maap_tui.engine.catalogue.search import Search
from maap_tui.engine.query import Query
from maap_tui.engine.search_history import FoundGranules
from maap_tui.engine.session import Session
from maap_tui.tui.host import Host
from maap_tui.tui.screens.search.results import SLICE, Result, result_of
from maap_tui.tui.screens.search.search_words import outcome_in_words, progress_in_words

KEPT_WHOLE = 5000
"""Results that keep all that the catalogue sent; of later ones it is fetched again when they are opened."""


class SearchRun:
    """One search, from the key that begins it to the next one.

    Attributes:
        query: what is searched for; None until the form has it, as of the newest baseline.
        search: the engine's search; None before it began.
        outcome: how it ended, in words; '' while it runs.
        count: granules found so far.
        found: what of them the history remembers.
    """

    def __init__(self, maap: Host, query: Query | None) -> None:
        self._maap = maap
        self._begun_s = time.monotonic()
        self.query = query
        self.search: Search | None = None
        self.outcome = ""
        self.count = 0
        self.found = FoundGranules()

    @property
    def has_failed_days(self) -> bool:
        """Whether days could not be searched."""
        return self.search is not None and bool(self.search.failed)

    async def results(self, query: Query) -> AsyncIterator[list[Result]]:
        """Ask for the query; results come in slices, between which keys are handled."""
        self.query, self._begun_s = query, time.monotonic()
        session = self._maap.backend.session
        formats = session.formats_of(query)
        notices = await asyncio.to_thread(session.quality.notices)
        async for page in self._pages(query):
            for start in range(0, len(page.granules), SLICE):
                granules = page.granules[start : start + SLICE]
                self.found.add(granule.id for granule in granules)
                yield [
                    result_of(
                        granule,
                        formats,
                        keep_whole=self.count + at < KEPT_WHOLE,
                        quality=notices.of_granule(granule),
                    )
                    for at, granule in enumerate(granules)
                ]
                self.count += len(granules)
                await asyncio.sleep(0)

    async def _pages(self, query: Query) -> AsyncIterator[Page]:
        def begin(session: Session) -> AsyncIterator[Page]:
            self.search = session.search(query)
            return aiter(self.search)

        pages = self._maap.backend.engine.aiterate(begin)
        try:
            async for page in pages:
                yield page
        finally:
            await pages.aclose()  # type: ignore[attr-defined]

    def end(self, outcome: str, count: int) -> None:
        """Take how it ended.

        Args:
            outcome: done, stopped or failed.
            count: granules found.
        """
        self.outcome = outcome_in_words(outcome, count, self.search, self.query)

    def progress(self, count: int, expected: int | None) -> str:
        """How far it is, in words.

        Args:
            count: granules found so far.
            expected: granules that it finds at most, None where that is not known.
        """
        words = progress_in_words(count, self.search, expected, time.monotonic() - self._begun_s)
        silence = self._maap.backend.silence
        return f"{words}. {silence}" if silence else words
