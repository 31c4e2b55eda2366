"""ClosesOnce: a screen that closes itself and no other, however often it is asked."""

from __future__ import annotations

from typing import TypeVar

from textual import events
from textual.await_complete import AwaitComplete
from textual.screen import Screen

Result = TypeVar("Result")


class ClosesOnce(Screen[Result]):
    """A screen on top of others that two keys or clicks in a row close only once.

    Textual takes the topmost screen away, whichever it is: the one below, for a second click on a button, or
    one that has come on top meanwhile; of the last screen there is the app ends.
    """

    _is_closed = False
    _awaited: tuple[Result | None] | None = None
    """The result with which it closes as soon as it is on top again."""

    def dismiss(self, result: Result | None = None) -> AwaitComplete:
        """Close it with a result, at once or when what is on top of it has closed."""
        if self._is_closed:
            return AwaitComplete()
        if not self.is_active:
            self._awaited = (result,)
            return AwaitComplete()
        self._is_closed = True
        return super().dismiss(result)

    def on_screen_resume(self, event: events.ScreenResume) -> None:
        if self._awaited is not None:
            self.dismiss(*self._awaited)
