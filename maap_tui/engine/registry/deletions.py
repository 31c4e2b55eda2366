"""Which marked files clean-ups deleted, so that no view counts them as here without a look at the disk.

One text file a day below the state folder, beside the journal: `deleted|PATH`, or `back|PATH` for one
that came again; the last line about a path counts. Deleting them loses no data and no registry line:
such files are counted as here again until `verify` has looked at them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import date
from pathlib import Path

from maap_tui.engine.errors import StorageError, UnreadableError
from maap_tui.engine.registry.damage import DamageLog
from maap_tui.engine.registry.lines import read
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


class DeletedFiles:
    """What clean-ups deleted of one baseline; a list that cannot be read or written is noted."""

    def __init__(self, lists: Deletions | None, names: str, damage: DamageLog) -> None:
        """Take the lists of all baselines, None where none are kept, and the names as they have them."""
        self._lists = lists
        self._names = names
        self._damage = damage

    @property
    def folder(self) -> Path | None:
        """Below which folder the lists are; None if none are kept."""
        return self._lists.folder(self._names) if self._lists is not None else None

    def paths(self, day: date) -> list[Path]:
        """The list of a day, whether or not it exists; none if none are kept."""
        return [self._lists.day_file(self._names, day)] if self._lists is not None else []

    def note(self, day: date, paths: Iterable[str], back: Iterable[str] = ()) -> None:
        """Record marked files that a clean-up deleted, or that are here again; report what prevents it."""
        if self._lists is None:
            return
        try:
            self._lists.note(self._names, day, paths, back)
        except StorageError as error:
            path = self._lists.day_file(self._names, day)
            reason = UnreadableError(path, error.message).reason
            self._damage.keep(path, reason, is_unwritten=True)

    def of(self, day: date) -> tuple[frozenset[bytes], bool]:
        """Read the list of a day; also whether it can be read."""
        if self._lists is None:
            return frozenset(), True
        path = self._lists.day_file(self._names, day)
        try:
            found = read(files.read_data(path), "cln")
        except StorageError as error:
            if files.is_starved(error):
                raise
            # A folder that cannot be looked into is reported once, and not for each of its days.
            where = path if os.path.lexists(path) else self._lists.folder(self._names)
            self._damage.keep(where, UnreadableError(path, error.message).reason)
            return frozenset(), False
        self._damage.note(path, found.bad)
        return _deleted_of(found.good), True


def _deleted_of(lines: Iterable[bytes]) -> frozenset[bytes]:
    """The paths that the good lines of a day give as deleted."""
    last: dict[bytes, bytes] = {}
    for line in lines:
        word, _, path = line.partition(b"|")
        last[path] = word
    return frozenset(path for path, word in last.items() if word == b"deleted")
