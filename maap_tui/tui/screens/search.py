"""The place Search: the form, its results as they stream in, and what can be done with them."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, ClassVar

from textual import on
from textual.containers import Vertical
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from maap_tui.engine import built, files
from maap_tui.engine.downloads import Tracked
from maap_tui.engine.errors import DiskFullError, InvalidRequestError, MaapError
from maap_tui.engine.model import Asset
from maap_tui.engine.query import Query
from maap_tui.engine.search import Page, Search
from maap_tui.engine.session import Session
from maap_tui.engine.transfer import Wanted
from maap_tui.text import clean, format_bytes, format_count, format_duration, format_rate, plural
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.granule import GranuleDialog
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.export import SUFFIXES, export_text
from maap_tui.tui.keys import bindings
from maap_tui.tui.screens.place import PlaceScreen
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.results import (
    COLUMNS,
    FIRST_COLUMNS,
    LIVE,
    Result,
    by_day,
    free_bytes,
    look_at_disk,
    merged,
    order_of,
    result_key,
    result_of,
    with_queue,
)
from maap_tui.tui.widgets.rows import RowList
from maap_tui.tui.widgets.search_form import SearchForm
from maap_tui.tui.widgets.terms import Names, Terms, cron_line

TYPING_S = 0.4
"""Seconds after the last key before the archive is asked for the count."""

KEPT_WHOLE = 5000
"""Results that keep all that the catalogue sent; of later ones it is fetched again when they are opened."""

SLICE = 5000
"""Rows handled between two looks at the keys."""

_EMPTY = (
    "No search yet.\n\n"
    "esc goes to the form: choose a collection, a product type and a time.\n"
    "ctrl+r runs the search, and stops it while it runs."
)


class SearchScreen(PlaceScreen):
    """The form above its results, or beside them on a wide screen."""

    PLACE = "search"
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
        self._unlooked: deque[Result] = deque()
        self._is_looking = False
        self._by_day: dict[date, list[Result]] = {}
        self._live: set[str] = set()
        self._counts_seen: tuple[int, ...] = ()
        self._sum_is_old = False
        self._is_summing = False
        self._next_sum = 0.0
        self._remembered: dict[str, Any] = {}
        self._is_restored = False
        self._is_touched = False

    def body(self) -> Sequence[Widget]:
        rows = RowList(COLUMNS, key=result_key, empty_text=_EMPTY, id="results")
        rows.set_columns(FIRST_COLUMNS)
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
        """The results; the matches of the form are no list of their own."""
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
        self.run_worker(self._restore(), group="start", exit_on_error=False)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        if self._is_restored:
            self.run_worker(self._learn_local(), group="names", exclusive=True, exit_on_error=False)
            self._unlooked.clear()
            self._look_again(self.results.rows)

    async def _restore(self) -> None:
        found = await asyncio.to_thread(_read_json, self._memory_file)
        self._remembered = found
        columns = found.get("columns")
        if isinstance(columns, list):
            self.results.set_columns([key for key in columns if isinstance(key, str)])
        sort = found.get("sort")
        if isinstance(sort, list) and len(sort) == 2 and sort[0] in {column.key for column in COLUMNS}:
            self.results.sort_by(sort[0], is_reversed=sort[1] is True)
        await self._learn_local()
        if not self._is_touched and found.get("terms"):
            self.form.fill(Terms.from_dict(found["terms"]))
        self._is_restored = True
        await self._learn_names()

    @property
    def _memory_file(self) -> Path:
        return self.maap.session.places.cache_file("search.json")

    def _remember(self) -> None:
        """Write columns, sort and form down when they changed."""
        if not self._is_restored:
            return
        rows = self.results
        now = {
            "columns": [column.key for column in rows.columns],
            "sort": [rows.sort_key, rows.sort_reversed],
            "terms": self.form.terms.as_dict(),
        }
        if now != self._remembered:
            self._remembered = now
            self.run_worker(
                asyncio.to_thread(_write_json, self._memory_file, now), group="memory", exit_on_error=False
            )

    async def _learn_local(self) -> None:
        """Read the names that need no request."""
        session = self.maap.session
        newest, refused = self.form.names.newest, self.form.names.refused
        names = await asyncio.to_thread(_read_names, session)
        names.newest, names.refused = newest, refused
        self.form.names = names
        self.form.judge()

    async def _learn_names(self) -> None:
        """Fetch the names of collections that have no local copy, quietly."""
        for collection in self.maap.session.collections():
            if collection in self.form.names.queryables:
                continue
            try:
                found = await self.maap.ask(
                    lambda session, name=collection: session.catalogue.queryables(name)  # type: ignore[misc]
                )
            except InvalidRequestError:
                continue
            except MaapError:
                return
            self.form.names.queryables[collection] = found
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
        """Fill the form with what another place hands over."""
        self._is_touched = True
        if not self.query("#sum") or not self.query("#newest-first"):
            # The first visit: the form has no fields yet.
            self.call_after_refresh(self.receive, collection, product_type, baseline, query)
            return
        if query is not None:
            terms = Terms.of_query(query, self.maap.session.settings.search.max_items)
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
        self.run_worker(self._count(), group="count", exclusive=True, exit_on_error=False)

    async def _count(self) -> None:
        form = self.form
        try:
            await self._learn_typed()
            query = form.query_now
            if query is None:
                return
            form.say("Counting...")
            count = await self.maap.ask(lambda session: session.search(query).count())
        except MaapError as error:
            form.say(f"Not counted: {error.message}")
            return
        form.say(_count_in_words(count, query))

    async def _learn_typed(self) -> None:
        """Ask the archive for the names that the form needs and that are not known here."""
        form = self.form
        form.judge()
        names, terms, reading = form.names, form.terms, form.reading
        collection = terms.collection.strip()
        is_new = collection and collection.lower() not in (name.lower() for name in names.queryables)
        if is_new and "collection" not in reading.troubles:
            try:
                found = await self.maap.ask(lambda session: session.catalogue.queryables(collection))
                names.queryables[collection] = found
                if collection not in names.collections:
                    names.collections.append(collection)
            except InvalidRequestError as error:
                names.refused[collection] = f"{error.message}. {error.hint}".strip()
            form.judge()
        if form.reading.needs_newest:
            query = _names_in(form)
            counts = await self.maap.ask(
                lambda session: session.baselines_at_archive(query.collection, query.product_type)
            )
            names.newest[query.collection, query.product_type] = max(counts, default="")
            form.judge()

    def action_form(self) -> None:
        if self.form.field_in_hand or self.focused in self.form.query("*"):
            self.results.focus()
        else:
            self._unfold(self._first_field())

    def _first_field(self) -> str:
        terms, troubles = self.form.terms, self.form.reading.troubles
        if troubles:
            return next(iter(troubles))
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
            trouble = next(iter(self.form.reading.troubles.values()), self.form.reading.hint)
            self.notify(clean(trouble), severity="warning", markup=False)
            return
        if self._typing is not None:
            self._typing.stop()
        self._runner = self.run_worker(
            self._search(query), group="search", exclusive=True, exit_on_error=False
        )
        self.results.focus()
        self._fold()

    async def _search(self, query: Query | None) -> None:
        self._outcome, self._search_run, self._query = "", None, query
        self._show_progress()
        if query is None:
            await self._learn_typed()
            query = self.form.query_now
            if query is None:
                self._outcome = next(iter(self.form.reading.troubles.values()), "Nothing to search.")
                return
        self._query = query
        rows = self.results
        rows.empty_text = "Searching... ctrl+r stops it."
        self._incoming, self._waited_since = [], time.monotonic()
        self._unlooked.clear()
        self._by_day = {}
        self._breaks, self._newest_first = [], query.newest_first
        self.workers.cancel_group(self, "order")
        rows.clear_marks()
        rows.set_rows([])
        formats = self.maap.session.formats_of(query)
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
            self._outcome = self._outcome_in_words(outcome)
            rows.empty_text = self._empty_in_words(outcome)
            rows.refresh()
            self._show_progress()
            self._fold()

    async def _pages(self, query: Query) -> AsyncIterator[Page]:
        def begin(session: Session) -> AsyncIterator[Page]:
            self._search_run = session.search(query)
            return aiter(self._search_run)

        pages = self.maap.pull(begin)
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
            self._by_day.setdefault(row.granule.day, []).append(row)
        rows.append_rows(batch)
        self._look_again(batch)
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
            self.run_worker(self._merge(slices), group="order", exclusive=True, exit_on_error=False)

    async def _merge(self, slices: Iterator[list[Result]]) -> None:
        in_order: list[Result] = []
        for part in slices:
            in_order += part
            await asyncio.sleep(0)
        self.results.reorder(in_order)

    def _outcome_in_words(self, outcome: str) -> str:
        run, count = self._search_run, len(self.results.rows)
        found = plural(count, "granule")
        if outcome == "stopped":
            words = f"Stopped: {found} so far"
        elif outcome == "failed":
            words = f"The search failed after {found}" if count else "The search failed"
        else:
            words = found
        if run is not None and run.failed:
            first = run.failed[0]
            more = f" and {len(run.failed) - 1} more" if len(run.failed) > 1 else ""
            words += f"; FAILED DAY: {first.label}{more} ({first.reason}), ctrl+r asks again"
        elif run is not None and run.bad_items:
            words += f"; {plural(len(run.bad_items), 'item')} could not be read, see the log"
        elif self._query is not None and outcome == "done" and count >= self._query.max_items:
            words += ", cut at the maximum"
        return words

    def _empty_in_words(self, outcome: str) -> str:
        if outcome == "failed" or (self._search_run is not None and self._search_run.failed):
            return "The search failed before anything was found.\n\nctrl+r tries it again, 5 shows the log."
        if outcome == "stopped":
            return "Stopped before anything was found.\n\nctrl+r searches again, esc goes to the form."
        return (
            "The archive has nothing that matches.\n\n"
            "esc goes to the form: try another time, or any baseline; 1 shows what there is."
        )

    def _show_progress(self) -> None:
        line = self.query_one("#progress", Static)
        run = self._search_run
        if self.is_searching and not self._outcome:
            count = len(self.results.rows) + len(self._incoming)
            words = f"Searching: {plural(count, 'granule')}"
            if run is not None and run.matched:
                words += f" of {format_count(run.matched)} announced"
            words += ", ctrl+r stops it"
        else:
            words = self._outcome
            if self.results.needle:
                words += f"; {format_count(len(self.results.shown))} pass the filter"
        line.set_class(bool(run is not None and run.failed), "-failed")
        words = clean(words)
        if words != getattr(self, "_progress_shown", None):
            self._progress_shown = words
            line.update(words)

    # Repainting

    def sample(self) -> None:
        """Take in what came, and repaint what changed."""
        super().sample()
        if not self.query("#sum"):
            return  # the screen is being made or taken down
        self._take_incoming()
        self._show_progress()
        self._follow_transfers()
        if self._sum_is_old and not self._is_summing and time.monotonic() >= self._next_sum:
            self._sum_is_old, self._is_summing = False, True
            self.run_worker(self._sum(), group="sum", exclusive=True, exit_on_error=False)
        self._remember()

    def _follow_transfers(self) -> None:
        """Look again at the days of files that were queued, ended or were cancelled."""
        transfers = self.maap.transfers
        if transfers is None:
            return
        now = self.maap.tally.snapshot()
        counts = (now.queued, now.finished, now.skipped, now.failed)
        if counts == self._counts_seen:
            return
        self._counts_seen = counts
        jobs = dict(transfers.jobs)
        live = {url for url, job in jobs.items() if job.state in LIVE and job.tracked is not None}
        days = {job.tracked.day for url in live ^ self._live if (job := jobs.get(url)) and job.tracked}
        self._live = live
        self._look_again([row for day in days for row in self._by_day.get(day, ())])

    def _look_again(self, rows: Sequence[Result]) -> None:
        self._unlooked.extend(rows)
        if self._unlooked and not self._is_looking:
            self._is_looking = True
            self.run_worker(self._look(), group="states", exit_on_error=False)

    async def _look(self) -> None:
        """Find the states of the rows that wait for it, a slice at a time."""
        session = self.maap.session
        try:
            while self._unlooked:
                batch = [self._unlooked.popleft() for _ in range(min(SLICE, len(self._unlooked)))]
                found = await asyncio.to_thread(_states_of, session, batch)
                transfers = self.maap.transfers
                jobs = transfers.jobs if transfers is not None else {}
                changed = []
                for row, on_disk, is_here in found:
                    state = with_queue(row, on_disk, jobs)
                    if (state, is_here) != (row.state, row.is_here):
                        row.state, row.is_here = state, is_here
                        changed.append(result_key(row))
                if changed:
                    self.results.refresh_rows(changed, ["state"])
                    self._sum_is_old = True
        finally:
            self._is_looking = False

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
            count = file_count = size = unknown = here = left = 0
            for start in range(0, len(listed), SLICE):
                for row in listed[start : start + SLICE]:
                    if marks and result_key(row) not in marks:
                        continue
                    count += 1
                    file_count += len(row.files)
                    unknown += row.size is None
                    size += row.size or 0
                    here += row.is_here
                    left += 0 if row.is_here else row.size or 0
                await asyncio.sleep(0)
            free = await asyncio.to_thread(free_bytes, self.maap.session.places.data_dir)
            words = []
            if count:
                granules = "" if file_count == count else f"{plural(count, 'granule')}, "
                words.append(
                    f"{'Selected' if marks else 'All'}: {granules}{plural(file_count, 'file')}, "
                    f"{'over ' if unknown else ''}{format_bytes(size)}"
                )
                words.append(f"{format_count(here)} here")
            if free is not None:
                words.append(f"{format_bytes(free)} free")
            rate = self.maap.last_rate
            if count and left and rate:
                words.append(f"{format_duration(left / rate)} at {format_rate(rate)}")
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
            self.notify("There are no results yet: esc goes to the form, ctrl+r searches.", markup=False)
        return chosen

    def action_queue(self) -> None:
        if chosen := self._chosen():
            self.run_worker(self._queue(chosen, None), group="queue", exit_on_error=False)

    def action_get_to(self) -> None:
        if chosen := self._chosen():
            self.run_worker(self._get_to(chosen), group="queue", exit_on_error=False)

    async def _get_to(self, chosen: Sequence[Result]) -> None:
        text = await self.app.push_screen_wait(
            PromptDialog(
                f"Download {plural(len(chosen), 'granule')} to which folder?",
                str(Path.home()),
                check=_check_folder,
                hint="The files go into it side by side; the registry does not follow them.",
            )
        )
        if text is not None:
            await self._queue(chosen, Path(text.strip()).expanduser().absolute())

    async def _queue(self, chosen: Sequence[Result], out_dir: Path | None) -> None:
        """Queue the files of granules, unless the disk cannot hold them."""
        session = self.maap.session
        work: list[tuple[Wanted, Tracked | None]] = []
        size = unknown = left_out = refused = 0
        for row in chosen:
            if out_dir is None and (row.is_here or row.state == "queued"):
                left_out += 1
                continue
            for asset in row.files:
                try:
                    work.append(_work_of(session, row, asset, out_dir))
                except InvalidRequestError as error:
                    refused += 1
                    self.maap.write_log("warning", f"{row.granule.id}: {error.message}")
                    continue
                size += asset.size or 0
                unknown += asset.size is None
            if len(work) % SLICE == 0:
                await asyncio.sleep(0)
        rest = f"{plural(left_out, 'granule')} here or queued already" if left_out else ""
        if refused:
            words = f"{plural(refused, 'file')} refused because of the names, see the log"
            rest = f"{rest}; {words}" if rest else words
        if not work:
            self.notify(f"Nothing to queue: {rest or 'no file of that format'}.", markup=False)
            return
        folder = out_dir or session.places.data_dir
        if out_dir is not None and not await asyncio.to_thread(_can_be_folder, out_dir):
            raise InvalidRequestError(f"{out_dir} is a file", "Name a folder.")
        await self._demand_room(folder, len(work), size)
        count = await self.maap.queue_files(work)
        words = f"Queued {plural(count, 'file')}, {'over ' if unknown else ''}{format_bytes(size)}"
        words += f", to {out_dir}" if out_dir is not None else ""
        self.notify(clean(f"{words}{f'; {rest}' if rest else ''}. 3 shows the queue."), markup=False)
        # What ends before the next sample has to be seen ending all the same.
        self._live |= {wanted.url for wanted, tracked in work if tracked is not None}
        self._counts_seen = ()
        self._look_again(chosen)

    async def _demand_room(self, folder: Path, count: int, size: int) -> None:
        free = await asyncio.to_thread(free_bytes, folder)
        snapshot = self.maap.tally.snapshot()
        waiting = max(0, snapshot.bytes_total - snapshot.bytes_done)
        keep = self.maap.session.settings.downloads.min_free
        if free is not None and size + waiting + keep > free:
            queued = f", the queue another {format_bytes(waiting)}" if waiting else ""
            raise DiskFullError(
                f"{plural(count, 'file')} need {format_bytes(size)}{queued}; {folder} has "
                f"{format_bytes(free)} free, of which {format_bytes(keep)} are kept. Nothing was queued.",
                "Select fewer, clean up in place 4, or press o to download to another disk.",
            )

    def action_save(self) -> None:
        if chosen := self._chosen():
            self.run_worker(self._save(chosen), group="save", exit_on_error=False)

    async def _save(self, chosen: Sequence[Result]) -> None:
        granules = [row.granule for row in chosen]
        query = self._query
        formats = self.maap.session.formats_of(query) if query is not None else ()
        new = await self.maap.ask(lambda session: session.save_to_registry(granules, formats))
        files_count = sum(len(row.files) for row in chosen)
        known = files_count - new
        rest = f", {format_count(known)} known already" if known else ""
        self.notify(f"Registered {plural(new, 'new file')}{rest}. 4 shows the registry.", markup=False)

    def action_export(self) -> None:
        rows = self.results
        chosen = rows.chosen if rows.marks else list(rows.shown)
        if not chosen:
            self._chosen()
            return
        self.run_worker(
            self._export(chosen, "selected" if rows.marks else "shown"), group="export", exit_on_error=False
        )

    async def _export(self, chosen: Sequence[Result], which: str) -> None:
        product = chosen[0].granule.product_type
        text = await self.app.push_screen_wait(
            PromptDialog(
                f"Write {plural(len(chosen), 'granule')} ({which}) to which file?",
                str(Path.home() / f"{product}.csv"),
                check=_check_file,
                hint=f"The suffix says how: {SUFFIXES}.",
            )
        )
        if text is None:
            return
        path = Path(text.strip()).expanduser().absolute()
        size = await asyncio.to_thread(_size_of, path)
        if size is not None and not await self.maap.confirm(
            f"{path} exists ({format_bytes(size)}). Replace it?", verb="Replace"
        ):
            return
        await asyncio.to_thread(_write_export, path, chosen)
        self.notify(clean(f"Wrote {plural(len(chosen), 'granule')} to {path}."), markup=False)

    def action_copy(self) -> None:
        if (query := self._ready_query()) is not None:
            self.maap.copy_text(query.to_command(), "Copied the command")

    def action_copy_cron(self) -> None:
        if (query := self._ready_query()) is not None:
            what = "Copied the crontab line"
            if query.orbits:
                what += " (a sync follows time: the orbit is left out)"
            self.maap.copy_text(cron_line(query, self.maap.now()), what)

    def _ready_query(self) -> Query | None:
        query = self.form.query_now
        if query is None:
            reading = self.form.reading
            words = next(iter(reading.troubles.values()), reading.hint)
            self.notify(clean(words), severity="warning", markup=False)
        return query

    @on(ColumnsDialog.Changed)
    def keep_columns(self, event: ColumnsDialog.Changed) -> None:
        """Write the choice down."""
        event.stop()
        self._remember()


def _work_of(
    session: Session, row: Result, asset: Asset, out_dir: Path | None
) -> tuple[Wanted, Tracked | None]:
    """A file as the queue takes it; one for another folder is not tracked."""
    granule = row.granule
    tracked = Tracked(session.filing.key_of(granule), granule.day) if out_dir is None else None
    product_dir = session.settings.downloads.product_dir
    return session.filing.wanted_of(granule, asset, out_dir=out_dir, product_dir=product_dir), tracked


def _names_in(form: SearchForm) -> Query:
    """Collection and product type as they are spelled, for the search of the newest baseline."""
    from maap_tui.tui.widgets.terms import known_word

    terms, names = form.terms, form.names
    collection = known_word(terms.collection, names.collections) or terms.collection.strip()
    product = known_word(terms.product_type, names.products_of(collection)) or terms.product_type.strip()
    return Query(collection, product)


def _count_in_words(count: int | None, query: Query) -> str:
    if count is None:
        return "The archive does not say how many there are."
    if count == 0:
        return "The archive has nothing that matches."
    # The server also counts what began before the range and reaches into it.
    words = f"{'Up to ' if query.time is not None else ''}{plural(count, 'granule')} at the archive"
    if count > query.max_items:
        return f"{words}, more than the maximum of {format_count(query.max_items)}."
    return f"{words}. ctrl+r searches."


def _states_of(session: Session, rows: Sequence[Result]) -> list[tuple[Result, str, bool]]:
    return look_at_disk(session, by_day(session, rows))


def _read_names(session: Session) -> Names:
    """What is known here of the archive's names; it reads files."""
    catalogue = session.catalogue
    names = Names(list(dict.fromkeys([*session.collections(), *catalogue.known_collections()])))
    for collection in names.collections:
        local = catalogue.local_queryables(collection)
        if local is not None:
            names.queryables[collection] = local
        try:
            catalog = built.load(session.places, collection)
        except MaapError:
            continue  # the place Browse says which one is damaged; names come from elsewhere
        if catalog is not None:
            names.built[collection] = catalog
    return names


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return data if isinstance(data, dict) else {}


def _write_json(path: Path, data: dict[str, Any]) -> None:
    try:
        files.write_atomic(path, json.dumps(data, indent=1) + "\n")
    except MaapError:
        return  # a choice of columns that cannot be kept is no trouble worth a dialog


def _write_export(path: Path, chosen: Sequence[Result]) -> None:
    files.write_atomic(path, export_text(path, chosen))


def _size_of(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None


def _can_be_folder(path: Path) -> bool:
    return path.is_dir() or not path.exists()


def _check_file(text: str) -> None:
    words = text.strip()
    if not words or words.endswith(("/", os.sep)) or "\0" in words:
        raise InvalidRequestError("Name a file.")


def _check_folder(text: str) -> None:
    if not text.strip() or "\0" in text:
        raise InvalidRequestError("Name a folder.")
