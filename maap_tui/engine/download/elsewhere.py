"""What this user's other processes transfer, added up from the queue on disk."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from maap_tui.engine.download.queue_store import Process, Queue, Share, has_ended
from maap_tui.engine.download.tally import RATE_WINDOW_S

LEAST_S = 0.9
"""Seconds that a rate is taken over at least: processes write what they have twice a second."""


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """Transfers of live processes other than this one, at one moment."""

    shares: tuple[Share, ...] = ()
    """What each of them has, those with the most running transfers first."""
    rate: float = 0.0
    """Bytes a second that come to all of them; 0 while that is not known."""

    @property
    def active(self) -> int:
        """Files being fetched now."""
        return sum(one.running for one in self.shares)

    @property
    def queued(self) -> int:
        """Files in their queues, the ended ones included."""
        return sum(one.queued for one in self.shares)

    @property
    def done(self) -> int:
        """Files of these that have ended."""
        return sum(one.done for one in self.shares)

    @property
    def bytes_done(self) -> int:
        """Bytes that are here, parts included."""
        return sum(one.received for one in self.shares)

    @property
    def bytes_total(self) -> int:
        """Bytes of all files, as far as their sizes are known."""
        return max(self.bytes_done, sum(one.size for one in self.shares))

    @property
    def unknown(self) -> int:
        """Files whose size is not among them."""
        return sum(one.unknown for one in self.shares)


class Lookout:
    """Looks at the queue again and again. For one thread at a time."""

    def __init__(
        self,
        queue: Queue,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        """Take the queue, a clock that never jumps and one of seconds since 1970."""
        self._queue = queue
        self._clock = clock
        self._wall_clock = wall_clock
        self._stamp: int | None = None
        self._shares: list[Share] = []
        self._received: dict[Process, int] = {}
        self._marks: deque[tuple[float, int]] = deque()
        self._moved = 0

    @property
    def stamp(self) -> int | None:
        """What the queue's was at the last look; None before the first."""
        return self._stamp

    def look(self) -> Elsewhere:
        """What is there now; reads the queue only when another process has written to it."""
        stamp = self._queue.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._shares = self._queue.shares()
        now = self._wall_clock()
        alive = [one for one in self._shares if not has_ended(one.process, now - one.changed)]
        for one in alive:
            self._moved += max(0, one.received - self._received.get(one.process, one.received))
        self._received = {one.process: one.received for one in alive}
        alive.sort(key=lambda one: (-one.running, one.process))
        return Elsewhere(tuple(alive), self._rate() if alive else self._forget())

    def _rate(self) -> float:
        now = self._clock()
        self._marks.append((now, self._moved))
        while len(self._marks) > 2 and now - self._marks[0][0] > RATE_WINDOW_S:
            self._marks.popleft()
        begin, before = self._marks[0]
        return (self._moved - before) / (now - begin) if now - begin >= LEAST_S else 0.0

    def _forget(self) -> float:
        self._marks.clear()
        return 0.0
