"""Pacing: the rate that all files share, the waits that hosts ask for, connections that only drip."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Callable

from maap_tui.engine.download.requests import FailedTry, TransferRules

_PACE_CHECK_S = 0.5


class HostPause:
    """A wait that a host asked for, kept by everything that asks it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._until = 0.0

    def ask(self, seconds: float) -> None:
        self._until = max(self._until, self._clock() + seconds)

    async def wait(self) -> None:
        while (left := self._until - self._clock()) > 0:  # noqa: ASYNC110 - the end can move while it sleeps
            await asyncio.sleep(left)


class Pace:
    """Keeps all files of one Transfer together under a rate, which may change meanwhile."""

    def __init__(self, rate: float, clock: Callable[[], float]) -> None:
        self._rate = rate
        self._clock = clock
        self._taken = 0.0
        """Bytes that came, those still held back included."""
        self._passed = 0.0
        """Bytes let through at the moment `_since`."""
        self._since = clock()

    def set_rate(self, rate: float) -> None:
        """Go on at another rate, also for what is held back now; 0 for no limit."""
        self._passed, self._since = min(self._allowed(), self._taken), self._clock()
        self._rate = rate

    @property
    def is_limited(self) -> bool:
        """Whether there is a rate now; without one nothing is held back, and nothing needs to be counted."""
        return bool(self._rate)

    def _allowed(self) -> float:
        if not self._rate:
            return math.inf
        return self._passed + self._rate * (self._clock() - self._since)

    def hold_s(self, count: int) -> float:
        """About how long that many bytes will be held back, in seconds."""
        if not self._rate:
            return 0.0
        return (max(self._taken - self._allowed(), 0.0) + count) / self._rate

    async def take(self, count: int) -> float:
        """Hold back for as long as that many bytes take; returns the seconds it took."""
        if self._allowed() > self._taken:
            # Time in which nothing came is not saved up.
            self._passed, self._since = self._taken, self._clock()
        self._taken += count
        mine, begun = self._taken, self._clock()
        while (left := mine - self._allowed()) > 0:  # noqa: ASYNC110 - the rate can change while it sleeps
            await asyncio.sleep(min(left / self._rate, _PACE_CHECK_S))
        return self._clock() - begun


class RateWindow:
    """Distinguishes a connection that only drips from one that moves, by what the last seconds brought."""

    def __init__(self, rules: TransferRules, clock: Callable[[], float]) -> None:
        self._rules = rules
        self._clock = clock
        self._ours = 0.0
        self._begun = clock()
        self._arrivals: deque[tuple[float, int]] = deque()
        self._count = 0

    def check(self, count: int) -> None:
        """Take the bytes that just came; raises `FailedTry` when a whole window brought too few."""
        window = self._rules.rate_window_s
        now = self._clock() - self._ours
        if self._arrivals and now - self._arrivals[-1][0] < window / 100:
            then, before = self._arrivals.pop()
            self._arrivals.append((then, before + count))
        else:
            self._arrivals.append((now, count))
        self._count += count
        while self._arrivals[0][0] <= now - window:
            self._count -= self._arrivals.popleft()[1]
        if now - self._begun >= window and self._count < self._rules.min_rate * window:
            raise FailedTry(f"only {self._count} bytes came in {window:.0f} s", slow=True)

    def forgive(self, seconds: float) -> None:
        """Leave out a wait that was our own."""
        self._ours += seconds
