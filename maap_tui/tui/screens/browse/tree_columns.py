"""The columns at the right of the tree: which of them have room, and a label laid out over them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from maap_tui.text import clean

Pieces = tuple[tuple[str, str], ...]
"""(text, tone) of a label, in order; the tone is one of `archive_tree.TONES` or ''."""


class Label(NamedTuple):
    """What a branch says: its name with what describes it, and a cell for some of the columns."""

    pieces: Pieces
    cells: Mapping[str, tuple[str, str]] = {}
    """Key of a column -> (text, tone)."""


class TreeColumn(NamedTuple):
    """A column; its cells end at its right edge."""

    key: str
    title: str
    width: int


COLUMNS = (
    TreeColumn("baseline", "Base", 4),
    TreeColumn("archive", "Archive", 9),
    TreeColumn("here", "Here", 7),
    TreeColumn("missing", "Missing", 7),
    TreeColumn("last", "Last", 10),
)
"""The newest baseline, its granules, files here, files registered and not here, its last day there."""

LEAST_NAME_CELLS = 27
"""Cells that names keep, the lines of the tree among them."""

ALL_NAME_CELLS = 35
"""The same where all columns are shown: words that say what a product is matter more than its last day."""

_LEFT_OUT = ("last", "missing", "baseline", "here", "archive")
"""Columns in the order in which they give way."""


def columns_for(width: int) -> list[TreeColumn]:
    """The columns that a tree of so many cells has room for."""
    columns = list(COLUMNS)
    for key in _LEFT_OUT:
        if width - _cells_of(columns) >= (ALL_NAME_CELLS if key == "last" else LEAST_NAME_CELLS):
            break
        columns = [column for column in columns if column.key != key]
    return columns


def head_words(width: int) -> str:
    """The titles over a tree of so many cells."""
    columns = columns_for(width)
    left = max(width - _cells_of(columns), 0)
    titles = "".join(f" {column.title:>{column.width}}" for column in columns)
    names = "  Collection, product, baseline"
    return set_cell_size(names if len(names) < left else "  Name", left) + titles


def lay_out(label: Label, width: int, indent: int) -> Pieces:
    """The label in the cells of its line; what describes a name goes on where columns are empty.

    Args:
        label: name and cells.
        width: cells of the tree.
        indent: cells of the line before the label.
    """
    columns = columns_for(width)
    first = next((at for at, column in enumerate(columns) if label.cells.get(column.key, ("", ""))[0]), None)
    if first is None:
        return label.pieces
    shown = columns[first:]
    room = max(width - indent - _cells_of(shown), 1)
    # A number is shorter than its column: the name may use the cells left of it, but for one.
    room += shown[0].width - cell_len(label.cells[shown[0].key][0])
    laid: list[tuple[str, str]] = []
    for text, tone in label.pieces:
        text = clean(text, 400)
        left = room - sum(cell_len(one) for one, _ in laid)
        if cell_len(text) > left:
            laid.append((set_cell_size(text, max(left - 1, 0)) + "…" if left > 0 else "", tone))
            break
        laid.append((text, tone))
    laid.append((" " * (room - sum(cell_len(one) for one, _ in laid)), ""))
    for at, column in enumerate(shown):
        text, tone = label.cells.get(column.key, ("", ""))
        laid.append((f" {text}" if at == 0 else f" {text:>{column.width}}", tone))
    return tuple(laid)


def _cells_of(columns: Sequence[TreeColumn]) -> int:
    return sum(column.width + 1 for column in columns)
