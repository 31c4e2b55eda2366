"""HelpDialog: the keys of a mode, from the one table, searchable by word or key."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.widgets import Input, Static

from maap_tui.tui.dialogs.dialog import Dialog
from maap_tui.tui.keys import ALSO, MODE_TITLES, Key, keys_in, show_key
from maap_tui.tui.textual_compat import keymap_of
from maap_tui.tui.widgets.row_list import RowList
from maap_tui.tui.widgets.row_model import Column

WHERE_FROM = 100
"""Cells of the terminal from which there is room to say where a key works."""


class HelpDialog(Dialog[None]):
    """Opened by `?`."""

    BINDINGS: ClassVar = [
        Binding("escape", "dismiss", "Close", show=False),
        Binding("down", "into_list", "List", show=False),
    ]

    def __init__(self, mode: str) -> None:
        super().__init__()
        self._mode = mode

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide -high"):
            yield Static(
                f"Keys in {MODE_TITLES.get(self._mode, '')}: type to search, esc closes",
                markup=False,
                classes="question",
            )
            yield Input(placeholder="a word or a key", compact=True)
            yield RowList(
                [
                    Column("key", "Key", 13, self._shown, tone=lambda key: "primary"),
                    Column("help", "What it does", 0, lambda key: key.help),
                    Column("where", "Where", 10, lambda key: MODE_TITLES[key.mode].split()[0]),
                ],
                key=lambda key: key.id,
                can_mark=False,
                filter_text=self._words,
                empty_text="No key does that here.",
            )
            yield Static("", id="whole", markup=False, classes="muted")

    def _shown(self, key: Key) -> str:
        keys = keymap_of(self.app).get(key.id, key.keys)
        return " ".join(show_key(one) for one in keys.split(","))

    def _words(self, key: Key) -> str:
        """What a search in the help finds it by."""
        return " ".join((self._shown(key), key.help, MODE_TITLES[key.mode], *ALSO.get(key.id, ())))

    def on_mount(self) -> None:
        rows = self.query_one(RowList)
        if self.app.size.width < WHERE_FROM:
            rows.set_columns(["key", "help"])
        rows.set_rows([*keys_in(self._mode), *self.maap.user_keys(self._mode)])
        self.show_whole()

    @on(Input.Changed)
    def search(self, event: Input.Changed) -> None:
        """Filter as it is typed."""
        self.query_one(RowList).set_filter(event.value)

    @on(RowList.Highlighted)
    def show_whole(self) -> None:
        """Say under the list what a narrow terminal cuts off."""
        key = self.query_one(RowList).current
        self.query_one("#whole", Static).update(_whole_words(key) if key else "")

    def action_into_list(self) -> None:
        self.query_one(RowList).focus()


def _whole_words(key: Key) -> str:
    where = f"[{key.id}] of the configuration" if key.mode == "commands" else f"Name in [keys]: {key.id}"
    return f"{key.help} {where}"
