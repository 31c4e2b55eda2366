"""InputTurns: keys and clicks are handed out one after the other, in the order in which they came.

Textual queues a key at the widget that has the focus and looks its binding up once it has come back: of keys
typed in a burst, those of different modes overtake one another, and a key may act in a mode that was not
there when it was typed; what is typed after enter goes to the field that enter ends. A click moves the focus
at once: what was typed before it would go to the field that was clicked. A key that opens a field or a
dialog moves the focus only some messages later: what was typed behind it would go to the list that had the
focus before.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any

from textual import events
from textual.app import App, ScreenStackError
from textual.errors import NoWidget
from textual.screen import Screen
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

READY_S = 0.5
"""Seconds that keys wait for a screen to have read what they act on."""

LOOK_S = 0.01
"""Seconds between two looks whether it has."""

MOST_ROUNDS = 6
"""Rounds in which what a key began is waited for."""


def is_ready(screen: Screen[Any]) -> bool:
    """Whether a screen has read what its keys act on.

    One that reads a file of this machine first says so by its own `is_ready`; others have no such attribute.
    """
    return bool(getattr(screen, "is_ready", True))


class InputTurns:
    """The queue of what was typed and clicked."""

    def __init__(self, app: App[Any], hand_out: Callable[[Input], Awaitable[object]]) -> None:
        """Take the app and what gives it an event whose turn it is."""
        self._app = app
        self._hand_out = hand_out
        self._waiting: deque[Input] = deque()
        self._sent: InputDone | None = None
        """Posted behind the key or click being handled, to report its end; None between two."""
        self._target: Widget | None = None
        """What it was posted to."""
        self._rounds = 0
        self._seen: tuple[Widget | None, ...] = ()
        """The screen and the focus when the last round began."""
        self._timer: Timer | None = None
        self._unready: Screen[Any] | None = None
        """The screen that is waited for last, or was in vain."""
        self._ready_by = 0.0
        self._is_looking = False

    async def take(self, event: Input) -> None:
        """Hand an event out, at once or after those before it."""
        self._waiting.append(event)
        await self._go_on()

    async def end(self, done: InputDone) -> None:
        """The widget has handled what was sent before this message."""
        if done is self._sent:
            self._sent = None
            if self._timer is not None:
                self._timer.stop()
            if not self._follow():
                await self._go_on()

    def _follow(self) -> bool:
        """Send another message behind what the key began, until screen and focus stay; whether one was sent.

        The action of a key may post a message that opens a dialog, which takes the focus by another one.
        """
        try:
            now = self._app.screen, self._app.focused
        except ScreenStackError:
            return False
        if now == self._seen or self._rounds >= MOST_ROUNDS:
            return False
        # What the key was sent to may have a message of its own to handle, unless its screen is gone.
        before = self._target
        is_there = before is not None and before.is_attached and now[0] in before.ancestors_with_self
        self._rounds, self._seen = self._rounds + 1, now
        return self._send((before if is_there else None) or now[1] or now[0])

    def _send(self, target: Widget) -> bool:
        done = InputDone()
        if not target.is_attached or not target.post_message(done):
            return False
        self._sent, self._target = done, target
        self._wait_for(done, target, LONGEST_S)
        return True

    async def _go_on(self) -> None:
        while self._waiting and self._sent is None and self._is_ready():
            event = self._waiting.popleft()
            target = self._target_of(event)
            if target is not None and not target.is_attached:
                continue  # it was removed a moment ago: Textual would look for the parent that it had
            await self._hand_out(event)
            if isinstance(event, ACTING):
                # Also where the app handled it: it may have posted the move of the focus to itself.
                self._rounds, self._seen = 0, ()
                self._send(target or self._app.focused or self._app.screen)

    def _is_ready(self) -> bool:
        """Whether the screen has what keys act on; one that has not is looked at again in a moment."""
        try:
            screen = self._app.screen
        except ScreenStackError:
            return False  # the app ends
        if is_ready(screen):
            return True
        now = time.monotonic()
        if self._unready is not screen:
            self._unready, self._ready_by = screen, now + READY_S
        if now >= self._ready_by:
            return True
        if not self._is_looking:
            self._is_looking = True
            self._app.set_timer(LOOK_S, self._look_again)
        return False

    async def _look_again(self) -> None:
        self._is_looking = False
        await self._go_on()

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
            await self.end(done)
