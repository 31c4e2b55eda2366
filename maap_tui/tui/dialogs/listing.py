"""ListDialog: a list of any length to look through, with at most one action."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Static

from maap_tui.text import clean
from maap_tui.tui.dialogs.dialog import CLOSES, MOST_ROWS, Dialog
from maap_tui.tui.widgets.key_line import KeyLine
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column


class ListDialog(Dialog[bool]):
    """Gives back whether its key was pressed; anything that closes it is a no."""

    BINDINGS: ClassVar = [Binding("escape,q", "dismiss(False)", "Close", show=False)]

    def __init__(self, title: str, lines: Sequence[str], *, verb: str = "", key: str = "") -> None:
        """Take what is listed.

        Args:
            title: what the list is, with counts.
            lines: its rows.
            verb: what `key` does; '' for nothing to do.
            key: the key that does it.
        """
        super().__init__()
        self.title_text = title
        self.lines = list(lines)
        self._verb = verb
        self._key = key

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide"):
            yield Static(clean(self.title_text), markup=False, classes="question")
            yield RowList(
                [Column("text", "", 0, lambda row: row[1], keeps_end=True)],
                key=lambda row: row[0],
                can_mark=False,
                empty_text="Nothing to list.",
            )
            own = [(self._key, self._verb.lower(), "accept")] if self._key else []
            yield KeyLine([*own, CLOSES])

    def on_mount(self) -> None:
        rows = self.query_one(RowList)
        rows.set_rows(enumerate(self.lines))
        rows.fit_rows(MOST_ROWS)
        rows.focus()

    def action_accept(self) -> None:
        """What its key does."""
        self.dismiss(True)

    def on_key(self, event: events.Key) -> None:
        if self._key and event.key == self._key:
            # Otherwise the mode below would take the key for one of its own.
            event.stop()
            event.prevent_default()
            self.dismiss(True)
