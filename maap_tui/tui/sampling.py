"""When the app looks at the engine: often while something happens, seldom at rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, Protocol

REST_AFTER_S: Final = 5.0
"""Seconds without a key, a click or work after which the app is at rest."""
AT_REST_S: Final = 2.0
"""Seconds between two looks at rest: an app that is left open all day costs next to nothing."""


class Ticking(Protocol):
    """A timer of Textual's."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class HasTimers(Protocol):
    """What makes timers: the app."""

    def set_interval(
        self, interval: float, callback: Callable[[], None] | None = None, *, pause: bool = False
    ) -> Ticking: ...


class Sampling:
    """Calls a function again and again, at two rates; all methods run in the app's loop."""

    def __init__(
        self,
        look: Callable[[], None],
        is_busy: Callable[[], bool],
        interval_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Say what is called how often.

        Args:
            look: what is called.
            is_busy: whether something happens that is to be seen at once.
            interval_s: seconds between two calls when the app is not at rest.
            clock: seconds of a clock that never goes back.
        """
        self._look = look
        self._is_busy = is_busy
        self._interval_s = interval_s
        self._clock = clock
        self._busy_at = clock()
        self._often: Ticking | None = None
        self._seldom: Ticking | None = None
        self.at_rest = False

    def start(self, timers: HasTimers) -> None:
        """Begin to call it."""
        self._often = timers.set_interval(self._interval_s, self._tick)
        self._seldom = timers.set_interval(max(AT_REST_S, self._interval_s), self._tick, pause=True)

    def wake(self) -> None:
        """Call it often again: a key or a click came."""
        self._busy_at = self._clock()
        if self.at_rest:
            self._turn(at_rest=False)

    def _tick(self) -> None:
        if self._is_busy():
            self.wake()
        elif not self.at_rest and self._clock() - self._busy_at >= REST_AFTER_S:
            self._turn(at_rest=True)
        self._look()

    def _turn(self, *, at_rest: bool) -> None:
        assert self._often is not None and self._seldom is not None
        self.at_rest = at_rest
        going, resting = (self._seldom, self._often) if at_rest else (self._often, self._seldom)
        resting.pause()
        going.resume()
