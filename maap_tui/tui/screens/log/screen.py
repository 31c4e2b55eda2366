"""The mode Log: the log, every setting and its origin, and the token."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC
from typing import Any

from rich.text import Text
from textual import on
from textual.containers import Container, Vertical
from textual.events import Resize
from textual.widget import Widget
from textual.widgets import Static

from maap_tui.engine.config import loading, settings
from maap_tui.engine.config.describing import describe
from maap_tui.engine.config.finding import find_setting
from maap_tui.engine.config.settings import SETTINGS
from maap_tui.engine.errors import InvalidRequestError, SettingsError
from maap_tui.engine.storage import files
from maap_tui.engine.storage.log_file import LEVELS, LogLine
from maap_tui.text import clean, format_date, plural
from maap_tui.tui.backend import LOG_LINES
from maap_tui.tui.dialogs.prompt import PromptDialog
from maap_tui.tui.dialogs.show_text import TextDialog
from maap_tui.tui.keys import bindings, check_keymap, lists_of
from maap_tui.tui.outside import editor, pager, run_outside
from maap_tui.tui.screens.log.log_rows import LogRow, begin_run, log_columns, log_words, passing, rows_from
from maap_tui.tui.screens.log.setting_rows import (
    SettingRow,
    about_setting,
    columns_in,
    help_words,
    rows_of,
    setting_columns,
    settings_words,
)
from maap_tui.tui.screens.log.settings_file import SettingsFile
from maap_tui.tui.screens.mode import ModeScreen
from maap_tui.tui.widgets.filter_line import FilterLine
from maap_tui.tui.widgets.pane import framed
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.workers import start_worker

BOTH_FROM = 18
"""Lines of the terminal from which log and settings are shown at once."""


BESIDE_FROM = 160
"""Cells of the terminal from which they are beside each other: lines of both are long."""


class LogScreen(ModeScreen):
    """The log above or beside the settings."""

    MODE = "log"
    BINDINGS = bindings("log", *lists_of("log"))

    def __init__(self) -> None:
        super().__init__()
        self.level = "info"
        """The least level shown."""
        self._seen: LogLine | None = None
        self._earlier: list[LogLine] = []
        self._seen_version = 0
        self._numbered = 0
        self._all: list[LogRow] = []
        self._file = SettingsFile(self.maap.backend.session)
        self._token_words = ""
        self._log_words = ""
        self._is_ready = False

    def body(self) -> Iterable[Widget]:
        log = self._log = RowList(
            log_columns(self.maap.backend.now), key=lambda row: row.number, can_mark=False, id="log"
        )
        table = self._table = RowList(
            setting_columns(),
            key=lambda row: row.key,
            can_mark=False,
            empty_text="No settings.",
            filter_text=lambda row: f"{row.key} {row.value} {row.origin} {row.help}",
            id="settings",
        )
        self._log_title = Static("", markup=False, id="log-title", classes="pane-title -framed")
        self._token = Static("", markup=False, id="token", classes="pane-title")
        self._about = Static("", markup=False, id="about-setting")
        self._log_pane = framed(Vertical(id="log-pane"), "Log")
        self._settings_pane = framed(Vertical(id="settings-pane"), "Settings")
        with Container(id="both"):
            with self._log_pane:
                yield self._log_title
                yield FilterLine(log)
                yield log
            with self._settings_pane:
                yield self._token
                yield FilterLine(table)
                yield table
                yield self._about

    def on_mount(self) -> None:
        self._is_ready = True
        self._show_settings()
        self._show_panes()
        self._log.focus()
        self.sample()

    def on_screen_resume(self) -> None:
        start_worker(self, self._read_again, group="settings", exclusive=True)

    def on_resize(self, event: Resize) -> None:
        self.set_class(event.size.height < BOTH_FROM, "-one-pane")
        is_beside = event.size.width >= BESIDE_FROM
        self.set_class(is_beside, "-beside")
        self._table.set_columns(columns_in(event.size.width // 2 if is_beside else event.size.width))
        self._show_panes()

    def on_descendant_focus(self) -> None:
        self._show_panes()

    def _show_panes(self) -> None:
        """Without room for both, show the one that has the focus."""
        if not self._is_ready:
            return
        is_one = self.has_class("-one-pane")
        pane = self._settings_pane
        in_settings = self.focused is not None and pane in self.focused.ancestors
        self._log_pane.display = not is_one or not in_settings
        pane.display = not is_one or in_settings

    def sample(self) -> None:
        if not self._is_ready:
            return  # called before the widgets exist
        super().sample()
        self._show_token()
        self._take_lines()

    def _take_lines(self) -> None:
        """Add the lines logged since the last call."""
        app = self.maap
        if app.backend.log_version == self._seen_version:
            self._show_log_title()
            return
        self._seen_version = app.backend.log_version
        log = self._log
        follows = log.cursor >= len(log.shown) - 1
        has_earlier = app.backend.earlier_lines is not self._earlier
        if has_earlier:
            # They came after lines of this run were listed, and go before them.
            self._earlier = app.backend.earlier_lines
            self._seen = None
            self._all = rows_from(self._earlier, 0)
            self._numbered = len(self._all)
        lines = app.backend.log_lines
        new: list[LogLine] = []
        while lines and lines[-1] is not self._seen:
            new.append(lines.pop())
        new.reverse()
        if new:
            self._seen = new[-1]
        rows = [LogRow(self._numbered + at, line) for at, line in enumerate(new)]
        if new and self._earlier and self._all[-1].line.run:
            rows.insert(0, begin_run(self._numbered + len(new), new[0]))
        self._numbered += len(rows)
        self._all += rows
        too_many = len(self._all) - LOG_LINES
        if too_many > 0:
            del self._all[:too_many]
        if has_earlier or too_many > 0 or (self._earlier and log.rows and log.rows[-1].line.run):
            # At once, so that the cursor stays on its line.
            log.set_rows(passing(self._all, self.level))
        else:
            log.append_rows(passing(rows, self.level))
        if follows:
            log.move_to(len(log.shown) - 1)
        self._show_log_title()

    def _show_log_title(self) -> None:
        log = self._log
        words = log_words(self.level, self._all, log.rows, sum(not row.begins_run for row in log.shown))
        if words == self._log_words:
            return
        self._log_words = words
        self._log_title.update(Text(words))
        framed(self._log_pane, words)
        empty = (
            "Nothing was logged yet. Commands that cron runs write to cron's own log."
            if not self._all
            else "No error yet; l shows every level."
            if self.level == LEVELS[-1]
            else f"No line of {self.level} or above yet; l goes through the levels, debug shows every line."
        )
        if log.empty_text != empty:
            log.empty_text = empty
            log.refresh()

    def action_level(self) -> None:
        at = LEVELS.index(self.level)
        self.level = LEVELS[(at + 1) % len(LEVELS)]
        log = self._log
        follows = log.cursor >= len(log.shown) - 1
        log.set_rows(passing(self._all, self.level))
        if follows:
            log.move_to(len(log.shown) - 1)
        self._show_log_title()

    def _show_token(self) -> None:
        app = self.maap
        tone = ""
        if app.backend.token is None:
            words = f"Token: {app.backend.token_problem or 'none'} F8 signs in."
            tone = "-alarm"
        else:
            days = app.backend.days_left
            if app.backend.token.is_opaque:
                words = "Token: expiry not known"
            elif days is None:
                words = "Token: does not expire"
            elif days < 0:
                words, tone = f"Token: expired {plural(-days, 'day')} ago", "-alarm"
            else:
                words = f"Token: {plural(days, 'day')} left"
                urgency = app.backend.session.settings.token.urgency(days)
                tone = f"-{urgency}" if urgency else ""
            if app.backend.token.expires is not None:
                words += f", until {format_date(app.backend.token.expires)}"
            words += f", of {app.backend.token.name}" if app.backend.token.name else ""
            words += ". F8 stores a new one."
        words = clean(words)
        if words == self._token_words:
            return
        self._token_words = words
        line = self._token
        line.set_class(tone == "-alarm", "-alarm")
        line.set_class(tone == "-warn", "-warn")
        line.update(Text(words))

    async def _read_again(self) -> None:
        """Read the file again, which another program may have changed."""
        await self._file.read()
        if self._file.problem:
            self.maap.backend.write_log("error", self._file.problem)
        self._show_settings()

    def _rows(self) -> list[SettingRow]:
        session = self.maap.backend.session
        fresh = self._file.fresh
        return rows_of(fresh, describe(fresh, loading.locate(fresh, session.environ)), session.settings)

    def _show_settings(self) -> None:
        rows = self._rows()
        if rows != self._table.rows:
            self._table.set_rows(rows)
        framed(self._settings_pane, settings_words(rows))
        self._show_setting()

    @on(RowList.Highlighted, "#settings")
    def _show_setting(self) -> None:
        """Show what the setting under the cursor is, and its default; or what is wrong with the file."""
        about = self._about
        row = self._table.current
        if self._file.problem:
            about.update(Text(clean(self._file.problem), style="bold"))
        elif row is None:
            about.update("")
        else:
            about.update(about_setting(row))

    @on(RowList.Chosen)
    def act_on_row(self) -> None:
        """Enter or a double click."""
        self.action_edit()

    def action_edit(self) -> None:
        if self.focused is self._table:
            row = self._table.current
            if row is not None:
                start_worker(self, self._edit, row, group="edit")
        elif self._log.current is not None:
            line = self._log.current.line
            self.app.push_screen(
                TextDialog(f"{line.time:%Y-%m-%d %H:%M:%S} UTC {self._log.current.level}", line.text)
            )

    async def _edit(self, row: SettingRow) -> None:
        def check(text: str) -> None:
            if text.strip():
                self._check(row.key, text)

        text = await self.app.push_screen_wait(
            PromptDialog(
                row.key,
                row.value,
                check=check,
                hint=f"{help_words(row)} Without a value, the default is used.",
            )
        )
        if text is not None and text.strip() != row.value:
            await self._write(row.key, text)

    def _check(self, key: str, text: str) -> None:
        """Raise what is wrong with a value."""
        head, _, binding = key.partition(".")
        if head == settings.KEYS:
            _, problems = check_keymap({**self.maap.backend.session.settings.keys, binding: text})
            mine = [sentence for sentence in problems if sentence.startswith(f"[keys] {binding}:")]
            if mine:
                raise SettingsError(mine[0])
            return
        find_setting(key).read(text, self.maap.backend.session.environ, typed=True)
        if key == "ui.theme" and text.strip() and text.strip() not in self.app.available_themes:
            names = ", ".join(sorted(self.app.available_themes))
            raise SettingsError(f"it is not a theme; the themes are {names}")

    def action_unset(self) -> None:
        row = self._table.current
        if row is not None and self.focused is self._table:
            # Not exclusive: a change whose worker is cancelled would be in the file, and not in use.
            start_worker(self, self._write, row.key, "", group="edit")

    async def _write(self, key: str, text: str) -> None:
        """Write a value, or remove it from the file for '', and say what follows."""
        before = self._file.fresh.origin(key)
        old = next((row.value for row in self._rows() if row.key == key), "")
        if not await self._file.change(key, text):
            self._say(
                f"{key} is not set in the file; its value comes from {before.text}.", severity="warning"
            )
            return
        await self.maap.apply_setting(key, self._file.fresh)
        self._show_settings()
        self._report(key, old, is_unset=not text.strip())

    def _report(self, key: str, old: str, *, is_unset: bool) -> None:
        row = next((one for one in self._rows() if one.key == key), None)
        if row is None:
            self._say(f"{key} is no longer set; it was {old}.")
            return
        origin = self._file.fresh.origin(key)
        words = f"{key} is {'back to' if is_unset else 'now'} {row.value or 'nothing'}"
        if origin.kind in ("environment", "flag"):
            words = f"The file was changed, but {origin.text} goes before it: {key} stays {row.value}"
        words += ", from the next start on." if row.is_pending else "."
        if is_unset and old:
            words += f" It was {old}."
        self._say(words)

    def _say(self, sentence: str, *, severity: Any = "information") -> None:
        self.notify(clean(sentence), severity=severity, timeout=8, markup=False)
        self.maap.backend.write_log("warning" if severity == "warning" else "info", sentence)

    def action_pager(self) -> None:
        """Show the lines that are listed in the pager."""
        self._take_lines()  # those of this moment too
        lines = [
            f"{row.line.time.astimezone(UTC):%Y-%m-%d %H:%M:%S} {row.level:<7} {clean(row.line.text)}\n"
            for row in self._log.shown
        ]
        environ = self.maap.backend.session.environ
        try:
            run_outside(self.app, pager(environ), environ, text="".join(lines))
        except InvalidRequestError as error:
            self.maap.show_error(error)

    def action_editor(self) -> None:
        """Open the configuration file in the editor, and read it again."""
        start_worker(self, self._edit_file, group="edit")

    async def _edit_file(self) -> None:
        session = self.maap.backend.session
        file = session.settings.config_file
        words = [*editor(session.environ), str(file)]
        before = self._file.fresh
        await asyncio.to_thread(files.make_folder, file.parent)
        code = run_outside(self.app, words, session.environ)
        await self._read_again()
        fresh = self._file.fresh
        if self._file.problem:
            self.maap.show_error(SettingsError(self._file.problem))
            return
        if code:
            self._say(f"{words[0]} ended with {code}; the file was read again.", severity="warning")
        changed = [setting.key for setting in SETTINGS if before.value(setting) != fresh.value(setting)]
        for key in changed:
            await self.maap.apply_setting(key, fresh)
        self._show_settings()
        if changed:
            self._say(f"Changed in the file: {', '.join(changed)}.")

    def action_pane(self) -> None:
        target = self._table if self.focused is not self._table else self._log
        pane = target.parent
        if pane is not None:
            pane.display = True  # what is not shown cannot be focused
        target.focus()

    @on(FilterLine.Filtered)
    def filter_rows(self, event: FilterLine.Filtered) -> None:
        """Filter the list that the line belongs to."""
        target = event.line.target
        if isinstance(target, RowList):
            target.set_filter(event.text)
            self._show_log_title()

    def action_copy(self) -> None:
        if self.focused is self._table:
            row = self._table.current
            if row is not None:
                self.maap.copy_text(f"{row.key} = {row.value}")
        elif self._log.current is not None:
            self.maap.copy_text(self._log.current.line.text)
