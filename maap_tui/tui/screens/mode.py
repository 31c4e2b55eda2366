"""ModeScreen: what every mode has: header, body, footer, and access to app and engine."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual import on
from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static
from textual.worker import Worker

from maap_tui.tui.host import OnHost
from maap_tui.tui.widgets.header_footer import FooterBar, HeaderBar

if TYPE_CHECKING:
    from maap_tui.tui.widgets.row_list import RowList


class ModeScreen(OnHost, Screen[None]):
    """A mode. Subclasses set `MODE`, compose `body`, and may have `sample` and `receive`."""

    CSS_PATH: ClassVar = "screen.tcss"
    """In the folder of the mode; read when it is first shown."""

    MODE: ClassVar[str] = ""
    """One of `keys.MODES`."""

    COMFORT: ClassVar = (60, 16)
    """Cells below which a mode says that it is too small, and shows what fits."""

    MINIMUM: ClassVar = (40, 10)
    """Cells below which it says nothing else."""

    _silence = ""
    """The line about an archive that does not answer."""

    _header: HeaderBar | None = None
    """None while the screen is made."""

    def __init__(self) -> None:
        super().__init__()
        # Textual gives a screen the classes of its size after its first styles, and then all styles again.
        app, (width, height) = self.app, self.app.size
        for cells, steps in ((width, app.HORIZONTAL_BREAKPOINTS), (height, app.VERTICAL_BREAKPOINTS)):
            self.add_class(max(step for step in steps or () if step[0] <= cells)[1], update=False)

    def compose(self) -> ComposeResult:
        self._header = HeaderBar(self.MODE)
        yield self._header
        yield Static(id="silence", markup=False)
        with Container(id="body"):
            yield from self.body()
        yield Static(id="too-small", markup=False)
        yield FooterBar(self.MODE, "lists", "everywhere")

    # Textual calls the handlers of every class in turn: those of a mode do not call these.

    def on_resize(self, event: Resize) -> None:
        width, height = event.size
        is_small = width < self.COMFORT[0] or height < self.COMFORT[1]
        self.set_class(is_small, "-small")
        self.set_class(width < self.MINIMUM[0] or height < self.MINIMUM[1], "-unusable")
        if is_small:
            self.query_one("#too-small", Static).update(
                f"{width}x{height} is too small, {self.COMFORT[0]}x{self.COMFORT[1]} needed"
            )

    def body(self) -> Iterable[Widget]:
        """The widgets between header and footer."""
        return ()

    def sample(self) -> None:
        """Called a few times a second while the mode is shown: repaint what changed."""
        if self._header is not None and self._header.is_attached:
            self._header.sample()
        self._show_silence()

    def _show_silence(self) -> None:
        """Show above the mode that the archive does not answer, since nothing new can come."""
        words = self.maap.backend.silence
        if words == self._silence:
            return
        self._silence = words
        for line in self.query("#silence").results(Static):
            line.update(f" {words}")
            line.display = bool(words)

    def on_screen_resume(self) -> None:
        self.sample()

    @on(Worker.StateChanged)
    def look_after_worker(self, event: Worker.StateChanged) -> None:
        """Pass a worker's state on to the app, which shows errors: the message stops at the screen."""
        self.maap.look_after_worker(event)

    # The actions of `lists` go to the list that has the focus, or the first one.

    @property
    def focused_list(self) -> RowList | None:
        """The list that the keys of lists act on."""
        from maap_tui.tui.widgets.row_list import RowList

        if isinstance(self.focused, RowList):
            return self.focused
        lists = self.query(RowList)
        return lists.first() if lists else None

    def action_mark(self) -> None:
        if (rows := self.focused_list) is not None:
            rows.toggle_mark()

    def action_mark_range(self) -> None:
        if (rows := self.focused_list) is not None:
            rows.mark_range()

    def action_mark_all(self) -> None:
        if (rows := self.focused_list) is not None:
            rows.mark_all()

    def action_invert(self) -> None:
        if (rows := self.focused_list) is not None:
            rows.invert_marks()

    def action_sort(self) -> None:
        rows = self.focused_list
        if rows is None:
            return
        keys = [column.key for column in rows.columns]
        if rows.sort_key is None:
            rows.sort_by(keys[0])
        elif not rows.sort_reversed:
            rows.sort_by(rows.sort_key, is_reversed=True)
        else:
            at = keys.index(rows.sort_key) + 1 if rows.sort_key in keys else len(keys)
            rows.sort_by(keys[at] if at < len(keys) else None)

    def action_sort_by(self) -> None:
        rows = self.focused_list
        if rows is None:
            return
        from maap_tui.tui.dialogs.sort import Choice, SortDialog

        def sort(choice: Choice | None) -> None:
            if choice is not None:
                rows.sort_by(choice[0], is_reversed=choice[1])

        self.app.push_screen(SortDialog(rows.columns), sort)

    def action_filter(self) -> None:
        """Ask for the filter of the list; subclasses with a filter line of their own override it."""
        from maap_tui.tui.widgets.filter_line import FilterLine

        lines = list(self.query(FilterLine))
        for line in lines:
            if len(lines) == 1 or line.target is self.focused_list:
                line.open()

    async def action_columns(self) -> None:
        rows = self.focused_list
        if rows is not None:
            from maap_tui.tui.dialogs.columns import ColumnsDialog

            self.app.push_screen(ColumnsDialog(rows))
