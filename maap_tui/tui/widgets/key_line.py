"""KeyLine: the keys of a dialog, in one line; a click does what the key does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from rich.text import Text
from textual.events import Click
from textual.widget import Widget

KeyWords = tuple[str, str, str]
"""The key as it is printed, what it does in a word or two, and its action on the screen.

Without words it stands before the next key, which has words for both.
"""


class KeyLine(Widget):
    """As many keys as fit, the last of them always."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"keyline--key"}

    def __init__(self, keys: Sequence[KeyWords], *, id: str | None = None) -> None:
        super().__init__(id=id, classes="muted")
        self._keys = keys
        self._ends: list[tuple[int, str]] = []
        """Cell behind each key, and its action; for the mouse."""

    def show(self, keys: Sequence[KeyWords]) -> None:
        """Show other keys."""
        if keys != self._keys:
            self._keys = keys
            self.refresh()

    def on_click(self, event: Click) -> None:
        event.stop()
        action = next((action for end, action in self._ends if event.x < end), None)
        if action is not None:
            # As a key would: what closes the screen does not wait in a part of it.
            self.screen.call_later(self.app.run_action, action, self.screen)

    def render(self) -> Text:
        width = self.size.width or 80
        style = self.get_component_rich_style("keyline--key", partial=True)
        *most, (key, label, action) = self._keys
        last = Text.assemble((key, style), f" {label}")
        room = width - last.cell_len
        text = Text(no_wrap=True)
        self._ends = []
        for group in _groups(most):
            parts = [
                (Text.assemble((key, style), f" {label}  " if label else " "), action)
                for key, label, action in group
            ]
            if text.cell_len + sum(part.cell_len for part, _ in parts) > room:
                break
            for part, own_action in parts:
                text.append_text(part)
                self._ends.append((text.cell_len, own_action))
        text.append_text(last)
        self._ends.append((text.cell_len, action))
        return text


def _groups(keys: Sequence[KeyWords]) -> Iterator[list[KeyWords]]:
    """Keys that are shown together or not at all."""
    group = []
    for key in keys:
        group.append(key)
        if key[1]:
            yield group
            group = []
