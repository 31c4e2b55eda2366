"""SortDialog: chooses the column that a list is sorted by, with one letter."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from maap_tui.tui.dialogs.dialog import CLOSES, MOST_ROWS, Dialog
from maap_tui.tui.widgets.key_line import KeyLine
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column

Choice = tuple[str, bool]
"""Key of a column, and whether the largest comes first."""


def letters_of(columns: Sequence[Column]) -> dict[str, Column]:
    """A letter for each column: the first one of its title that no other has."""
    letters: dict[str, Column] = {}
    for column in columns:
        wanted = [sign for sign in column.title.lower() if sign in ascii_lowercase]
        letter = next((one for one in [*wanted, *ascii_lowercase] if one not in letters), "")
        if letter:
            letters[letter] = column
    return letters


class SortDialog(Dialog[Choice | None]):
    """Returns what to sort by; None after Escape."""

    BINDINGS: ClassVar = [Binding("escape", "dismiss(None)", "Close", show=False)]

    def __init__(self, columns: Sequence[Column]) -> None:
        super().__init__()
        self._letters = letters_of(columns)

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(
                "Sort by: a letter, or its capital for the largest first", markup=False, classes="question"
            )
            yield RowList(
                [
                    Column("letter", "Key", 3, lambda row: row[0], tone=lambda row: "primary"),
                    Column("title", "Column", 0, lambda row: row[1].title),
                ],
                key=lambda row: row[0],
                can_mark=False,
            )
            yield KeyLine([("enter", "sorts", "choose"), CLOSES])

    def on_mount(self) -> None:
        rows = self.query_one(RowList)
        rows.set_rows(self._letters.items())
        rows.fit_rows(MOST_ROWS)
        rows.focus()

    def on_key(self, event: events.Key) -> None:
        column = self._letters.get(event.key.lower())
        if column is not None:
            # Otherwise the list would take the letter for a move.
            event.stop()
            event.prevent_default()
            self.dismiss((column.key, event.key.isupper()))

    def action_choose(self) -> None:
        """Take what is under the cursor."""
        self.query_one(RowList).action_choose()

    @on(RowList.Chosen)
    def take(self, event: RowList.Chosen) -> None:
        """Enter or a double click."""
        self.dismiss((event.row[1].key, False))
