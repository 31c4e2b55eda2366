"""ColumnsDialog: which columns a list shows."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.message import Message
from textual.widgets import Checkbox, Static

from maap_tui.tui.dialogs.dialog import CLOSES, Dialog
from maap_tui.tui.widgets.field_box import FieldBox
from maap_tui.tui.widgets.key_line import KeyLine
from maap_tui.tui.widgets.row_list import RowList


class ColumnsDialog(Dialog[None]):
    """Changes the list at once; `Changed` asks its screen to remember."""

    BINDINGS: ClassVar = [
        Binding("escape,q", "dismiss", "Close", show=False),
        Binding("up,k", "app.focus_previous", "Column above", show=False),
        Binding("down,j", "app.focus_next", "Column below", show=False),
    ]

    class Changed(Message):
        """The columns of a list were changed."""

        def __init__(self, rows: RowList) -> None:
            super().__init__()
            self.rows = rows
            self.keys = [column.key for column in rows.columns]
            """The columns chosen; when this message arrives, the list may already show others."""

    def __init__(self, rows: RowList) -> None:
        super().__init__()
        self._rows = rows

    def compose(self) -> ComposeResult:
        shown = {column.key for column in self._rows.columns}
        with Vertical(classes="dialog"):
            yield Static("Columns", markup=False, classes="question")
            with VerticalScroll(can_focus=False):
                for column in self._rows.all_columns:
                    title = column.title or column.key
                    yield FieldBox(title, column.key in shown, compact=True, name=column.key)
            yield KeyLine([("space", "turns on or off", "turn"), CLOSES])

    def action_turn(self) -> None:
        """Turn the column under the cursor on or off."""
        if isinstance(box := self.focused, FieldBox):
            box.toggle()

    @on(Checkbox.Changed)
    def apply(self, event: Checkbox.Changed) -> None:
        """Show what is chosen, in the order of the table."""
        keys = [box.name for box in self.query(FieldBox) if box.value and box.name]
        if keys:
            self._rows.set_columns(keys)
            self._rows.post_message(self.Changed(self._rows))
