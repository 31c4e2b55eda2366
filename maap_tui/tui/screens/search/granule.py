"""GranuleDialog: everything about a granule: its facts, its track on a map, its quicklook, its variables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widgets import Static

from maap_tui.engine.errors import MaapError
from maap_tui.engine.headers import headers_of, is_data_file, lines_of
from maap_tui.engine.model import Granule
from maap_tui.engine.workflows.files_here import files_here
from maap_tui.text import clean
from maap_tui.tui.dialogs.command_dialog import CommandDialog
from maap_tui.tui.dialogs.dialog import CLOSES
from maap_tui.tui.screens.search.command_values import values_of
from maap_tui.tui.screens.search.granule_words import granule_words
from maap_tui.tui.screens.search.picture_view import PictureView
from maap_tui.tui.screens.search.results import Result
from maap_tui.tui.screens.search.track_map import TrackMap
from maap_tui.tui.widgets.hanging_text import HangingText
from maap_tui.tui.widgets.key_line import KeyLine, KeyWords
from maap_tui.tui.workers import start_worker

KEYS: tuple[KeyWords, ...] = (
    ("n", "next", "step(1)"),
    ("N", "previous", "step(-1)"),
    ("d", "fetch", "queue"),
    ("v", "picture", "view('picture')"),
    ("h", "headers", "view('headers')"),
    ("x", "cut", "cut"),
    ("y", "id", "copy"),
    ("u", "URL", "copy_url"),
    CLOSES,
)

VIEWS = ("facts", "picture", "headers")
"""What the dialog can show; each is the id of a widget."""

MOST_LINES = 2000
"""Lines of the headers of a file that are shown; `maap show` prints all."""
LONGEST_LINE = 400
"""Characters of one of them."""


@dataclass(frozen=True)
class ResultDeeds:
    """What the screen of the results does for what is shown above it."""

    queue: Callable[[Result], object]
    """Queues the files of a result."""
    follow: Callable[[], object]
    """Looks at what became of files that were queued."""
    cut: Callable[[Granule], object]
    """Opens the dialog that cuts parts out of a granule."""
    overpasses: Callable[[str], object]
    """Lists the overpasses of a place, as it is typed."""


class GranuleDialog(CommandDialog[Result]):
    """Gives back the result that was shown last. What was dropped to save memory is fetched again."""

    BINDINGS: ClassVar = [
        Binding("escape,enter,q", "close", "Close", show=False),
        Binding("j", "down", "Down", show=False),
        Binding("k", "up", "Up", show=False),
        Binding("n", "step(1)", "Next", show=False),
        Binding("N", "step(-1)", "Previous", show=False),
        Binding("d", "queue", "Fetch", show=False),
        Binding("v", "view('picture')", "Picture", show=False),
        Binding("h", "view('headers')", "Headers", show=False),
        Binding("x", "cut", "Cut", show=False),
        Binding("y", "copy", "Copy the id", show=False),
        Binding("u", "copy_url", "Copy the URL", show=False),
    ]

    def __init__(
        self, result: Result, among: Sequence[Result] = (), deeds: ResultDeeds | None = None
    ) -> None:
        """Take what is shown.

        Args:
            result: shown first.
            among: the results to go through, with that one; () for it alone.
            deeds: what can be done with a result; None for nothing.
        """
        super().__init__()
        self._among = among or (result,)
        self._at = next((at for at, one in enumerate(self._among) if one is result), 0)
        self._deeds = deeds
        self._result = result
        self._granule = result.granule
        self._problem = ""
        """Why the rest of the granule is not known."""
        self._state_shown = result.state
        self._view = "facts"

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog -wide -high"):
            yield Static(clean(self._granule.id), markup=False, classes="question", id="title")
            with Horizontal(id="granule"):
                with VerticalScroll(id="facts"):
                    yield HangingText(id="words")
                yield PictureView(id="picture")
                with VerticalScroll(id="headers"):
                    yield Static("", markup=False, id="header-words")
                yield TrackMap(id="track")
            yield KeyLine(self._keys())

    def _keys(self) -> list[KeyWords]:
        """Its own keys, that of what it shows named after the way back, and those of the user's commands."""
        back = f"view('{self._view}')"
        own = [(key, "facts" if action == back else label, action) for key, label, action in KEYS]
        return self.with_commands(own)

    def subjects(self) -> Callable[[], list[dict[str, str]]]:
        """What is shown, for a command of the user's."""
        filing, result = self.maap.backend.session.filing, self._result
        return lambda: [values_of(filing, result)]

    def on_mount(self) -> None:
        self.query_one("#facts").focus()
        self._say()
        self._complete()

    def sample(self) -> None:
        """Follow the state of its files."""
        if self._deeds is not None:
            self._deeds.follow()
        if self._result.state != self._state_shown:
            self._say()
            if self._view == "headers":
                self._look()

    def _complete(self) -> None:
        for group in ("granule", "look"):
            self.workers.cancel_group(self, group)
        if not self._result.is_whole:
            start_worker(self, self._fetch, group="granule", exclusive=True)
        else:
            self._look()

    async def _fetch(self) -> None:
        granule = self._granule
        try:
            found = await self.maap.backend.ask(lambda session: session.find(granule.collection, granule.id))
        except MaapError as error:
            self._problem = f"not available: {error.message}"
        else:
            self._granule = found or granule
            self._problem = "" if found else "the archive has it no longer"
        self._say()
        self._look()

    def _say(self) -> None:
        self._state_shown = self._result.state
        self.query_one(HangingText).show(self.words())
        self.query_one(TrackMap).show(self._granule, is_here=self._result.is_here)

    @property
    def _waiting(self) -> str:
        """What stands in place of what the row of a long list lacks; '' once all of it is known."""
        is_waiting = not self._result.is_whole and self._granule is self._result.granule
        return self._problem or ("asking the archive for the rest..." if is_waiting else "")

    def words(self) -> Text:
        """All of it as text."""
        return granule_words(self._result, self._granule, self._waiting)

    def action_view(self, view: str) -> None:
        """Show the picture or the headers, or the facts again."""
        self._view = "facts" if view == self._view else view
        # Not of the screen: what is below it would be drawn again too.
        for one in VIEWS:
            self.query_one("#granule").set_class(one == self._view, f"-{one}")
        self.query_one(KeyLine).show(self._keys())
        self.query_one(f"#{self._view}").focus()
        # What it shows depends on its size, which it has after the next drawing.
        self.call_after_refresh(self._look)

    def _look(self) -> None:
        """Find what the view shows of this granule; nothing is fetched for one that is not shown."""
        if self._view == "picture":
            start_worker(self, self._show_picture, group="look", exclusive=True)
        elif self._view == "headers":
            start_worker(self, self._show_headers, group="look", exclusive=True)

    @on(PictureView.Resized)
    def draw_picture_again(self) -> None:
        """Draw it for the room that there is now; one that is coming is drawn for that anyway."""
        is_coming = any(
            one.node is self and one.group == "look" and not one.is_finished for one in self.workers
        )
        if self._view == "picture" and not is_coming:
            self._look()

    async def _show_picture(self) -> None:
        shown, backend, granule = self.query_one(PictureView), self.maap.backend, self._granule
        if waiting := self._waiting:
            shown.say(waiting)
            return
        shown.say("Fetching the quicklook...")
        try:
            data = await backend.ask(lambda session: backend.quicklooks.get(session, granule, to_show=True))
            await shown.paint(data)
        except MaapError as error:
            shown.say(error.sentences)

    async def _show_headers(self) -> None:
        shown, granule = self.query_one("#header-words", Static), self._granule
        shown.update("Reading the headers...")
        paths = await asyncio.to_thread(files_here, self.maap.backend.session, granule)
        wanted = [path for path in paths.values() if is_data_file(path)]
        text = Text()
        if not paths:
            text.append("None of its files is here: d downloads.")
        elif not wanted:
            text.append("Its files here are neither HDF5 nor netCDF.")
        for path in wanted:
            text.append(f"{clean(path.name)}\n", "bold underline")
            try:
                for words, is_attribute in lines_of(await headers_of(path), MOST_LINES):
                    text.append(f"{clean(words, LONGEST_LINE)}\n", "dim" if is_attribute else "")
            except MaapError as error:
                words = error.sentences.removeprefix(f"{path.name}: ")  # which stands above
                text.append(f"  {clean(words)}\n")
        shown.update(text)

    @property
    def _scrolled(self) -> VerticalScroll:
        return self.query_one("#headers" if self._view == "headers" else "#facts", VerticalScroll)

    def action_down(self) -> None:
        self._scrolled.scroll_down(animate=False)

    def action_up(self) -> None:
        self._scrolled.scroll_up(animate=False)

    def action_step(self, by: int) -> None:
        at = self._at + by
        if not 0 <= at < len(self._among):
            self.maap.notify("There is no next granule." if by > 0 else "This is the first one.", timeout=3)
            return
        self._at, self._result = at, self._among[at]
        self._granule, self._problem = self._result.granule, ""
        self.query_one("#title", Static).update(clean(self._granule.id))
        self._say()
        self._scrolled.scroll_home(animate=False)
        self._complete()

    def action_queue(self) -> None:
        if self._deeds is not None:
            self._deeds.queue(self._result)

    def action_cut(self) -> None:
        if self._deeds is not None:
            self._deeds.cut(self._granule)

    def action_copy(self) -> None:
        self.maap.copy_text(self._granule.id, "Copied the name")

    def action_copy_url(self) -> None:
        files = self._result.files or self._granule.assets
        if files:
            self.maap.copy_text(files[0].href, "Copied the URL")
        else:
            self.maap.notify("It has no file.", timeout=3)

    def action_close(self) -> None:
        self.dismiss(self._result)
