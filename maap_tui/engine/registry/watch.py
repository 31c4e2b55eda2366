"""Which baselines of the registry changed, seen from times and sizes; nothing is read or written."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

from maap_tui.engine.registry.baseline import BaselineRegistry
from maap_tui.engine.registry.entries import Key, Kind
from maap_tui.engine.registry.registry import Registry

_KINDS: Final[tuple[Kind, ...]] = ("url", "dwl", "mrk")
_HOT_S: Final = 5.0
"""Seconds for which a baseline is looked at each time after a writer took its lock, before it writes."""
_DUTY: Final = 10.0
"""Times its own length that a look at all day files stays away before the next one."""


class Watch:
    """Notices which baselines changed, by the times and sizes of their files; reads none of them.

    The note that our writers leave beside their lock is looked at each time. All day files, which
    other programs may change too, are looked at as often as a tenth of the time allows.
    """

    def __init__(self, registry: Registry, clock: Callable[[], float] = time.monotonic) -> None:
        """Take the registry and a clock that never jumps, in seconds."""
        self._registry = registry
        self._clock = clock
        self._notes: dict[Key, list[tuple[int, int]]] = {}
        self._hot: dict[Key, float] = {}
        self._seen: dict[Key, int] = {}
        self._newest: dict[Key, int] = {}
        self._next_look = 0.0

    def poll(self) -> tuple[list[Key], list[Key]]:
        """Give every baseline there is, sorted, and those of them that changed since the last call.

        Raises:
            RegistryError: the registry folder is there and cannot be read.
        """
        keys = self._registry.tracked()
        for gone in self._seen.keys() - set(keys):
            del self._seen[gone]
        now = self._clock()
        looks_at_all = now >= self._next_look
        changed = []
        for key in keys:
            tracker = self._registry.baseline(key)
            if self._note_changed(key, tracker):
                self._hot[key] = now + _HOT_S
            if looks_at_all or key not in self._seen or self._hot.get(key, 0.0) > now:
                fingerprint, self._newest[key] = _fingerprint(tracker)
                if self._seen.get(key) != fingerprint:
                    self._seen[key] = fingerprint
                    changed.append(key)
        if looks_at_all:
            after = self._clock()
            self._next_look = after + (after - now) * _DUTY
        return keys, changed

    def changed_at(self, key: Key) -> datetime | None:
        """When a file of the baseline was last written; None before `poll` has seen one."""
        newest = self._newest.get(key, 0)
        return datetime.fromtimestamp(newest / 1e9, UTC) if newest else None

    def _note_changed(self, key: Key, tracker: BaselineRegistry) -> bool:
        note = []
        for path in tracker.lock_files:
            with contextlib.suppress(OSError):
                status = os.stat(f"{path}.holder")
                note.append((status.st_mtime_ns, status.st_ino))
        if not note or self._notes.get(key) == note:
            return False
        self._notes[key] = note
        return True


def _fingerprint(tracker: BaselineRegistry) -> tuple[int, int]:
    """Fold names, times and sizes of all files of a baseline into one number; and the newest time, in ns."""
    folded, newest = 0, 0
    folders = [str(tracker.folder(kind)) for kind in _KINDS]
    if tracker.deletions_folder is not None:
        folders.append(str(tracker.deletions_folder))
    while folders:
        folder = folders.pop()
        try:
            with os.scandir(folder) as found:
                for item in found:
                    if item.name.endswith(".txt"):
                        status = item.stat()
                        # Summed, so that the order in which a folder lists its files does not matter.
                        folded += hash((item.path, status.st_mtime_ns, status.st_size, status.st_ino))
                        newest = max(newest, status.st_mtime_ns)
                    elif item.is_dir():
                        folders.append(item.path)
        except FileNotFoundError:
            continue
        except OSError as error:
            # So that it is looked at when it cannot be read any more, and when it can be again.
            folded += hash((folder, error.errno))
    return folded, newest
