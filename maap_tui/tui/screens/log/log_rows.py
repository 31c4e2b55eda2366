"""The lines of the log as they are listed: their columns, and a line between two runs; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from maap_tui.engine.storage.log_file import LEVELS, LogLine
from maap_tui.text import format_time, plural
from maap_tui.tui.widgets.row_model import Column

TONES = {"debug": "muted", "warning": "warning", "error": "error"}

SIGNS = {"warning": "!", "error": "✗"}
"""Signs of levels, which are seen without colour too."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """A line of the log as it is listed."""

    number: int
    """Counts up; distinguishes lines."""
    line: LogLine
    begins_run: bool = False
    """Whether it stands for the beginning of a run, and nothing was logged."""

    @property
    def level(self) -> str:
        """The level, or what it is instead."""
        return "run" if self.begins_run else self.line.level


def log_columns(now: Callable[[], datetime]) -> list[Column]:
    """The columns of the list.

    Args:
        now: gives the present moment; lines of its day have a time alone.
    """

    def time(row: LogRow) -> str:
        moment = row.line.time.astimezone(UTC)
        is_today = moment.date() == now().astimezone(UTC).date()
        return f"{moment:%H:%M:%S}" if is_today else f"{moment:%m-%d %H:%M}"

    def tone(row: LogRow) -> str:
        return "primary" if row.begins_run else TONES.get(row.line.level, "plain")

    return [
        Column(
            "time",
            "Time",
            11,
            time,
            lambda row: "primary" if row.begins_run else "muted",
            lambda row: (row.line.time, row.number),
            is_untrusted=False,
        ),
        Column(
            "level",
            "  Level",
            9,
            lambda row: f"{SIGNS.get(row.level, ' ')} {row.level}",
            tone,
            lambda row: LEVELS.index(row.line.level),
            is_untrusted=False,
        ),
        Column("text", "What", 0, lambda row: row.line.text, tone, keeps_end=True),
    ]


def with_runs(lines: Sequence[LogLine]) -> list[LogLine | None]:
    """The lines, None before the first one of each run."""
    found: list[LogLine | None] = []
    run: str | None = None
    for line in lines:
        if line.run != run:
            found.append(None)
            run = line.run
        found.append(line)
    return found


def begin_run(number: int, first: LogLine) -> LogRow:
    """The row before the first line of a run."""
    words = f"of {format_time(first.time)}"
    return LogRow(number, LogLine(first.time, "info", words, first.run), begins_run=True)


def rows_from(lines: Sequence[LogLine], number: int) -> list[LogRow]:
    """Rows for lines, with one before each run, of which the first has this number."""
    rows: list[LogRow] = []
    found = with_runs(lines)
    for at, line in enumerate(found):
        following = found[at + 1] if line is None else None
        if line is not None:
            rows.append(LogRow(number + at, line))
        elif following is not None:
            rows.append(begin_run(number + at, following))
    return rows


def passing(rows: Iterable[LogRow], level: str) -> list[LogRow]:
    """The rows of a level and above; runs of which none is left are left out."""
    least = LEVELS.index(level)
    found: list[LogRow] = []
    for row in rows:
        if not row.begins_run and LEVELS.index(row.line.level) < least:
            continue
        if row.begins_run and found and found[-1].begins_run:
            found.pop()
        found.append(row)
    if found and found[-1].begins_run:
        found.pop()
    return found


def log_words(level: str, all_rows: Sequence[LogRow], listed: Sequence[LogRow], shown: int) -> str:
    """What the list shows, for its title.

    Args:
        level: the least level shown.
        all_rows: every line there is.
        listed: those of the level and above.
        shown: how many lines the filter leaves.
    """
    above = " and above" if level != LEVELS[-1] else ""
    words = f"Log: {level}{above}, {plural(shown, 'line')}"
    for name in ("error", "warning"):
        count = sum(row.level == name for row in listed)
        words += f", {plural(count, name)}" if count else ""
    hidden = sum(not row.begins_run for row in all_rows) - sum(not row.begins_run for row in listed)
    return words + (f", {plural(hidden, 'line')} below that level" if hidden else "")
