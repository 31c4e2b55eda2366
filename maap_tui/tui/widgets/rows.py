"""RowList: the one list of the app, on the line API: virtual, stable keys, marks, columns, sort, filter.

A row is any object; columns say how to show it. A million rows cost what the screen shows.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from maap_tui.text import clean
from maap_tui.tui.workers import start_worker

T = TypeVar("T")

SLICE = 2000
"""Rows filtered, sorted or marked between two looks at the keys, in lists longer than that."""

MARKS = 2
"""Cells left of the first column: the cursor's sign and the mark, which a click turns on or off."""

TONES = ("plain", "muted", "primary", "accent", "success", "warning", "error")


@dataclass(frozen=True, slots=True)
class Column:
    """How one column shows a row."""

    key: str
    title: str
    width: int
    """Cells; 0 takes what is left (one column at most)."""
    text: Callable[[Any], str]
    tone: Callable[[Any], str] | None = None
    """One of `TONES` for a row; None is plain."""
    order: Callable[[Any], Any] | None = None
    """What the column sorts by; None sorts by the text."""
    is_right: bool = False
    """Whether the text ends at the right edge."""
    is_untrusted: bool = True
    """Whether the text may come from outside and has to be made safe."""
    keeps_end: bool = False
    """Whether a text that is too long loses its middle: names of files differ near their end."""


class RowList(ScrollView, can_focus=True):
    """A list of rows with a cursor that stays on its row."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {f"rowlist--{tone}" for tone in TONES} | {
        "rowlist--header",
        "rowlist--cursor",
        "rowlist--mark",
    }

    BINDINGS: ClassVar = [
        Binding("up,k", "move(-1)", "Up", show=False),
        Binding("down,j", "move(1)", "Down", show=False),
        Binding("pageup,ctrl+b", "move_page(-1)", "Page up", show=False),
        Binding("pagedown,ctrl+f", "move_page(1)", "Page down", show=False),
        Binding("home,g", "move_end(-1)", "First", show=False),
        Binding("end,G", "move_end(1)", "Last", show=False),
        Binding("enter", "choose", "Open", show=False),
    ]

    @dataclass
    class Highlighted(Message):
        """The cursor came to another row, or to none."""

        sender: RowList
        row: Any | None

        @property
        def control(self) -> RowList:
            return self.sender

    @dataclass
    class Chosen(Message):
        """Enter or a double click on a row."""

        sender: RowList
        row: Any

        @property
        def control(self) -> RowList:
            return self.sender

    @dataclass
    class MarksChanged(Message):
        """Rows were marked or unmarked."""

        sender: RowList

        @property
        def control(self) -> RowList:
            return self.sender

    empty_text: var[str] = var("Nothing here.")

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        key: Callable[[Any], Hashable],
        empty_text: str = "Nothing here.",
        can_mark: bool = True,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Take the columns.

        Args:
            columns: every column there is; `set_columns` chooses among them.
            key: what distinguishes rows, stable over updates.
            empty_text: shown in place of rows; says what to do next.
            can_mark: whether rows can be marked.
            id: as for every widget.
            classes: as for every widget.
        """
        super().__init__(id=id, classes=classes)
        self._all_columns = list(columns)
        self.columns = list(columns)
        """The columns shown, in order."""
        self._key = key
        self._can_mark = can_mark
        self._rows: list[Any] = []
        self._shown: list[Any] = []
        self._is_arranging = False
        self.marks: set[Hashable] = set()
        """Keys of marked rows; rows that the filter hides may be among them."""
        self.cursor = 0
        """Index of the cursor among the rows shown."""
        self.has_moved = False
        """Whether the user has put the cursor somewhere."""
        self._anchor: int | None = None
        self.sort_key: str | None = None
        self.sort_reversed = False
        self.needle = ""
        """What rows have to contain to be shown; '!text' shows those that do not."""
        self.set_reactive(RowList.empty_text, empty_text)

    # What is shown

    @property
    def rows(self) -> list[Any]:
        """Every row, in the order given."""
        return self._rows

    @property
    def shown(self) -> list[Any]:
        """The rows that pass the filter, in the order shown."""
        return self._shown

    @property
    def current(self) -> Any | None:
        """The row under the cursor."""
        return self._shown[self.cursor] if 0 <= self.cursor < len(self._shown) else None

    @property
    def chosen(self) -> list[Any]:
        """The marked rows in the order given, or the one under the cursor when none is marked."""
        if self.marks:
            return [row for row in self._rows if self._key(row) in self.marks]
        return [] if self.current is None else [self.current]

    def set_rows(self, rows: Iterable[Any]) -> None:
        """Show other rows; cursor and marks stay with their keys."""
        kept = self._key(self.current) if self.current is not None else None
        self._rows = list(rows)
        if self.marks:
            self.marks.intersection_update(map(self._key, self._rows))
        self._arrange(kept)

    def reorder(self, rows: list[Any]) -> None:
        """Give the same rows another order; in a long list the cursor's row is looked for in slices."""
        kept = self._key(self.current) if self.current is not None else None
        self._rows = rows
        self._arrange(kept, in_slices=True)

    def append_rows(self, rows: Sequence[Any]) -> None:
        """Add rows at the end; cheap while nothing sorts."""
        if not rows:
            return
        if self._is_arranging:
            self._rows += rows  # the sorting or filtering under way comes to them
            return
        if self.sort_key is not None:
            self.set_rows([*self._rows, *rows])
            return
        self._rows += rows
        self._show_more(rows)

    def _show_more(self, rows: Sequence[Any]) -> None:
        was_empty = not self._shown
        first = len(self._shown)
        passing = list(filter(self._matcher(), rows)) if self.needle else rows
        self._shown += passing
        self._set_virtual_size()
        visible = range(self._top, self._top + self._visible_rows + 1)
        if any(first + offset in visible for offset in (0, len(passing) - 1)):
            self.refresh()
        if was_empty and self._shown:
            self.refresh()
            self._report_cursor()

    def refresh_rows(self, keys: Iterable[Hashable], columns: Iterable[str] | None = None) -> None:
        """Repaint rows whose content changed, or just some of their columns."""
        wanted = keys if isinstance(keys, set | frozenset | dict) else set(keys)
        reach = self._columns_reach(columns)
        top = self._top
        for y, row in enumerate(self._shown[top : top + self._visible_rows], 1):
            if self._key(row) in wanted:
                self.refresh(Region(0, y, min(reach, self.size.width), 1))

    def set_filter(self, needle: str) -> None:
        """Show the rows that contain the text, without regard to case."""
        kept = self._key(self.current) if self.current is not None else None
        before, self.needle = self.needle, needle.strip().lower()
        if self.needle == before:
            return
        # What passes a longer text is among what passed the shorter one.
        narrows = bool(before) and self.needle.startswith(before) and not self.needle.startswith("!")
        self._arrange(kept, self._shown if narrows and not self._is_arranging else None)

    def sort_by(self, key: str | None, *, is_reversed: bool = False) -> None:
        """Sort by a column; None goes back to the order given."""
        kept = self._key(self.current) if self.current is not None else None
        self.sort_key, self.sort_reversed = key, is_reversed
        self._arrange(kept)

    def set_columns(self, keys: Sequence[str]) -> None:
        """Choose columns and their order."""
        by_key = {column.key: column for column in self._all_columns}
        self.columns = [by_key[key] for key in keys if key in by_key] or list(self._all_columns)
        self.refresh()

    def offer_columns(self, columns: Sequence[Column]) -> None:
        """Take other columns to choose from; of those shown, the ones that are still there stay."""
        if list(columns) != self._all_columns:
            self._all_columns = list(columns)
            self.set_columns([column.key for column in self.columns])

    @property
    def all_columns(self) -> list[Column]:
        """Every column there is."""
        return self._all_columns

    # Marks

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor and go down."""
        row = self.current
        if row is None or not self._can_mark:
            return
        self.marks ^= {self._key(row)}
        self._anchor = self.cursor
        self.post_message(self.MarksChanged(self))
        self.refresh()
        self.move_to(self.cursor + 1)

    def mark_range(self) -> None:
        """Mark from the last row that was marked to the cursor."""
        if not self._can_mark or not self._shown:
            return
        anchor = self.cursor if self._anchor is None else self._anchor
        low, high = sorted((anchor, self.cursor))
        self.marks |= {self._key(row) for row in self._shown[low : high + 1]}
        self._anchor = self.cursor
        self.post_message(self.MarksChanged(self))
        self.refresh()

    def mark_all(self) -> None:
        """Mark every row shown, or unmark them when all are."""
        if all(self._key(row) in self.marks for row in self._shown):
            self._change_marks(set.difference_update)
        else:
            self._change_marks(set.update)

    def invert_marks(self) -> None:
        """Mark what is not, unmark what is, among the rows shown."""
        self._change_marks(set.symmetric_difference_update)

    def _change_marks(self, change: Callable[[set[Hashable], set[Hashable]], None]) -> None:
        """Change the marks of the rows shown, a slice at a time where they are many."""
        if not self._can_mark:
            return
        rows, marks = self._shown, self.marks

        def steps() -> Generator[None, None, None]:
            for start in range(0, len(rows), SLICE):
                change(marks, {self._key(row) for row in rows[start : start + SLICE]})
                yield

        def finish() -> None:
            self.post_message(self.MarksChanged(self))
            self.refresh()

        if len(rows) <= SLICE:
            _exhaust(steps())
            finish()
        else:
            start_worker(self, _go_through, steps(), finish, group="marks", exclusive=True)

    def clear_marks(self) -> None:
        """Unmark everything."""
        if self.marks:
            self.marks = set()
            self.post_message(self.MarksChanged(self))
            self.refresh()

    # Moving

    def move_to(self, at: int) -> None:
        """Put the cursor on a row and show it."""
        at = max(0, min(at, len(self._shown) - 1))
        before = self.cursor
        self.cursor = max(at, 0)
        self.has_moved |= self.cursor != before
        top, height = self._top, self._visible_rows
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, immediate=True)
        elif height > 0 and self.cursor >= top + height:
            self.scroll_to(y=self.cursor - height + 1, animate=False, immediate=True)
        if self.cursor != before:
            for one in (before, self.cursor):
                self._refresh_at(one)
            self._report_cursor()

    def move_to_key(self, key: Hashable) -> bool:
        """Put the cursor on the row of that key; False when it is not shown."""
        for at, row in enumerate(self._shown):
            if self._key(row) == key:
                self.has_moved = True
                self.move_to(at)
                return True
        return False

    def start_at(self, at: int) -> None:
        """Put the cursor on a row at the top of the view, as if the user had not moved it yet."""
        self.move_to(at)
        self.scroll_to(y=self.cursor, animate=False, immediate=True)
        self.has_moved = False

    def action_move(self, by: int) -> None:
        self.has_moved = True
        self.move_to(self.cursor + by)

    def action_move_page(self, by: int) -> None:
        self.has_moved = True
        self.move_to(self.cursor + by * max(1, self._visible_rows - 1))

    def action_move_end(self, towards: int) -> None:
        self.has_moved = True
        self.move_to(0 if towards < 0 else len(self._shown) - 1)

    def action_choose(self) -> None:
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current))

    def on_click(self, event: events.Click) -> None:
        is_at_marks = self._can_mark and event.x < MARKS
        if event.y == 0:
            if is_at_marks:
                self.mark_all()
            else:
                self._sort_at(event.x)
            return
        at = self._top + event.y - 1
        if 0 <= at < len(self._shown):
            self.has_moved = True
            if event.ctrl or event.shift or is_at_marks:
                self.move_to(at)
                if event.shift:
                    self.mark_range()
                else:
                    self.toggle_mark()
                return
            self.move_to(at)
            if event.chain >= 2:
                self.action_choose()

    def _sort_at(self, x: int) -> None:
        left = 2
        for column, width in zip(self.columns, self._widths(), strict=True):
            if left <= x < left + width:
                again = self.sort_key == column.key
                self.sort_by(column.key, is_reversed=again and not self.sort_reversed)
                return
            left += width + 1

    # Drawing

    @property
    def _top(self) -> int:
        return self.scroll_offset.y

    @property
    def _visible_rows(self) -> int:
        return max(0, self.scrollable_content_region.height - 1)

    def on_resize(self) -> None:
        self._set_virtual_size()
        self.move_to(self.cursor)

    def _set_virtual_size(self) -> None:
        width = self.scrollable_content_region.width or self.size.width
        self.virtual_size = Size(width, len(self._shown) + 1)

    @property
    def is_arranging(self) -> bool:
        """Whether a long list is being filtered or sorted; what was shown before stays until it is done."""
        return self._is_arranging

    def _arrange(
        self, kept: Hashable | None, among: list[Any] | None = None, *, in_slices: bool = False
    ) -> None:
        """Filter and sort; the cursor stays on the row of the key `kept`.

        Args:
            kept: None lets the cursor where it is.
            among: rows shown that alone can pass, in their order; None for all.
            in_slices: whether a long list takes its time even with nothing to filter or sort.
        """
        self._stop_arranging()
        steps = self._arranged(kept, among)
        if len(self._rows) <= SLICE or not (self.needle or self._order() or in_slices):
            self._show(_exhaust(steps))
            return
        self._is_arranging = True
        self.refresh(Region(0, 0, self.size.width, 1))
        start_worker(self, self._arrange_slowly, steps, kept, group="arrange", exclusive=True)

    def _stop_arranging(self) -> None:
        if self._is_arranging:
            self._is_arranging = False
            self.workers.cancel_group(self, "arrange")

    async def _arrange_slowly(self, steps: Generator[None, None, Arranged], kept: Hashable | None) -> None:
        found: list[Arranged] = []
        seen = len(self._rows)

        def work() -> Generator[None, None, None]:
            found.append((yield from steps))

        await _go_through(work(), lambda: None)
        self._is_arranging = False
        shown, cursor, _ = found[0]
        now = self._key(self.current) if self.current is not None else None
        if now != kept:
            # The cursor was moved meanwhile: it stays on what it was moved to.
            kept = now
            cursor = next((at for at, row in enumerate(shown) if self._key(row) == now), cursor)
        self._show((shown, cursor, kept))
        came = self._rows[seen:]
        if came and self._order():
            self._arrange(kept)
        elif came:
            self._show_more(came)

    def _order(self) -> Callable[[Any], Any] | None:
        """What is sorted by, None for the order given."""
        for column in self._all_columns:
            if column.key == self.sort_key:
                return column.order or column.text
        return None

    def _arranged(self, kept: Hashable | None, among: list[Any] | None) -> Generator[None, None, Arranged]:
        """Find the rows to show and the place of the cursor, with a pause after each slice."""
        rows = self._rows if among is None else among
        matches = self._matcher() if self.needle else None
        order = self._order() if among is None else None
        shown: list[Any] = [] if matches or order else list(rows)
        runs: list[list[Any]] = []
        for start in range(0, len(rows) if matches or order else 0, SLICE):
            part = rows[start : start + SLICE]
            if matches is not None:
                part = list(filter(matches, part))
            if order is not None:
                runs.append(sorted(part, key=order, reverse=self.sort_reversed))
            else:
                shown += part
            yield
        if len(runs) == 1:
            shown = runs[0]
        elif runs:
            merged = heapq.merge(*runs, key=order, reverse=self.sort_reversed)
            while part := list(itertools.islice(merged, SLICE)):
                shown += part
                yield
        cursor = self.cursor
        if kept is not None:
            for at, row in enumerate(shown):
                if self._key(row) == kept:
                    cursor = at
                    break
                if at % SLICE == 0:
                    yield
        return shown, cursor, kept

    def _show(self, arranged: Arranged) -> None:
        shown, found, kept = arranged
        before, top = self.cursor, self._top
        was_in_view = top <= before < top + max(1, self._visible_rows)
        cursor = self.cursor_after(before, found, shown)
        self._shown = shown
        self.cursor = max(0, min(cursor, len(shown) - 1))
        self._set_virtual_size()
        self.refresh()
        if self.cursor != before or self.current is None or self._key(self.current) != kept:
            self._report_cursor()
        if was_in_view:
            # The view goes with the cursor, which keeps its line on the screen where that is possible.
            self.scroll_to(y=top + self.cursor - before, animate=False, immediate=True)
            self.move_to(self.cursor)

    def cursor_after(self, before: int, found: int, shown: Sequence[Any]) -> int:
        """Where the cursor is to be when the rows have changed: on its row.

        Args:
            before: where it was.
            found: where its row is now; as before when that is gone.
            shown: the rows to be shown.
        """
        return found

    def _matcher(self) -> Callable[[Any], bool]:
        """What says whether a row passes the filter."""
        needle, wanted = self.needle, True
        if needle.startswith("!"):
            needle, wanted = needle[1:].strip(), False
        if not needle:
            return lambda row: True
        words = needle.split()
        texts = [column.text for column in self.columns]

        def matches(row: Any) -> bool:
            text = " ".join([text(row) for text in texts]).lower()
            return all(word in text for word in words) is wanted

        return matches

    def _report_cursor(self) -> None:
        self.post_message(self.Highlighted(self, self.current))

    def _refresh_at(self, at: int) -> None:
        y = at - self._top + 1
        if 1 <= y <= self._visible_rows:
            self.refresh(Region(0, y, self.size.width, 1))

    def _columns_reach(self, keys: Iterable[str] | None) -> int:
        if keys is None:
            return self.size.width
        wanted = set(keys)
        left, reach = 2, 2
        for column, width in zip(self.columns, self._widths(), strict=True):
            left += width + 1
            if column.key in wanted:
                reach = left
        return reach

    def _widths(self) -> list[int]:
        total = self.scrollable_content_region.width
        fixed = sum(column.width for column in self.columns) + len(self.columns) + 1
        widths, used = [], 2
        for column in self.columns:
            cells = column.width or max(4, total - fixed)
            # What the edge cuts ends with an ellipsis like all that is cut.
            widths.append(max(min(cells, total - used), 0))
            used += cells + 1
        return widths

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"rowlist--{name}")

    def render_line(self, y: int) -> Strip:
        """One line of the screen: the header, a row, or the empty text."""
        width = self.scrollable_content_region.width
        base = self.rich_style
        if y == 0:
            return self._header(width)
        if not self._shown:
            lines = self._empty_lines(width)
            text = lines[y - 2] if 2 <= y < len(lines) + 2 else ""
            return Strip([Segment(set_cell_size("  " + text, width), base + self._style("muted"))], width)
        at = self._top + y - 1
        if at >= len(self._shown):
            return Strip.blank(width, base)
        return self._row(at, width, base)

    def _empty_lines(self, width: int) -> list[str]:
        lines: list[str] = []
        for paragraph in self.empty_text.splitlines():
            line = ""
            for word in paragraph.split():
                if line and cell_len(line) + 1 + cell_len(word) > width - 4:
                    lines.append(line)
                    line = word
                else:
                    line = f"{line} {word}" if line else word
            lines.append(line)
        return lines

    def _header(self, width: int) -> Strip:
        style = self.rich_style + self._style("header")
        parts = ["~ " if self._is_arranging else "  "]
        for column, cells in zip(self.columns, self._widths(), strict=True):
            title = column.title
            if column.key == self.sort_key:
                sign = "v" if self.sort_reversed else "^"
                title = f"{title}{sign}" if len(title) < cells else f"{title[: cells - 1]}{sign}"
            parts.append(_fit(title, cells, column.is_right) + " ")
        return Strip([Segment(set_cell_size("".join(parts), width), style)], width)

    def _row(self, at: int, width: int, base: Style) -> Strip:
        row = self._shown[at]
        is_cursor = at == self.cursor
        is_marked = self._can_mark and self._key(row) in self.marks
        if is_cursor and self.has_focus:
            cursor = self._style("cursor")
        elif is_cursor:
            cursor = Style(bold=True)
        else:
            cursor = Style()
        glyphs = getattr(self.app, "glyphs", None)
        sign = (glyphs.mark if glyphs else "*") if is_marked else " "
        point = (glyphs.cursor if glyphs else ">") if is_cursor else " "
        mark_style = base + self._style("mark") + cursor
        segments = [Segment(point + sign, mark_style)]
        used = 2
        for column, cells in zip(self.columns, self._widths(), strict=True):
            text = column.text(row)
            if column.is_untrusted:
                text = clean(text)
            style = base
            if column.tone is not None:
                style = style + self._style(column.tone(row))
            # The cursor's own colours win over a tone, which stays readable as bold.
            fitted = _fit(text, cells, column.is_right, column.keeps_end)
            segments.append(Segment(f"{fitted} ", style + cursor))
            used += cells + 1
        if used < width:
            segments.append(Segment(" " * (width - used), base + cursor))
        return Strip(segments).adjust_cell_length(width, base + cursor)


Arranged = tuple[list[Any], int, Hashable | None]
"""Rows to show, the place of the cursor, and the key that it stays on."""


def _exhaust(steps: Generator[None, None, T]) -> T:
    """Take all steps at once and give back what they end with."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found


async def _go_through(steps: Generator[None, None, None], finish: Callable[[], None]) -> None:
    """Take steps with a look at the keys between them."""
    for _ in steps:
        await asyncio.sleep(0)
    finish()


def _fit(text: str, width: int, is_right: bool, keeps_end: bool = False) -> str:
    """The text in exactly that many cells."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        # A sentence is read from its beginning, whatever it ends with.
        if keeps_end and text.isascii() and len(text.rpartition(" ")[2]) > width // 3 > 0:
            begin = width // 3
            return f"{text[:begin]}…{text[length - (width - begin - 1) :]}"
        return set_cell_size(text, width - 1) + "…" if width > 1 else set_cell_size(text, width)
    return " " * (width - length) + text if is_right else text + " " * (width - length)
