"""TransferOrder: keeps transfers in the order of their list while they come, change and go.

The list is never sorted as a whole: one change costs one search, however long the list is.
"""

from __future__ import annotations

from bisect import bisect_left, insort_right
from collections import Counter
from collections.abc import Collection
from itertools import chain
from operator import attrgetter

from maap_tui.tui.screens.downloads.transfers import GROUPS, Line

_position = attrgetter("position")


class TransferOrder:
    """First what needs attention, at the end what ended last; see `Line.order`."""

    def __init__(self) -> None:
        self._groups: list[list[Line]] = [[] for _ in range(len(GROUPS) + 1)]
        self.counts: Counter[str] = Counter()
        """State -> transfers in it."""

    @property
    def lines(self) -> list[Line]:
        """All of them in order, in a new list."""
        return list(chain.from_iterable(self._groups))

    def group(self, state: str) -> list[Line]:
        """Those of one state that has not ended, in order."""
        return self._groups[GROUPS.index(state)]

    def put(self, line: Line) -> bool:
        """Move a transfer to its position, or insert it; returns whether anything changed."""
        position = line.order
        if line.placed_as != line.state:
            self._count(line, line.state)
        if position == line.position:
            return False
        self._remove(line)
        line.position = position
        group = self._groups[position[0]]
        if not group or group[-1].position <= position:
            group.append(line)
        else:
            insort_right(group, line, key=_position)
        return True

    def take(self, line: Line) -> None:
        """Take a transfer out, if it is there."""
        self._count(line, "")
        self._remove(line)

    def take_all(self, lines: Collection[Line]) -> None:
        """Take many transfers out at once."""
        gone = set(lines)
        self._groups = [
            group if gone.isdisjoint(group) else [line for line in group if line not in gone]
            for group in self._groups
        ]
        for line in gone:
            self._count(line, "")
            line.position = ()

    def _count(self, line: Line, state: str) -> None:
        if line.placed_as:
            self.counts[line.placed_as] -= 1
        if state:
            self.counts[state] += 1
        line.placed_as = state

    def _remove(self, line: Line) -> None:
        if not line.position:
            return
        group = self._groups[line.position[0]]
        at = bisect_left(group, line.position, key=_position)
        while group[at] is not line:
            at += 1  # others of the very same place
        del group[at]
        line.position = ()
