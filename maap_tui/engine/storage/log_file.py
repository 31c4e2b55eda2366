"""The log on disk: the last lines of the app's earlier and other runs, for who looks at them later.

JSON lines below the state folder, mode 0600. It is a convenience: it may be deleted at any time, and a
folder that refuses it is not a failure.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from maap_tui.engine.errors import MaapError
from maap_tui.engine.storage import files, locks

LIMIT = 512 * 1024
"""Bytes after which the older half of the file is dropped."""

LONGEST = 4000
"""Characters of one line that are kept."""

WAIT_S = 2.0
"""Seconds to wait for other processes that write."""

LEVELS = ("debug", "info", "warning", "error")
"""Levels of a line, the least first."""


class LogLine(NamedTuple):
    """One line of the log."""

    time: datetime
    level: str
    """One of `LEVELS`."""
    text: str


class LogFile:
    """The file, for one run of one process. Every method may be called from any thread, and blocks."""

    def __init__(self, file: Path, lock_file: Path, *, limit: int = LIMIT) -> None:
        """Take the file; nothing is opened.

        Args:
            file: where the lines are.
            lock_file: what its writers hold meanwhile.
            limit: bytes after which the older half is dropped.
        """
        self._file = file
        self._lock_file = lock_file
        self._limit = limit
        self._run = secrets.token_hex(4)

    def write(self, lines: Iterable[LogLine]) -> None:
        """Add lines at the end."""
        texts = [
            json.dumps(
                {
                    "time": line.time.astimezone(UTC).isoformat(),
                    "level": line.level,
                    "text": line.text[:LONGEST],
                    "run": self._run,
                }
            )
            for line in lines
        ]
        if not texts:
            return
        with suppress(MaapError), locks.lock(self._lock_file, timeout_s=WAIT_S, purpose="the log"):
            size = self._size()
            if size is not None and size + sum(len(one) + 1 for one in texts) <= self._limit:
                files.append_lines(self._file, texts, sync=False)
                return
            kept: list[str] = []
            room = self._limit // 2
            for one in reversed([*self._tail(self._limit), *texts]):
                room -= len(one) + 1
                if room < 0:
                    break
                kept.append(one + "\n")
            files.write_atomic(self._file, "".join(reversed(kept)), mode=0o600)

    def earlier(self) -> list[LogLine]:
        """What other runs wrote, in the order of its writing; [] when it cannot be read."""
        found = []
        for one in self._tail(self._limit):
            with suppress(ValueError, KeyError, TypeError, RecursionError, OverflowError):
                data = json.loads(one)
                time, level, text = datetime.fromisoformat(data["time"]), data["level"], data["text"]
                if data["run"] != self._run and level in LEVELS and isinstance(text, str):
                    found.append(LogLine(time.astimezone(UTC), level, text))
        return found

    def _size(self) -> int | None:
        """Bytes of the file; None when there is none."""
        try:
            return self._file.stat().st_size
        except OSError:
            return None

    def _tail(self, count: int) -> list[str]:
        """The last whole lines, so many bytes at most."""
        try:
            with open(self._file, "rb") as file:
                size = file.seek(0, os.SEEK_END)
                begin = max(0, size - count)
                file.seek(begin)
                lines = file.read(count).splitlines()
        except OSError:
            return []
        return [line.decode("ascii", "replace") for line in lines[1 if begin else 0 :]]
