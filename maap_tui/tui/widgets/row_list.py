"""RowList: the one list of the app, on the line API: virtual, stable keys, marks, columns, sort, filter.

A row is any object; columns say how to show it. A million rows cost what the screen shows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from rich.cells import set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import var
from textual.scroll_view import ScrollView
from textual.strip import Strip

from maap_tui.text import clean, plural
from maap_tui.tui.widgets.column_layout import MARKS, column_at, reach_of
from maap_tui.tui.widgets.list_lines import cells_of, titles, wrap
from maap_tui.tui.widgets.row_model import SLICE, Arranged, ChangeMarks, Column, RowModel, exhaust
from maap_tui.tui.workers import start_worker

TONES = ("plain", "muted", "primary", "accent", "success", "warning", "error", "point")


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
        filter_text: Callable[[Any], str] | None = None,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        """Take the columns.

        Args:
            columns: every column there is; `set_columns` chooses among them.
            key: what distinguishes rows, stable over updates.
            empty_text: shown in place of rows; says what to do next.
            can_mark: whether rows can be marked.
            filter_text: the text of a row that the filter looks at; None for the columns shown.
            id: as for every widget.
            classes: as for every widget.
        """
        super().__init__(id=id, classes=classes)
        self._model = RowModel(columns, key_of=key, can_mark=can_mark, filter_text=filter_text)
        self._is_arranging = False
        self._none_kept = self._keep_hint = ""
        self.unfilter_hint = ""
        """How the user takes the filter away; '' where that is seen beside the list."""
        self.has_moved = False
        """Whether the user has put the cursor somewhere."""
        self.set_reactive(RowList.empty_text, empty_text)

    @property
    def rows(self) -> list[Any]:
        """Every row, in the order given."""
        return self._model.rows

    @property
    def shown(self) -> list[Any]:
        """The rows that pass the filter, in the order shown."""
        return self._model.shown

    @property
    def marks(self) -> set[Hashable]:
        """Keys of marked rows; rows that the filter hides may be among them."""
        return self._model.marks

    @property
    def cursor(self) -> int:
        """Index of the cursor among the rows shown."""
        return self._model.cursor

    @property
    def current(self) -> Any | None:
        """The row under the cursor."""
        return self._model.current

    @property
    def chosen(self) -> list[Any]:
        """The marked rows in the order given, or the one under the cursor when none is marked."""
        return self._model.chosen

    @property
    def needle(self) -> str:
        """What rows have to contain to be shown; '!text' shows those that do not."""
        return self._model.needle

    @property
    def sort_key(self) -> str | None:
        """The key of the column that is sorted by; None for the order given."""
        return self._model.sort_key

    @property
    def sort_reversed(self) -> bool:
        """Whether the greatest comes first."""
        return self._model.sort_reversed

    @property
    def columns(self) -> list[Column]:
        """The columns shown, in order."""
        return self._model.columns

    @property
    def all_columns(self) -> list[Column]:
        """Every column there is."""
        return self._model.all_columns

    def set_rows(self, rows: Iterable[Any]) -> None:
        """Show other rows; cursor and marks stay with their keys."""
        kept = self._model.current_key
        self._model.replace_rows(rows)
        self._arrange(kept)

    def fit_rows(self, most: int) -> None:
        """Be as high as its rows need, or the words in their place, for a dialog."""
        width = max(20, self.size.width or self.app.size.width - 8)
        lines = len(self.rows) if self.rows else len(self._empty_lines(width)) + 1
        self.set_styles(f"height: {min(most, lines + 1)};")

    def reorder(self, rows: list[Any]) -> None:
        """Give the same rows another order; in a long list the cursor's row is looked for in slices."""
        kept = self._model.current_key
        self._model.rows = rows
        self._arrange(kept, in_slices=True)

    def append_rows(self, rows: Sequence[Any]) -> None:
        """Add rows at the end; cheap while nothing sorts."""
        if not rows:
            return
        if self._is_arranging:
            self.rows.extend(rows)  # the running sort or filter will include them
            return
        if self.sort_key is not None:
            self.set_rows([*self.rows, *rows])
            return
        self.rows.extend(rows)
        self._show_more(rows)

    def _show_more(self, rows: Sequence[Any]) -> None:
        was_empty = not self.shown
        first = len(self.shown)
        passing = self._model.passing(rows)
        self.shown.extend(passing)
        self._set_virtual_size()
        visible = range(self._top, self._top + self._visible_rows + 1)
        if any(first + offset in visible for offset in (0, len(passing) - 1)):
            self.refresh()
        if was_empty and self.shown:
            self.refresh()
            self._report_cursor()

    def refresh_rows(self, keys: Iterable[Hashable], columns: Iterable[str] | None = None) -> None:
        """Repaint rows whose content changed, or just some of their columns."""
        wanted = keys if isinstance(keys, set | frozenset | dict) else set(keys)
        reach = self.size.width
        if columns is not None:
            reach = reach_of(self.columns, self.scrollable_content_region.width, set(columns))
        top = self._top
        for y, row in enumerate(self.shown[top : top + self._visible_rows], 1):
            if self._model.key_of(row) in wanted:
                self.refresh(Region(0, y, min(reach, self.size.width), 1))

    def set_filter(self, needle: str) -> None:
        """Show the rows that contain the text, without regard to case."""
        kept, before = self._model.current_key, self.needle
        narrows = self._model.change_needle(needle)
        if self.needle != before:
            self._arrange(kept, self.shown if narrows and not self._is_arranging else None)

    def keep_only(self, keep: Callable[[Any], bool] | None, empty_text: str = "", hint: str = "") -> None:
        """Show only rows that a function passes, besides the filter; call it again when it passes others.

        Args:
            keep: says whether a row is shown; None for every row.
            empty_text: shown when there are rows and none is shown.
            hint: how the user has every row shown again.
        """
        self._none_kept, self._keep_hint = empty_text, hint
        self._model.keep = keep
        self._arrange(self._model.current_key)

    def sort_by(self, key: str | None, *, is_reversed: bool = False) -> None:
        """Sort by a column; None goes back to the order given."""
        self._model.sort_key, self._model.sort_reversed = key, is_reversed
        self._arrange(self._model.current_key)

    def set_columns(self, keys: Sequence[str]) -> None:
        """Choose columns and their order."""
        self._model.choose_columns(keys)
        self.refresh()

    def resize_columns(self, widths: Mapping[str, int], titles: Mapping[str, str] | None = None) -> None:
        """Give columns that are shown another width and title, by their keys, until others are chosen."""
        titles = titles or {}
        self._model.columns = [
            replace(
                column,
                width=widths.get(column.key, column.width),
                title=titles.get(column.key, column.title),
            )
            for column in self.columns
        ]
        self.refresh()

    def offer_columns(self, columns: Sequence[Column]) -> None:
        """Take other columns to choose from; of those shown, the ones that are still there stay."""
        if list(columns) != self.all_columns:
            self._model.all_columns = list(columns)
            self.set_columns([column.key for column in self.columns])

    def toggle_mark(self) -> None:
        """Mark or unmark the row under the cursor and go down."""
        if self._model.toggle_mark():
            self._report_marks()
            self.move_to(self.cursor + 1)

    def mark_range(self) -> None:
        """Mark from the last row that was marked to the cursor."""
        if self._model.mark_range():
            self._report_marks()

    def mark_all(self) -> None:
        """Mark every row shown, or unmark them when all are."""
        self._change_marks(set.difference_update if self._model.all_marked() else set.update)

    def mark(self, keys: set[Hashable]) -> None:
        """Mark these rows and no other."""
        self._model.marks = set(keys)
        self._report_marks()

    def invert_marks(self) -> None:
        """Mark what is not, unmark what is, among the rows shown."""
        self._change_marks(set.symmetric_difference_update)

    def _change_marks(self, change: ChangeMarks) -> None:
        """Change the marks of the rows shown, a slice at a time where they are many."""
        if not self._model.can_mark:
            return
        steps = self._model.change_marks(change)
        if len(self.shown) <= SLICE:
            exhaust(steps)
            self._report_marks()
        else:
            start_worker(self, _go_through, steps, self._report_marks, group="marks", exclusive=True)

    def clear_marks(self) -> None:
        """Unmark everything."""
        if self.marks:
            self._model.marks = set()
            self._report_marks()

    def _report_marks(self) -> None:
        self.post_message(self.MarksChanged(self))
        self.refresh()

    def move_to(self, at: int) -> None:
        """Put the cursor on a row and show it."""
        before = self.cursor
        self._model.put_cursor(at)
        self.has_moved |= self.cursor != before
        top, height = self._top, self._visible_rows
        if self.cursor < top:
            self._show_from(self.cursor)
        elif height > 0 and self.cursor >= top + height:
            self._show_from(self.cursor - height + 1)
        if self.cursor != before:
            for one in (before, self.cursor):
                self._refresh_at(one)
            self._report_cursor()

    def _show_from(self, top: int) -> None:
        # By force: rows that have just come have no scrollbar yet, without which Textual does not scroll.
        self.scroll_to(y=top, animate=False, force=True, immediate=True)

    def move_to_key(self, key: Hashable) -> bool:
        """Put the cursor on the row of that key; False when it is not shown."""
        at = self._model.index_of(key)
        if at is None:
            return False
        self.has_moved = True
        self.move_to(at)
        return True

    def start_at(self, at: int) -> None:
        """Put the cursor on a row at the top of the view, as if the user had not moved it yet."""
        self.move_to(at)
        self._show_from(self.cursor)
        self.has_moved = False

    def action_move(self, by: int) -> None:
        self.has_moved = True
        self.move_to(self.cursor + by)

    def action_move_page(self, by: int) -> None:
        self.has_moved = True
        self.move_to(self.cursor + by * max(1, self._visible_rows - 1))

    def action_move_end(self, towards: int) -> None:
        self.has_moved = True
        self.move_to(0 if towards < 0 else len(self.shown) - 1)

    def action_choose(self) -> None:
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current))

    def on_click(self, event: events.Click) -> None:
        is_at_marks = self._model.can_mark and event.x < MARKS
        if event.y == 0:
            if is_at_marks:
                self.mark_all()
            else:
                column = column_at(self.columns, self.scrollable_content_region.width, event.x)
                if column is not None:
                    again = self.sort_key == column.key
                    self.sort_by(column.key, is_reversed=again and not self.sort_reversed)
            return
        at = self._top + event.y - 1
        if 0 <= at < len(self.shown):
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

    @property
    def _top(self) -> int:
        return self.scroll_offset.y

    @property
    def _visible_rows(self) -> int:
        return max(0, self.scrollable_content_region.height - 1)

    def watch_show_vertical_scrollbar(self) -> None:
        # It takes some of the room, and no Resize says so.
        self.call_next(self.on_resize)

    def on_resize(self) -> None:
        self._set_virtual_size()
        self.move_to(self.cursor)

    def _set_virtual_size(self) -> None:
        width = self.scrollable_content_region.width or self.size.width
        self.virtual_size = Size(width, len(self.shown) + 1)

    @property
    def is_arranging(self) -> bool:
        """Whether a long list is being filtered or sorted; what was shown before stays until it is done."""
        return self._is_arranging

    def _arrange(
        self, kept: Hashable | None, among: list[Any] | None = None, *, in_slices: bool = False
    ) -> None:
        """Filter and sort; the cursor stays on the row of the key `kept`.

        Args:
            kept: None leaves the cursor where it is.
            among: rows shown that alone can pass, in their order; None for all.
            in_slices: whether a long list is arranged in slices even with nothing to filter or sort.
        """
        self._stop_arranging()
        steps = self._model.arranged(kept, among)
        if len(self.rows) <= SLICE or not (self._model.is_narrowed or self._model.order() or in_slices):
            self._show(exhaust(steps))
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
        seen = len(self.rows)

        def work() -> Generator[None, None, None]:
            found.append((yield from steps))

        await _go_through(work(), lambda: None)
        self._is_arranging = False
        shown, cursor, _ = found[0]
        now = self._model.current_key
        if now != kept:
            # The cursor was moved meanwhile: it stays on what it was moved to.
            kept = now
            cursor = next((at for at, row in enumerate(shown) if self._model.key_of(row) == now), cursor)
        self._show((shown, cursor, kept))
        came = self.rows[seen:]
        if came and self._model.order():
            self._arrange(kept)
        elif came:
            self._show_more(came)

    def _show(self, arranged: Arranged) -> None:
        shown, found, kept = arranged
        before, top = self.cursor, self._top
        was_in_view = top <= before < top + max(1, self._visible_rows)
        cursor = self.cursor_after(before, found, shown)
        self._model.shown = shown
        self._model.put_cursor(cursor)
        self._set_virtual_size()
        self.refresh()
        if self.cursor != before or self.current is None or self._model.current_key != kept:
            self._report_cursor()
        if was_in_view:
            # The view goes with the cursor, which keeps its line on the screen where that is possible.
            self._show_from(top + self.cursor - before)
            self.move_to(self.cursor)

    def cursor_after(self, before: int, found: int, shown: Sequence[Any]) -> int:
        """Where the cursor is to be when the rows have changed: on its row.

        Args:
            before: where it was.
            found: where its row is now; as before when that is gone.
            shown: the rows to be shown.
        """
        return found

    def _report_cursor(self) -> None:
        self.post_message(self.Highlighted(self, self.current))

    def _refresh_at(self, at: int) -> None:
        y = at - self._top + 1
        if 1 <= y <= self._visible_rows:
            self.refresh(Region(0, y, self.size.width, 1))

    def _style(self, name: str) -> Style:
        return self.get_component_rich_style(f"rowlist--{name}")

    def render_line(self, y: int) -> Strip:
        """One line of the screen: the header, a row, or the empty text."""
        width = self.scrollable_content_region.width
        base = self.rich_style
        if y == 0:
            return self._header(width)
        if not self.shown:
            lines = self._empty_lines(width)
            text = lines[y - 2] if 2 <= y < len(lines) + 2 else ""
            return Strip([Segment(set_cell_size("  " + text, width), base + self._style("muted"))], width)
        at = self._top + y - 1
        if at >= len(self.shown):
            return Strip.blank(width, base)
        return self._row(at, width, base)

    def _empty_lines(self, width: int) -> list[str]:
        text = self.empty_text
        if self.rows and self.needle and self.unfilter_hint:
            text = f"The filter '{clean(self.needle, 40)}' leaves none of {plural(len(self.rows), 'row')}. "
            text += self.unfilter_hint
            if self._model.keep is not None:
                text += f"\n\n{self._keep_hint}"
        elif self.rows and self._model.keep is not None:
            text = f"{self._none_kept}\n\n{self._keep_hint}"
        return wrap(text, width - 4)

    def _header(self, width: int) -> Strip:
        text = titles(
            self.columns,
            width,
            sort_key=self.sort_key,
            sort_reversed=self.sort_reversed,
            is_busy=self._is_arranging,
        )
        return Strip([Segment(text, self.rich_style + self._style("header"))], width)

    def _row(self, at: int, width: int, base: Style) -> Strip:
        row = self.shown[at]
        is_cursor = at == self.cursor
        is_marked = self._model.can_mark and self._model.key_of(row) in self.marks
        if is_cursor and self.has_focus:
            cursor = self._style("cursor")
        elif is_cursor:
            cursor = Style(bold=True)
        else:
            cursor = Style()
        ground = Style(bgcolor=cursor.bgcolor) + cursor.without_color
        glyphs = getattr(self.app, "glyphs", None)
        sign = (glyphs.mark if glyphs else "*") if is_marked else " "
        point = (glyphs.cursor if glyphs else ">") if is_cursor else " "
        above = self.shown[at - 1] if at > 0 and not is_cursor else None
        cells = cells_of(row, above, self.columns, width, base=base, cursor=cursor, tone_style=self._style)
        marks = Segment(point + sign, base + self._style("mark") + ground)
        return Strip([marks, *cells]).adjust_cell_length(width, base + cursor)


async def _go_through(steps: Generator[None, None, None], finish: Callable[[], None]) -> None:
    """Run steps, handling keys between them."""
    for _ in steps:
        await asyncio.sleep(0)
    finish()
