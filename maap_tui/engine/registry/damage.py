"""Log of the files of a baseline that could not be read; each is reported once until it changes."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maap_tui.engine.errors import StorageError, UnreadableError
from maap_tui.engine.registry.lines import HARMLESS
from maap_tui.engine.registry.tree import DAY_FILE, identity, read_settled
from maap_tui.engine.storage import files

if TYPE_CHECKING:
    from maap_tui.engine.events import Emit, RegistryDamaged

Row = tuple[str, int, str]
"""Of a damaged file its path seen from the registry, how many lines, and why."""


class DamageLog:
    """The damaged files of one baseline that were read, each with what is wrong.

    Args:
        root: the registry folder.
        emit: takes one event for each damage that is new.
    """

    def __init__(self, root: Path, emit: Emit) -> None:
        self._root = root
        self._emit = emit
        self._found: dict[Path, tuple[object, RegistryDamaged]] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def __contains__(self, path: Path) -> bool:
        return path in self._found

    def read(self, path: Path, *, is_settled: bool = True) -> bytes:
        """Read a file, and note one that cannot be read.

        Raises:
            UnreadableError: it cannot be read.
            StorageError: nothing can be read now, for want of open files or memory.
        """
        try:
            return read_settled(path) if is_settled else files.read_data(path)
        except StorageError as error:
            if files.is_starved(error):
                raise
            unreadable = UnreadableError(path, error.message, error.hint)
            self.note_unread(unreadable)
            raise unreadable from error

    def note(self, path: Path, bad: Sequence[tuple[int, str]]) -> None:
        """Note the bad lines of a file; forget the file if it has none."""
        damaged = [reason for _, reason in sorted(bad) if reason not in HARMLESS]
        if damaged:
            self.keep(path, damaged[0], len(damaged))
        elif self._found:
            self._found.pop(path, None)

    def note_unread(self, error: UnreadableError) -> None:
        """Note a file or folder that cannot be read."""
        self.keep(error.path, error.reason)

    def keep(self, path: Path, reason: str, lines: int = 0, *, is_unwritten: bool = False) -> None:
        """Remember a damage, and report it if it is new; the arguments are those of the event."""
        from maap_tui.engine.events import RegistryDamaged

        damage = RegistryDamaged(path, lines, reason, is_unwritten)
        old = self._found.get(path)
        self._found[path] = (identity(path), damage)
        if old is None or old[1] != damage:
            self._emit(damage)

    def forget_folders(self, parent: Path, hidden: Container[Path]) -> None:
        """Forget the folders directly below a folder that are not hidden any more."""
        for folder in list(self._found):
            if folder.parent != parent or folder in hidden or DAY_FILE.fullmatch(folder.name):
                continue
            if folder.is_dir():
                self._found.pop(folder, None)

    def is_unread(self, path: Path) -> bool:
        """Whether a file was there and could not be read at all, when it was read last."""
        kept = self._found.get(path)
        return kept is not None and not kept[1].lines

    def rows(self, paths: Iterable[Path]) -> tuple[Row, ...]:
        """Return the damage of some files in a form that can be stored."""
        found = [kept[1] for kept in map(self._found.get, paths) if kept is not None]
        return tuple((os.path.relpath(one.path, self._root), one.lines, one.reason) for one in found)

    def restore(self, paths: Iterable[Path], rows: Iterable[Row]) -> None:
        """Restore what `rows` returned for some files that have not changed since."""
        for path in paths:
            self.note(path, [])
        for name, lines, reason in rows:
            # The lists of deleted files are not below the registry.
            path = Path(os.path.normpath(self._root / name))
            self.keep(path, reason, lines)

    def listed(self) -> list[RegistryDamaged]:
        """List the damage by path, without files that changed since they were read."""
        kept = list(self._found.items())
        return [one for path, (was, one) in sorted(kept) if os.path.lexists(path) and identity(path) == was]
