"""ColumnsDialog: which columns a list shows."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import SelectionList, Static
from textual.widgets.selection_list import Selection

from maap_tui.tui.dialogs.dialog import Dialog
from maap_tui.tui.widgets.rows import RowList


class ColumnsDialog(Dialog[None]):
    """Changes the list at once; `Changed` tells its screen to remember."""

    BINDINGS: ClassVar = [Binding("escape,q", "dismiss", "Close", show=False)]

    class Changed(Message):
        """The columns of a list were changed."""

        def __init__(self, rows: RowList) -> None:
            super().__init__()
            self.rows = rows

    def __init__(self, rows: RowList) -> None:
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        shown = {column.key for column in self._rows.columns}
        with Vertical(classes="dialog"):
            yield Static("Columns: space turns one on or off, esc closes.", markup=False, classes="question")
            yield SelectionList[str](
                *(
                    Selection(column.title or column.key, column.key, column.key in shown)
                    for column in self._rows.all_columns
                )
            )

    @on(SelectionList.SelectedChanged)
    def apply(self, event: SelectionList.SelectedChanged[str]) -> None:
        """Show what is chosen, in the order of the table."""
        chosen = set(event.selection_list.selected)
        keys = [column.key for column in self._rows.all_columns if column.key in chosen]
        if keys:
            self._rows.set_columns(keys)
            self._rows.post_message(self.Changed(self._rows))
