"""Asking: asks the archive for what the form needs, names not known here and the count of its query."""

from __future__ import annotations

import asyncio
from functools import partial

from textual.timer import Timer

from maap_tui.engine.errors import InvalidRequestError, MaapError, NetworkSetupError
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.tui.host import Host
from maap_tui.tui.screens.search.search_form import SearchForm
from maap_tui.tui.screens.search.search_words import count_in_words
from maap_tui.tui.screens.search.terms import known_word, names_of
from maap_tui.tui.workers import start_worker

TYPING_S = 0.4
"""Seconds after the last key before the archive is asked for the count."""


class Asking:
    """Call its coroutines from workers; the count starts its own."""

    def __init__(self, app: Host, form: SearchForm) -> None:
        self._app = app
        self._form = form
        self._typing: Timer | None = None
        self._total: tuple[str, int] | None = None
        """The command of the query that was counted last, and the granules that it finds at most."""

    def expected(self, query: Query | None) -> int | None:
        """Granules that a query finds at most, None when unknown."""
        if self._total is None or query is None or self._total[0] != query.to_command():
            return None
        return self._total[1]

    async def learn_local(self) -> None:
        """Read the names that are known locally."""
        await asyncio.to_thread(self._app.backend.session.index.load)
        self._form.judge()

    async def learn_names(self) -> None:
        """Fetch the names of collections without a local copy; errors are not shown."""
        session, form = self._app.backend.session, self._form
        for collection in session.index.missing(session.collections()):
            try:
                await self._app.backend.ask(partial(_fetch_names, collection=collection))
            except NetworkSetupError:
                return
            except InvalidRequestError:
                continue
            except MaapError:
                return
            form.judge()
            if form.field_in_hand in ("collection", "product_type", "baseline"):
                form.show_matches()

    def count_after_typing(self) -> None:
        """Count after a pause in typing; called with each change of the form."""
        form = self._form
        form.workers.cancel_group(form, "count")
        form.say("")
        self.stop_waiting()
        self._typing = form.set_timer(TYPING_S, self._start_count)

    def stop_waiting(self) -> None:
        """Leave out the count that waits for a pause in typing."""
        if self._typing is not None:
            self._typing.stop()

    def _start_count(self) -> None:
        start_worker(self._form, self._count, group="count", exclusive=True)

    async def _count(self) -> None:
        """Say in the form how much the archive has of its query."""
        form = self._form
        try:
            await self.learn_typed()
            query = form.query_now
            if query is None:
                return
            form.say("Counting...")
            count, doubts = await self._app.backend.ask(partial(_counted, query=query))
        except MaapError as error:
            form.say(f"Not counted: {error.message}")
            return
        self._total = (query.to_command(), min(count, query.max_items)) if count is not None else None
        form.say(count_in_words(count, query, doubts))

    async def learn_typed(self) -> None:
        """Ask for the names that the form needs and that are not known here."""
        form = self._form
        form.judge()
        collection, reading = form.terms.collection.strip(), form.reading
        known = form.known
        spelled = known_word(collection, known.collections) or collection
        is_new = collection and known.queryables_of(spelled) is None
        if is_new and "collection" not in reading.problems:
            try:
                await self._app.backend.ask(lambda session: session.index.learn(spelled))
            except NetworkSetupError:
                raise  # it says nothing about the name
            except InvalidRequestError:
                pass  # the form says it
            form.judge()
        if form.reading.needs_newest:
            names = names_of(form.terms, form.known)[:2]
            await self._app.backend.ask(lambda session: session.newest_baseline(*names))
            form.judge()


async def _fetch_names(session: Session, collection: str) -> None:
    await session.index.fetch(collection)


async def _counted(session: Session, query: Query) -> tuple[int | None, list[str]]:
    """The archive's count for a query, and reasons to doubt it."""
    search = session.search(query)
    return await search.count(), search.doubts
