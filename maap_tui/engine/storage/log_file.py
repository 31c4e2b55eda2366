"""The log on disk: the last lines of the app's earlier and other runs, for who looks at them later.

JSON lines below the state folder, mode 0600. It is a convenience: it may be deleted at any time, and a
folder that refuses it is not a failure.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from maap_tui.engine.storage.bounded_lines import BoundedLines

LIMIT = 512 * 1024
"""Bytes after which the older half of the file is dropped."""

LONGEST = 4000
"""Characters of one line that are kept."""

LEVELS = ("debug", "info", "warning", "error")
"""Levels of a line, the least first."""


class LogLine(NamedTuple):
    """One line of the log."""

    time: datetime
    level: str
    """One of `LEVELS`."""
    text: str
    run: str = ""
    """What distinguishes the run that wrote it; '' for the run of this process."""


class LogFile:
    """The file, for one run of one process. Every method may be called from any thread, and blocks."""

    def __init__(self, file: Path, lock_file: Path, *, limit: int = LIMIT) -> None:
        """Take the file; nothing is opened.

        Args:
            file: where the lines are.
            lock_file: what its writers hold meanwhile.
            limit: bytes after which the older half is dropped.
        """
        self._lines = BoundedLines(file, lock_file, limit, purpose="the log")
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
        self._lines.add(texts)

    def earlier(self) -> list[LogLine]:
        """What other runs wrote, in the order of its writing; [] when it cannot be read."""
        found = []
        for one in self._lines.read():
            with suppress(ValueError, KeyError, TypeError, RecursionError, OverflowError):
                data = json.loads(one)
                time, level, text = datetime.fromisoformat(data["time"]), data["level"], data["text"]
                if data["run"] != self._run and level in LEVELS and isinstance(text, str):
                    found.append(LogLine(time.astimezone(UTC), level, text, str(data["run"])))
        return found
