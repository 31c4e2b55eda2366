"""FilterLine: one line that appears above a list and filters it as you type."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input

from maap_tui.tui.keys import BY_ID, show_key
from maap_tui.tui.textual_compat import keymap_of


class FilterLine(Input):
    """Hidden until `open`; Enter keeps the filter, Escape takes it away."""

    BINDINGS: ClassVar = [
        Binding("escape", "drop", "No filter", show=False, priority=True),
        Binding("enter,down", "keep", "Keep", show=False, priority=True),
    ]

    class Filtered(Message):
        """The filter's text changed; '' means that there is none."""

        def __init__(self, line: FilterLine, text: str) -> None:
            super().__init__()
            self.line = line
            self.text = text

        @property
        def control(self) -> FilterLine:
            return self.line

    def __init__(self, target: Widget, *, placeholder: str = "type to filter, !text to hide") -> None:
        """Take the widget that gets the focus back."""
        super().__init__(placeholder=placeholder, compact=True, select_on_focus=False)
        self.target = target
        self.display = False

    def on_mount(self) -> None:
        if hasattr(self.target, "unfilter_hint"):
            key = keymap_of(self.app).get("lists.filter", BY_ID["lists.filter"].keys).split(",")[0]
            self.target.unfilter_hint = f"{show_key(key)} and then esc takes it away."

    @property
    def focusable(self) -> bool:
        """Whether it takes the focus: never while it is hidden."""
        return super().focusable and self.display

    def open(self) -> None:
        """Show the line and let the user type."""
        self.display = True
        self.focus()

    @on(Input.Changed)
    def report(self, event: Input.Changed) -> None:
        """Replace the input's message by ours."""
        event.stop()
        self.post_message(self.Filtered(self, self.value))

    def action_drop(self) -> None:
        self.value = ""
        self.display = False
        self.target.focus()

    def action_keep(self) -> None:
        self.display = bool(self.value)
        if self.target.display:  # what nothing passes may be hidden: esc then has to come here
            self.target.focus()
