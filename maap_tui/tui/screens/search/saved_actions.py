"""SavedActions: the list of saved and past searches, and the note of each that ended."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from maap_tui.engine.errors import MaapError
from maap_tui.engine.saved_searches import Choices, SavedSearches
from maap_tui.engine.search_history import FoundGranules, PastSearch, SearchHistory
from maap_tui.text import format_count
from maap_tui.tui.host import Host
from maap_tui.tui.screens.search.saved_dialog import SavedDialog
from maap_tui.tui.screens.search.saved_terms import choices_of
from maap_tui.tui.screens.search.search_form import SearchForm


class SavedActions:
    """Call its coroutines from workers."""

    def __init__(self, app: Host) -> None:
        self._app = app
        self._writing = asyncio.Lock()

    async def choose(self, form: SearchForm) -> Choices | None:
        """Ask for a search, with that of the form to save; None when none was chosen."""
        async with self._writing:
            pass  # a search that has just ended is in the list
        query, reading = form.query_now, form.reading
        here = (
            choices_of(form.terms, query, form.sites) if query is not None or reading.needs_newest else None
        )
        problem = next(iter(reading.problems.values()), reading.hint)
        return await self._app.push_screen_wait(SavedDialog(here, problem))

    async def note(self, choices: Choices, granules: FoundGranules, failed_days: int) -> str:
        """Write down a search that ended; says what a saved one found that is new, '' where nobody knows."""
        async with self._writing:
            done = await asyncio.to_thread(self._note, choices, granules, failed_days)
        if done.new is None or done.since is None:
            return ""
        return f"{format_count(done.new)} new since {done.since:%Y-%m-%d %H:%M}"

    def _note(self, choices: Choices, granules: FoundGranules, failed_days: int) -> PastSearch:
        dirs = self._app.backend.session.dirs
        is_saved = False
        with suppress(MaapError):  # a wrong file matters when a search is looked for in it
            is_saved = bool(SavedSearches(dirs.searches_file).name_of(choices))
        return SearchHistory(dirs).note(
            choices, granules, now=self._app.backend.now(), is_saved=is_saved, failed_days=failed_days
        )
