"""Which days of a baseline a whole search looked at, so that a day without files is not taken for a gap.

One text file a baseline below the state folder, a line `FIRST|LAST` for each run of days. A convenience: it
may be deleted at any time, and what cannot be read or written of it counts as not searched.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import date, timedelta
from pathlib import Path

from maap_tui.engine.errors import StorageError
from maap_tui.engine.storage import files

Days = tuple[date, date]
"""A run of days: the first and the last of them."""

_DAY = timedelta(days=1)


class SearchedDays:
    """The lists below one state folder."""

    def __init__(self, state_dir: Path) -> None:
        self._root = state_dir / "searched"

    def _file(self, names: str) -> Path:
        return self._root / f"{names}.txt"

    def load(self, names: str) -> list[Days]:
        """The runs of days of a baseline, in order; `names` are those of its folders, joined by slashes."""
        found = []
        with suppress(StorageError, OSError):
            for line in files.read_lines(self._file(names)):
                with suppress(ValueError):
                    first, last = map(date.fromisoformat, line.split("|"))
                    found.append((first, last))
        return merged(found)

    def add(self, names: str, days: Days) -> None:
        """Note a run of days; the file is only written when that is news."""
        known = self.load(names)
        runs = merged([*known, days])
        if runs != known:
            with suppress(StorageError, OSError):
                files.make_folder(self._file(names).parent)
                files.write_atomic(self._file(names), "".join(f"{first}|{last}\n" for first, last in runs))


def merged(runs: Iterable[Days]) -> list[Days]:
    """Runs of days in order, those that touch one another as one; what ends before it begins is left out."""
    found: list[Days] = []
    for first, last in sorted(runs):
        if last < first:
            continue
        if found and first <= found[-1][1] + _DAY:
            found[-1] = found[-1][0], max(found[-1][1], last)
        else:
            found.append((first, last))
    return found
