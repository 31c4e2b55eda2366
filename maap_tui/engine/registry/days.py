"""The day files of one baseline: where they are, which there are, and what they hold."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from pathlib import Path

from maap_tui.engine.errors import UnreadableError
from maap_tui.engine.registry.damage import DamageLog
from maap_tui.engine.registry.entries import TREES, Key, Kind
from maap_tui.engine.registry.lines import Lines, firsts, name_rests, read
from maap_tui.engine.registry.memory import DayMemory
from maap_tui.engine.registry.tree import UNDATED, Contents, day_files_below


class DayFiles:
    """The day files of one baseline; what cannot be read of them is noted and left out."""

    def __init__(self, root: Path, key: Key, damage: DamageLog, memory: DayMemory) -> None:
        """Take the registry folder, the baseline, what notes the damage, and what this process wrote."""
        self._damage = damage
        self._memory = memory
        self._folders: dict[Kind, Path] = {kind: root.joinpath(tree, *key) for kind, tree in TREES.items()}

    def folder(self, kind: Kind) -> Path:
        """Return the folder of the day files of a kind."""
        return self._folders[kind]

    def path(self, kind: Kind, day: date) -> Path:
        """Return the file with the lines of a day."""
        return (
            self._folders[kind] / f"{day.year:04d}" / f"{kind}_{day.year:04d}{day.month:02d}{day.day:02d}.txt"
        )

    def paths(self, kind: Kind, day: date) -> list[Path]:
        """Where the lines of a day may be: in its own file, and in one that was moved to the folder above."""
        own = self.path(kind, day)
        return [own, self._folders[kind] / own.name]

    def listing(self, kind: Kind, start: date | None, end: date | None) -> dict[date, list[Path]]:
        """List the files of each day of a range, in order; None is the first or the last day there is."""
        days: dict[date, list[Path]] = {}
        hidden: set[Path] = set()

        def step_over(error: UnreadableError) -> None:
            hidden.add(error.path)
            self._damage.note_unread(error)

        for path, day in day_files_below(self._folders[kind], kind, step_over, start, end):
            if day is None:
                self._damage.keep(path, UNDATED)
            else:
                days.setdefault(day, []).append(path)
        self._damage.forget_folders(self._folders[kind], hidden)
        return dict(sorted(days.items()))

    def contents(self, paths: Iterable[Path]) -> Contents:
        """Read the files of one kind and day that can be read."""
        parts: list[tuple[Path, bytes]] = []
        is_whole = True
        for path in paths:
            try:
                parts.append((path, self._damage.read(path)))
            except UnreadableError:
                is_whole = False
        return Contents(parts, is_whole)

    def lines(self, kind: Kind, contents: Contents) -> list[bytes]:
        """Return the good lines of a day, and note the others."""
        found = self.read_all(kind, contents)
        return found[0].good if len(found) == 1 else [line for one in found for line in one.good]

    def firsts(self, kind: Kind, contents: Contents) -> set[bytes]:
        """Return the first field of each good line of a day, and note the other lines."""
        lines = self.lines(kind, contents)
        has_fields = any(b"|" in data for _, data in contents.parts)
        return firsts(lines) if has_fields else set(lines)

    def read_all(self, kind: Kind, contents: Contents) -> list[Lines]:
        """Split the files of a day into lines, and note the bad ones."""
        found = [read(data, kind) for _, data in contents.parts]
        self.note_bad(kind, contents, found)
        return found

    def note_bad(self, kind: Kind, contents: Contents, found: Iterable[Lines]) -> None:
        """Note the bad lines of the files of a day."""
        for (path, data), lines in zip(contents.parts, found, strict=True):
            if lines.bad:
                day = datetime.strptime(path.stem, f"{kind}_%Y%m%d").date()
                lines = name_rests(data, lines, self._memory.written(kind, day))
            self._damage.note(path, lines.bad)

    def is_unreadable(self, day: date, kinds: Iterable[Kind] = tuple(TREES)) -> bool:
        """Whether files of a day were there and could not be read, when they were read last."""
        for kind in kinds:
            if self.is_hidden(kind, day) or any(map(self._damage.is_unread, self.paths(kind, day))):
                return True
        return False

    def is_hidden(self, kind: Kind, day: date) -> bool:
        """Whether the folder of a day could not be listed."""
        return bool(self._damage) and self.path(kind, day).parent in self._damage
