"""Done: which files are downloaded, asked for many of a few days at a time."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from maap_tui.engine.registry.entries import Key, TrackedFile
from maap_tui.engine.registry.registry import Registry


class Done:
    """What was downloaded of the days that a search is at: read once a day, however many pages that has."""

    def __init__(self, registry: Registry, *, reads_discovered: bool = False) -> None:
        """Take what knows it; read nothing.

        Args:
            registry: what knows it.
            reads_discovered: whether to read what was discovered too, where nobody else does before.
        """
        self._registry = registry
        self._reads_discovered = reads_discovered
        self._days: dict[tuple[Key, date], set[str] | None] = {}

    def has(self, file: TrackedFile) -> bool | None:
        """Whether a file was downloaded; None when the lists of its day cannot be read."""
        key, day = file.key, file.day
        baseline = self._registry.baseline(key)
        if (key, day) not in self._days:
            if self._reads_discovered:
                for _ in baseline.urls(day, day):
                    pass
            found = {one.url for one in baseline.downloads(day, day)}
            self._days[key, day] = None if baseline.is_unreadable(day, ("url", "dwl")) else found
        done = self._days[key, day]
        return None if done is None else file.url in done

    def leave_all_but(self, files: Iterable[TrackedFile]) -> None:
        """Forget the other days: pages come in the order of days."""
        kept = {(file.key, file.day) for file in files}
        self._days = {day: done for day, done in self._days.items() if day in kept}
