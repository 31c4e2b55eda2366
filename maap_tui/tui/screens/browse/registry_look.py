"""RegistryLook: what the registry has of the collections that are shown, counted again where it changed."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import TYPE_CHECKING

from maap_tui.engine.registry.entries import Key, Stats

if TYPE_CHECKING:
    from maap_tui.engine.session import Session

Name = tuple[str, str, str]
"""(collection, product type, baseline in upper case)."""


@dataclass(frozen=True, slots=True)
class Here:
    """What the registry has of one baseline."""

    stats: Stats
    days: int = 0
    """Sensing days with files here."""
    last: date | None = None
    """The last of them."""
    changed: datetime | None = None
    """When one of its files in the registry was last written."""
    size: int | None = None
    """Bytes on disk; None until they were summed."""


class RegistryLook:
    """All of it reads files and belongs in a thread; one call at a time."""

    def __init__(self, session: Session) -> None:
        """Take the session whose registry is looked at."""
        # The first screen is drawn before these are needed.
        from maap_tui.engine.registry.view import DiskUse
        from maap_tui.engine.registry.watch import Watch

        self._session = session
        self._watch = Watch(session.registry)
        self._keys: dict[Name, Key] = {}
        self._unread: set[Name] = set()
        self._unsized: set[Name] = set()
        self._disk_use = DiskUse()
        self.here: dict[Name, Here] = {}

    def look(self, collections: Collection[str]) -> None:
        """Count the baselines of these collections that are not counted yet or changed.

        Raises:
            RegistryError: the registry cannot be read.
        """
        keys, changed = self._watch.poll()
        self._keys = {_name_of(key): key for key in keys}
        self.here = {name: here for name, here in self.here.items() if name in self._keys}
        self._unsized &= self.here.keys()
        self._unread |= {_name_of(key) for key in changed}
        for name, key in self._keys.items():
            if name[0] in collections and (name in self._unread or name not in self.here):
                self.here[name] = self._count(name, key)
                self._unread.discard(name)
                self._unsized.add(name)

    def _count(self, name: Name, key: Key) -> Here:
        tracker = self._session.registry.baseline(key)
        days = [day.day for day in tracker.days() if day.here]
        return Here(
            tracker.stats(), len(days), max(days, default=None), self._watch.changed_at(key),
            self.here[name].size if name in self.here else None,
        )  # fmt: skip

    @property
    def tracked(self) -> set[Name]:
        """The baselines that the registry follows."""
        return set(self._keys)

    def measure(self, names: Collection[Name], go_on: Callable[[], bool]) -> bool:
        """Sum what baselines take on disk where that changed, as long as `go_on` says so.

        Returns whether a sum is new; what was measured when it stops is remembered.

        Raises:
            RegistryError: a list of downloads cannot be read.
        """
        is_new = False
        for name in self._unsized.intersection(names):
            tracker = self._session.registry.baseline(self._keys[name])
            size = self._disk_use.measure(tracker, tracker.days(), go_on)
            if size is None:
                break
            self._unsized.discard(name)
            self.here[name] = replace(self.here[name], size=size)
            is_new = True
        return is_new


def _name_of(key: Key) -> Name:
    return key.collection, key.product_type, key.baseline.upper()
