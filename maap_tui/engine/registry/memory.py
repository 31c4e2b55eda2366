"""Memory of the days that this process wrote to: an append to such a day need not read the file."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from datetime import date
from itertools import islice
from typing import Final

from maap_tui.engine.packed import packed, unpacked
from maap_tui.engine.registry.entries import Kind

_OWN_LINES: Final = 50_000
"""Most lines of this process that are remembered, over all days."""
_PRESENT_LINES: Final = 50_000
"""Most lines of the files whose hashes are remembered, over all days."""
_UNPACKED: Final = 16
"""Days written to last whose lines are kept unpacked."""

Identity = tuple[int, int, int]
"""Inode, time of change in ns and size in bytes of a file."""


class KnownDay:
    """The files of one kind and day, as this process left them."""

    __slots__ = ("_packed", "_written", "left", "present")

    def __init__(self) -> None:
        self._written: dict[bytes, str] = {}
        self._packed = b""
        self.left: tuple[Identity | None, ...] = ()
        """The files when this process left them; () if another may have written at that moment."""
        self.present: set[int] | None = None
        """Hashes of all first fields in the files then; None if unknown."""

    @property
    def written(self) -> dict[bytes, str]:
        """First field -> line of what this process wrote."""
        if self._packed:
            self._written, self._packed = unpacked(self._packed), b""
        return self._written

    def pack(self) -> None:
        """Keep what was written packed, until it is asked for."""
        if self._written:
            self._packed, self._written = packed(self._written), {}

    def lacks(self, wanted: Iterable[bytes]) -> bool:
        """Whether the files held none of some first fields; False also if that is unknown.

        Two fields may share a hash: then this is False too, and the files are read.
        """
        present = self.present
        return present is not None and not any(hash(first) in present for first in wanted)


class DayMemory:
    """The days that one registry object wrote to, those written to longest ago first."""

    def __init__(self) -> None:
        self._days: OrderedDict[tuple[Kind, date], KnownDay] = OrderedDict()
        self._own_lines = 0
        self._present_lines = 0

    def __iter__(self) -> Iterator[tuple[Kind, date]]:
        return iter(list(self._days))

    def get(self, kind: Kind, day: date) -> KnownDay | None:
        """Return the memory of a day; None if there is none."""
        return self._days.get((kind, day))

    def written(self, kind: Kind, day: date) -> list[str]:
        """Return the lines of a day that this process wrote, as far as they are remembered."""
        known = self._days.get((kind, day))
        return list(known.written.values()) if known is not None else []

    def add(self, kind: Kind, day: date, lines: dict[bytes, str]) -> KnownDay:
        """Remember lines that were written; return the memory of the day."""
        known = self._days.setdefault((kind, day), KnownDay())
        self._own_lines += len(lines.keys() - known.written.keys())
        known.written.update(lines)
        self._days.move_to_end((kind, day))
        for older in islice(reversed(self._days.values()), _UNPACKED, _UNPACKED + 1):
            older.pack()
        return known

    def set_present(self, known: KnownDay, firsts: Iterable[bytes]) -> None:
        """Remember all first fields that the files of a day hold."""
        self._forget_present(known)
        known.present = set(map(hash, firsts))
        self._present_lines += len(known.present)

    def add_present(self, known: KnownDay, firsts: Iterable[bytes]) -> None:
        """Remember more first fields of a day whose first fields are remembered."""
        if known.present is not None:
            before = len(known.present)
            known.present.update(map(hash, firsts))
            self._present_lines += len(known.present) - before

    def _forget_present(self, known: KnownDay) -> None:
        self._present_lines -= len(known.present or ())
        known.present = None

    def drop_lines(self, kind: Kind, day: date, lines: Iterable[bytes]) -> None:
        """Forget lines that were taken out of the files."""
        known = self._days.get((kind, day))
        if known is None:
            return
        for first in known.written.keys() & set(lines):
            del known.written[first]
            self._own_lines -= 1

    def oldest_to_forget(self) -> tuple[Kind, date] | None:
        """Return the day to forget because the memory is full; None while it is not."""
        if self._present_lines > _PRESENT_LINES:
            for known in list(self._days.values())[:-1]:
                self._forget_present(known)
        return next(iter(self._days)) if self._own_lines > _OWN_LINES and len(self._days) > 1 else None

    def forget(self, kind: Kind, day: date) -> None:
        """Forget a day."""
        known = self._days.pop((kind, day))
        self._own_lines -= len(known.written)
        self._forget_present(known)
