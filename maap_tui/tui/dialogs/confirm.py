"""ConfirmDialog: asks before something is destroyed or ends, and shows what and how much."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.widgets import Button, Static

from maap_tui.text import clean
from maap_tui.tui.dialogs.dialog import MOST_ROWS, Dialog
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column


class ConfirmDialog(Dialog[str]):
    """Each way has its own key and button, none of them the key that asked; anything else means no.

    Its result is the key of the way that was chosen, '' for none.
    """

    BINDINGS: ClassVar = [Binding("escape,n,q", "refuse", "No", show=False)]

    def __init__(
        self, question: str, lines: Sequence[str], ways: Sequence[tuple[str, str]], no: str = "No"
    ) -> None:
        super().__init__()
        self._question = question
        self._lines = list(lines)
        self._ways = list(ways)
        self._no = no

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
                for number, (verb, key) in enumerate(self._ways):
                    yield Button(
                        _label(verb, key),
                        id=f"way-{key}",
                        variant="default" if number else "error",
                        compact=True,
                    )
                yield Button(_label(self._no, "esc", has_focus=True), id="no", compact=True)

    def on_mount(self) -> None:
        if self._lines:
            rows = self.query_one(RowList)
            rows.set_rows(enumerate(self._lines))
            rows.fit_rows(MOST_ROWS)
        self.query_one("#no").focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Let the button that has the focus say that Enter takes it."""
        words = {f"way-{key}": (verb, key) for verb, key in self._ways} | {"no": (self._no, "esc")}
        for button in self.query(Button):
            label = _label(*words[button.id or "no"], has_focus=button is event.widget)
            if str(button.label) != label:
                button.label = label
                button.refresh(layout=True)

    def on_key(self, event: events.Key) -> None:
        if event.key in [key for _, key in self._ways]:
            # Otherwise the mode below would take the key for one of its own.
            event.stop()
            event.prevent_default()
            self.dismiss(event.key)

    @on(Button.Pressed)
    def take_way(self, event: Button.Pressed) -> None:
        """Go the way of the button."""
        self.dismiss((event.button.id or "").removeprefix("way-").removeprefix("no"))

    def action_refuse(self) -> None:
        self.dismiss("")


def _label(verb: str, key: str, *, has_focus: bool = False) -> str:
    return f"{verb} ({key}{'/enter' if has_focus else ''})"
