"""The mode Search: the form, its results as they stream in, and what can be done with them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.containers import Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from maap_tui.engine.catalogue.search import Page, Search
from maap_tui.engine.errors import InvalidRequestError, MaapError, NetworkSetupError
from maap_tui.engine.query import Query
from maap_tui.engine.session import Session
from maap_tui.engine.storage import files
from maap_tui.text import (
    clean,
    format_bytes,
    format_count,
    format_duration,
    format_rate,
    format_sum,
    plural,
)
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.keys import bindings
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.screens.search.actions import ResultActions
from maap_tui.tui.screens.search.granule import GranuleDialog
from maap_tui.tui.screens.search.result_states import ResultStates
from maap_tui.tui.screens.search.results import (
    COLUMNS,
    NARROW_COLUMNS,
    Result,
    columns_for,
    first_columns,
    merged,
    order_of,
    result_key,
    result_of,
)
from maap_tui.tui.screens.search.search_form import SearchForm
from maap_tui.tui.screens.search.search_words import (
    NO_SEARCH,
    count_in_words,
    empty_in_words,
    outcome_in_words,
    progress_in_words,
)
from maap_tui.tui.screens.search.terms import Terms, cron_line, known_word
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.memory import recall, remember
from maap_tui.tui.widgets.rows import RowList
from maap_tui.tui.workers import start_worker

TYPING_S = 0.4
"""Seconds after the last key before the archive is asked for the count."""

KEPT_WHOLE = 5000
"""Results that keep all that the catalogue sent; of later ones it is fetched again when they are opened."""

SLICE = 5000
"""Rows handled between two looks at the keys."""


class SearchScreen(ModeScreen):
    """The form above its results, or beside them on a wide screen."""

    MODE = "search"
    BINDINGS = bindings("search", "lists")
    AUTO_FOCUS: ClassVar = "#results"

    def __init__(self) -> None:
        super().__init__()
        self._typing: Timer | None = None
        self._runner: Worker[None] | None = None
        self._search_run: Search | None = None
        self._query: Query | None = None
        self._outcome = ""
        """How the last search ended, in words; '' before and while one runs."""
        self._incoming: list[Result] = []
        self._newest_first = False
        self._breaks: list[int] = []
        """Rows before which the order of the results is broken: what was asked again comes last."""
        self._waited_since = 0.0
        self._begun = 0.0
        self._states_seen = 0
        self._total: tuple[str, int] | None = None
        """The command of the query that was counted last, and the granules that it finds at most."""
        self._sum_is_old = False
        self._is_summing = False
        self._next_sum = 0.0
        self._chosen_columns: list[str] | None = None
        """Columns that the user chose; None for those that there is room for."""
        self._remembered: dict[str, Any] = {}
        self._memory_turn = asyncio.Lock()
        self._is_restored = False
        self._is_touched = False

    def body(self) -> Sequence[Widget]:
        rows = RowList(COLUMNS, key=result_key, empty_text=NO_SEARCH, id="results")
        rows.set_columns(NARROW_COLUMNS)
        self.states = ResultStates(self.maap, rows)
        self.work = ResultActions(self.maap)
        return [
            SearchForm(),
            Vertical(
                Static("", markup=False, id="progress"),
                FilterLine(rows),
                rows,
                Static("", markup=False, id="sum"),
                id="found",
            ),
        ]

    @property
    def form(self) -> SearchForm:
        return self.query_one(SearchForm)

    @property
    def results(self) -> RowList:
        return self.query_one("#results", RowList)

    @property
    def focused_list(self) -> RowList | None:
        """The results; the matches of the form are not a list of their own."""
        return self.results

    @property
    def is_searching(self) -> bool:
        """Whether a search runs."""
        return self._runner is not None and not self._runner.is_finished

    # What is known and remembered

    def on_mount(self) -> None:
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        if self.focused is None:
            self.results.focus()
        start_worker(self, self._restore, group="start")

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._is_restored:
            start_worker(self, self._learn_local, group="names", exclusive=True)
            self.states.look_at_all()

    async def _restore(self) -> None:
        found = await asyncio.to_thread(recall, self._memory_file)
        self._remembered = found
        columns = found.get("columns")
        if isinstance(columns, list):
            self._chosen_columns = [key for key in columns if isinstance(key, str)]
        self._fit_columns()
        sort = found.get("sort")
        if isinstance(sort, list) and len(sort) == 2 and sort[0] in {column.key for column in COLUMNS}:
            self.results.sort_by(sort[0], is_reversed=sort[1] is True)
        await self._learn_local()
        if not self._is_touched and found.get("terms"):
            self.form.fill(Terms.from_dict(found["terms"]))
        self._is_restored = True
        await self._learn_names()

    def _fit_columns(self) -> None:
        """Show the columns that were chosen, or those that there is room for."""
        query = self._query
        mission = self.maap.backend.session.mission_of(query.collection) if query is not None else None
        columns = self._chosen_columns or first_columns(mission, self.results.size.width)
        if columns != [column.key for column in self.results.columns]:
            self.results.set_columns(columns)

    @property
    def _memory_file(self) -> Path:
        return self.maap.backend.session.dirs.cache_file("search.json")

    def _remember(self) -> None:
        """Write columns, sort and form down when they changed."""
        if not self._is_restored:
            return
        rows = self.results
        now = {
            "columns": self._chosen_columns,
            "sort": [rows.sort_key, rows.sort_reversed],
            "terms": self.form.terms.as_dict(),
        }
        if now != self._remembered:
            self._remembered = now
            start_worker(self, self._write_memory, group="memory")

    async def _write_memory(self) -> None:
        # One write after the other: of two at once the earlier might be the last one on disk.
        async with self._memory_turn:
            await asyncio.to_thread(remember, self._memory_file, self._remembered)

    async def _learn_local(self) -> None:
        """Read the names that need no request."""
        await asyncio.to_thread(self.maap.backend.session.index.load)
        self.form.judge()

    async def _learn_names(self) -> None:
        """Fetch the names of collections that have no local copy, quietly."""
        session = self.maap.backend.session
        for collection in session.index.missing(session.collections()):
            try:
                await self.maap.backend.ask(partial(_fetch_names, collection=collection))
            except NetworkSetupError:
                return
            except InvalidRequestError:
                continue
            except MaapError:
                return
            self.form.judge()
            if self.form.field_in_hand in ("collection", "product_type", "baseline"):
                self.form.show_matches()

    # The form

    def receive(
        self,
        collection: str = "",
        product_type: str = "",
        baseline: str | None = None,
        query: Query | None = None,
    ) -> None:
        """Fill the form with what another mode hands over."""
        self._is_touched = True
        if not self.query("#sum") or not self.query("#every-version"):
            # The first visit: the form has no fields yet.
            self.call_after_refresh(self.receive, collection, product_type, baseline, query)
            return
        if query is not None:
            terms = Terms.of_query(query, self.maap.backend.session.settings.search.max_items)
        else:
            terms = Terms(collection, product_type, baseline or "", time=self.form.terms.time)
        self.form.fill(terms)
        self._unfold("time" if terms.product_type else "product_type" if terms.collection else "collection")

    @on(SearchForm.Changed)
    def wait_for_typing(self) -> None:
        """Ask for the count once the keys rest."""
        self._is_touched = self._is_touched or self._is_restored or bool(self.form.field_in_hand)
        self.workers.cancel_group(self, "count")
        self.form.say("")
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING_S, self._start_count)

    def _start_count(self) -> None:
        start_worker(self, self._count, group="count", exclusive=True)

    async def _count(self) -> None:
        form = self.form
        try:
            await self._learn_typed()
            query = form.query_now
            if query is None:
                return
            form.say("Counting...")
            count, doubts = await self.maap.backend.ask(partial(_counted, query=query))
        except MaapError as error:
            form.say(f"Not counted: {error.message}")
            return
        self._total = (query.to_command(), min(count, query.max_items)) if count is not None else None
        form.say(count_in_words(count, query, doubts))

    async def _learn_typed(self) -> None:
        """Ask the archive for the names that the form needs and that are not known here."""
        form = self.form
        form.judge()
        collection, reading = form.terms.collection.strip(), form.reading
        known = form.known
        spelled = known_word(collection, known.collections) or collection
        is_new = collection and known.queryables_of(spelled) is None
        if is_new and "collection" not in reading.problems:
            try:
                await self.maap.backend.ask(partial(_fetch_names, collection=collection))
            except NetworkSetupError:
                raise  # it says nothing of the name
            except InvalidRequestError:
                pass  # the form says it
            form.judge()
        if form.reading.needs_newest:
            query = _names_in(form)
            await self.maap.backend.ask(
                lambda session: session.newest_baseline(query.collection, query.product_type)
            )
            form.judge()

    def action_form(self) -> None:
        self._unfold(self._first_field())

    def action_results(self) -> None:
        self.results.focus()

    def _first_field(self) -> str:
        terms, problems = self.form.terms, self.form.reading.problems
        if problems:
            return next(iter(problems))
        if not terms.product_type:
            return "product_type" if terms.collection else "collection"
        return "time"

    def _unfold(self, field: str) -> None:
        self.remove_class("-folded")
        self.call_after_refresh(self.query_one(f"#{field}").focus)

    @on(SearchForm.Unfold)
    def unfold(self) -> None:
        """The folded form was clicked."""
        self._unfold(self._first_field())

    def on_descendant_focus(self) -> None:
        self._fold()

    def _fold(self) -> None:
        """Fold the form into a line while results are looked at; on a wide screen that changes nothing."""
        if not self.query("#sum"):
            return  # the screen is being made
        is_in_form = self.focused is not None and self.form in self.focused.ancestors
        has_results = bool(self.results.rows) or self.is_searching
        self.set_class(has_results and not is_in_form, "-folded")

    # The run

    @on(SearchForm.Submitted)
    def action_run(self) -> None:
        if self.is_searching:
            assert self._runner is not None
            self._runner.cancel()
            return
        query = self.form.query_now
        if query is None and not self.form.reading.needs_newest:
            self._unfold(self._first_field())
            problem = next(iter(self.form.reading.problems.values()), self.form.reading.hint)
            self.notify(clean(problem), severity="warning", markup=False)
            return
        if self._typing is not None:
            self._typing.stop()
        self._runner = start_worker(self, self._search, query, group="search", exclusive=True)
        self.results.focus()
        self._fold()

    async def _search(self, query: Query | None) -> None:
        self._outcome, self._search_run, self._query = "", None, query
        self._show_progress()
        if query is None:
            await self._learn_typed()
            query = self.form.query_now
            if query is None:
                self._outcome = next(iter(self.form.reading.problems.values()), "Nothing to search.")
                return
        self._query = query
        self._begun = time.monotonic()
        rows = self.results
        rows.empty_text = "Searching... ctrl+r stops it."
        self._incoming, self._waited_since = [], time.monotonic()
        self.states.clear()
        self._breaks, self._newest_first = [], query.newest_first
        self.workers.cancel_group(self, "order")
        rows.clear_marks()
        rows.set_rows([])
        rows.offer_columns(columns_for(self.maap.backend.session.mission_of(query.collection)))
        self._fit_columns()
        formats = self.maap.backend.session.formats_of(query)
        count = 0
        outcome = "failed"
        try:
            async for page in self._pages(query):
                for start in range(0, len(page.granules), SLICE):
                    for granule in page.granules[start : start + SLICE]:
                        self._incoming.append(result_of(granule, formats, keep_whole=count < KEPT_WHOLE))
                        count += 1
                    await asyncio.sleep(0)
            outcome = "done"
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        finally:
            self._take_incoming(everything=True)
            self._put_in_order()
            self._outcome = outcome_in_words(outcome, len(rows.rows), self._search_run, self._query)
            rows.empty_text = empty_in_words(outcome, self._search_run)
            rows.refresh()
            self._show_progress()
            self._fold()

    async def _pages(self, query: Query) -> AsyncIterator[Page]:
        def begin(session: Session) -> AsyncIterator[Page]:
            self._search_run = session.search(query)
            return aiter(self._search_run)

        pages = self.maap.backend.engine.aiterate(begin)
        try:
            async for page in pages:
                yield page
        finally:
            await pages.aclose()  # type: ignore[attr-defined]

    def _take_incoming(self, *, everything: bool = False) -> None:
        """Put what came into the list, less often where the whole list has to be sorted for it."""
        batch, rows = self._incoming, self.results
        if not batch:
            return
        waited = time.monotonic() - self._waited_since
        if rows.sort_key is not None and not everything and len(batch) < len(rows.rows) // 5 and waited < 3:
            return
        self._incoming, self._waited_since = [], time.monotonic()
        last = rows.rows[-1] if rows.rows else None
        for number, row in enumerate(batch, len(rows.rows)):
            if last is not None and (order_of(row) < order_of(last)) is not self._newest_first:
                self._breaks.append(number)
            last = row
        is_at_top = rows.cursor == 0
        rows.append_rows(batch)
        if is_at_top:
            rows.move_to(0)  # nobody has chosen a row: what sorts before the first one shows
        self.states.add(batch)
        self._sum_is_old = True

    def _put_in_order(self) -> None:
        """Put days that were asked again where they belong, a slice of a long list at a time."""
        rows = self.results
        if not self._breaks:
            return
        slices = merged(rows.rows, self._breaks, newest_first=self._newest_first, size=SLICE)
        self._breaks = []
        if len(rows.rows) <= SLICE:
            rows.reorder([row for part in slices for row in part])
        else:
            start_worker(self, self._merge, slices, group="order", exclusive=True)

    async def _merge(self, slices: Iterator[list[Result]]) -> None:
        in_order: list[Result] = []
        for part in slices:
            in_order += part
            await asyncio.sleep(0)
        self.results.reorder(in_order)

    def _show_progress(self) -> None:
        line = self.query_one("#progress", Static)
        run = self._search_run
        if self.is_searching and not self._outcome:
            count = len(self.results.rows) + len(self._incoming)
            words = progress_in_words(count, run, self._expected(), time.monotonic() - self._begun)
            words += f". {self.maap.backend.silence}" if self.maap.backend.silence else ""
        else:
            words = self._outcome
            if words and self._is_other_search():
                words = f"{words} (an earlier search; ctrl+r runs the form's)"
            if self.results.needle:
                words += f"; {format_count(len(self.results.shown))} pass the filter"
        line.set_class(bool(run is not None and run.failed), "-failed")
        words = clean(words)
        if words != getattr(self, "_progress_shown", None):
            self._progress_shown = words
            line.update(words)

    def _expected(self) -> int | None:
        """Granules that the search under way finds at most, None where that is not known."""
        if self._total is None or self._query is None or self._total[0] != self._query.to_command():
            return None
        return self._total[1]

    def _is_other_search(self) -> bool:
        """Whether the form asks for something else than the results are of."""
        if self._query is None:
            return False
        asked = self.form.reading.query
        return asked is None or asked.to_command() != self._query.to_command()

    # Repainting

    def sample(self) -> None:
        """Take in what came, and repaint what changed."""
        super().sample()
        if not self.query("#sum"):
            return  # the screen is being made or taken down
        self._fit_columns()
        self._take_incoming()
        self._show_progress()
        self.states.follow_transfers()
        if self.states.version != self._states_seen:
            self._states_seen, self._sum_is_old = self.states.version, True
        if self._sum_is_old and not self._is_summing and time.monotonic() >= self._next_sum:
            self._sum_is_old, self._is_summing = False, True
            start_worker(self, self._sum, group="sum", exclusive=True)
        self._remember()

    @on(RowList.MarksChanged, "#results")
    def sum_again(self) -> None:
        """Other rows are selected."""
        self._sum_is_old, self._next_sum = True, 0.0

    async def _sum(self) -> None:
        """Add up what is selected, or all of it, a slice at a time."""
        begun = time.monotonic()
        try:
            rows, marks = self.results, self.results.marks
            listed = rows.rows if marks else rows.shown
            count = file_count = size = unknown = here = left = queued = 0
            for start in range(0, len(listed), SLICE):
                for row in listed[start : start + SLICE]:
                    if marks and result_key(row) not in marks:
                        continue
                    count += 1
                    file_count += len(row.files)
                    unknown += row.size is None
                    size += row.size or 0
                    here += row.is_here
                    queued += row.state == "queued"
                    # What is queued already is among what the queue brings first.
                    left += 0 if row.is_here or row.state == "queued" else row.size or 0
                await asyncio.sleep(0)
            free = await asyncio.to_thread(files.free_bytes_for, self.maap.backend.session.dirs.data_dir)
            words = []
            if count:
                granules = "" if file_count == count else f"{plural(count, 'granule')}, "
                words.append(
                    f"{'Selected' if marks else 'All'}: {granules}{plural(file_count, 'file')}, "
                    f"{format_sum(size, unknown=unknown)}"
                )
                words.append(f"{format_count(here)} here")
            if free is not None:
                words.append(f"{format_bytes(free)} free")
            rate = self.maap.backend.last_rate
            if rate and (left or queued):
                snapshot = self.maap.backend.tally.snapshot()
                before = max(0, snapshot.bytes_total - snapshot.bytes_done)
                how = "with the queue" if before else f"at {format_rate(rate)}"
                words.append(f"{format_duration((before + left) / rate)} {how}")
            self.query_one("#sum", Static).update(clean(f" {self.maap.glyphs.dot} ".join(words)))
        finally:
            self._is_summing = False
            self._next_sum = time.monotonic() + 5 * (time.monotonic() - begun)

    # What is done with results

    @on(RowList.Chosen, "#results")
    def action_show(self) -> None:
        if isinstance(self.results.current, Result):
            self.app.push_screen(GranuleDialog(self.results.current))

    @on(FilterLine.Filtered)
    def filter_results(self, event: FilterLine.Filtered) -> None:
        """Filter as it is typed."""
        self.results.set_filter(event.text)
        self._sum_is_old = True
        self._show_progress()

    def _chosen(self) -> list[Result]:
        chosen: list[Result] = self.results.chosen
        if not chosen:
            self.notify("There are no results yet: f goes to the form, ctrl+r searches.", markup=False)
        return chosen

    def action_queue(self) -> None:
        if chosen := self._chosen():
            start_worker(self, self._queue, chosen, group="queue")

    def action_get_to(self) -> None:
        if chosen := self._chosen():
            start_worker(self, self._get_to, chosen, group="queue")

    async def _get_to(self, chosen: Sequence[Result]) -> None:
        folder = await self.work.ask_folder(chosen)
        if folder is not None:
            await self._queue(chosen, folder)

    async def _queue(self, chosen: Sequence[Result], folder: Path | None = None) -> None:
        self.states.expect(await self.work.queue(chosen, folder), chosen)

    def action_save(self) -> None:
        if chosen := self._chosen():
            start_worker(self, self.work.save, chosen, self._query, group="save")

    def action_export(self) -> None:
        rows = self.results
        chosen = rows.chosen if rows.marks else list(rows.shown)
        if not chosen:
            self._chosen()
            return
        start_worker(self, self.work.export, chosen, "selected" if rows.marks else "shown", group="export")

    def action_copy(self) -> None:
        if (query := self._ready_query()) is not None:
            self.maap.copy_text(query.to_command(), "Copied the command")

    def action_copy_cron(self) -> None:
        if (query := self._ready_query()) is not None:
            what = "Copied the crontab line"
            if query.orbits:
                what += " (a sync follows time: the orbit is left out)"
            self.maap.copy_text(cron_line(query, self.maap.backend.now()), what)

    def _ready_query(self) -> Query | None:
        query = self.form.query_now
        if query is None:
            reading = self.form.reading
            words = next(iter(reading.problems.values()), reading.hint)
            self.notify(clean(words), severity="warning", markup=False)
        return query

    @on(ColumnsDialog.Changed)
    def keep_columns(self, event: ColumnsDialog.Changed) -> None:
        """Write the choice down."""
        event.stop()
        self._chosen_columns = event.keys
        if [column.key for column in event.rows.columns] != event.keys:
            event.rows.set_columns(event.keys)
        self._remember()


def _names_in(form: SearchForm) -> Query:
    """Collection and product type as they are spelled, for the search of the newest baseline."""
    terms, known = form.terms, form.known
    collection = known_word(terms.collection, known.collections) or terms.collection.strip()
    product = known_word(terms.product_type, known.products_of(collection)) or terms.product_type.strip()
    return Query(collection, product)


async def _fetch_names(session: Session, collection: str) -> None:
    await session.index.fetch(collection)


async def _counted(session: Session, query: Query) -> tuple[int | None, list[str]]:
    """What the archive counts for a query, and what makes that doubtful."""
    search = session.search(query)
    return await search.count(), search.doubts
