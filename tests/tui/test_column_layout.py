"""Where the columns of a list are, without an app: widths, the column at a cell, what has to be painted."""

from __future__ import annotations

import pytest

from maap_tui.tui.widgets.column_layout import column_at, reach_of, widths_of
from maap_tui.tui.widgets.row_model import Column

COLUMNS = [Column("state", "State", 8, str), Column("name", "Name", 0, str), Column("size", "Size", 6, str)]


@pytest.mark.parametrize(
    ("total", "widths"),
    [
        (40, [8, 22, 6]),
        (22, [8, 4, 6]),
        (20, [8, 4, 4]),  # the edge cuts the last column
        (8, [6, 0, 0]),
        (0, [0, 0, 0]),
    ],
)
def test_the_column_without_a_width_takes_what_is_left_and_none_passes_the_edge(
    total: int, widths: list[int]
) -> None:
    assert widths_of(COLUMNS, total) == widths


def test_a_cell_is_of_the_column_that_is_drawn_there() -> None:
    found = [column_at(COLUMNS, 40, x) for x in range(41)]
    keys = [column.key if column is not None else "" for column in found]
    gap = [""]
    assert keys == ["", "", *["state"] * 8, *gap, *["name"] * 22, *gap, *["size"] * 6, *gap]


@pytest.mark.parametrize(
    ("keys", "cells"),
    [({"state"}, 11), ({"name", "state"}, 34), ({"size"}, 41), ({"day"}, 2), (set(), 2)],
)
def test_a_row_is_painted_as_far_as_the_columns_that_changed(keys: set[str], cells: int) -> None:
    assert reach_of(COLUMNS, 40, keys) == cells
