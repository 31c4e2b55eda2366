"""Silence: since when the hosts that are asked have given no sign of life; pure but for the clock."""

from __future__ import annotations

import time
from collections.abc import Callable


class Silence:
    """Counts every request and every byte that comes. For one thread; others may read it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._awaited: dict[object, float] = {}
        """Requests of which something is awaited, with the time since when."""
        self._heard_at = clock()
        self._lost_at: float | None = None
        self._failed_since = 0.0

    def awaiting(self) -> _Awaiting:
        """While this context lasts, something has to come."""
        return _Awaiting(self)

    def begin(self, mark: object) -> None:
        """Something is awaited from now on."""
        self._awaited[mark] = self._clock()

    def end(self, mark: object, *, failed: bool) -> None:
        """It came, or failed to come."""
        if failed:
            self._failed_since = self._since()
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


class _Awaiting:
    """Something that is awaited; not a generator, as there are several of them a file."""

    __slots__ = ("_silence",)

    def __init__(self, silence: Silence) -> None:
        self._silence = silence

    def __enter__(self) -> None:
        self._silence.begin(self)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._silence.end(self, failed=kind is not None)
