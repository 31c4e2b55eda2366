"""BaselineView: one baseline: its days, the files of the day under the cursor, and what failed."""

from __future__ import annotations

import asyncio
from datetime import date

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from maap_tui.engine.errors import MaapError
from maap_tui.engine.missions import parse_name
from maap_tui.engine.registry import view
from maap_tui.engine.registry.entries import DayStats, Key
from maap_tui.engine.registry.view import FailedDownload, FileRow, Summary
from maap_tui.text import clean, format_bytes, format_count, format_time, plural
from maap_tui.tui import theme
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.host import OnHost
from maap_tui.tui.problems import problem_of
from maap_tui.tui.screens.registry.day_strip import DayStrip
from maap_tui.tui.screens.registry.shares import BaselineRow
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.pane import framed
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column
from maap_tui.tui.workers import start_worker

NO_FILES = "No files on this day."


def day_state(day: DayStats, has_failed: bool) -> str:
    """The state of a day's cell."""
    if has_failed:
        return "failed"
    if day.deleted and not day.here and not day.pending_downloads:
        return "deleted"
    if day.downloaded and not day.pending_downloads:
        return "all" if day.pending_marks or not day.marked else "marked"
    if not day.discovered and day.marked:
        return "marked"
    return "partly" if day.downloaded else "none"


class BaselineView(OnHost, Vertical):
    """Reads what it shows in a thread, and only the day under the cursor."""

    def __init__(self) -> None:
        super().__init__(id="baseline")
        self.row: BaselineRow | None = None
        """The baseline shown; None before the first one."""
        self._wanted_day: date | None = None
        self.is_day_unreadable = False
        """Whether the files of the day could not be read when they were last looked at."""
        self.strip = DayStrip(id="days")
        self.files = RowList(
            self._file_columns(), key=lambda row: row.url or row.path, empty_text=NO_FILES, id="files"
        )
        self.errors = RowList(
            self._error_columns(), key=lambda row: row.url, empty_text="No download failed.", id="errors"
        )
        self._title = Static("", markup=False, id="title")
        self._about_day = Static("", markup=False, id="about-day", classes="about")
        self._about_file = Static("", markup=False, id="about-file", classes="about")
        self._errors_pane = framed(Vertical(id="errors-pane", classes="-empty"), "Failed")

    def compose(self) -> ComposeResult:
        yield self._title
        yield self.strip
        yield self._about_day
        with Vertical(id="panes"):
            with framed(Vertical(id="files-pane"), "Files of the day"):
                yield FilterLine(self.files)
                yield self.files
                yield self._about_file
            with self._errors_pane:
                yield FilterLine(self.errors)
                yield self.errors

    def open(self, row: BaselineRow, day: date | None = None) -> None:
        """Show another baseline, at a day of it; None stands for the last one."""
        self.row = row
        self._wanted_day = day
        self.files.clear_marks()
        self.files.set_rows([])
        self.strip.set_days({})
        self.show()

    def _file_columns(self) -> list[Column]:
        def size(row: FileRow) -> str:
            if row.size is not None:
                return format_bytes(row.size)
            return ""

        def start(row: FileRow) -> str:
            name = parse_name(row.name)
            return f"{name.sensing_start:%H:%M:%S}" if name else ""

        def orbit(row: FileRow) -> str:
            name = parse_name(row.name)
            return f"{name.orbit:05d}{name.frame or ''}" if name and name.orbit is not None else ""

        return [
            Column(
                "state",
                "State",
                11,
                lambda row: theme.with_sign(self._state_of(row), self.state_word(row)),
                lambda row: theme.STATE_TONES.get(self._state_of(row), "plain"),
                is_untrusted=False,
            ),
            Column("size", "Size", 8, size, None, lambda row: row.size or -1, True, False),
            Column("start", "Start", 8, start, is_untrusted=False),
            Column("orbit", "Orbit", 7, orbit),
            Column("name", "File", 0, lambda row: row.name, mutes_repeats=True),
        ]

    def _error_columns(self) -> list[Column]:
        return [
            Column(
                "at",
                "Failed at",
                16,
                lambda row: f"{row.at:%Y-%m-%d %H:%M}" if row.at else "",
                is_untrusted=False,
            ),
            Column("reason", "Why", 33, lambda row: row.reason, lambda row: "error"),
            Column("name", "File", 0, lambda row: row.url.partition("?")[0].rpartition("/")[2]),
        ]

    def _state_of(self, row: FileRow) -> str:
        """The state of a file, or of its transfer while one is running."""
        transfers = self.maap.backend.transfers
        job = transfers.jobs.get(row.url) if transfers is not None and row.url else None
        if job is not None and job.state in ("waiting", "running", "paused"):
            return job.state
        return row.state

    def state_word(self, row: FileRow) -> str:
        """The word for its state."""
        state = self._state_of(row)
        return theme.STATE_WORDS.get(state, state)

    def show(self) -> None:
        """Show what is known of the baseline; its day is read again."""
        row = self.row
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
            f", {format_count(summary.here)} here, {format_count(summary.marked_here)} marked, "
            + (f"{format_count(summary.deleted)} deleted, " if summary.deleted else "")
            + f"{plural(summary.discovered, 'file')} known"
        )
        self._title.update(title)
        failed_days = {one.day for one in summary.failures}
        days = {day.day: day_state(day, day.day in failed_days) for day in summary.days}
        days |= {day: "failed" for day in failed_days if day is not None}
        day, self._wanted_day = self._wanted_day, None
        self.strip.set_days(days, day, searched=summary.searched)
        self.errors.set_rows(summary.failures)
        self._errors_pane.set_class(not summary.failures, "-empty")
        if not summary.failures and self.screen.focused is self.errors:
            self.files.focus()
        self.show_day()

    @on(DayStrip.Moved)
    def show_day(self) -> None:
        """Describe the day under the cursor and read its files."""
        row, day = self.row, self.strip.day
        if row is None or row.summary is None or day is None:
            self._about_day.update("")
            self.files.set_rows([])
            return
        stats = next((one for one in row.summary.days if one.day == day), DayStats(day, 0, 0, 0, 0, 0))
        failed = sum(one.day == day for one in row.summary.failures)
        words = f"{day:%a %Y-%m-%d}: "
        if stats.discovered or stats.downloaded or stats.marked or failed:
            words += (
                f"{plural(stats.discovered, 'file')}, {stats.here} here, {stats.marked_here} marked, "
                + (f"{stats.deleted} deleted, " if stats.deleted else "")
                + f"{stats.pending_downloads} pending"
            )
            words += f", {failed} failed" if failed else ""
        else:
            is_searched = any(first <= day <= last for first, last in row.summary.searched)
            words += "no files when it was searched" if is_searched else "not searched"
            words += "; [ ] days with files, f searches it"
        self._about_day.update(Text(words))
        # A worker of the screen, which shows its errors.
        start_worker(self.screen, self._read_day, row.key, day, row.summary, group="day", exclusive=True)

    async def _read_day(self, key: Key, day: date, summary: Summary) -> None:
        problem = ""
        try:
            found = await asyncio.to_thread(
                view.files_of_day, self.maap.backend.session.registry.baseline(key), day, summary.failures
            )
        except (MaapError, OSError) as error:
            found, problem = [], problem_of(error)
        if self.row is None or self.row.key != key or self.strip.day != day:
            return
        self.is_day_unreadable = bool(problem)
        rows = self.files
        words = f"The files of this day cannot be read.\n{clean(problem)}" if problem else NO_FILES
        if rows.empty_text != words:
            rows.empty_text = words
            rows.refresh()
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
        """Show the whole name of the file under the cursor, or why it failed."""
        row = self.files.current
        about = self._about_file
        if row is None:
            about.update("")
        elif row.failure is not None:
            when = f"{row.failure.at:%Y-%m-%d %H:%M} " if row.failure.at else ""
            about.update(Text(clean(f"{when}{row.failure.reason}", 300)))
        else:
            about.update(Text(clean(row.name)))

    def show_whole(self, row: FileRow) -> None:
        """Show everything that is known of a file."""
        state = self.state_word(row)
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

    def go_to_failure(self, failure: FailedDownload) -> None:
        """Go to the file of a failed download, or show why it failed where the day is not known."""
        if failure.day is None:
            when = format_time(failure.at) or "At a time not known"
            self.app.push_screen(TextDialog(failure.url, f"{when}\n{failure.reason}"))
            return
        self.strip.move_to(failure.day)
        self.files.focus()
        self.files.move_to_key(failure.url)
