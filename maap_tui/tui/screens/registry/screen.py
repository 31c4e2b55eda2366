"""The mode Registry: what is tracked, by baseline, day and file, and the actions on it.

Everything is read in threads, and only what changed is read again; the registry on disk decides.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from datetime import date
from typing import Any

from rich.text import Text
from textual import on
from textual.containers import Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine.errors import MaapError
from maap_tui.engine.model import TimeRange
from maap_tui.engine.query import Query
from maap_tui.engine.registry import view, watch
from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key
from maap_tui.engine.user_commands import values_of_file
from maap_tui.engine.workflows.coverage import Coverage, Gap
from maap_tui.text import clean, damage_words, format_time
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.coverage import GapsDialog
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.keys import bindings
from maap_tui.tui.problems import problem_of
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.screens.registry.actions import BaselineActions, Scope, Work
from maap_tui.tui.screens.registry.baseline_table import BaselineTable
from maap_tui.tui.screens.registry.baseline_view import BaselineView
from maap_tui.tui.screens.registry.day_strip import DayStrip
from maap_tui.tui.screens.registry.disk_sizes import DiskSizes
from maap_tui.tui.screens.registry.shares import BaselineRow, total_words
from maap_tui.tui.screens.registry.work_line import WorkLine
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.header_footer import FooterBar
from maap_tui.tui.widgets.pane import framed
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.ui_state import ColumnMemory
from maap_tui.tui.workers import start_worker

POLL_S = 1.0
"""Seconds between two checks whether the registry changed."""

GRID_FROM = 20
"""Lines of the terminal from which a day strip is a grid of weeks."""

NOTHING_TRACKED = (
    "Nothing is tracked yet.\n"
    "Search for a product with 2 and press w on the results to register them, or run maap sync.\n"
    "Files that are on disk already: B looks for them."
)


class RegistryScreen(ModeScreen):
    """A table of baselines; one opened shows its days, the files of a day, and what failed."""

    MODE = "registry"
    BINDINGS = bindings("registry", "lists")

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[Key, BaselineRow] = {}
        self.opened: Key | None = None
        """The opened baseline; None for the table."""
        self.work: Work | None = None
        """The running action, one at most."""
        self._problem = ""
        """Why the registry cannot be read, and what to do; '' while it can."""
        self._is_read = False
        self._is_counted = False
        """Whether every baseline was looked at once; before, rows have the order of their names."""
        self._watch: watch.Watch | None = None
        self._polled_at = 0.0
        self._is_polling = False
        self._unread: set[Key] = set()
        self._sizes = DiskSizes(self)
        self._doing = BaselineActions(self)
        self._wanted: tuple[str, str, str] | None = None
        self._wanted_day: date | None = None
        self._is_ready = False

    def body(self) -> Iterable[Widget]:
        baselines = self._baselines = BaselineTable("Reading the registry...")
        self._total = Static("", markup=False, id="total")
        self._about_baseline = Static("", markup=False, id="about-baseline", classes="about")
        self._work_line = WorkLine()
        self._overview = framed(Vertical(id="overview"), "Baselines")
        view = self._view = BaselineView()
        self._files, self._errors, self._strip = view.files, view.errors, view.strip
        self._problem_words = Static("", markup=False, id="problem")
        self._damage_words = Static("", markup=False, id="damage")
        yield self._problem_words
        yield self._damage_words
        with self._overview:
            yield FilterLine(baselines)
            yield baselines
            yield self._total
            yield self._about_baseline
        yield view
        yield self._work_line

    @property
    def is_ready(self) -> bool:
        """Whether the baselines are listed, or cannot be; a key that acts on one waits for that."""
        return self._is_read or bool(self._problem)

    def _tracker(self, key: Key) -> BaselineRegistry:
        return self.maap.backend.session.registry.baseline(key)

    def on_mount(self) -> None:
        session = self.maap.backend.session
        self._watch = watch.Watch(session.registry)
        self._columns = ColumnMemory(
            session.dirs.cache_file("registry.json"),
            self._baselines,
            self._files,
            self._errors,
        )
        start_worker(self, self._restore_columns, group="columns")
        self._is_ready = True
        self._fit(self.size.height)
        self._show_level()
        self._baselines.focus()
        self.sample()

    async def _restore_columns(self) -> None:
        if self._baselines in await self._columns.restore():
            self._baselines.keep_columns()

    @on(ColumnsDialog.Changed)
    def keep_columns(self, event: ColumnsDialog.Changed) -> None:
        """Save the choice of columns."""
        if event.rows is self._baselines:
            self._baselines.keep_columns()
        start_worker(self, self._columns.keep, event.rows, group="columns")

    def on_unmount(self) -> None:
        self._sizes.stop()
        if self.work is not None:
            self.work.stop.set()

    def on_screen_resume(self) -> None:
        # A folder may have changed while another mode was shown.
        self._sizes.outdate(self.rows)
        self._polled_at = 0.0

    def on_resize(self, event: Resize) -> None:
        if self._is_ready:
            self._fit(event.size.height)
            self._show_about_baseline()

    def _fit(self, height: int) -> None:
        self._strip.set_grid(height >= GRID_FROM)

    def receive(
        self,
        *,
        collection: str = "",
        product_type: str = "",
        baseline: str = "",
        key: Key | None = None,
        day: date | None = None,
    ) -> None:
        """Open a baseline, by its names or its key, at a day of it, once the registry was read."""
        if key is not None:
            collection, product_type, baseline = key.collection, key.product_type, key.baseline
        self._wanted = (collection, product_type, baseline)
        self._wanted_day = day
        self._show_wanted()

    def _show_wanted(self) -> None:
        if self._wanted is None:
            return
        collection, product_type, baseline = self._wanted
        for key in self.rows:
            if (
                key.collection == collection
                and product_type in ("", key.product_type)
                and baseline.lower() in ("", key.baseline.lower())
            ):
                self._wanted = None
                self._close_baseline()
                self._baselines.move_to_key(key)
                if product_type and baseline:
                    self._open(key, self._wanted_day)
                return

    def sample(self) -> None:
        if not self._is_ready:
            return  # called before the widgets exist
        super().sample()
        self._work_line.show(self.work)
        if not self._is_polling and time.monotonic() - self._polled_at >= POLL_S:
            self._is_polling = True
            start_worker(self, self._poll, group="watch")

    async def _poll(self) -> None:
        """Look for changes, then read what changed."""
        assert self._watch is not None
        problem, wanted = "", self._wanted
        try:
            keys, changed = await asyncio.to_thread(self._watch.poll)
            self._set_keys(keys)
            if self._wanted is wanted:
                self._wanted = None  # it is not tracked: one that is later must not open by itself
            self._unread |= set(changed)
            for key in sorted(self._unread & self.rows.keys(), key=lambda one: one != self.opened):
                try:
                    await self._read(key)
                except (MaapError, OSError) as error:
                    # One that cannot be read must not hide the others.
                    problem = problem or f"{key.product_type} {key.baseline}: {problem_of(error)}"
        except Exception as error:
            # Any error: the registry is read again in a second, so no dialog shows it each time.
            problem = problem_of(error)
        finally:
            self._polled_at = time.monotonic()
            self._is_polling = False
        if self.rows and not self._is_counted:
            self._is_counted = True
            self._baselines.set_rows(self._ordered())
            if not self._baselines.has_moved and self.opened is None:
                self._baselines.start_at(0)
        self._set_problem(problem)
        self._show_damage()
        if self.opened is not None and self._view.is_day_unreadable:
            self._view.show_day()
        self._sizes.start()

    async def _read(self, key: Key) -> None:
        assert self._watch is not None
        changed_at = self._watch.changed_at(key)
        summary = await asyncio.to_thread(view.summarise, self._tracker(key), changed_at)
        self._unread.discard(key)
        row = self.rows.get(key)
        if row is None:
            return
        row.summary = summary
        if summary.deleted:
            self._baselines.show_deletions()
        self._sizes.outdate([key])
        self.show_row(key)
        if key == self.opened:
            self._view.show()

    def _set_keys(self, keys: Sequence[Key]) -> None:
        self._is_read = True
        if list(self.rows) == list(keys) and not self._wanted:
            self._say_empty()
            return
        self.rows = {key: self.rows.get(key) or BaselineRow(key) for key in keys}
        self._say_empty()
        self._baselines.set_rows(self._ordered())
        self._show_total()
        if self.opened is not None and self.opened not in self.rows:
            self._close_baseline()
        self._show_about_baseline()
        self._show_wanted()

    def _set_problem(self, words: str) -> None:
        """Show why the registry cannot be read; '' removes that."""
        if words == self._problem:
            return
        self._problem = words
        line = self._problem_words
        line.display = bool(words)
        if words:
            self.maap.backend.write_log("error", f"The registry cannot be read: {words}")
            shown = f" What is shown is from {self.maap.backend.now():%H:%M} UTC." if self.rows else ""
            line.update(Text(clean(f"The registry cannot be read. {words}{shown}")))
        self._say_empty()

    def _show_damage(self) -> None:
        """Show how many lines of the registry cannot be read, when the rest can."""
        found = list(self.maap.backend.session.registry.hidden)
        found += [one for row in self.rows.values() if row.summary for one in row.summary.damage]
        words = ""
        if found:
            is_one = len(found) == 1 and found[0].lines in (0, 1)
            words = f"{damage_words([one.lines for one in found])} of the registry cannot be read and "
            words += f"{'is' if is_one else 'are'} left out: maap doctor lists what is damaged"
        line = self._damage_words
        if str(line.content) != words:
            line.update(Text(clean(words)))
            line.display = bool(words)

    def _say_empty(self) -> None:
        if self._problem:
            folder = self.maap.backend.session.dirs.registry_dir
            words = f"The registry is {clean(str(folder))}\nThis mode looks again each second."
        else:
            words = NOTHING_TRACKED if self._is_read else "Reading the registry..."
        if self._baselines.empty_text != words:
            self._baselines.empty_text = words
            self._baselines.refresh()

    def show_row(self, key: Key) -> None:
        """Show what was counted or summed of a baseline."""
        rows, ordered = self._baselines, self._ordered()
        if rows.sort_key is not None or rows.rows != ordered:
            rows.set_rows(ordered)
        else:
            rows.refresh_rows([key])
        self._show_total()
        if rows.current is not None and rows.current.key == key:
            self._show_about_baseline()

    def _ordered(self) -> list[BaselineRow]:
        """The rows as they are shown while no column sorts: what needs attention first."""
        rows = list(self.rows.values())
        return sorted(rows, key=lambda row: row.attention) if self._is_counted else rows

    def _show_total(self) -> None:
        words = total_words(self.rows.values())
        if str(self._total.content) != words:
            self._total.update(Text(words, no_wrap=True))
            self._total.display = bool(words)

    def _show_about_baseline(self) -> None:
        about = self._about_baseline
        row = self._baselines.current
        if row is None:
            about.update("")
            return
        words, changed = str(row.key), ""
        if row.summary is not None and row.summary.changed is not None:
            changed = f", changed {format_time(row.summary.changed)}"
        if len(words + changed) > self.size.width - 2:
            words = words.partition("/")[2]  # the name of the mission is left out first
        about.update(Text(clean(words + changed)))

    def _show_level(self) -> None:
        self._overview.display = self.opened is None
        self._view.display = self.opened is not None
        self.query_one(FooterBar).leave_out("registry.back" if self.opened is None else "registry.sets")

    def _open(self, key: Key, day: date | None = None) -> None:
        self.opened = key
        self._view.open(self.rows[key], day)
        self._show_level()
        self._strip.focus()

    def _close_baseline(self) -> None:
        if self.opened is None:
            return
        self.opened = None
        self._show_level()
        self._baselines.focus()

    @on(RowList.Highlighted, "#baselines")
    def _report_baseline(self) -> None:
        self._show_about_baseline()

    @on(RowList.Chosen)
    @on(DayStrip.Chosen)
    def open_chosen(self) -> None:
        """Enter or a double click."""
        self.action_open()

    def action_open(self) -> None:
        if self.opened is None:
            row = self._baselines.current
            if row is not None:
                self._wanted = None
                self._open(row.key)
        elif self.focused is self._files:
            if self._files.current is not None:
                self._view.show_whole(self._files.current)
        elif self.focused is self._errors:
            if self._errors.current is not None:
                self._view.go_to_failure(self._errors.current)
        else:
            self._files.focus()

    def action_back(self) -> None:
        if self.work is not None:
            self.work.stop.set()
            self._work_line.show(self.work)
        elif self.opened is None:
            self._baselines.clear_marks()
        elif self.focused in (self._files, self._errors):
            if isinstance(self.focused, RowList) and self.focused.marks:
                self.focused.clear_marks()
            else:
                self._strip.focus()
        else:
            self._close_baseline()

    def action_filter(self) -> None:
        rows = self.focused_list
        if self.opened is not None and rows is self._baselines:
            rows = self._files
        for line in self.query(FilterLine):
            if line.target is rows:
                line.open()

    @on(FilterLine.Filtered)
    def filter_rows(self, event: FilterLine.Filtered) -> None:
        """Filter the list that the line belongs to."""
        target = event.line.target
        if isinstance(target, RowList):
            target.set_filter(event.text)

    def action_copy(self) -> None:
        row: Any = None
        if self.opened is None:
            row = self._baselines.current
            if row is not None:
                self.maap.copy_text(str(row.key))
            return
        row = (self._errors if self.focused is self._errors else self._files).current
        if row is not None:
            self.maap.copy_text(getattr(row, "path", "") or row.url)

    def subjects(self) -> Callable[[], list[dict[str, str]]]:
        """The marked files or baselines, or the one under the cursor, for a command of the user's."""
        opened = self.opened
        if opened is None:
            keys = [row.key for row in self._baselines.chosen]
            return lambda: [
                {"collection": key.collection, "product": key.product_type, "baseline": key.baseline}
                for key in keys
            ]
        rows = self._errors if self.focused is self._errors else self._files
        chosen = [(getattr(row, "path", ""), row.url) for row in rows.chosen]
        return lambda: [values_of_file(path, url, opened.collection) for path, url in chosen]

    def action_search_here(self) -> None:
        row = self._baselines.current
        key = self.opened or (row.key if row is not None else None)
        if key is None:
            return
        day = self._strip.day if self.opened is not None else None
        names = key.collection, key.product_type, key.baseline
        if day is None:
            self.maap.go("search", collection=names[0], product_type=names[1], baseline=names[2])
        else:
            self.maap.go("search", query=Query(*names, time=TimeRange.of_day(day)))

    def _scopes(self) -> list[Scope]:
        if self.opened is None:
            return [Scope(row.key) for row in self._baselines.chosen]
        key, day = self.opened, self._strip.day
        if self.focused is self._errors:
            return [Scope(key, failures=tuple(self._errors.chosen), files=())]
        if day is None:
            return []
        if self.focused is self._files:
            chosen = tuple(self._files.chosen)
            failures = tuple(row.failure for row in chosen if row.failure is not None)
            return [Scope(key, day, chosen, failures)] if chosen else []
        return [Scope(key, day)]

    def say(self, sentence: str, hint: str = "", *, severity: Any = "information") -> None:
        """Show what was done, and a hint about the next step, which is not logged."""
        self.notify(clean(f"{sentence} {hint}".strip()), severity=severity, timeout=8, markup=False)
        self.maap.backend.write_log("warning" if severity == "warning" else "info", sentence)

    def start_work(self, title: str, job: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
        """Start a long action, which esc stops, unless one is running."""
        if self.work is not None:
            self.say(f"Wait until this is done: {self.work.words}.", severity="warning")
            return
        self.work = Work(title)
        self._work_line.show(self.work)
        start_worker(self, self._run, self.work, job, group="work")

    async def _run(self, work: Work, job: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
        try:
            await job(work)
        finally:
            if self.work is work:
                self.work = None
            if self.is_attached:
                self._work_line.show(self.work)
                self._look_again()

    async def read_again(self, keys: Iterable[Key]) -> None:
        """Count the baselines changed here again, so that the table agrees with the report."""
        for key in keys:
            with suppress(MaapError, OSError):  # the next check reports what is wrong
                await self._read(key)

    def _look_again(self) -> None:
        """Check for changes at once."""
        self._polled_at = 0.0
        self._sizes.outdate(self.rows)

    async def ask(self, question: str, *, lines: Sequence[str] = (), verb: str, key: str) -> bool:
        """Ask before something is done; no action is shown as running meanwhile."""
        self._work_line.hide()
        return await self.maap.confirm(question, lines=lines, verb=verb, key=key)

    async def list_lines(self, title: str, lines: Sequence[str], *, verb: str = "", key: str = "") -> bool:
        self._work_line.hide()
        answer = await self.app.push_screen_wait(ListDialog(title, lines, verb=verb, key=key))
        return bool(answer)

    async def choose_gaps(self, found: Coverage) -> Sequence[Gap]:
        """Show the gaps of a baseline; gives back those to fetch."""
        self._work_line.hide()
        return await self.app.push_screen_wait(GapsDialog(found)) or []

    def action_gaps(self) -> None:
        row = self._baselines.current
        key = self.opened or (row.key if row is not None else None)
        if key is not None:
            self.start_work("Counting at the archive", lambda work: self._doing.find_gaps(key, work))

    def action_swap(self) -> None:
        row = self._baselines.current
        key = self.opened or (row.key if row is not None else None)
        if key is None:
            return
        # Most who open the app never swap.
        from maap_tui.tui.dialogs.swap import swap_baseline

        names = key.collection, key.product_type, key.baseline
        start_worker(self.app, swap_baseline, self.maap, *names, group="swap")

    def action_sets(self) -> None:
        # Most who open the app never look at sets.
        from maap_tui.tui.screens.registry.sets import SetsScreen, chosen_set

        sets = list(self.maap.backend.session.settings.sets.values())
        chosen = chosen_set(row.key for row in self._baselines.chosen)
        self.app.push_screen(SetsScreen([chosen, *sets] if chosen is not None else sets))

    def action_freeze(self) -> None:
        from maap_tui.tui.dialogs.freezing import freeze_baselines

        if keys := list(dict.fromkeys(scope.key for scope in self._scopes())):
            start_worker(self, freeze_baselines, self.maap, keys, group="freeze")

    def action_thaw(self) -> None:
        from maap_tui.tui.dialogs.freezing import thaw_study

        start_worker(self.app, thaw_study, self.maap, group="thaw")

    def action_cite(self) -> None:
        from maap_tui.tui.dialogs.freezing import cite_baselines

        if keys := list(dict.fromkeys(scope.key for scope in self._scopes())):
            start_worker(self, cite_baselines, self.maap, keys, group="cite")

    def action_download(self) -> None:
        self._start_on_chosen("Looking for what is pending", self._doing.download)

    def action_retry(self) -> None:
        self._start_on_chosen("Looking for what failed", self._doing.retry)

    def action_mark_files(self) -> None:
        self._start_on_chosen("Marking", self._doing.mark)

    def action_unmark_files(self) -> None:
        self._start_on_chosen("Unmarking", self._doing.unmark)

    def action_cleanup(self) -> None:
        self._start_on_chosen("Looking at the marked files", self._doing.clean_up)

    def action_check(self) -> None:
        self._start_on_chosen("Verifying files", self._doing.check)

    def action_rebuild(self) -> None:
        keys = list(dict.fromkeys(scope.key for scope in self._scopes()))
        self.start_work("Looking at the files on disk", lambda work: self._doing.rebuild(keys, work))

    def _start_on_chosen(
        self, title: str, job: Callable[[list[Scope], Work], Coroutine[Any, Any, None]]
    ) -> None:
        if scopes := self._scopes():
            self.start_work(title, lambda work: job(scopes, work))
