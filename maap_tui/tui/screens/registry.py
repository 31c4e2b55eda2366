"""The place registry: what is tracked, day by day and file by file, and what can be done about it.

Everything is read in threads, and only what changed is read again; the lines on disk are the truth.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from rich.text import Text
from textual import on
from textual.containers import Horizontal, Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine import audit, files
from maap_tui.engine.audit import Checked, Failure, Stray, Summary, TrackedFile
from maap_tui.engine.downloads import Tracked
from maap_tui.engine.errors import InvalidRequestError, MaapError
from maap_tui.engine.missions import parse_name
from maap_tui.engine.places import collection_of
from maap_tui.engine.registry import BaselineRegistry, CleanupReport, DayStats, Entry, Key
from maap_tui.engine.sync import Selection
from maap_tui.engine.transfer import Wanted
from maap_tui.text import clean, format_bytes, format_count, format_time, plural
from maap_tui.tui import theme
from maap_tui.tui.dialogs.columns import ColumnsDialog
from maap_tui.tui.dialogs.listing import ListDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.keys import bindings
from maap_tui.tui.memory import ColumnMemory
from maap_tui.tui.screens.place import PlaceScreen
from maap_tui.tui.widgets.day_strip import DayStrip
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.rows import Column, RowList

POLL_S = 1.0
"""Seconds between two looks at whether the registry changed."""

ASK_ABOVE = 1000
"""Files that are queued without a question."""

BATCH = 500
"""Files handled between two looks at whether to stop."""

GRID_FROM = 20
"""Lines of the terminal from which a day strip is a grid of weeks."""

NOTHING_TRACKED = (
    "Nothing is tracked yet.\n"
    "Search for a product with 2 and press w on the results to register them, or run maap sync.\n"
    "Files that are on disk already: B looks for them."
)


NO_FILES = "No files on this day."


@dataclass(slots=True, eq=False)
class BaselineRow:
    """A baseline in the table."""

    key: Key
    summary: Summary | None = None
    """None until it was counted."""
    size: int | None = None
    """Bytes on disk; None until they were summed."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What an action is about: a baseline, one day of it, or files of that day."""

    key: Key
    day: date | None = None
    """None for all days."""
    files: tuple[TrackedFile, ...] | None = None
    """None for all files."""
    failures: tuple[Failure, ...] | None = None
    """Given up downloads that are meant; None for all of the scope."""

    @property
    def words(self) -> str:
        """What it is, for sentences."""
        name = f"{self.key.product_type} {self.key.baseline}"
        return name if self.day is None else f"{name}, {self.day}"


@dataclass(slots=True)
class Work:
    """Long work that is under way."""

    title: str
    total: int | None = None
    """Things to do; None while unknown."""
    done: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def go_on(self) -> bool:
        return not self.stop.is_set()

    @property
    def words(self) -> str:
        count = format_count(self.done)
        if self.total is not None:
            count += f" of {format_count(self.total)}"
        return f"{self.title}: {count}" + ("; stopping" if self.stop.is_set() else "; esc stops it")


@dataclass(frozen=True, slots=True)
class Doomed:
    """Marked files of one baseline and month that a cleanup would delete."""

    key: Key
    first: date
    """First day that was looked at."""
    last: date
    """Last day that was looked at."""
    files: list[tuple[Path, int]]
    """Each with its bytes."""


def short_count(count: int) -> str:
    """A count in five cells."""
    if count < 100_000:
        return str(count)
    return f"{count // 1000}k" if count < 1_000_000 else f"{count / 1e6:.1f}M"


def short_age(then: datetime | None, now: datetime) -> str:
    """How long ago, in seven cells."""
    if then is None:
        return ""
    seconds = (now - then).total_seconds()
    if seconds < 60:
        return "now"
    for unit, length in (("min", 60), ("h", 3600), ("d", 86400)):
        count = seconds / length
        if count < {"min": 60, "h": 48, "d": 1e9}[unit]:
            return f"{int(count)} {unit}"
    return ""


def short_collection(key: Key) -> str:
    """A collection's name without what all of its mission share."""
    return key.collection.removeprefix(key.mission).removesuffix("_MAAP").strip("_") or key.collection


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
        self._undo: tuple[str, Scope, list[tuple[Key, str, date]]] | None = None
        self._wanted: tuple[str, str, str] | None = None
        self._work_words = ""
        self._is_ready = False

    # What it is made of

    def body(self) -> Iterable[Widget]:
        baselines = self._baselines = RowList(
            self._baseline_columns(),
            key=lambda row: row.key,
            empty_text="Reading the registry...",
            id="baselines",
        )
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

    def _baseline_columns(self) -> list[Column]:
        def count(name: str) -> Callable[[BaselineRow], str]:
            return lambda row: "..." if row.summary is None else short_count(getattr(row.summary, name))

        def order(name: str) -> Callable[[BaselineRow], int]:
            return lambda row: -1 if row.summary is None else getattr(row.summary, name)

        def failed(row: BaselineRow) -> int:
            return len(row.summary.failures) if row.summary else 0

        def changed(row: BaselineRow) -> float:
            return row.summary.changed.timestamp() if row.summary and row.summary.changed else 0.0

        return [
            Column("product", "product", 10, lambda row: row.key.product_type),
            Column("baseline", "base", 4, lambda row: row.key.baseline),
            Column("discovered", "found", 5, count("discovered"), None, order("discovered"), True, False),
            Column("downloaded", "here", 5, count("downloaded"), None, order("downloaded"), True, False),
            Column("marked", "mark", 5, count("marked"), None, order("marked"), True, False),
            Column(
                "pending",
                "pending",
                7,
                count("pending"),
                lambda row: "warning" if row.summary and row.summary.pending else "plain",
                order("pending"),
                True,
                False,
            ),
            Column(
                "failed",
                "failed",
                6,
                lambda row: short_count(failed(row)) if row.summary else "...",
                lambda row: "error" if failed(row) else "plain",
                failed,
                True,
                False,
            ),
            Column(
                "size",
                "on disk",
                8,
                lambda row: "..." if row.size is None else format_bytes(row.size),
                None,
                lambda row: row.size or 0,
                True,
                False,
            ),
            Column(
                "changed",
                "changed",
                7,
                lambda row: short_age(row.summary.changed, self.maap.now()) if row.summary else "",
                lambda row: "muted",
                changed,
                True,
                False,
            ),
            Column(
                "collection",
                "collection",
                0,
                lambda row: row.key.collection if self.app.size.width >= 100 else short_collection(row.key),
            ),
        ]

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

    @staticmethod
    def _words(scopes: Sequence[Scope]) -> str:
        return scopes[0].words if len(scopes) == 1 else plural(len(scopes), "baseline")

    def _say(self, sentence: str, *, severity: Any = "information") -> None:
        self.notify(clean(sentence), severity=severity, timeout=8, markup=False)
        self.maap.write_log("warning" if severity == "warning" else "info", sentence)

    def _start(self, title: str, job: Callable[[Work], Coroutine[Any, Any, None]]) -> None:
        """Begin long work, unless some is under way."""
        if self.work is not None:
            self._say(f"Wait until this is done: {self.work.words}.", severity="warning")
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

    async def _ask(self, question: str, *, lines: Sequence[str] = (), verb: str, key: str) -> bool:
        """Ask before something is done; meanwhile nothing is said to be under way."""
        self._work_line.display = False
        self._work_words = ""
        return await self.maap.confirm(question, lines=lines, verb=verb, key=key)

    async def _list(self, title: str, lines: Sequence[str], *, verb: str = "", key: str = "") -> bool:
        self._work_line.display = False
        self._work_words = ""
        return bool(await self.app.push_screen_wait(ListDialog(title, lines, verb=verb, key=key)))

    def _brief(self, path: Path | str) -> str:
        """A path in a list: the name is enough where the layout tells the rest."""
        is_dated = Path(path).is_relative_to(self.maap.session.places.data_dir) and collection_of(path)
        return Path(path).name if is_dated else str(path)

    # Download and retry

    def action_download(self) -> None:
        scopes = self._scopes()
        if scopes:
            self._start("Looking for what is pending", lambda work: self._download(scopes, work))

    async def _download(self, scopes: list[Scope], work: Work) -> None:
        entries: list[tuple[Key, Entry]] = []
        for scope in scopes:
            entries += await asyncio.to_thread(self._pending, scope)
        if not entries:
            self._say(f"Nothing is pending in {self._words(scopes)}.")
            return
        await self._queue(entries, work)

    def _pending(self, scope: Scope) -> list[tuple[Key, Entry]]:
        key = scope.key
        if scope.files is not None:
            return [
                (key, Entry(row.url, row.path, row.day))
                for row in scope.files
                if row.url and row.state in ("discovered", "failed", "missing")
            ]
        found = self.maap.session.pending(key.collection, key.product_type, key.baseline, Selection(()))
        return [one for one in found if one[0] == key and scope.day in (None, one[1].day)]

    def action_retry(self) -> None:
        scopes = self._scopes()
        if scopes:
            self._start("Looking for what failed", lambda work: self._retry(scopes, work))

    async def _retry(self, scopes: list[Scope], work: Work) -> None:
        entries: list[tuple[Key, Entry]] = []
        for scope in scopes:
            entries += await asyncio.to_thread(self._failed, scope)
        if not entries:
            self._say(f"Nothing failed in {self._words(scopes)}.")
            return
        await self._queue(entries, work)

    def _failed(self, scope: Scope) -> list[tuple[Key, Entry]]:
        tracker = self._tracker(scope.key)
        chosen = audit.failures(tracker) if scope.failures is None else list(scope.failures)
        unplaced = {one.url for one in chosen if one.day is None}
        days: dict[str, date] = {}
        if unplaced:
            days = {entry.url: entry.day for entry in tracker.urls() if entry.url in unplaced}
        found = []
        for one in chosen:
            day = one.day or days.get(one.url)
            if day is None:
                self.maap.write_log(
                    "warning", f"Not tried again, as no day is known for it: {clean(one.url)}"
                )
            elif scope.day in (None, day):
                found.append((scope.key, Entry(one.url, "", day)))
        return found

    async def _queue(self, entries: Sequence[tuple[Key, Entry]], work: Work, *, again: bool = False) -> None:
        """Queue lines of the registry, asking first when they are very many."""
        if len(entries) > ASK_ABOVE and not await self._ask(
            f"Queue {plural(len(entries), 'file')} for download?", verb="Queue", key="y"
        ):
            return
        work.title, work.total, work.done = "Queueing", len(entries), 0
        new, refused = 0, 0
        for batch in _batches(entries):
            files: list[tuple[Wanted, Tracked | None]] = []
            for key, entry in batch:
                try:
                    wanted = self.maap.session.wanted_of_entry(key, entry)
                except InvalidRequestError as error:
                    refused += 1
                    self.maap.write_log("warning", f"Not queued: {clean(entry.url, 200)} ({error.message})")
                    continue
                if again:
                    wanted = Wanted(wanted.url, wanted.path, wanted.size, wanted.root, again=True)
                files.append((wanted, Tracked(key, entry.day)))
            if files:
                new += await self.maap.queue_files(files)
            work.done += len(batch)
            if not work.go_on():
                break
        words = f"Queued {plural(new, 'file')}."
        others = work.done - new - refused
        words += f" {others} in the queue already." if others else ""
        words += f" {refused} refused: see the log with 5." if refused else ""
        self._say(words + " 3 shows the queue.", severity="warning" if refused else "information")

    # Mark and unmark

    def action_mark_files(self) -> None:
        scopes = self._scopes()
        if not scopes:
            return
        if self._undo is not None and self._undo[0] == "unmark" and [self._undo[1]] == scopes:
            paths = self._undo[2]
            self._start("Marking", lambda work: self._change_marks("mark", scopes, paths, work))
        else:
            self._start("Marking", lambda work: self._mark(scopes, work))

    async def _mark(self, scopes: list[Scope], work: Work) -> None:
        paths: list[tuple[Key, str, date]] = []
        for scope in scopes:
            paths += await asyncio.to_thread(self._unmarked, scope)
        if not paths:
            self._say(
                f"No unmarked file is here in {self._words(scopes)}: only what was downloaded is marked."
            )
            return
        await self._change_marks("mark", scopes, paths, work)

    def _unmarked(self, scope: Scope) -> list[tuple[Key, str, date]]:
        if scope.files is not None:
            states = ("downloaded", "missing")
            return [(scope.key, row.path, row.day) for row in scope.files if row.path and row.state in states]
        found = self._tracker(scope.key).pending_marks(scope.day, scope.day)
        return [(scope.key, entry.path, entry.day) for entry in found]

    def action_unmark_files(self) -> None:
        scopes = self._scopes()
        if not scopes:
            return
        if self._undo is not None and self._undo[0] == "mark" and [self._undo[1]] == scopes:
            paths = self._undo[2]
            self._start("Unmarking", lambda work: self._change_marks("unmark", scopes, paths, work))
        else:
            self._start("Unmarking", lambda work: self._unmark(scopes, work))

    async def _unmark(self, scopes: list[Scope], work: Work) -> None:
        paths: list[tuple[Key, str, date]] = []
        for scope in scopes:
            paths += await asyncio.to_thread(self._marks_in, scope)
        if not paths:
            self._say(f"No file is marked in {self._words(scopes)}.")
            return
        if len(paths) > 1 and not await self._ask(
            f"Take the marks of {plural(len(paths), 'file')} of {self._words(scopes)} away?",
            lines=[self._brief(path) for _, path, _ in paths],
            verb="Unmark",
            key="y",
        ):
            return
        await self._change_marks("unmark", scopes, paths, work)

    def _marks_in(self, scope: Scope) -> list[tuple[Key, str, date]]:
        if scope.files is not None:
            return [(scope.key, row.path, row.day) for row in scope.files if row.state == "marked"]
        found = self._tracker(scope.key).marked(scope.day, scope.day)
        return [(scope.key, path, day) for path, day in found]

    async def _change_marks(
        self, verb: str, scopes: list[Scope], paths: Sequence[tuple[Key, str, date]], work: Work
    ) -> None:
        """Mark or unmark, and remember exactly that, so that it can be taken back."""
        work.total, work.done = len(paths), 0
        changed = 0
        self._undo = None
        done: list[tuple[Key, str, date]] = []
        for key, group in groupby(paths, key=lambda one: one[0]):
            tracker = self._tracker(key)
            change = tracker.mark if verb == "mark" else tracker.unmark
            for batch in _batches(list(group)):
                changed += await asyncio.to_thread(change, [(path, day) for _, path, day in batch])
                done += batch
                work.done += len(batch)
                if not work.go_on():
                    break
        if len(scopes) == 1:
            self._undo = (verb, scopes[0], done)
        if verb == "mark":
            words = f"Marked {plural(changed, 'file')} as processed."
            words += " u takes it back." if self._undo else " u unmarks."
        else:
            words = f"Unmarked {plural(changed, 'file')}."
            words += " m marks them again." if self._undo else ""
        self._say(words)

    # Clean up

    def action_cleanup(self) -> None:
        scopes = self._scopes()
        if scopes:
            self._start("Looking at the marked files", lambda work: self._clean_up(scopes, work))

    async def _clean_up(self, scopes: list[Scope], work: Work) -> None:
        plan: list[Doomed] = []
        refused: list[tuple[str, str]] = []
        for scope in scopes:
            await asyncio.to_thread(self._find_deletable, scope, work, plan, refused)
        if not work.go_on():
            self._say("Stopped; nothing was deleted.")
            return
        files = [file for month in plan for file in month.files]
        size = sum(count for _, count in files)
        kept = [f"kept       {path}  ({reason})" for path, reason in refused]
        if not files:
            if refused:
                await self._list("Nothing can be deleted", kept)
            else:
                self._say(
                    f"No marked file of {self._words(scopes)} is on disk; only marked files are deleted."
                )
            return
        question = (
            f"Delete {plural(len(files), 'marked file')} of {self._words(scopes)}, {format_bytes(size)}?"
        )
        lines = [f"{format_bytes(count):>9}  {self._brief(path)}" for path, count in files]
        if not await self._ask(question, lines=lines + kept, verb="Delete", key="y"):
            self._say("Nothing was deleted.")
            return
        work.title, work.total, work.done = "Deleting", len(files), 0
        deleted, freed = 0, 0
        failed: list[tuple[str, str]] = []
        for month in plan:
            for batch in _batches(month.files, 100):
                if not work.go_on():
                    break
                report = await asyncio.to_thread(self._delete, month, batch)
                deleted += len(report.deleted)
                freed += report.bytes
                failed += [one for one in report.refused if one not in refused]
                work.done += len(batch)
        words = f"Deleted {plural(deleted, 'file')}, {format_bytes(freed)}."
        if deleted < len(files):
            words += f" {len(files) - deleted} were kept."
        self._say(f"{words} The journal is {self.maap.session.places.journal_file}")
        if failed:
            await self._list("These could not be deleted", [f"{path}  ({reason})" for path, reason in failed])

    def _find_deletable(
        self, scope: Scope, work: Work, plan: list[Doomed], refused: list[tuple[str, str]]
    ) -> None:
        """Add what a cleanup of the scope would delete, and what it refuses to, month by month."""
        tracker, data_dir = self._tracker(scope.key), self.maap.session.places.data_dir
        days = [day.day for day in tracker.days(scope.day, scope.day) if day.marked]
        work.total = (work.total or 0) + len(days)
        chosen = None if scope.files is None else {row.path for row in scope.files}
        real = {os.path.realpath(path) for path in chosen or ()}
        for _, month in groupby(days, key=lambda day: (day.year, day.month)):
            if not work.go_on():
                return
            listed = list(month)
            found = tracker.deletable(data_dir, listed[0], listed[-1])
            files = [file for file in found.files if chosen is None or str(file[0]) in real]
            if files:
                plan.append(Doomed(scope.key, listed[0], listed[-1], files))
            refused += [one for one in found.refused if chosen is None or one[0] in chosen]
            work.done += len(listed)

    def _delete(self, month: Doomed, batch: Sequence[tuple[Path, int]]) -> CleanupReport:
        """Delete what was confirmed, as far as it is still marked."""
        places = self.maap.session.places
        return self._tracker(month.key).cleanup(
            places.data_dir,
            places.journal_file,
            start=month.first,
            end=month.last,
            only={path for path, _ in batch},
        )

    # Check and rebuild

    def action_check(self) -> None:
        scopes = self._scopes()
        if scopes:
            self._start("Checking files", lambda work: self._check(scopes, work))

    async def _check(self, scopes: list[Scope], work: Work) -> None:
        work.total = 0
        found: list[tuple[Key, Checked]] = []
        gone = 0
        for scope in scopes:
            row = self.rows.get(scope.key)
            days = row.summary.days if row is not None and row.summary is not None else []
            if scope.files is not None:
                work.total += sum(one.state in ("downloaded", "marked", "missing") for one in scope.files)
            else:
                work.total += sum(day.downloaded for day in days if scope.day in (None, day.day))
        for scope in scopes:
            for one in await asyncio.to_thread(self._check_scope, scope, work):
                if one.state == "gone":
                    gone += 1
                else:
                    found.append((scope.key, one))
        words = f"Checked {plural(work.done, 'file')} of {self._words(scopes)}"
        words += "" if work.go_on() else " (stopped)"
        words += f", {format_count(gone)} of them cleaned up before" if gone else ""
        if not found:
            self._say(f"{words}: nothing is missing or damaged.")
            return
        self.maap.write_log("warning", f"{words}: {len(found)} missing or damaged")
        lines = [
            f"{one.state:10} {self._brief(one.entry.path)}" + (f"  ({one.reason})" if one.reason else "")
            for _, one in found
        ]
        if await self._list(
            f"{words}: {len(found)} missing or damaged", lines, verb="fetch them again", key="f"
        ):
            await self._queue([(key, one.entry) for key, one in found], work, again=True)

    def _check_scope(self, scope: Scope, work: Work) -> list[Checked]:
        """Hold the scope's files against the disk; gives back those that are not whole."""
        chosen = None if scope.files is None else {row.url for row in scope.files}
        found = []
        for one in audit.check(self._tracker(scope.key), scope.day, scope.day):
            if not work.go_on():
                break
            if chosen is None or one.entry.url in chosen:
                work.done += 1
                if one.state != "whole":
                    found.append(one)
        return found

    def action_rebuild(self) -> None:
        keys = [scope.key for scope in self._scopes()]
        self._start(
            "Looking at the files on disk", lambda work: self._rebuild(list(dict.fromkeys(keys)), work)
        )

    async def _rebuild(self, keys: list[Key], work: Work) -> None:
        data_dir = self.maap.session.places.data_dir
        if not keys:
            keys = await asyncio.to_thread(audit.keys_on_disk, data_dir)
        found: list[tuple[Key, Stray]] = []
        for key in keys:
            found += [(key, one) for one in await asyncio.to_thread(self._strays, key, data_dir, work)]
        if not work.go_on():
            self._say("Stopped; nothing was recorded.")
            return
        known = [(key, one) for key, one in found if one.url and one.is_whole]
        lines = [f"{'record':10} {self._brief(one.path)}" for _, one in known]
        lines += [f"{'not whole':10} {self._brief(one.path)}" for _, one in found if not one.is_whole]
        unknown = [one.path for _, one in found if not one.url and one.is_whole]
        lines += [f"{'unknown':10} {self._brief(path)}" for path in unknown]
        others = len(found) - len(known) - len(unknown)
        rest = f"{len(unknown)} have no known address, {others} are not whole."
        if not found:
            self._say(f"Looked at {plural(work.done, 'file')} on disk: the registry knows all of them.")
        elif not known:
            await self._list(
                f"Nothing can be recorded: {rest} To learn addresses, search for the days (2), "
                "register the results (w), and come back.",
                lines,
            )
        elif await self._ask(
            f"Record {plural(len(known), 'file')} found on disk as downloaded? {rest}",
            lines=lines,
            verb="Record",
            key="y",
        ):
            work.title, work.total, work.done = "Recording", len(known), 0
            count = await asyncio.to_thread(self._record, known, work)
            self._say(f"Recorded {plural(count, 'file')} as downloaded. {rest}")

    def _strays(self, key: Key, data_dir: Path, work: Work) -> list[Stray]:
        session = self.maap.session
        found = []
        names = audit.strays(
            self._tracker(key), data_dir, lambda entry: session.wanted_of_entry(key, entry).path.name
        )
        for one in names:
            if not work.go_on():
                break
            work.done += 1
            if one is not None:
                found.append(one)
        return found

    def _record(self, found: Sequence[tuple[Key, Stray]], work: Work) -> int:
        count = 0
        for key, one in found:
            if not work.go_on():
                break
            count += self._tracker(key).record(one.url, one.path, one.day)
            work.done += 1
        return count


def _trouble_of(error: Exception) -> str:
    """What went wrong and what to do, in words."""
    if isinstance(error, OSError):
        error = files.storage_error(error.filename or "a file of the registry", error)
    if isinstance(error, MaapError):
        return f"{error.message}. {error.hint}".strip()
    return f"{type(error).__name__}: {error}. If it stays, report it with the log of place 5."


def _batches(items: Sequence[Any], size: int = BATCH) -> Iterable[list[Any]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
