"""Preview: what matters of the granule under the cursor, and its track on a small map; asks nobody."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.timer import Timer
from textual.widgets import Static

from maap_tui.text import clean
from maap_tui.tui.host import OnHost
from maap_tui.tui.screens.search.granule_words import preview_words
from maap_tui.tui.screens.search.results import Result
from maap_tui.tui.screens.search.track_map import TrackMap

REST_S = 0.15
"""Seconds that the cursor rests until its granule is shown."""

COLUMNS, LINES = 120, 30
"""Cells of the screen from which on the preview has room, and opens by itself."""


class Preview(OnHost, Vertical):
    """The pane; the screen says where the cursor is."""

    def __init__(self) -> None:
        super().__init__(id="preview")
        self._timer: Timer | None = None
        self._next: Result | None = None
        self._shown: tuple[object, ...] = (None,)

    def compose(self) -> ComposeResult:
        yield Static("", markup=False, classes="pane-title", id="preview-title")
        with Horizontal():
            yield Static("", markup=False, id="preview-words")
            yield TrackMap(id="preview-track")

    def on_mount(self) -> None:
        self.query_one(TrackMap).visible = False

    async def on_click(self) -> None:
        """Show it whole, as a second click on its row does."""
        await self.app.run_action("show", self.screen)

    def follow(self, result: Result | None) -> None:
        """Show a result once the cursor rests on it."""
        if self._timer is not None:
            self._timer.stop()
        self._next = result
        self._timer = self.set_timer(REST_S, self._rest)

    def _rest(self) -> None:
        self._timer = None
        self.show(self._next)

    def keep_up(self, result: Result | None) -> None:
        """Show what changed of the result under the cursor, unless the cursor moves."""
        if self._timer is None:
            self.show(result)

    def show(self, result: Result | None) -> None:
        """Show a result; None for none. What is shown already is not drawn again."""
        now = (None,) if result is None else (result.granule.id, result.state, result.is_here, result.size)
        if now == self._shown:
            return
        self._shown = now
        title, words = self.query_one("#preview-title", Static), self.query_one("#preview-words", Static)
        title.update("" if result is None else clean(result.granule.id))
        words.update(Text() if result is None else preview_words(result))
        self.query_one(TrackMap).visible = result is not None  # coasts alone say nothing
        self.query_one(TrackMap).show(
            None if result is None else result.granule, is_here=result is not None and result.is_here
        )
