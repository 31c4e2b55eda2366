"""Silence: since when the hosts that are asked have given no sign of life; pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Silence:
    """Counts every request and every byte that comes. For one thread; others may read it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._awaited: dict[object, float] = {}
        """Requests of which something is awaited, with the time since when."""
        self._heard_at = clock()
        self._lost_at: float | None = None
        self._failed_since = 0.0

    @contextmanager
    def awaiting(self) -> Iterator[None]:
        """While this lasts, something has to come."""
        mark = object()
        self._awaited[mark] = self._clock()
        try:
            yield
        except BaseException:
            self._failed_since = self._since()
            raise
        finally:
            del self._awaited[mark]

    def note_answer(self) -> None:
        """Something came."""
        self._heard_at, self._lost_at = self._clock(), None

    def lose(self) -> None:
        """What was awaited last did not come, and its host gave no sign of life."""
        if self._lost_at is None:
            self._lost_at = self._failed_since

    def _since(self) -> float:
        return max(self._heard_at, min(list(self._awaited.values()), default=self._clock()))

    @property
    def is_lost(self) -> bool:
        """Whether the request that ended last brought no sign of life."""
        return self._lost_at is not None

    @property
    def seconds(self) -> float:
        """How long it has lasted; 0 while nothing is awaited and nothing was lost."""
        since = self._lost_at
        if since is None:
            if not self._awaited:
                return 0.0
            since = self._since()
        return max(0.0, self._clock() - since)
