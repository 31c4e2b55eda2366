"""ConfirmDialog: shows what and how much before something is destroyed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from maap_tui.text import clean
from maap_tui.tui.dialogs.dialog import Dialog
from maap_tui.tui.widgets.row_model import Column
from maap_tui.tui.widgets.rows import RowList


class ConfirmDialog(Dialog[bool]):
    """Confirmed by its own key or button, never by the key that asked; anything else is a no."""

    BINDINGS: ClassVar = [Binding("escape,n,q", "refuse", "No", show=False)]

    def __init__(self, question: str, lines: Sequence[str], verb: str, key: str) -> None:
        super().__init__()
        self._question = question
        self._lines = list(lines)
        self._verb = verb
        self._key = key

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(clean(self._question), markup=False, classes="question")
            if self._lines:
                yield RowList(
                    [Column("text", "", 0, lambda row: row[1], keeps_end=True)],
                    key=lambda row: row[0],
                    can_mark=False,
                    id="lines",
                )
            with Horizontal(classes="buttons"):
                yield Button(f"{self._verb} ({self._key})", id="yes", variant="error", compact=True)
                yield Button("No (esc)", id="no", compact=True)

    def on_mount(self) -> None:
        if self._lines:
            self.query_one(RowList).set_rows(enumerate(self._lines))
        self.query_one("#no").focus()

    def on_key(self, event: events.Key) -> None:
        if event.key == self._key:
            # Otherwise the mode below would take the key for one of its own.
            event.stop()
            event.prevent_default()
            self.dismiss(True)

    @on(Button.Pressed, "#yes")
    def accept(self) -> None:
        """Confirm."""
        self.dismiss(True)

    @on(Button.Pressed, "#no")
    def action_refuse(self) -> None:
        self.dismiss(False)
