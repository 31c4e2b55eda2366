"""KeyLine: the keys of a dialog, in one line; a click does what the key does."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.events import Click
from textual.widget import Widget

KeyWords = tuple[str, str, str]
"""The key as it is printed, what it does in a word or two, and its action on the screen."""


class KeyLine(Widget):
    """As many keys as fit, the last of them always."""

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

    async def on_click(self, event: Click) -> None:
        event.stop()
        action = next((action for end, action in self._ends if event.x < end), None)
        if action is not None:
            await self.app.run_action(action, self.screen)

    def render(self) -> Text:
        width = self.size.width or 80
        *most, last = [(f"{key} {label}", action) for key, label, action in self._keys]
        room = width - len(last[0])
        text = Text(no_wrap=True)
        self._ends = []
        for words, action in most:
            if text.cell_len + len(words) + 2 > room:
                break
            text.append(f"{words}  ")
            self._ends.append((text.cell_len, action))
        text.append(last[0])
        self._ends.append((text.cell_len, last[1]))
        return text
