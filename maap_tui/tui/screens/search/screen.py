"""The mode Search: the form, its results as they arrive, and the actions on them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.containers import Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.worker import Worker

from maap_tui.engine.errors import InvalidRequestError
from maap_tui.engine.model import Granule
from maap_tui.engine.query import Query
from maap_tui.engine.saved_searches import Choices
from maap_tui.text import clean
from maap_tui.tui import gc_pause
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.keys import bindings
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.screens.search import preview
from maap_tui.tui.screens.search.actions import ResultActions
from maap_tui.tui.screens.search.arrivals import Arrivals
from maap_tui.tui.screens.search.asking import Asking
from maap_tui.tui.screens.search.command_values import values_of
from maap_tui.tui.screens.search.fewest import mark_fewest
from maap_tui.tui.screens.search.granule import GranuleDialog, ResultDeeds
from maap_tui.tui.screens.search.map import MapScreen, tracks_of
from maap_tui.tui.screens.search.memory import SearchMemory
from maap_tui.tui.screens.search.not_here import NotHere
from maap_tui.tui.screens.search.preview import Preview
from maap_tui.tui.screens.search.progress_line import ProgressLine
from maap_tui.tui.screens.search.result_states import ResultStates
from maap_tui.tui.screens.search.results import (
    COLUMNS,
    NARROW_COLUMNS,
    Result,
    columns_for,
    first_columns,
    result_key,
    result_of,
)
from maap_tui.tui.screens.search.saved_actions import SavedActions
from maap_tui.tui.screens.search.saved_terms import choices_of, terms_of
from maap_tui.tui.screens.search.search_form import SearchForm
from maap_tui.tui.screens.search.search_run import SearchRun
from maap_tui.tui.screens.search.search_words import NO_SEARCH, empty_in_words
from maap_tui.tui.screens.search.sum_line import SumLine
from maap_tui.tui.screens.search.terms import Terms, cron_line
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.header_footer import FooterBar
from maap_tui.tui.widgets.pane import framed
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.workers import start_worker

MANY = 20_000
"""Results from which a run of the garbage collector over all of them can be felt."""

FOOTER_COLUMNS = 88
"""Columns from which on the footer has room for all of its keys here."""


class ResultList(RowList):
    """The results; their columns go with their width, also while a dialog is above them."""

    def on_resize(self) -> None:
        screen = self.screen
        assert isinstance(screen, SearchScreen)
        screen.fit_columns()


class SearchScreen(ModeScreen):
    """The form above its results, or beside them on a wide screen."""

    MODE = "search"
    BINDINGS = bindings("search", "lists")
    AUTO_FOCUS: ClassVar = "#results"

    def __init__(self) -> None:
        super().__init__()
        self._runner: Worker[None] | None = None
        self._run: SearchRun | None = None
        """The last search, also one that still runs."""
        self._states_seen = 0
        self._is_restored = False
        self._is_touched = False
        self.add_class("-blank")

    def body(self) -> Sequence[Widget]:
        rows = ResultList(COLUMNS, key=result_key, empty_text=NO_SEARCH, id="results")
        rows.set_columns(NARROW_COLUMNS)
        self.arrivals = Arrivals(rows)
        self.states = ResultStates(self.maap, rows)
        self.work = ResultActions(self.maap)
        self.saved = SavedActions(self.maap)
        self._deeds = ResultDeeds(
            self._queue_one, self.states.follow_transfers, self._cut, self._show_overpasses
        )
        self.not_here = NotHere(rows)
        self.preview = Preview()
        self.memory = SearchMemory(self.maap.backend.session.dirs.cache_file("search.json"))
        self._sum = SumLine(self.maap, rows)
        form = framed(SearchForm(), "Search")
        self.asking = Asking(self.maap, form)
        self._progress = ProgressLine(form, rows, self.arrivals, self.asking, self.not_here)
        return [
            form,
            framed(
                Vertical(
                    self._progress,
                    FilterLine(rows),
                    rows,
                    self._sum,
                    self.preview,
                    id="found",
                ),
                "Results",
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
    def is_summed(self) -> bool:
        """Whether the line below the results is of what they show now."""
        return self._states_seen == self.states.version and self._sum.is_current

    @property
    def is_searching(self) -> bool:
        """Whether a search runs."""
        return self._runner is not None and not self._runner.is_finished

    def on_mount(self) -> None:
        self.call_after_refresh(self._start)

    def _start(self) -> None:
        if self.focused is None:
            self.results.focus()
        start_worker(self, self._restore, group="start")

    def on_screen_resume(self) -> None:
        if self._is_restored:
            start_worker(self, self.asking.learn_local, group="names", exclusive=True)
            self.states.look_at_all()

    @property
    def is_ready(self) -> bool:
        """Whether the form has what it was left with; a key that searches waits for that."""
        return self._is_restored

    async def _restore(self) -> None:
        memory = self.memory
        await memory.read()
        self.fit_columns()
        if memory.sort is not None and self.results.sort_key is None:
            self.results.sort_by(memory.sort[0], is_reversed=memory.sort[1])
        if memory.wants_preview is not None:
            self._place_preview()
        await self.asking.learn_local()
        if not self._is_touched and memory.terms is not None:
            self.form.fill(memory.terms)
        self._is_restored = True
        await self.asking.learn_names()

    def fit_columns(self) -> None:
        """Show the columns that were chosen, or those that there is room for."""
        columns = self.memory.columns or first_columns(self.results.size.width)
        if columns != [column.key for column in self.results.columns]:
            self.results.set_columns(columns)

    def on_resize(self, event: Resize) -> None:
        self._place_preview()

    def _place_preview(self) -> None:
        """Show the preview where there is room for it and it is wanted."""
        width, height = self.size
        is_wanted = self.memory.wants_preview
        if is_wanted is None:
            is_wanted = height >= preview.LINES and not self.maap.low_bandwidth
        self.set_class(is_wanted and width >= preview.COLUMNS, "-preview")

    def action_preview(self) -> None:
        if self.size.width < preview.COLUMNS:
            self.notify(
                f"The preview needs {preview.COLUMNS} columns; enter shows a granule whole.", timeout=4
            )
            return
        self.memory.wants_preview = not self.has_class("-preview")
        self._place_preview()

    @on(RowList.Highlighted, "#results")
    def preview_cursor(self) -> None:
        """The cursor moved: its granule is shown when it rests."""
        if self.has_class("-preview"):
            self.preview.follow(self.results.current)

    def _remember(self) -> None:
        """Save columns, sort and form when they changed."""
        if self._is_restored and self.memory.note(self.results, self.form.terms):
            start_worker(self, self.memory.write, group="memory")

    def receive(
        self,
        collection: str = "",
        product_type: str = "",
        baseline: str | None = None,
        query: Query | None = None,
        choices: Choices | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        """Fill the form with what another mode hands over; a saved search is made at once.

        Args:
            collection: the collection.
            product_type: the product type.
            baseline: the baseline; None for any.
            query: a whole query in place of names.
            choices: a saved search.
            fields: texts for some of the fields, which leave the others as they are.
        """
        self._is_touched = True
        if not self.query("#sum") or not self.query("#every-version"):
            # The first visit: the form has no fields yet.
            self.call_after_refresh(self.receive, collection, product_type, baseline, query, choices, fields)
            return
        if fields is not None:
            self.form.fill(replace(self.form.terms, **fields))
            self._unfold(next(iter(fields)))
            return
        if choices is not None:
            self._make(choices)
            return
        if query is not None:
            terms = Terms.of_query(query, self.maap.backend.session.settings.search.max_items)
        else:
            terms = Terms(collection, product_type, baseline or "", time=self.form.terms.time)
        self.form.fill(terms)
        self._unfold("time" if terms.product_type else "product_type" if terms.collection else "collection")

    @on(SearchForm.Changed)
    def count_again(self) -> None:
        """Ask for the count of what the form says now."""
        self._is_touched = self._is_touched or self._is_restored or self._is_in_form
        self.asking.count_after_typing()

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
        self.query_one(f"#{field}").focus()

    @on(SearchForm.Unfold)
    def unfold(self) -> None:
        """The folded form was clicked."""
        self._unfold(self._first_field())

    def on_descendant_focus(self) -> None:
        self._fold()

    def _fold(self) -> None:
        """Fold the form into a line while the results have the focus; a wide screen shows both."""
        if not self.query("#sum"):
            return  # the screen is being made
        has_results = bool(self.results.rows) or self.is_searching
        self.set_class(has_results and not self._is_in_form, "-folded")

    @property
    def _is_in_form(self) -> bool:
        return self.focused is not None and self.form in self.focused.ancestors

    @on(SearchForm.Submitted)
    def action_run(self) -> None:
        if self.is_searching:
            assert self._runner is not None
            self._runner.cancel()
            return
        self._begin_search()

    def _begin_search(self) -> None:
        query = self.form.query_now
        if query is None and not self.form.reading.needs_newest:
            self._unfold(self._first_field())
            problem = next(iter(self.form.reading.problems.values()), self.form.reading.hint)
            self.notify(clean(problem), severity="warning", markup=False)
            return
        self.asking.stop_waiting()
        self._runner = start_worker(self, self._search, query, group="search", exclusive=True)
        self.results.focus()
        self._fold()

    async def _search(self, query: Query | None) -> None:
        self._run = run = SearchRun(self.maap, query)
        self._show_progress()
        if query is None:
            await self.asking.learn_typed()
            query = self.form.query_now
            if query is None:
                run.outcome = next(iter(self.form.reading.problems.values()), "Nothing to search.")
                return
        rows = self.results
        rows.empty_text = "Searching... ctrl+r stops it."
        self.arrivals.begin(newest_first=query.newest_first)
        self.states.clear()
        rows.clear_marks()
        rows.set_rows([])
        rows.offer_columns(columns_for(self.maap.backend.session.mission_of(query.collection)))
        self.fit_columns()
        choices = choices_of(self.form.terms, query, self.form.sites)
        outcome = "failed"
        try:
            async for found in run.results(query):
                self.arrivals.waiting += found
            outcome = "done"
            start_worker(self, self._note, run, choices, group="history")
        except asyncio.CancelledError:
            outcome = "stopped"
            raise
        finally:
            if run.count >= MANY:
                gc_pause.exclude()
            if self._run is run:  # another search may have begun, whose list it is then
                self._take_incoming(everything=True)
                self.arrivals.put_in_order()
                run.end(outcome, len(rows.rows))
                rows.empty_text = empty_in_words(outcome, run.search)
                rows.refresh()
                self._show_progress()
                self._fold()

    async def _note(self, run: SearchRun, choices: Choices) -> None:
        failed = len(run.search.failed) if run.search is not None else 0
        news = await self.saved.note(choices, run.found, failed)
        if news:
            run.outcome += f"; {news}"
            self._show_progress()

    def action_saved(self) -> None:
        start_worker(self, self._choose_saved, group="saved", exclusive=True)

    async def _choose_saved(self) -> None:
        chosen = await self.saved.choose(self.form)
        if chosen is not None:
            self._make(chosen)

    def _make(self, choices: Choices) -> None:
        """Fill the form with a saved or a past search, and search."""
        self._is_touched = True
        try:
            terms = terms_of(choices)
        except InvalidRequestError as error:
            self.maap.show_error(error)
            return
        self.form.fill(terms)
        self._begin_search()

    def _take_incoming(self, *, everything: bool = False) -> None:
        if batch := self.arrivals.take(everything=everything):
            self.states.add(batch)
            self._sum.outdate()

    def _show_progress(self) -> None:
        self._progress.show(self._run, is_running=self.is_searching)

    @property
    def _query(self) -> Query | None:
        """What the results are of."""
        return self._run.query if self._run is not None else None

    def sample(self) -> None:
        """Add new results, and repaint what changed."""
        super().sample()
        if not self.query("#sum"):
            return  # the screen is being made or removed
        self._take_incoming()
        self.set_class(not self.results.rows, "-blank")
        self._fit_footer()
        self._show_progress()
        self.states.follow_transfers()
        self.not_here.follow(self.states.version)
        if self.has_class("-preview"):
            self.preview.keep_up(self.results.current)
        if self.states.version != self._states_seen:
            self._states_seen = self.states.version
            self._sum.outdate()
        self._sum.sample()
        self._remember()

    def _fit_footer(self) -> None:
        """Name the key that shows a granule where there is one; a narrow screen leaves another one out."""
        is_at_results = self.has_class("-folded") or (self.results.has_focus and bool(self.results.rows))
        is_short = self.size.width < FOOTER_COLUMNS and not self.is_searching
        left_out = "search.show" if not is_at_results else "search.run" if is_short else ""
        self.query_one(FooterBar).leave_out(left_out)

    @on(RowList.MarksChanged, "#results")
    def sum_again(self) -> None:
        """Other rows are selected."""
        self._sum.outdate(at_once=True)

    @on(RowList.Chosen, "#results")
    def action_show(self) -> None:
        if isinstance(self.results.current, Result):
            dialog = GranuleDialog(self.results.current, list(self.results.shown), self._deeds)
            self.app.push_screen(dialog, self._come_back)

    def _come_back(self, result: Result | None) -> None:
        """Put the cursor on the granule that was shown last."""
        if result is not None:
            self.results.move_to_key(result_key(result))

    def _queue_one(self, result: Result) -> None:
        start_worker(self, self._queue, [result], group="queue")

    def action_map(self) -> None:
        start_worker(self, self._show_map, group="map", exclusive=True)

    async def _show_map(self) -> None:
        rows = self.results
        tracks = await asyncio.to_thread(tracks_of, rows.shown)
        marks = frozenset(str(key) for key in rows.marks)
        area = await self.app.push_screen_wait(
            MapScreen(tracks, len(rows.shown), marks, self._query, self._deeds, rows.current)
        )
        if area:
            self.form.fill(replace(self.form.terms, area=area))
            self.notify("The area is in the form; ctrl+r searches.", timeout=4)

    @on(FilterLine.Filtered)
    def filter_results(self, event: FilterLine.Filtered) -> None:
        """Filter as it is typed."""
        self.results.set_filter(event.text)
        self._sum.outdate()
        self._show_progress()

    def action_not_here(self) -> None:
        self.not_here.toggle(self.states.version)
        self._sum.outdate(at_once=True)
        self._show_progress()

    def action_coverage(self) -> None:
        if (query := self._ready_query()) is not None:
            start_worker(self, self.work.coverage, query, group="coverage", exclusive=True)

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

    def subjects(self) -> Callable[[], list[dict[str, str]]]:
        """The marked granules, or the one under the cursor, for a command of the user's."""
        filing, chosen = self.maap.backend.session.filing, self.results.chosen
        return lambda: [values_of(filing, row) for row in chosen]

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

    def action_freeze(self) -> None:
        from maap_tui.tui.dialogs.freezing import freeze_granules

        rows = self.results
        if not (chosen := rows.chosen if rows.marks else list(rows.shown)):
            self._chosen()
            return
        pairs = [(row.granule, row.files) for row in chosen]
        start_worker(self, freeze_granules, self.maap, pairs, self._query, group="freeze")

    def action_cut(self) -> None:
        if (row := self.results.current) is None:
            self._chosen()
        else:
            self._cut(row.granule)

    def _cut(self, granule: Granule) -> None:
        from maap_tui.tui.screens.search.cut import CutDialog

        self.app.push_screen(CutDialog(granule, self.form.terms.area, self.form.sites))

    def action_overpasses(self) -> None:
        self._show_overpasses(self.form.terms.area)

    def _show_overpasses(self, place: str) -> None:
        from maap_tui.tui.screens.search.overpasses import OverpassDialog

        terms = replace(self.form.terms, area=place)
        self.app.push_screen(OverpassDialog(terms, self.form.sites, self._queue_granules))

    def action_match(self) -> None:
        from maap_tui.tui.screens.search.matched import match_track

        if (query := self._ready_query()) is not None:
            start_worker(
                self, match_track, self.maap, query, self._queue_granules, group="match", exclusive=True
            )

    def _queue_granules(self, granules: Sequence[Granule]) -> None:
        """Queue granules of one product that are not among the results."""
        session = self.maap.backend.session
        formats = session.formats_of(Query(granules[0].collection, granules[0].product_type))
        chosen = [result_of(granule, formats, keep_whole=True) for granule in granules]
        start_worker(self, self.work.queue, chosen, group="queue")

    def action_quality(self) -> None:
        from maap_tui.tui.dialogs.quality import show_quality

        start_worker(self, show_quality, self.maap, self.form.query_now, group="quality")

    def action_fewest(self) -> None:
        start_worker(self, mark_fewest, self.maap, self.results, self._query, group="fewest", exclusive=True)

    def action_copy(self) -> None:
        if (query := self._ready_query()) is not None:
            self.maap.copy_text(query.to_command(), "Copied the command")

    def action_copy_cron(self) -> None:
        if (query := self._ready_query()) is not None:
            what = "Copied the crontab line"
            if query.orbits:
                what += " (it follows time: the orbit is left out)"
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
        """Save the choice of columns."""
        event.stop()
        self.memory.columns = event.keys
        if [column.key for column in event.rows.columns] != event.keys:
            event.rows.set_columns(event.keys)
        self._remember()
