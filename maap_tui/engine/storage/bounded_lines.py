"""A file of lines that stays small: the older half goes when it is full.

Mode 0600. What is in it is a convenience: it may be deleted at any time, and a folder that refuses it is not
a failure.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from maap_tui.engine.errors import MaapError
from maap_tui.engine.storage import files, locks

WAIT_S = 2.0
"""Seconds to wait for other processes that write."""


class BoundedLines:
    """The file. Every method may be called from any thread and process, and blocks."""

    def __init__(self, file: Path, lock_file: Path, limit: int, *, purpose: str) -> None:
        """Take the file; nothing is opened.

        Args:
            file: where the lines are.
            lock_file: what its writers hold meanwhile.
            limit: bytes after which the older half is dropped.
            purpose: what the lock is held for, in the words that others get.
        """
        self._file = file
        self._lock_file = lock_file
        self._limit = limit
        self._purpose = purpose

    def add(self, texts: Sequence[str]) -> bool:
        """Add ASCII lines at the end; returns whether they are there."""
        if not texts:
            return True
        with suppress(MaapError), locks.lock(self._lock_file, timeout_s=WAIT_S, purpose=self._purpose):
            size = files.size_of(self._file)
            if size is not None and size + sum(len(one) + 1 for one in texts) <= self._limit:
                files.append_lines(self._file, texts, sync=False)
                return True
            kept: list[str] = []
            room = self._limit // 2
            for one in reversed([*self.read(), *texts]):
                room -= len(one) + 1
                if room < 0:
                    break
                kept.append(one + "\n")
            files.write_atomic(self._file, "".join(reversed(kept)), mode=0o600)
            return True
        return False

    def read(self) -> list[str]:
        """The last whole lines, oldest first; [] when it cannot be read."""
        try:
            with open(self._file, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                begin = max(0, size - self._limit)
                file.seek(begin)
                lines = file.read(self._limit).splitlines()
        except OSError:
            return []
        return [line.decode("ascii", "replace") for line in lines[1 if begin else 0 :]]
