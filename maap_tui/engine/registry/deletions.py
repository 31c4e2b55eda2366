"""Which marked files clean-ups deleted, so that no view counts them as here without a look at the disk.

One text file a day below the state folder, beside the journal: `deleted|PATH`, or `back|PATH` for one
that came again; the last line about a path counts. Deleting them loses no data and no registry line:
such files are counted as here again until `verify` has looked at them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from pathlib import Path

from maap_tui.engine.storage import files


class Deletions:
    """The lists of deleted files below one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "cleaned"

    def folder(self, names: str) -> Path:
        """Below which folder the days of a baseline are; `names` as for `day_file`."""
        return self._root / names

    def day_file(self, names: str, day: date) -> Path:
        """Which file holds a day of a baseline; `names` are those of its folders, joined by slashes."""
        return self.folder(names) / f"{day:%Y}" / f"cln_{day:%Y%m%d}.txt"

    def note(self, names: str, day: date, deleted: Iterable[str] = (), back: Iterable[str] = ()) -> None:
        """Write down what was deleted and what came again.

        Raises:
            StorageError: it cannot be written.
        """
        lines = [*(f"deleted|{path}" for path in deleted), *(f"back|{path}" for path in back)]
        files.append_lines(self.day_file(names, day), lines, sync=False)


def deleted_of(lines: Iterable[bytes]) -> frozenset[bytes]:
    """The paths that the good lines of a day give as deleted."""
    last: dict[bytes, bytes] = {}
    for line in lines:
        word, _, path = line.partition(b"|")
        last[path] = word
    return frozenset(path for path, word in last.items() if word == b"deleted")
