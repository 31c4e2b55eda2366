"""Dialog: a modal screen whose workers' errors are shown like everyone else's."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar, cast

from textual import on
from textual.screen import ModalScreen
from textual.worker import Worker, WorkerState

if TYPE_CHECKING:
    from maap_tui.tui.app import MaapApp

Result = TypeVar("Result")


class Dialog(ModalScreen[Result]):
    """Base of the dialogs that work while they are open."""

    @property
    def maap(self) -> MaapApp:
        return cast("MaapApp", self.app)

    @on(Worker.StateChanged)
    def look_after_worker(self, event: Worker.StateChanged) -> None:
        """Show what went wrong: this message does not come to the app by itself."""
        if event.state is WorkerState.ERROR and event.worker.error is not None:
            self.maap.show_error(event.worker.error)
