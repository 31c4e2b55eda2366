"""ErrorDialog: what happened, then what to do."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from maap_tui.tui.dialogs.dialog import CLOSES, Dialog
from maap_tui.tui.widgets.key_line import KeyLine


class ErrorDialog(Dialog[None]):
    """Closed by any of the usual keys."""

    BINDINGS: ClassVar = [Binding("escape,enter,q,space", "dismiss", "Close", show=False)]

    def __init__(self, message: str, hint: str) -> None:
        super().__init__()
        self.message = message
        self.hint = hint

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -error"):
            yield Static(self.message, markup=False, classes="question")
            yield Static(self.hint, markup=False, classes="hint")
            yield KeyLine([CLOSES])
