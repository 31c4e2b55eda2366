"""FilterLine: one line that appears above a list and filters it as you type."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.binding import Binding
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Input


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
        """Turn the input's own news into ours."""
        event.stop()
        self.post_message(self.Filtered(self, self.value))

    def action_drop(self) -> None:
        self.value = ""
        self.display = False
        self.target.focus()

    def action_keep(self) -> None:
        self.display = bool(self.value)
        self.target.focus()
