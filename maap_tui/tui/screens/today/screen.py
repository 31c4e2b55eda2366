"""The mode Today: what ran, what is missing of what is tracked, and how long the disk lasts."""

from __future__ import annotations

import asyncio
import shlex
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from textual import on
from textual.containers import Vertical
from textual.events import Resize
from textual.geometry import Size
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine.errors import MaapError
from maap_tui.engine.registry import view, watch
from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.runs import RUNNING, Run, Runs
from maap_tui.text import clean, format_count, plural, short_duration
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.gauges import steady
from maap_tui.tui.keys import bindings
from maap_tui.tui.outside import pager, run_outside
from maap_tui.tui.problems import problem_of
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.screens.today import today_words as words
from maap_tui.tui.screens.today.arrived import show_arrived
from maap_tui.tui.screens.today.head import ROOMY_FROM, TodayHead
from maap_tui.tui.synced import may_queue
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.pane import framed
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column
from maap_tui.tui.workers import start_worker

POLL_S = 2.0
"""Seconds between two looks at what changed."""

LEAST_ROWS = 4
"""Rows that the list of what is missing has room for, of few too."""

DISK_S = 30.0
"""Seconds between two looks at the disk: others write to it all the time, and each would be drawn."""

FRAMED_FROM = 30
"""Rows of the terminal from which a frame takes two."""

ROOMY = 72
"""Columns of the terminal from which all columns of the runs are shown."""

SAID_NOTHING = "It said nothing."


@dataclass(frozen=True, slots=True)
class Lack:
    """A baseline that lacks something."""

    key: Key
    pending: int
    failed: int
    since: date | None
    """The first day that lacks something; None where it is not known."""
    reason: str
    """Why a file failed; '' where none did."""


class TodayScreen(ModeScreen):
    """The disk and the last hours on top; below them what needs attention, and the runs."""

    MODE = "today"
    BINDINGS = bindings("today", "lists")

    def __init__(self) -> None:
        super().__init__()
        self._runs: list[Run] = []
        self._book: Runs | None = None
        self._stamp: object = None
        self._lacks: dict[Key, Lack] = {}
        self._tracked: int | None = None
        """Baselines that are tracked; None until they were counted."""
        self._watch: watch.Watch | None = None
        self._unread: set[Key] = set()
        self._disk: tuple[int | None, int | None] = (None, None)
        """Bytes free and in all, where data go."""
        self._problem = ""
        self._polled_at = 0.0
        self._measured_at = -DISK_S
        self._lacks_lines = 0
        self._is_polling = False
        self._is_ready = False
        self._is_narrow = False

    def body(self) -> Iterable[Widget]:
        self._head = TodayHead()
        lacks = self._lack_list = RowList(
            [
                Column("product", "Product", 10, lambda row: row.key.product_type),
                Column("baseline", "Base", 4, lambda row: row.key.baseline),
                Column(
                    "pending", "Pending", 7, lambda row: format_count(row.pending), lambda row: "warning",
                    lambda row: row.pending, True, False,
                ),
                Column(
                    "failed", "Failed", 6, lambda row: format_count(row.failed),
                    lambda row: "error" if row.failed else "muted", lambda row: row.failed, True, False,
                ),
                Column("since", "Since", 10, lambda row: str(row.since or ""), is_untrusted=False),
                Column("reason", "Why", 0, lambda row: row.reason, lambda row: "muted"),
            ],
            key=lambda row: row.key,
            can_mark=True,
            empty_text="Reading the registry...",
            id="lacks",
        )  # fmt: skip
        runs = self._run_list = RowList(
            [
                Column(
                    "begun", "Start", 11, lambda row: f"{row.begun:%m-%d %H:%M}", order=lambda row: row.begun
                ),
                Column("command", "Command", 0, words.short_command),
                Column("exit", "Exit", 4, words.ended_as, words.tone_of, None, True, False),
                Column(
                    "found", "Found", 6, words.found, lambda row: "muted",
                    lambda row: row.counts.found or 0, True, False,
                ),
                Column("got", "Got", 6, words.moved, None, lambda row: row.counts.downloaded, True, False),
                Column(
                    "failed", "Fail", 4, words.failed,
                    lambda row: "error" if _failed(row) else "muted", _failed, True, False,
                ),
                Column(
                    "bytes", "Bytes", 8, words.size, None,
                    lambda row: row.counts.bytes, True, False,
                ),
                Column(
                    "took", "Took", 6, self._took, lambda row: "muted",
                    lambda row: row.seconds or 0, True, False,
                ),
            ],
            key=lambda row: row.id,
            can_mark=False,
            empty_text="Nothing ran yet.\nEach maap sync, download, get, cleanup and build is listed here.",
            id="runs",
        )  # fmt: skip
        yield self._head
        self._lack_pane = framed(Vertical(id="lack-pane"), "Missing")
        with self._lack_pane:
            self._lack_title = Static("", markup=False, classes="pane-title -framed")
            yield self._lack_title
            yield FilterLine(lacks)
            yield lacks
        with framed(Vertical(id="run-pane"), "Runs, the newest first"):
            yield Static("Runs, the newest first", markup=False, classes="pane-title -framed")
            yield FilterLine(runs)
            yield runs

    def _took(self, run: Run) -> str:
        if run.state == RUNNING:
            return short_duration((self.maap.backend.now() - run.begun).total_seconds())
        return "" if run.seconds is None else short_duration(run.seconds)

    @property
    def is_ready(self) -> bool:
        """Whether both lists were read, or cannot be; a key that acts on a row waits for that."""
        return self._tracked is not None or bool(self._problem)

    def on_mount(self) -> None:
        session = self.maap.backend.session
        self._book = Runs(session.dirs)
        self._watch = watch.Watch(session.registry)
        self._is_ready = True
        self._fit(self.size)
        self._lack_list.focus()
        self.sample()

    def on_resize(self, event: Resize) -> None:
        if self._is_ready:
            self._fit(event.size)
            self._show_head()
            self.call_after_refresh(self._give_room)

    def _fit(self, size: Size) -> None:
        """Leave out what a narrow terminal has no room for, and use the width of a wide one."""
        self.set_class(size.width >= ROOMY_FROM and size.height >= FRAMED_FROM, "-roomy")
        is_narrow = size.width < ROOMY
        if is_narrow != self._is_narrow:
            self._is_narrow = is_narrow
            keys = [column.key for column in self._run_list.all_columns]
            self._run_list.set_columns([key for key in keys if not (is_narrow and key in ("found", "took"))])

    def _give_room(self) -> None:
        """Leave to the runs what the list of what is missing does not need."""
        lines = max(LEAST_ROWS, len(self._lack_list.rows)) + (3 if self.has_class("-tall") else 2)
        if self._lacks_lines != lines:
            self._lacks_lines = lines
            self._lack_pane.set_styles(f"max-height: {lines};")

    def on_screen_resume(self) -> None:
        self._polled_at = 0.0

    def sample(self) -> None:
        if not self._is_ready:
            return  # called before the widgets exist
        super().sample()
        self._show_head()
        if not self._is_polling and time.monotonic() - self._polled_at >= POLL_S:
            self._is_polling = True
            start_worker(self, self._poll, group="watch")

    async def _poll(self) -> None:
        """Look at the runs, the disk and the registry, and read again what changed."""
        try:
            await self._read_runs()
            if time.monotonic() - self._measured_at >= DISK_S:
                self._measured_at = time.monotonic()
                free, total = await asyncio.to_thread(self._measure)
                self._disk = steady(self._disk[0], free), total
            await self._read_lacks()
            problem = ""
        except Exception as error:
            # Any error: all of it is read again in two seconds, so no dialog shows it each time.
            problem = problem_of(error)
        finally:
            self._polled_at = time.monotonic()
            self._is_polling = False
        if problem != self._problem:
            self._problem = problem
            if problem and self._tracked is None:
                self._lack_list.empty_text = "Nothing is known of what is missing."
                self._lack_list.refresh()
            if problem:
                self.maap.backend.write_log("error", f"Today cannot be read: {problem}")
        self._show_head()
        self._show_lack_title()

    async def _read_runs(self) -> None:
        assert self._book is not None
        stamp = await asyncio.to_thread(self._book.stamp)
        # The death of a process changes no file.
        if stamp == self._stamp and not any(run.state == RUNNING for run in self._runs):
            return
        self._stamp = stamp
        runs = await asyncio.to_thread(self._book.known)
        if runs != self._runs:
            self._runs = runs
            self._run_list.set_rows(runs)
        else:
            self._run_list.refresh_rows([run.id for run in runs if run.state == RUNNING], ["took"])

    def _measure(self) -> tuple[int | None, int | None]:
        folder = self.maap.backend.session.dirs.data_dir
        for place in (folder, *folder.parents):
            try:
                usage = shutil.disk_usage(place)
            except OSError:
                continue
            return usage.free, usage.total
        return None, None

    async def _read_lacks(self) -> None:
        assert self._watch is not None
        keys, changed = await asyncio.to_thread(self._watch.poll)
        self._unread |= set(changed)
        self._unread &= set(keys)
        gone = self._lacks.keys() - set(keys)
        for key in gone:
            del self._lacks[key]
        if not (self._unread or gone or self._tracked is None):
            return
        problem: Exception | None = None
        for key in sorted(self._unread):
            try:
                lack = await asyncio.to_thread(self._look, key)
            except (MaapError, OSError) as error:
                problem = error  # one that cannot be read must not hide the others
                continue
            self._unread.discard(key)
            self._lacks.pop(key, None)
            if lack is not None:
                self._lacks[key] = lack
        self._tracked = len(keys)
        rows = sorted(self._lacks.values(), key=lambda one: (-one.failed, -one.pending, one.key))
        complete = f"Nothing that was discovered is missing, of {plural(len(keys), 'tracked baseline')}."
        nothing = "Nothing is tracked yet.\nSearch with 2 and press w on the results, or run maap sync."
        self._lack_list.empty_text = complete if keys else nothing
        self._lack_list.set_rows(rows)
        self._give_room()
        if problem is not None:
            raise problem

    def _look(self, key: Key) -> Lack | None:
        """What a baseline lacks, None for nothing."""
        summary = view.summarise(self.maap.backend.session.registry.baseline(key))
        failures = summary.failures
        if not (summary.pending or failures):
            return None
        days = [day.day for day in summary.days if day.pending_downloads]
        days += [one.day for one in failures if one.day is not None]
        return Lack(
            key,
            summary.pending,
            len(failures),
            min(days, default=None),
            failures[-1].reason if failures else "",
        )

    def _show_head(self) -> None:
        self._head.show(self._runs, self._disk, self._problem, self.maap.backend.now())

    def _show_lack_title(self) -> None:
        pending = sum(one.pending for one in self._lacks.values())
        failed = sum(one.failed for one in self._lacks.values())
        title = "Missing"
        if self._lacks:
            title += f": {plural(pending, 'file')} of {plural(len(self._lacks), 'baseline')}"
            title += f", {format_count(failed)} failed" if failed else ""
        if str(self._lack_title.content) != title:
            self._lack_title.update(title)
            framed(self._lack_pane, title)

    @property
    def _in_runs(self) -> bool:
        return self.focused is self._run_list

    def action_pane(self) -> None:
        (self._lack_list if self._in_runs else self._run_list).focus()

    @on(FilterLine.Filtered)
    def filter_rows(self, event: FilterLine.Filtered) -> None:
        """Filter the list that the line belongs to."""
        if isinstance(event.line.target, RowList):
            event.line.target.set_filter(event.text)

    @on(RowList.Chosen)
    def open_chosen(self) -> None:
        """Open what the cursor is on, as enter does."""
        self.action_open()

    def action_open(self) -> None:
        if not self._in_runs:
            row = self._lack_list.current
            if row is not None:
                self.maap.go("registry", key=row.key)
        elif (run := self._run_list.current) is not None:
            start_worker(self, self._show_log, run, group="log")

    async def _show_log(self, run: Run) -> None:
        assert self._book is not None
        lines = await asyncio.to_thread(self._book.log_lines, run)
        self.app.push_screen(TextDialog(_title_of(run), "\n".join(lines) or SAID_NOTHING))

    def action_pager(self) -> None:
        """Show in the pager what a run said."""
        run = self._run_list.current
        if run is not None:
            start_worker(self, self._page_log, run, group="log", exclusive=True)

    async def _page_log(self, run: Run) -> None:
        assert self._book is not None
        lines = await asyncio.to_thread(self._book.log_lines, run)
        said = [clean(line) for line in (_title_of(run), "", *(lines or [SAID_NOTHING]))]
        environ = self.maap.backend.session.environ
        run_outside(self.app, pager(environ), environ, text="".join(f"{line}\n" for line in said))

    async def action_fetch(self) -> None:
        chosen = self._lack_list.chosen
        if chosen:
            start_worker(self, self._fetch, chosen, group="fetch")

    async def _fetch(self, lacks: Sequence[Lack]) -> None:
        found: list[TrackedFile] = []
        for lack in lacks:
            found += await asyncio.to_thread(self.maap.backend.pending, lack.key)
        if not found:
            self.maap.notify("Nothing can be fetched there: press enter to see the files.")
            return
        what = f"{plural(len(found), 'file')} of {plural(len(lacks), 'baseline')}"
        if not await may_queue(self.maap, len(found), what):
            return
        self._lack_list.clear_marks()
        count, refused = await self.maap.backend.queue_tracked(found)
        queued = f"{plural(count, 'file')} queued; 3 shows them."
        self.maap.notify(queued + (f" {format_count(refused)} cannot be fetched: see 5." if refused else ""))

    def action_news(self) -> None:
        start_worker(self, self._show_arrived, group="news", exclusive=True)

    async def _show_arrived(self) -> None:
        try:
            await show_arrived(self.maap)
        except MaapError as error:
            self.maap.show_error(error)

    def action_again(self) -> None:
        run = self._run_list.current
        if run is not None:
            start_worker(self, self._run_again, run, group="again", exclusive=True)

    async def _run_again(self, run: Run) -> None:
        command = f"maap {shlex.join(run.words)}"
        if run.verb == "app":
            self.maap.notify("The app's own transfers are in 3.")
            return
        question = f"Run this again in the background, in {run.folder or 'this folder'}?"
        if not await self.maap.confirm(question, lines=[command], verb="Run", key="y"):
            return
        try:
            # It goes on when the app ends, as a command of the crontab does.
            await asyncio.to_thread(_start, run)
        except OSError as error:
            self.maap.notify(f"It could not be started: {error}", severity="error")
            return
        self._polled_at = 0.0
        self.maap.notify("Started; it is listed below while it runs.")

    def action_copy(self) -> None:
        if self._in_runs:
            run = self._run_list.current
            if run is not None:
                self.maap.copy_text(f"maap {shlex.join(run.words)}", "Copied the command")
        elif (lack := self._lack_list.current) is not None:
            key = lack.key
            names = shlex.join((key.collection, key.product_type, key.baseline))
            self.maap.copy_text(f"maap download {names} --registry", "Copied the command")


def _title_of(run: Run) -> str:
    return f"{run.begun:%Y-%m-%d %H:%M} {shlex.join(run.words)}: {words.ended_as(run)}"


def _failed(run: Run) -> int:
    return run.counts.failed + run.counts.failed_days


def _start(run: Run) -> None:
    """Start a command line again, in its folder, as a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "maap_tui", *run.words],
        cwd=run.folder or None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    # Its end is taken note of, or it would stay in the table of processes as long as the app runs.
    threading.Thread(target=process.wait, daemon=True).start()
