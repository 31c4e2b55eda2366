"""Lines appended to day files: each once, durable, and put back where another program lost them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path

from maap_tui.engine.registry.damage import DamageLog
from maap_tui.engine.registry.days import DayFiles
from maap_tui.engine.registry.entries import Kind
from maap_tui.engine.registry.lines import TORN, firsts, read, set_rests_aside, tail_of
from maap_tui.engine.registry.memory import DayMemory
from maap_tui.engine.registry.tree import drop_lines, identity, set_tail_aside
from maap_tui.engine.storage import files


class Appends:
    """What one object wrote to the day files of a baseline; callers hold the lock of writers.

    Methods raise StorageError where the registry cannot be written.
    """

    def __init__(self, days: DayFiles, damage: DamageLog, memory: DayMemory) -> None:
        """Take the day files, what notes those that cannot be read, and an empty memory."""
        self._days = days
        self._damage = damage
        self._memory = memory

    def add(self, kind: Kind, days: Mapping[date, dict[bytes, str]]) -> int:
        """Append lines of several days, as `append`; returns how many were written."""
        new = sum(self.append(kind, day, lines) for day, lines in sorted(days.items()))
        self.forget_oldest()
        return new

    def append(self, kind: Kind, day: date, lines: dict[bytes, str]) -> int:
        """Append the lines whose first field the day lacks, and own lines that were lost.

        Returns:
            How many were written; of the lines only, when there are any.
        """
        known = self._memory.get(kind, day)
        paths = self._days.paths(kind, day)
        before = tuple(map(identity, paths))
        # Untouched since this object left it, the file still holds what this object wrote.
        untouched = before == known.left if known is not None else before[0] is None
        if untouched and not lines:
            return 0
        if known is not None and untouched and before[0] is not None and known.lacks(lines):
            missing, size = lines, before[0][2]
        else:
            wanted = lines if known is None or untouched else {**known.written, **lines}
            missing, size, present = self._missing(
                kind, paths, wanted, untouched=untouched, parse=known is not None
            )
            if known is not None and present is not None:
                self._memory.set_present(known, present)
        if missing:
            files.append_lines(paths[0], list(missing.values()))
        new = {first: line for first, line in missing.items() if first in lines}
        if new:
            known = self._memory.add(kind, day, new)
        if known is not None:
            self._memory.add_present(known, missing)
            after = tuple(map(identity, paths))
            size += sum(len(line.encode()) + 1 for line in missing.values())
            # Another size shows that a program without the lock wrote at the same moment.
            known.left = after if after[0] is not None and after[0][2] == size else ()
        return len(new) if lines else len(missing)

    def drop(self, kind: Kind, day: date, gone: set[bytes]) -> int:
        """Remove lines by their first field; comments and the order of the other lines stay.

        Returns:
            How many of them there were.
        """
        found: set[bytes] = set()
        for path in self._days.paths(kind, day):
            if not os.path.isfile(path):
                continue
            data = files.read_data(path)
            present = gone & firsts(read(data, kind).good)
            if present:
                drop_lines(path, data, present)
                found |= present
        self._memory.drop_lines(kind, day, found)
        return len(found)

    def reassert(self) -> int:
        """Write lines of this object again that another program lost; returns how many."""
        return sum(self.append(kind, day, {}) for kind, day in self._memory)

    def __bool__(self) -> bool:
        return any(True for _ in self._memory)

    def forget_oldest(self) -> None:
        """Check the oldest days in memory a last time and forget them, so that memory stays bounded."""
        while (oldest := self._memory.oldest_to_forget()) is not None:
            self.append(*oldest, {})
            self._memory.forget(*oldest)

    def _missing(
        self, kind: Kind, paths: Sequence[Path], wanted: dict[bytes, str], *, untouched: bool, parse: bool
    ) -> tuple[dict[bytes, str], int, set[bytes] | None]:
        """Read the files of a day and return the lines that they lack; fix a torn last line.

        Args:
            kind: of which files.
            paths: where they may be; the first is the one that is appended to.
            wanted: first field -> line.
            untouched: whether the first file is as this object left it.
            parse: whether to find out all that they hold.

        Returns:
            The lines, the bytes of the first file, and the first fields in all of them; None where nothing
            demanded to take them apart.
        """
        data = self._damage.read(paths[0])
        here = None
        if not untouched:
            here = read(data, kind)
            if any(reason != TORN for _, reason in here.bad):
                # Seen by those that read without the lock until the lines stand here as a whole again.
                if (healed := set_rests_aside(data, kind, wanted.values())) is not None:
                    files.write_atomic(paths[0], healed)
                    data, here = healed, read(healed, kind)
            self._damage.note(paths[0], here.bad)
        if tail_of(data) and set_tail_aside(paths[0], data, kind, wanted.values()):
            data, here = files.read_data(paths[0]), None
        others = [self._damage.read(other) for other in paths[1:] if os.path.isfile(other)]
        # Most lines are not there, and a search of the bytes shows that without taking them apart.
        if not parse and not any(first in part for first in wanted for part in (data, *others)):
            return wanted, len(data), None
        present: set[bytes] = set()
        for lines_of in (here or read(data, kind), *(read(other, kind) for other in others)):
            present |= firsts(lines_of.good)
        missing = {first: line for first, line in wanted.items() if first not in present}
        return missing, len(data), present
