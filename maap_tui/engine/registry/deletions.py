"""Which marked files clean-ups deleted, so that no view counts them as here without a look at the disk.

One text file a day below the state folder, beside the journal: `deleted|PATH`, or `back|PATH` for one
that came again; the last line about a path counts. Deleting them loses no data and no registry line:
such files are counted as here again until `verify` has looked at them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from maap_tui.engine.errors import StorageError
from maap_tui.engine.storage import files


class Deletions:
    """The list of deleted files below one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "cleaned"

    def folder(self, names: str) -> Path:
        """Below which folder the days of a baseline are; `names` as for `day_file`."""
        return self._root / names

    def day_file(self, names: str, day: date) -> Path:
        """Which file holds a day of a baseline; `names` are those of its folders, joined by slashes."""
        return self.folder(names) / f"{day:%Y}" / f"cln_{day:%Y%m%d}.txt"

    def load(self, names: str, day: date) -> frozenset[bytes]:
        """The paths of a day that are deleted."""
        last: dict[bytes, bytes] = {}
        with contextlib.suppress(StorageError):
            for line in files.read_data(self.day_file(names, day)).splitlines():
                word, separator, path = line.partition(b"|")
                if separator and path:
                    last[path] = word
        return frozenset(path for path, word in last.items() if word == b"deleted")

    def note(self, names: str, day: date, deleted: Iterable[str] = (), back: Iterable[str] = ()) -> None:
        """Write down what was deleted and what came again; a folder that refuses it is not a failure."""
        lines = [*(f"deleted|{path}" for path in deleted), *(f"back|{path}" for path in back)]
        with contextlib.suppress(StorageError):
            files.append_lines(self.day_file(names, day), lines, sync=False)

    def settle(self, names: str, day: date, deleted: Iterable[str], here: Iterable[str]) -> None:
        """Bring a day in line with what a look at the disk found."""
        known = self.load(names, day)
        gone = [path for path in deleted if path.encode("utf-8", "surrogateescape") not in known]
        back = [path for path in here if path.encode("utf-8", "surrogateescape") in known]
        self.note(names, day, gone, back)
