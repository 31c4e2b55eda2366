"""The lines of a list: the titles of its columns, the cells of a row, and the words in place of rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from maap_tui.text import clean
from maap_tui.tui.widgets.cell_text import fit, repeated_cells
from maap_tui.tui.widgets.column_layout import MARKS, widths_of
from maap_tui.tui.widgets.row_model import Column


def wrap(text: str, width: int) -> list[str]:
    """The paragraphs of a text in lines of so many cells."""
    lines: list[str] = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            if line and cell_len(line) + 1 + cell_len(word) > width:
                lines.append(line)
                line = word
            else:
                line = f"{line} {word}" if line else word
        lines.append(line)
    return lines


def titles(
    columns: Sequence[Column], width: int, *, sort_key: str | None, sort_reversed: bool, is_busy: bool
) -> str:
    """The titles of the columns in `width` cells, with a sign at the one that is sorted by.

    Args:
        columns: those shown.
        width: cells of the line.
        sort_key: the column that is sorted by; None for the order given.
        sort_reversed: whether the greatest comes first.
        is_busy: whether the list is being filtered or sorted.
    """
    parts = ["~ " if is_busy else "  "]
    for column, cells in zip(columns, widths_of(columns, width), strict=True):
        title = column.title
        if column.key == sort_key:
            sign = "v" if sort_reversed else "^"
            title = f"{title}{sign}" if len(title) < cells else f"{title[: cells - 1]}{sign}"
        parts.append(fit(title, cells, column.is_right) + " ")
    return set_cell_size("".join(parts), width)


def cells_of(
    row: Any,
    above: Any | None,
    columns: Sequence[Column],
    width: int,
    *,
    base: Style,
    cursor: Style,
    tone_style: Callable[[str], Style],
) -> list[Segment]:
    """The cells of a row, behind those of its marks.

    Args:
        row: what is shown.
        above: the row above it, whose words are muted where this one repeats them; None mutes none.
        columns: those shown.
        width: cells of the whole line.
        base: style of the list.
        cursor: what the cursor adds to it; the null style where it is elsewhere.
        tone_style: style of a tone.
    """
    # A state keeps its colour under the cursor.
    ground = Style(bgcolor=cursor.bgcolor) + cursor.without_color
    segments: list[Segment] = []
    used = MARKS
    for column, cells in zip(columns, widths_of(columns, width), strict=True):
        used += cells + 1
        if column.pieces is not None:
            pieces = [Segment(text, base + tone_style(tone) + ground) for text, tone in column.pieces(row)]
            segments += Strip(pieces).adjust_cell_length(cells, base + cursor)
            segments.append(Segment(" ", base + cursor))
            continue
        text = column.text(row)
        if column.is_untrusted:
            text = clean(text)
        tone = "plain" if column.tone is None else column.tone(row)
        style = base + cursor if tone == "plain" else base + tone_style(tone) + ground
        fitted = fit(text, cells, column.is_right, column.keeps_end)
        if column.mutes_repeats and above is not None:
            repeated = repeated_cells(text, column.text(above), cells)
            if repeated:
                segments.append(Segment(fitted[:repeated], base + tone_style("muted")))
                fitted = fitted[repeated:]
        segments.append(Segment(f"{fitted} ", style))
    if used < width:
        segments.append(Segment(" " * (width - used), base + cursor))
    return segments
