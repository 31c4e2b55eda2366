"""DayStrip: the days of a baseline as cells, a week a column, or a day a column where lines are few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from maap_tui.engine.registry.searched import Days
from maap_tui.tui.host import host_of

STATES = ("none", "partly", "all", "marked", "deleted", "failed")
"""What a day with files can be."""

TONES = {
    "none": "muted",
    "partly": "warning",
    "all": "success",
    "marked": "accent",
    "deleted": "muted",
    "failed": "error",
}

GRID_LINES = 9
"""Lines of the grid: months, seven days, legend."""

STRIP_LINES = 3
"""Lines of the strip: months, days, legend."""

_WEEKDAYS = ("Mo", "Tu", "We", "Th", "Fr", "Sa", "Su")
_GUTTER = 3
_DAY = timedelta(days=1)


class DayStrip(Widget, can_focus=True):
    """Cells of days with a cursor."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"daystrip--{tone}" for tone in TONES.values()} | {
        "daystrip--label",
        "daystrip--cursor",
    }

    BINDINGS: ClassVar = [
        Binding("left,h", "move(-1, 0)", "Week before", show=False),
        Binding("right,l", "move(1, 0)", "Week after", show=False),
        Binding("up,k", "move(0, -1)", "Day before", show=False),
        Binding("down,j", "move(0, 1)", "Day after", show=False),
        Binding("pageup", "move(-4, 0)", "Four weeks before", show=False),
        Binding("pagedown", "move(4, 0)", "Four weeks after", show=False),
        Binding("home,g", "jump(-2)", "First day", show=False),
        Binding("end,G", "jump(2)", "Last day", show=False),
        Binding("left_square_bracket", "jump(-1)", "Day with files before", show=False),
        Binding("right_square_bracket", "jump(1)", "Day with files after", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    @dataclass
    class Moved(Message):
        """The cursor came to another day."""

        sender: DayStrip
        day: date

        @property
        def control(self) -> DayStrip:
            return self.sender

    @dataclass
    class Chosen(Message):
        """Enter or a double click on a day."""

        sender: DayStrip
        day: date

        @property
        def control(self) -> DayStrip:
            return self.sender

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._days: dict[date, str] = {}
        self._searched: tuple[Days, ...] = ()
        self._first = self._last = date.today()
        self._left = 0
        self.day: date | None = None
        """The day under the cursor; None while there are no days."""
        self.is_grid = True
        """Whether a column is a week, not a day."""

    def set_days(
        self, days: Mapping[date, str], day: date | None = None, *, searched: Sequence[Days] = ()
    ) -> None:
        """Show days; the cursor stays where it is unless a day is given.

        Args:
            days: each day that has files, with one of `STATES`.
            day: where to put the cursor; None leaves it, or takes the last day that has files.
            searched: runs of days that were searched; those without files have none at the archive.
        """
        is_news = tuple(searched) != self._searched
        self._searched = tuple(searched)
        changed = {one for one in days.keys() | self._days.keys() if days.get(one) != self._days.get(one)}
        if not changed and not is_news and day in (None, self.day):
            return
        self._days = dict(days)
        if days:
            self._first = min([*days, *(first for first, _ in self._searched)])
            self._last = max([*days, *(last for _, last in self._searched)])
        before = self.day
        if day is not None or self.day is None or not self._first <= self.day <= self._last:
            self.day = (day or max(days)) if days else None
        self._show_cursor()
        self.refresh()
        if self.day is not None and self.day != before:
            self.post_message(self.Moved(self, self.day))

    def set_grid(self, is_grid: bool) -> None:
        """Choose between a week and a day a column."""
        if is_grid != self.is_grid:
            self.is_grid = is_grid
            self._show_cursor()
        self.styles.height = GRID_LINES if is_grid else STRIP_LINES
        self.refresh()

    def move_to(self, day: date) -> None:
        """Put the cursor on a day, or on the nearest one there is."""
        if not self._days:
            return
        day = max(self._first, min(self._last, day))
        if day != self.day:
            self.day = day
            self._show_cursor()
            self.refresh()
            self.post_message(self.Moved(self, day))

    def action_move(self, across: int, down: int) -> None:
        if self.day is not None:
            days = 7 * across + down if self.is_grid else across + 7 * down
            self.move_to(self.day + days * _DAY)

    def action_jump(self, by: int) -> None:
        if self.day is None:
            return
        if abs(by) > 1:
            self.move_to(self._first if by < 0 else self._last)
            return
        others = [day for day in self._days if (day > self.day if by > 0 else day < self.day)]
        if others:
            self.move_to(min(others) if by > 0 else max(others))

    def action_choose(self) -> None:
        if self.day is not None:
            self.post_message(self.Chosen(self, self.day))

    def on_click(self, event: events.Click) -> None:
        day = self._day_at(event.x, event.y)
        if day is not None:
            self.move_to(day)
            if event.chain >= 2:
                self.action_choose()

    @property
    def _start(self) -> date:
        """The day of the first cell."""
        return self._first - self._first.weekday() * _DAY if self.is_grid else self._first

    @property
    def _columns(self) -> int:
        """Columns that fit."""
        return max(1, (self.size.width - _GUTTER) // 2 if self.is_grid else self.size.width)

    def _column_of(self, day: date) -> int:
        days = (day - self._start).days
        return days // 7 if self.is_grid else days

    def _show_cursor(self) -> None:
        """Choose the first column shown so that the cursor is seen, and no room is left over at the end."""
        if self.day is None or not self.size.width:
            return
        at, last, room = self._column_of(self.day), self._column_of(self._last), self._columns
        if not self._left <= at < self._left + room:
            self._left = at - room + 1 if at >= self._left + room else at
        self._left = max(0, min(self._left, last - room + 1))

    def on_resize(self) -> None:
        # It may already have been drawn, from its first day on.
        self._show_cursor()
        self.refresh()

    def _day_at(self, x: int, y: int) -> date | None:
        if self.is_grid:
            column, row = (x - _GUTTER) // 2, y - 1
            if x < _GUTTER or not 0 <= row < 7:
                return None
            day = self._start + (7 * (self._left + column) + row) * _DAY
        else:
            if y != 1:
                return None
            day = self._start + (self._left + x) * _DAY
        return day if self._first <= day <= self._last else None

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"daystrip--{name}")

    def render_line(self, y: int) -> Strip:
        """One line: months, cells of a weekday or of all days, or the legend."""
        width = self.size.width
        base = self.rich_style
        if not self._days:
            text = "  No days: nothing is registered here." if y == 1 else ""
            return Strip([Segment(text.ljust(width), base)], width).crop(0, width)
        lines = GRID_LINES if self.is_grid else STRIP_LINES
        if y == 0:
            segments = [Segment(self._months(width), base + self._style("label"))]
        elif y == lines - 1:
            segments = self._legend(base)
        elif y < lines:
            segments = self._cells(y - 1, base)
        else:
            segments = []
        return Strip(segments).adjust_cell_length(width, base)

    def _months(self, width: int) -> str:
        step, gutter = (2, _GUTTER) if self.is_grid else (1, 0)
        line = " " * gutter
        for column in range(self._columns):
            first = self._start + (self._left + column) * (7 * _DAY if self.is_grid else _DAY)
            last = first + (6 * _DAY if self.is_grid else 0 * _DAY)
            x = gutter + step * column
            # A month is named above the column of its first day, and the first one at the left edge.
            starts_here = last.day <= (7 if self.is_grid else 1) and last.replace(day=1) <= self._last
            if first <= self._last and (starts_here or column == 0) and len(line) <= x:
                label = f"{last if starts_here else first:%Y-%m}"
                if x + len(label) > width:
                    break
                if column == 0 and not starts_here and self._next_month_x(last, step) < len(label) + 1:
                    continue
                line = line.ljust(x) + label + " "
        return line.ljust(width)[:width]

    def _next_month_x(self, day: date, step: int) -> int:
        """Cells from the left edge to where the next month is named."""
        first_of_next = (day.replace(day=1) + 32 * _DAY).replace(day=1)
        if first_of_next > self._last:
            return self.size.width
        return (self._column_of(first_of_next) - self._left) * step

    def _cells(self, row: int, base: Style) -> list[Segment]:
        segments = []
        if self.is_grid:
            # Every second name, as lines of letters are harder to read than cells.
            label = _WEEKDAYS[row] if row % 2 == 0 else ""
            segments.append(Segment(label.ljust(_GUTTER), base + self._style("label")))
        for column in range(self._columns):
            offset = 7 * (self._left + column) + row if self.is_grid else self._left + column
            day = self._start + offset * _DAY
            segments.append(self._cell(day, base))
            if self.is_grid:
                segments.append(Segment(" ", base))
        return segments

    def _cell(self, day: date, base: Style) -> Segment:
        if not self._first <= day <= self._last:
            return Segment(" ", base)
        state = self._days.get(day) or ("searched" if self._is_searched(day) else "")
        style = base + self._style(TONES.get(state, "muted"))
        if day == self.day:
            style += self._style("cursor") if self.has_focus else Style(bold=True, underline=True)
        return Segment(self.glyph(state), style)

    def _is_searched(self, day: date) -> bool:
        return any(first <= day <= last for first, last in self._searched)

    def glyph(self, state: str) -> str:
        """The sign of a state; `searched` is a day that has no files, '' one that nobody searched."""
        glyphs = host_of(self).glyphs
        return {
            "none": glyphs.empty,
            "partly": glyphs.partly,
            "all": glyphs.done,
            "marked": glyphs.mark,
            "deleted": glyphs.deleted,
            "failed": glyphs.failed,
            "searched": glyphs.rule,
        }.get(state, glyphs.none)

    def _legend(self, base: Style) -> list[Segment]:
        words = {state: state for state in STATES} | {"searched": "no files", "": "not searched"}
        needed = sum(4 + len(word) for word in words.values()) + (_GUTTER if self.is_grid else 0)
        gap = "  " if needed <= self.size.width else " "
        segments = [Segment(" " * _GUTTER if self.is_grid else "", base)]
        for state, word in words.items():
            segments.append(Segment(self.glyph(state), base + self._style(TONES.get(state, "muted"))))
            segments.append(Segment(f" {word}{gap}", base + self._style("label")))
        return segments
