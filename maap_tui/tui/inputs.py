"""InputTurns: keys and clicks are handed out one after the other, in the order in which they came.

Textual queues a key at the widget that has the focus and looks its binding up once it has come back: of keys
typed in a burst, those of different modes overtake one another, and a key may act in a mode that was not
there when it was typed; what is typed after enter goes to the field that enter ends. A click moves the focus
at once: what was typed before it would go to the field that was clicked.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from textual import events
from textual.app import App, ScreenStackError
from textual.dom import NoScreen
from textual.errors import NoWidget
from textual.timer import Timer
from textual.widget import Widget

from maap_tui.tui.messages import InputDone

Input = events.InputEvent | events.Paste

ACTING = (events.Key, events.Paste, events.MouseDown, events.MouseUp)
"""What others wait for; nothing waits for a mouse that only moves or scrolls."""

CHECK_S = 1.0
"""Seconds until it is checked that the widget a key or click went to still exists."""

LONGEST_S = 10.0
"""Seconds that a key or click may take before the next one is handed out anyway."""


class InputTurns:
    """The queue of what was typed and clicked."""

    def __init__(self, app: App[Any], hand_out: Callable[[Input], Awaitable[bool]]) -> None:
        """Take the app and what gives it an event whose turn it is, and says whether a widget has it now."""
        self._app = app
        self._hand_out = hand_out
        self._waiting: deque[Input] = deque()
        self._sent: InputDone | None = None
        """Posted behind the key or click being handled, to report its end; None between two."""
        self._behind: Widget | None = None
        """Where another one follows: what a binding posts, as enter in a field, is behind the first."""
        self._timer: Timer | None = None

    async def take(self, event: Input) -> None:
        """Hand an event out, at once or after those before it."""
        self._waiting.append(event)
        await self._go_on()

    async def end(self, done: InputDone) -> None:
        """The widget has handled what was sent before this message."""
        if done is not self._sent:
            return
        self._sent = None
        if self._timer is not None:
            self._timer.stop()
        target, self._behind = self._behind, None
        # A dialog that the key closed takes nothing more.
        if target is None or not self._is_on_top(target) or not self._send_behind(target):
            await self._go_on()

    def _is_on_top(self, target: Widget) -> bool:
        with suppress(NoScreen, ScreenStackError):
            return target.screen is self._app.screen
        return False

    async def _go_on(self) -> None:
        while self._waiting and self._sent is None:
            event = self._waiting.popleft()
            target = self._target_of(event)
            if target is not None and not target.is_attached:
                continue  # it was removed a moment ago: Textual would look for the parent that it had
            is_sent = await self._hand_out(event)
            if not isinstance(event, ACTING):
                continue
            target = target or self._app.focused or self._app.screen
            # Not sent, it was handled by the app, which may have posted the move of the focus to itself.
            if self._send_behind(target):
                self._behind = target if is_sent else None

    def _send_behind(self, target: Widget) -> bool:
        """Have the end of what a widget has in its queue reported; False when it takes no more messages."""
        done = InputDone()
        if not target.is_attached or not target.post_message(done):
            return False
        self._sent = done
        self._wait_for(done, target, LONGEST_S)
        return True

    def _target_of(self, event: Input) -> Widget | None:
        """The widget that a click is for; None for a key, which goes to the focused widget."""
        if not isinstance(event, events.MouseEvent):
            return None
        with suppress(NoWidget, ScreenStackError):
            return self._app.mouse_captured or self._app.get_widget_at(event.x, event.y)[0]
        return None

    def _wait_for(self, done: InputDone, target: Widget, longest_s: float) -> None:
        """Check again after a while: a widget that is removed drops the messages in its queue."""
        look = partial(self._look_for, done, target, longest_s - CHECK_S)
        self._timer = self._app.set_timer(CHECK_S, look)

    async def _look_for(self, done: InputDone, target: Widget, longest_s: float) -> None:
        if longest_s > 0 and target.is_attached and target.is_running:
            self._wait_for(done, target, longest_s)  # it exists, and is only busy
        else:
            if done is self._sent:
                self._behind = None
            await self.end(done)
