"""The row model without an app: what the filter passes, how rows are sorted, marked and kept."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from maap_tui.tui.widgets.row_model import SLICE, Column, RowModel, exhaust


def parity(row: int) -> str:
    return "odd" if row % 2 else "even"


NUMBER = Column("number", "Number", 9, str, order=lambda row: row, is_right=True)
PARITY = Column("parity", "Parity", 6, parity)


def model_of(rows: Iterable[Any], **options: Any) -> RowModel:
    model = RowModel([NUMBER, PARITY], key_of=lambda row: row, **options)
    model.replace_rows(rows)
    arrange(model)
    return model


def arrange(model: RowModel, among: list[Any] | None = None) -> None:
    """Filter and sort, the cursor on its row, as a list does it."""
    model.shown, cursor, _ = exhaust(model.arranged(model.current_key, among))
    model.put_cursor(cursor)


def filter_by(model: RowModel, needle: str) -> list[Any]:
    model.change_needle(needle)
    arrange(model)
    return model.shown


@pytest.mark.parametrize(
    ("needle", "shown"),
    [
        ("3 odd", [3, 13, 23, 31, 33, 35, 37, 39]),
        (" Odd  3 ", [3, 13, 23, 31, 33, 35, 37, 39]),
        ("!ODD", list(range(0, 40, 2))),
        ("! odd 3", [row for row in range(40) if row % 2 == 0 or "3" not in str(row)]),
        ("!", list(range(40))),
        ("", list(range(40))),
        ("nothing", []),
    ],
)
def test_the_filter_takes_words_and_hides_with_an_exclamation_mark(needle: str, shown: list[int]) -> None:
    assert filter_by(model_of(range(40)), needle) == shown


def test_the_filter_looks_at_the_columns_shown_or_at_a_text_of_its_own() -> None:
    model = model_of(range(10))
    model.choose_columns(["number"])
    assert filter_by(model, "odd") == []
    model = model_of(range(10), filter_text=lambda row: f"Row {row} SECRET")
    model.choose_columns(["number"])
    assert filter_by(model, "row 7 secret") == [7]
    assert model.passing([17, 18]) == [17]


def test_what_is_kept_and_the_filter_go_together() -> None:
    model = model_of(range(40))
    model.keep = lambda row: row % 3 == 0
    assert filter_by(model, "") == list(range(0, 40, 3))
    assert filter_by(model, "odd") == list(range(3, 40, 6))
    assert filter_by(model, "!odd") == list(range(0, 40, 6))
    assert model.passing([41, 42, 45]) == [42]
    model.keep = None
    assert filter_by(model, "odd") == list(range(1, 40, 2))


def test_a_filter_that_grows_looks_only_at_what_passed() -> None:
    asked: list[int] = []

    def text(row: int) -> str:
        asked.append(row)
        return str(row)

    model = RowModel([Column("number", "Number", 9, text)], key_of=lambda row: row)
    model.replace_rows(range(2000))
    assert not model.change_needle("19"), "all rows may pass the first text"
    arrange(model)
    among = list(model.shown)
    asked.clear()
    assert model.change_needle("199")
    arrange(model, among)
    assert asked == among
    assert model.shown == [row for row in range(2000) if "199" in str(row)]
    assert not model.change_needle("19"), "more rows pass a shorter text"
    assert not model.change_needle("!19")
    assert not model.change_needle("!199"), "fewer rows are hidden by a longer text"


@pytest.mark.parametrize("is_reversed", [False, True])
@pytest.mark.parametrize(("key", "by"), [("number", lambda row: row), ("parity", parity)])
def test_rows_are_sorted_by_a_column_and_equal_ones_keep_their_order(
    key: str, by: Any, is_reversed: bool
) -> None:
    rows = [*range(SLICE, 3 * SLICE), *range(SLICE)]
    model = model_of(rows)
    model.sort_key, model.sort_reversed = key, is_reversed
    arrange(model)
    assert model.shown == sorted(rows, key=by, reverse=is_reversed)
    model.sort_key = None
    arrange(model)
    assert model.shown == rows


def test_long_lists_are_handled_in_slices() -> None:
    rows = range(3 * SLICE)
    model = model_of(rows)
    model.change_needle("e")  # "even"
    model.sort_key = "number"
    assert len(list(model.arranged(None))) >= 3
    assert len(list(model.change_marks(set.update))) == 3
    assert model.marks == set(rows)


def test_the_cursor_stays_on_its_row() -> None:
    model = model_of(range(100))
    model.put_cursor(50)

    def change(rows: Iterable[int]) -> None:
        kept = model.current_key
        model.replace_rows(rows)
        model.shown, cursor, _ = exhaust(model.arranged(kept))
        model.put_cursor(cursor)

    change([*range(1000, 1200), *range(100)])
    assert (model.current, model.cursor) == (50, 250)
    model.sort_key, model.sort_reversed = "number", True
    arrange(model)
    assert model.current == 50
    assert 50 in filter_by(model, "5") and model.current == 50
    change([row for row in model.rows if row != 50])
    assert model.current is not None
    change([])
    assert (model.current, model.current_key, model.cursor, model.chosen) == (None, None, 0, [])


def test_marks_are_kept_over_updates_and_hidden_rows_keep_theirs() -> None:
    model = model_of(range(20))
    exhaust(model.change_marks(set.update))
    assert model.all_marked()
    model.replace_rows(range(5, 30))
    arrange(model)
    assert model.marks == set(range(5, 20)) and not model.all_marked()
    filter_by(model, "29")
    exhaust(model.change_marks(set.update))
    assert model.chosen == [*range(5, 20), 29]


def test_marks_are_set_one_by_one_by_range_and_inverted() -> None:
    model = model_of(range(100))
    assert model.chosen == [0]
    model.put_cursor(10)
    assert model.toggle_mark()
    model.put_cursor(14)
    assert model.mark_range()
    assert model.chosen == [10, 11, 12, 13, 14]
    model.put_cursor(12)
    assert model.mark_range(), "the next range begins where the last one ended"
    assert model.marks == {10, 11, 12, 13, 14}
    exhaust(model.change_marks(set.symmetric_difference_update))
    assert len(model.marks) == 95
    model.put_cursor(50)
    model.toggle_mark()
    assert 50 not in model.marks


def test_nothing_is_marked_where_rows_cannot_be_or_where_there_are_none() -> None:
    model = model_of(range(3), can_mark=False)
    assert not model.toggle_mark() and not model.mark_range()
    model = model_of([])
    assert not model.toggle_mark() and not model.mark_range()
    assert model.marks == set()


def test_columns_are_chosen_by_their_keys() -> None:
    model = model_of(range(3))
    model.choose_columns(["parity", "nonsense", "number"])
    assert model.columns == [PARITY, NUMBER]
    model.choose_columns(["parity"])
    assert model.columns == [PARITY]
    model.choose_columns(["nonsense"])
    assert model.columns == [NUMBER, PARITY]


def test_a_row_is_found_among_those_shown() -> None:
    model = model_of(range(40))
    filter_by(model, "odd")
    assert (model.index_of(5), model.index_of(4)) == (2, None)
