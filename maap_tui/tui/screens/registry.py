"""The place registry: what is tracked, day by day and file by file, and what can be done about it.

Everything is read in threads, and only what changed is read again; the lines on disk are the truth.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from datetime import date
from functools import partial
from typing import Any

from rich.text import Text
from textual import on
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine import audit, files
from maap_tui.engine.audit import Failure, Summary, TrackedFile
from maap_tui.engine.errors import MaapError
from maap_tui.engine.missions import parse_name
from maap_tui.engine.registry import BaselineRegistry, DayStats, Key
from maap_tui.text import clean, format_bytes, format_count, format_time, plural
from maap_tui.tui import theme
from maap_tui.tui.baseline_work import BaselineWork, Scope, Work
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.keys import bindings
from maap_tui.tui.memory import ColumnMemory
from maap_tui.tui.screens.place import PlaceScreen
from maap_tui.tui.widgets.baseline_table import BaselineRow, BaselineTable
from maap_tui.tui.widgets.day_strip import DayStrip
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.rows import Column, RowList

POLL_S = 1.0
"""Seconds between two looks at whether the registry changed."""

GRID_FROM = 20
"""Lines of the terminal from which a day strip is a grid of weeks."""

NOTHING_TRACKED = (
    "Nothing is tracked yet.\n"
    "Search for a product with 2 and press w on the results to register them, or run maap sync.\n"
    "Files that are on disk already: B looks for them."
)


NO_FILES = "No files on this day."


def day_state(day: DayStats, has_failed: bool) -> str:
    """The state of a day's cell."""
    if has_failed:
        return "failed"
    if day.downloaded and not day.pending_downloads:
        return "all" if day.pending_marks or not day.marked else "marked"
    if not day.discovered and day.marked:
        return "marked"
    return "partly" if day.downloaded else "none"


class RegistryScreen(PlaceScreen):
    """A table of baselines; one opened shows its days, the files of a day, and what failed."""

    PLACE = "registry"
    BINDINGS = bindings("registry", "lists")

    def __init__(self) -> None:
        super().__init__()
        self.rows: dict[Key, BaselineRow] = {}
        self.opened: Key | None = None
        """The baseline shown whole; None for the table."""
        self.work: Work | None = None
        """The long work under way, one at most."""
        self._trouble = ""
        """Why the registry cannot be read, and what to do; '' while it can."""
        self._is_read = False
        self._watch: audit.Watch | None = None
        self._polled_at = 0.0
        self._is_polling = False
        self._unread: set[Key] = set()
        self._unsized: set[Key] = set()
        self._is_sizing = False
        self._disk_use = audit.DiskUse()
        self._left = threading.Event()
        self._doing = BaselineWork(self)
        self._wanted: tuple[str, str, str] | None = None
        self._work_words = ""
        self._is_ready = False

    # What it is made of

    def body(self) -> Iterable[Widget]:
        baselines = self._baselines = BaselineTable("Reading the registry...")
        files = self._files = RowList(
            self._file_columns(),
            key=lambda row: row.url or row.path,
            empty_text=NO_FILES,
            id="files",
        )
        errors = self._errors = RowList(
            self._error_columns(),
            key=lambda row: row.url,
            empty_text="No download failed.",
            can_mark=True,
            id="errors",
        )
        self._about_baseline = Static("", markup=False, id="about-baseline", classes="about")
        self._title = Static("", markup=False, id="title")
        self._about_day = Static("", markup=False, id="about-day", classes="about")
        self._about_file = Static("", markup=False, id="about-file", classes="about")
        self._work_line = Static("", markup=False, id="work")
        self._strip = DayStrip(id="days")
        self._overview = Vertical(id="overview")
        self._detail = Vertical(id="baseline")
        self._errors_pane = Vertical(id="errors-pane", classes="-empty")
        self._trouble_words = Static("", markup=False, id="trouble")
        yield self._trouble_words
        with self._overview:
            yield FilterLine(baselines)
            yield baselines
            yield self._about_baseline
        with self._detail:
            yield self._title
            yield self._strip
            yield self._about_day
            with Horizontal(id="panes"):
                with Vertical(id="files-pane"):
                    yield FilterLine(files)
                    yield files
                    yield self._about_file
                with self._errors_pane:
                    yield FilterLine(errors)
                    yield errors
        yield self._work_line

    def _file_columns(self) -> list[Column]:
        def size(row: TrackedFile) -> str:
            if row.size is not None:
                return format_bytes(row.size)
            return "gone" if row.state == "marked" else ""

        def start(row: TrackedFile) -> str:
            name = parse_name(row.name)
            return f"{name.sensing_start:%H:%M:%S}" if name else ""

        def orbit(row: TrackedFile) -> str:
            name = parse_name(row.name)
            return f"{name.orbit:05d}{name.frame or ''}" if name and name.orbit is not None else ""

        return [
            Column(
                "state",
                "state",
                9,
                self._state_word,
                lambda row: theme.STATE_TONES.get(self._state_of(row), "plain"),
                is_untrusted=False,
            ),
            Column("size", "size", 8, size, None, lambda row: row.size or -1, True, False),
            Column("start", "start", 8, start, is_untrusted=False),
            Column("orbit", "orbit", 7, orbit),
            Column("name", "file", 0, lambda row: row.name),
        ]

    def _error_columns(self) -> list[Column]:
        return [
            Column(
                "at",
                "failed at",
                16,
                lambda row: f"{row.at:%Y-%m-%d %H:%M}" if row.at else "",
                is_untrusted=False,
            ),
            Column("reason", "why", 33, lambda row: row.reason, lambda row: "error"),
            Column("name", "file", 0, lambda row: row.url.partition("?")[0].rpartition("/")[2]),
        ]

    def _state_of(self, row: TrackedFile) -> str:
        """The state of a file, that of its transfer while one is under way."""
        transfers = self.maap.transfers
        job = transfers.jobs.get(row.url) if transfers is not None and row.url else None
        if job is not None and job.state in ("waiting", "running", "paused"):
            return job.state
        return row.state

    def _state_word(self, row: TrackedFile) -> str:
        state = self._state_of(row)
        return theme.STATE_WORDS.get(state, state)

    def _tracker(self, key: Key) -> BaselineRegistry:
        return self.maap.session.registry.baseline(key)

    # Life

    def on_mount(self) -> None:
        self._watch = audit.Watch(self.maap.session.registry)
        self._columns = ColumnMemory(
            self.maap.session.places.cache_file("registry.json"), self._baselines, self._files, self._errors
        )
        self.run_worker(self._columns.restore(), group="columns", exit_on_error=False)
        self._is_ready = True
        self._fit(self.size.height)
        self._show_level()
        self._baselines.focus()
        self.sample()

    @on(ColumnsDialog.Changed)
    def keep_columns(self, event: ColumnsDialog.Changed) -> None:
        """Write the choice down."""
        self.run_worker(self._columns.keep(event.rows), group="columns", exit_on_error=False)

    def on_unmount(self) -> None:
        self._left.set()
        if self.work is not None:
            self.work.stop.set()

    def on_screen_resume(self) -> None:
        # A folder may have changed while another place was shown.
        self._unsized |= self.rows.keys()
        self._polled_at = 0.0
        super().on_screen_resume()

    def on_resize(self, event: Resize) -> None:
        if self._is_ready:
            self._fit(event.size.height)

    def _fit(self, height: int) -> None:
        self._strip.set_grid(height >= GRID_FROM)

    def receive(
        self, *, collection: str = "", product_type: str = "", baseline: str = "", key: Key | None = None
    ) -> None:
        """Show a baseline, by its names or its key, as soon as it is known."""
        if key is not None:
            collection, product_type, baseline = key.collection, key.product_type, key.baseline
        self._wanted = (collection, product_type, baseline)
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
                    self._open(key)
                return

    def sample(self) -> None:
        if not self._is_ready:
            return  # asked before there is anything to draw on
        super().sample()
        self._show_work()
        if not self._is_polling and time.monotonic() - self._polled_at >= POLL_S:
            self._is_polling = True
            self.run_worker(self._poll, group="watch", exit_on_error=False)

    # What changed

    async def _poll(self) -> None:
        """Look for changes, then read what changed."""
        assert self._watch is not None
        trouble = ""
        try:
            keys, changed = await asyncio.to_thread(self._watch.poll)
            self._set_keys(keys)
            self._unread |= set(changed)
            for key in sorted(self._unread & self.rows.keys(), key=lambda one: one != self.opened):
                try:
                    await self._read(key)
                except (MaapError, OSError) as error:
                    # One that cannot be read must not hide the others.
                    trouble = trouble or f"{key.product_type} {key.baseline}: {_trouble_of(error)}"
        except Exception as error:
            # Whatever it was, the next look comes in a second: it is told here, not in a dialog each time.
            trouble = _trouble_of(error)
        finally:
            self._polled_at = time.monotonic()
            self._is_polling = False
        self._set_trouble(trouble)
        if self._unsized and not self._is_sizing:
            self._is_sizing = True
            self.run_worker(self._sum_sizes, group="sizes", exit_on_error=False)

    async def _read(self, key: Key) -> None:
        assert self._watch is not None
        changed_at = self._watch.changed_at(key)
        summary = await asyncio.to_thread(audit.summarise, self._tracker(key), changed_at)
        self._unread.discard(key)
        row = self.rows.get(key)
        if row is None:
            return
        row.summary = summary
        self._unsized.add(key)
        self._show_row(key)
        if key == self.opened:
            self._show_opened()

    async def _sum_sizes(self) -> None:
        """Sum up what is on disk, baseline by baseline."""
        try:
            while self._unsized and not self._left.is_set():
                key = min(self._unsized)
                self._unsized.discard(key)
                row = self.rows.get(key)
                if row is None or row.summary is None:
                    continue
                size = await asyncio.to_thread(
                    self._disk_use.measure,
                    self._tracker(key),
                    row.summary.days,
                    lambda: not self._left.is_set(),
                )
                if size is not None and size != row.size:
                    row.size = size
                    self._show_row(key)
        except (MaapError, OSError) as error:
            self.maap.write_log("warning", f"Bytes on disk are not known: {_trouble_of(error)}")
        finally:
            self._is_sizing = False

    def _set_keys(self, keys: Sequence[Key]) -> None:
        self._is_read = True
        if list(self.rows) == list(keys) and not self._wanted:
            self._say_empty()
            return
        self.rows = {key: self.rows.get(key) or BaselineRow(key) for key in keys}
        self._say_empty()
        self._baselines.set_rows(self.rows.values())
        if self.opened is not None and self.opened not in self.rows:
            self._close_baseline()
        self._show_about_baseline()
        self._show_wanted()

    def _set_trouble(self, words: str) -> None:
        """Say why the registry cannot be read; '' takes it back."""
        if words == self._trouble:
            return
        self._trouble = words
        told = self._trouble_words
        told.display = bool(words)
        if words:
            self.maap.write_log("error", f"The registry cannot be read: {words}")
            shown = f" What is shown is from {self.maap.now():%H:%M} UTC." if self.rows else ""
            told.update(Text(clean(f"The registry cannot be read. {words}{shown}")))
        self._say_empty()

    def _say_empty(self) -> None:
        if self._trouble:
            folder = self.maap.session.places.registry_dir
            words = f"The registry is {clean(str(folder))}\nThis place looks again each second."
        else:
            words = NOTHING_TRACKED if self._is_read else "Reading the registry..."
        if self._baselines.empty_text != words:
            self._baselines.empty_text = words
            self._baselines.refresh()

    def _show_row(self, key: Key) -> None:
        rows = self._baselines
        if rows.sort_key is not None:
            rows.set_rows(self.rows.values())
        else:
            rows.refresh_rows([key])
        if rows.current is not None and rows.current.key == key:
            self._show_about_baseline()

    def _show_about_baseline(self) -> None:
        about = self._about_baseline
        row = self._baselines.current
        if row is None:
            about.update("")
            return
        words = str(row.key)
        if row.summary is not None and row.summary.changed is not None:
            words += f"  changed {format_time(row.summary.changed)}"
        about.update(Text(clean(words)))

    # Levels

    def _show_level(self) -> None:
        self._overview.display = self.opened is None
        self._detail.display = self.opened is not None

    def _open(self, key: Key) -> None:
        self.opened = key
        self._files.clear_marks()
        self._files.set_rows([])
        self._strip.set_days({})
        self._show_level()
        self._show_opened()
        self._strip.focus()

    def _close_baseline(self) -> None:
        if self.opened is None:
            return
        self.opened = None
        self._show_level()
        self._baselines.focus()

    def _show_opened(self) -> None:
        """Show what is known of the opened baseline; its day is read again."""
        row = self.rows.get(self.opened) if self.opened is not None else None
        if row is None:
            return
        title = Text(clean(f"{row.key.product_type} {row.key.baseline}"), style="bold")
        summary = row.summary
        if summary is None:
            self._title.update(title.append("  counting..."))
            return
        title.append(f"  {format_count(summary.pending)} pending")
        if summary.failures:
            title.append(f", {format_count(len(summary.failures))} failed", style="bold")
        title.append(
            f", {format_count(summary.downloaded)} here, {format_count(summary.marked)} marked, "
            f"{plural(summary.discovered, 'file')} known"
        )
        self._title.update(title)
        failed_days = {one.day for one in summary.failures}
        days = {day.day: day_state(day, day.day in failed_days) for day in summary.days}
        days |= {day: "failed" for day in failed_days if day is not None}
        self._strip.set_days(days)
        self._errors.set_rows(summary.failures)
        self._errors_pane.set_class(not summary.failures, "-empty")
        if not summary.failures and self.focused is self._errors:
            self._files.focus()
        self._show_day()

    @on(DayStrip.Moved)
    def _show_day(self) -> None:
        """Describe the day under the cursor and read its files."""
        key, day = self.opened, self._strip.day
        row = self.rows.get(key) if key is not None else None
        if row is None or row.summary is None or day is None:
            self._about_day.update("")
            self._files.set_rows([])
            return
        stats = next((one for one in row.summary.days if one.day == day), DayStats(day, 0, 0, 0, 0, 0))
        failed = sum(one.day == day for one in row.summary.failures)
        words = f"{day:%a %Y-%m-%d}: "
        if stats.discovered or stats.downloaded or stats.marked or failed:
            words += (
                f"{plural(stats.discovered, 'file')}, {stats.downloaded} here, {stats.marked} marked, "
                f"{stats.pending_downloads} pending"
            )
            words += f", {failed} failed" if failed else ""
        else:
            words += "no files; [ and ] go to the days that have some"
        self._about_day.update(Text(words))
        self.run_worker(
            partial(self._read_day, row.key, day, row.summary),
            group="day",
            exclusive=True,
            exit_on_error=False,
        )

    async def _read_day(self, key: Key, day: date, summary: Summary) -> None:
        trouble = ""
        try:
            found = await asyncio.to_thread(audit.files_of_day, self._tracker(key), day, summary.failures)
        except (MaapError, OSError) as error:
            found, trouble = [], _trouble_of(error)
        if self.opened != key or self._strip.day != day:
            return
        rows = self._files
        rows.empty_text = f"The files of this day cannot be read.\n{clean(trouble)}" if trouble else NO_FILES
        if {one.day for one in rows.rows} - {day}:
            rows.clear_marks()
            rows.move_to(0)
        if rows.rows != found:
            rows.set_rows(found)
        else:
            # The same lines, of which some may have been queued or fetched.
            rows.refresh_rows([one.url for one in found], ["state"])
        self._show_file()

    @on(RowList.Highlighted, "#files")
    def _show_file(self) -> None:
        """Say the whole name of the file under the cursor, or why it failed."""
        row = self._files.current
        about = self._about_file
        if row is None:
            about.update("")
        elif row.failure is not None:
            when = f"{row.failure.at:%Y-%m-%d %H:%M} " if row.failure.at else ""
            about.update(Text(clean(f"{when}{row.failure.reason}", 300)))
        else:
            about.update(Text(clean(row.name)))

    @on(RowList.Highlighted, "#baselines")
    def _tell_baseline(self) -> None:
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
                self._open(row.key)
        elif self.focused is self._files:
            if self._files.current is not None:
                self._show_whole(self._files.current)
        elif self.focused is self._errors:
            self._go_to_failure(self._errors.current)
        else:
            self._files.focus()

    def _show_whole(self, row: TrackedFile) -> None:
        state = self._state_word(row)
        if row.state == "missing":
            state = "missing: it was downloaded and is not on disk"
        elif row.state == "marked" and row.size is None:
            state = "marked, and gone from disk"
        lines = [f"state    {state}", f"day      {row.day}"]
        if row.size is not None:
            lines.append(f"size     {format_bytes(row.size)} ({format_count(row.size)} bytes)")
        lines += [f"path     {row.path or 'not known'}", f"address  {row.url or 'not known'}"]
        if row.failure is not None:
            lines.append(f"failed   {format_time(row.failure.at) or 'at a time not known'}")
            lines.append(f"why      {row.failure.reason}")
        self.app.push_screen(TextDialog(row.name, "\n".join(lines)))

    def _go_to_failure(self, failure: Failure | None) -> None:
        if failure is None:
            return
        if failure.day is None:
            told = format_time(failure.at) or "At a time not known"
            self.app.push_screen(TextDialog(failure.url, f"{told}\n{failure.reason}"))
            return
        self._strip.move_to(failure.day)
        self._files.focus()
        self._files.move_to_key(failure.url)

    def action_back(self) -> None:
        if self.work is not None:
            self.work.stop.set()
            self._show_work()
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
            if line._target is rows:
                line.open()

    @on(FilterLine.Filtered)
    def filter_rows(self, event: FilterLine.Filtered) -> None:
        """Filter the list that the line belongs to."""
        target = event.line._target
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

    # What an action is about

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

    def say(self, sentence: str, *, severity: Any = "information") -> None:
        self.notify(clean(sentence), severity=severity, timeout=8, markup=False)
        self.maap.write_log("warning" if severity == "warning" else "info", sentence)

    def _start(self, title: str, job: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
        """Begin long work, unless some is under way."""
        if self.work is not None:
            self.say(f"Wait until this is done: {self.work.words}.", severity="warning")
            return
        self.work = Work(title)
        self._show_work()
        self.run_worker(partial(self._run, self.work, job), group="work", exit_on_error=False)

    async def _run(self, work: Work, job: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
        try:
            await job(work)
        finally:
            if self.work is work:
                self.work = None
            if self.is_attached:
                self._show_work()
                self._look_again()

    def _look_again(self) -> None:
        """Look for changes at once."""
        self._polled_at = 0.0
        self._unsized |= self.rows.keys()

    def _show_work(self) -> None:
        words = self.work.words if self.work is not None else ""
        if words != self._work_words:
            self._work_words = words
            line = self._work_line
            line.display = bool(words)
            line.update(Text(clean(words)))

    async def ask(self, question: str, *, lines: Sequence[str] = (), verb: str, key: str) -> bool:
        """Ask before something is done; meanwhile nothing is said to be under way."""
        self._work_line.display = False
        self._work_words = ""
        return await self.maap.confirm(question, lines=lines, verb=verb, key=key)

    async def list_lines(self, title: str, lines: Sequence[str], *, verb: str = "", key: str = "") -> bool:
        self._work_line.display = False
        self._work_words = ""
        return bool(await self.app.push_screen_wait(ListDialog(title, lines, verb=verb, key=key)))

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
        self._start_on_chosen("Checking files", self._doing.check)

    def action_rebuild(self) -> None:
        keys = list(dict.fromkeys(scope.key for scope in self._scopes()))
        self._start("Looking at the files on disk", lambda work: self._doing.rebuild(keys, work))

    def _start_on_chosen(
        self, title: str, job: Callable[[list[Scope], Work], Coroutine[Any, Any, None]]
    ) -> None:
        if scopes := self._scopes():
            self._start(title, lambda work: job(scopes, work))


def _trouble_of(error: Exception) -> str:
    """What went wrong and what to do, in words."""
    if isinstance(error, OSError):
        error = files.storage_error(error.filename or "a file of the registry", error)
    if isinstance(error, MaapError):
        return f"{error.message}. {error.hint}".strip()
    return f"{type(error).__name__}: {error}. If it stays, report it with the log of place 5."
