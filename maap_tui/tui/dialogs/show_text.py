"""TextDialog: a text to read, or to select with the mouse where no clipboard can be reached."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical, VerticalScroll
from textual.widgets import Static

from maap_tui.text import clean
from maap_tui.tui.dialogs.dialog import CLOSES, Dialog
from maap_tui.tui.widgets.key_line import KeyLine


class TextDialog(Dialog[None]):
    """Closed by any of the usual keys."""

    BINDINGS: ClassVar = [Binding("escape,enter,q", "dismiss", "Close", show=False)]

    def __init__(self, title: str, text: str) -> None:
        super().__init__()
        self.title_text = title
        self.text = text

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static(clean(self.title_text), markup=False, classes="question")
            with VerticalScroll():
                yield Static("\n".join(clean(line) for line in self.text.splitlines()), markup=False)
            yield KeyLine([CLOSES])
