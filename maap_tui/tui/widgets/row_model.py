"""The state of a list without a screen: rows, columns, filter, sort, marks and cursor.

Work over many rows is a generator that yields after each `SLICE` of them: the caller either handles keys
between two steps, or runs all steps at once with `exhaust`.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Generator, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")

SLICE = 2000
"""Rows filtered, sorted or marked before keys are handled, in lists longer than that."""

Arranged = tuple[list[Any], int, Hashable | None]
"""Rows to show, the index that the cursor gets, and the key that it stays on."""

ChangeMarks = Callable[[set[Hashable], set[Hashable]], None]
"""How marks change by the keys of a slice of rows, in place: `set.update` marks them."""


@dataclass(frozen=True, slots=True)
class Column:
    """How one column shows a row."""

    key: str
    title: str
    width: int
    """Cells; 0 takes the remaining width (one column at most)."""
    text: Callable[[Any], str]
    tone: Callable[[Any], str] | None = None
    """One of `row_list.TONES` for a row; None is plain."""
    order: Callable[[Any], Any] | None = None
    """What the column sorts by; None sorts by the text."""
    is_right: bool = False
    """Whether the text ends at the right edge."""
    is_untrusted: bool = True
    """Whether the text may come from outside and has to be made safe."""
    keeps_end: bool = False
    """Whether a text that is too long loses its middle: names of files differ near their end."""
    pieces: Callable[[Any], Sequence[tuple[str, str]]] | None = None
    """The text in pieces of a tone each, no longer than the column together; None for one tone."""
    mutes_repeats: bool = False
    """Whether the words that it begins with are muted where the row above begins with them too."""


class RowModel:
    """Rows of any type, those that pass the filter in their order, the marked ones and the cursor."""

    def __init__(
        self,
        columns: Sequence[Column],
        *,
        key_of: Callable[[Any], Hashable],
        can_mark: bool = True,
        filter_text: Callable[[Any], str] | None = None,
    ) -> None:
        """Take the columns.

        Args:
            columns: every column there is; `choose_columns` chooses among them.
            key_of: what distinguishes rows, stable over updates.
            can_mark: whether rows can be marked.
            filter_text: the text of a row that the filter looks at; None for the columns shown.
        """
        self.all_columns = list(columns)
        self.columns = list(columns)
        """The columns shown, in order."""
        self.key_of = key_of
        self.can_mark = can_mark
        self.rows: list[Any] = []
        """Every row, in the order given."""
        self.shown: list[Any] = []
        """The rows that pass the filter, in the order shown."""
        self.marks: set[Hashable] = set()
        """Keys of marked rows; rows that the filter hides may be among them."""
        self.cursor = 0
        """Index of the cursor among the rows shown."""
        self.sort_key: str | None = None
        self.sort_reversed = False
        self.needle = ""
        """What rows have to contain to be shown; '!text' shows those that do not."""
        self.keep: Callable[[Any], bool] | None = None
        """What rows have to be as well to be shown; None for no such limit."""
        self._filter_text = filter_text
        self._anchor: int | None = None

    @property
    def current(self) -> Any | None:
        """The row under the cursor."""
        return self.shown[self.cursor] if 0 <= self.cursor < len(self.shown) else None

    @property
    def current_key(self) -> Hashable | None:
        """The key of the row under the cursor, None without one."""
        return None if self.current is None else self.key_of(self.current)

    @property
    def chosen(self) -> list[Any]:
        """The marked rows in the order given, or the one under the cursor when none is marked."""
        if self.marks:
            return [row for row in self.rows if self.key_of(row) in self.marks]
        return [] if self.current is None else [self.current]

    def replace_rows(self, rows: Iterable[Any]) -> None:
        """Take other rows, to be arranged; marks stay on the keys that are still there."""
        self.rows = list(rows)
        if self.marks:
            self.marks.intersection_update(map(self.key_of, self.rows))

    def put_cursor(self, at: int) -> None:
        """Put the cursor on the nearest row shown."""
        self.cursor = max(0, min(at, len(self.shown) - 1))

    def index_of(self, key: Hashable) -> int | None:
        """Where the row of that key is among those shown; None when it is not."""
        return next((at for at, row in enumerate(self.shown) if self.key_of(row) == key), None)

    def choose_columns(self, keys: Sequence[str]) -> None:
        """Choose columns and their order; all of them when no key is known."""
        by_key = {column.key: column for column in self.all_columns}
        self.columns = [by_key[key] for key in keys if key in by_key] or list(self.all_columns)

    def change_needle(self, needle: str) -> bool:
        """Take another text to filter by, to be arranged; gives back whether the one before passes more.

        What passes a longer text is among what passed the shorter one.
        """
        before, self.needle = self.needle, needle.strip().lower()
        return bool(before) and self.needle.startswith(before) and not self.needle.startswith("!")

    @property
    def is_narrowed(self) -> bool:
        """Whether not every row passes."""
        return bool(self.needle) or self.keep is not None

    def passing(self, rows: Sequence[Any]) -> Sequence[Any]:
        """Those of the rows that pass the filter."""
        return list(filter(self._matcher(), rows)) if self.is_narrowed else rows

    def order(self) -> Callable[[Any], Any] | None:
        """What is sorted by, None for the order given."""
        for column in self.all_columns:
            if column.key == self.sort_key:
                return column.order or column.text
        return None

    def arranged(
        self, kept: Hashable | None, among: list[Any] | None = None
    ) -> Generator[None, None, Arranged]:
        """Find the rows to show and the index of the cursor, with a pause after each slice.

        Args:
            kept: the key of the row that the cursor stays on; None leaves the cursor where it is.
            among: rows shown that alone can pass, in their order; None for all.
        """
        rows = self.rows if among is None else among
        matches = self._matcher() if self.is_narrowed else None
        order = self.order() if among is None else None
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
                if self.key_of(row) == kept:
                    cursor = at
                    break
                if at % SLICE == 0:
                    yield
        return shown, cursor, kept

    def _matcher(self) -> Callable[[Any], bool]:
        """What says whether a row passes the filter."""
        needle, wanted, keep = self.needle, True, self.keep
        if needle.startswith("!"):
            needle, wanted = needle[1:].strip(), False
        if not needle:
            return keep or (lambda row: True)
        words = needle.split()
        texts = [column.text for column in self.columns]
        filter_text = self._filter_text or (lambda row: " ".join([text(row) for text in texts]))

        def matches(row: Any) -> bool:
            if keep is not None and not keep(row):
                return False
            text = filter_text(row).lower()
            return all(word in text for word in words) is wanted

        return matches

    def toggle_mark(self) -> bool:
        """Mark or unmark the row under the cursor; gives back whether there was one to mark."""
        if self.current is None or not self.can_mark:
            return False
        self.marks ^= {self.current_key}
        self._anchor = self.cursor
        return True

    def mark_range(self) -> bool:
        """Mark from the last row that was marked to the cursor; gives back whether rows can be marked."""
        if not self.can_mark or not self.shown:
            return False
        anchor = self.cursor if self._anchor is None else self._anchor
        low, high = sorted((anchor, self.cursor))
        self.marks |= {self.key_of(row) for row in self.shown[low : high + 1]}
        self._anchor = self.cursor
        return True

    def all_marked(self) -> bool:
        """Whether every row shown is marked."""
        return all(self.key_of(row) in self.marks for row in self.shown)

    def change_marks(self, change: ChangeMarks) -> Generator[None, None, None]:
        """Change the marks of the rows shown, with a pause after each slice."""
        rows, marks = self.shown, self.marks
        for start in range(0, len(rows), SLICE):
            change(marks, {self.key_of(row) for row in rows[start : start + SLICE]})
            yield


def exhaust(steps: Generator[None, None, T]) -> T:
    """Take all steps at once and give back what they end with."""
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: T = end.value
            return found
