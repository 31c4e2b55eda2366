"""WorkLine: the line below the mode that says how far the running action is."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from maap_tui.text import clean
from maap_tui.tui.screens.registry.actions import Work


class WorkLine(Static):
    """There only while an action runs."""

    def __init__(self) -> None:
        super().__init__("", markup=False, id="work")
        self._words = ""

    def show(self, work: Work | None) -> None:
        """Show how far it is; None for no action."""
        words = work.words if work is not None else ""
        if words != self._words:
            self._words = words
            self.display = bool(words)
            self.update(Text(clean(words)))

    def hide(self) -> None:
        """Show no action as running while the user is asked about it; the next `show` ends that."""
        self.display = False
        self._words = ""
