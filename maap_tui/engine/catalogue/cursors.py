"""Cursors: up to where, in the archive's own time, everything that arrived is here.

A text file for each baseline and choice of granules, below `cursors/` in the state folder. It may be deleted
at any time: the next run is then a first one. It is replaced as a whole, by a process that holds the lock of
that sync.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from maap_tui.engine.defaults import DEFAULT_MAX_ITEMS
from maap_tui.engine.events import Emit, Warned, ignore
from maap_tui.engine.model import parse_zulu, to_zulu
from maap_tui.engine.query import Query
from maap_tui.engine.storage import files
from maap_tui.engine.storage.names import safe_name

_HEAD = """\
# Where `{command} --since-last` goes on.
# It may be deleted: the next run is then a first one.
"""


@dataclass(frozen=True, slots=True)
class Cursor:
    """What the last run left to the next one."""

    floor: datetime | None = None
    """When the first run began to look, in the archive's time; None where all of a time range was meant."""
    by: str = ""
    """The field of granules that `until` is of: updated or published; '' where it is None."""
    until: datetime | None = None
    """A moment of the archive's time before which everything is here; None before there was one."""
    days: Mapping[date, int] = field(default_factory=dict)
    """Granules of each sensing day, where the archive cannot be asked by time of arrival."""
    is_counted: bool = False
    """Whether `days` says what there is."""


class Cursors:
    """The cursors below one state folder, of one registry."""

    def __init__(self, state_dir: Path, registry_dir: Path, emit: Emit = ignore) -> None:
        """Take the folders, and what takes warnings; open nothing."""
        self._root = state_dir / "cursors"
        self._registry_dir = registry_dir
        self._emit = emit

    def file(self, query: Query) -> Path:
        """The file of what a query means; of another registry it is another one."""
        # Left out is what has no influence on what is fetched in the end.
        meant = query.replace(max_items=1, newest_first=False, days_back=None, arrived=None)
        digest = hashlib.sha256(f"{self._registry_dir}\n{meant.to_command('sync')}".encode()).hexdigest()
        folder = self._root / safe_name(query.collection) / safe_name(query.product_type)
        return folder / safe_name(f"{(query.baseline or 'all').upper()}-{digest[:12]}.txt")

    def load(self, query: Query) -> Cursor | None:
        """The cursor; None where there is none, and for one that is damaged, which is reported.

        Raises:
            StorageError: it is there and cannot be read now.
        """
        file = self.file(query)
        found = files.read_lines(file)
        floor = until = None
        by = ""
        is_counted = is_cursor = False
        days: dict[date, int] = {}
        try:
            for line in found:
                name, _, value = line.partition(" ")
                if name == "floor":
                    floor = parse_zulu(value)
                elif name in ("updated", "published"):
                    by, until = name, parse_zulu(value)
                elif name == "counted":
                    is_counted = True
                elif name == "end":
                    is_cursor = True
                elif is_counted:
                    days[date.fromisoformat(name)] = int(value)
        except ValueError:
            is_cursor = False
        if found and not is_cursor:
            self._emit(Warned(f"The cursor {file} is damaged; another one takes its place"))
        return Cursor(floor, by, until, days, is_counted) if is_cursor else None

    def save(self, query: Query, cursor: Cursor) -> None:
        """Replace the cursor.

        Raises:
            StorageError: it cannot be written; the one before stays.
        """
        lines = [
            f"{name} {to_zulu(moment)}\n"
            for name, moment in (("floor", cursor.floor), (cursor.by, cursor.until))
            if moment is not None
        ]
        if cursor.is_counted:
            lines.append("counted\n")
            lines += [f"{day} {count}\n" for day, count in sorted(cursor.days.items())]
        file = self.file(query)
        files.make_folder(file.parent)
        head = _HEAD.format(command=query.replace(max_items=DEFAULT_MAX_ITEMS).to_command("sync"))
        files.write_atomic(file, "".join([head, *lines, "end\n"]))
