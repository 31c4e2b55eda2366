"""Where the columns of a list are: their widths, which one is at a cell, how far some of them reach; pure."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence

from maap_tui.tui.widgets.row_model import Column

MARKS = 2
"""Cells left of the first column: the cursor's sign and the mark, which a click turns on or off."""


def widths_of(columns: Sequence[Column], total: int) -> list[int]:
    """The cells of each column in so many cells; the column without a width takes what the others leave."""
    fixed = sum(column.width for column in columns) + len(columns) + 1
    widths, used = [], MARKS
    for column in columns:
        cells = column.width or max(4, total - fixed)
        # A row that the edge cuts ends with an ellipsis, as every cut text does.
        widths.append(max(min(cells, total - used), 0))
        used += cells + 1
    return widths


def column_at(columns: Sequence[Column], total: int, x: int) -> Column | None:
    """The column that has the cell; None left of them, between two and right of them."""
    return next((column for column, begin, end in _spans(columns, total) if begin <= x < end), None)


def reach_of(columns: Sequence[Column], total: int, keys: Container[str]) -> int:
    """How many cells of a row one has to paint for the columns with these keys to be painted."""
    return max((end + 1 for column, _, end in _spans(columns, total) if column.key in keys), default=MARKS)


def _spans(columns: Sequence[Column], total: int) -> Iterator[tuple[Column, int, int]]:
    """Each column with its first cell and the one after its last."""
    left = MARKS
    for column, width in zip(columns, widths_of(columns, total), strict=True):
        yield column, left, left + width
        left += width + 1
