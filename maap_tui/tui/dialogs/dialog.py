"""Dialog: a modal screen whose workers' errors are shown as those of all screens are."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual import events, on
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.worker import Worker, WorkerState

from maap_tui.tui.closing import ClosesOnce
from maap_tui.tui.host import OnHost
from maap_tui.tui.textual_compat import bindings_of, drop_notifications
from maap_tui.tui.widgets.key_line import KeyWords

Result = TypeVar("Result")

MOST_ROWS = 12
"""Lines that a list in a dialog has at most, its titles among them; it scrolls then."""

CLOSES: KeyWords = ("esc", "closes", "escape")
"""The last key of each dialog's line of keys."""


class Dialog(OnHost, ModalScreen[Result], ClosesOnce[Result]):
    """Base of all dialogs: a click beside it, or on the words that say how it closes, acts as Escape."""

    BINDINGS: ClassVar = [Binding("ctrl+c", "app.help_quit", "How to quit", show=False)]
    closes_beside: ClassVar[bool] = True
    """Whether a click beside it closes it; not for dialogs in which something is typed."""

    def on_mount(self) -> None:
        # It answers what a notification said to be under way, which would lie over its keys.
        drop_notifications(self.app, "information")

    async def on_click(self, event: events.Click) -> None:
        if event.widget is self and self.closes_beside:
            event.stop()
            await self.action_escape()

    async def action_escape(self) -> None:
        """Do what the key does."""
        for binding in bindings_of(self, "escape"):
            await self.app.run_action(binding.action, self)

    @on(Worker.StateChanged)
    def look_after_worker(self, event: Worker.StateChanged) -> None:
        """Show the error of a worker: its message does not reach the app by itself."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.maap.show_error(event.worker.error)
