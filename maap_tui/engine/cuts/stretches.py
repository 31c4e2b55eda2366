"""Stretches of a file: which bytes are here, and which of those wanted are still missing."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

Stretch = tuple[int, int]
"""First byte, and the first one that is not part of it."""


def joined(wanted: Iterable[Stretch]) -> list[Stretch]:
    """The same bytes in order, each once, in as few stretches as can be."""
    found: list[Stretch] = []
    for begin, end in sorted(one for one in wanted if one[0] < one[1]):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found


class Stretches:
    """The bytes of a file that are here."""

    def __init__(self) -> None:
        self._begins: list[int] = []
        self._ends: list[int] = []

    def add(self, begin: int, end: int) -> None:
        """Take note that these bytes are here."""
        if begin >= end:
            return
        first = bisect_left(self._ends, begin)
        last = bisect_right(self._begins, end)
        if first < last:
            begin, end = min(begin, self._begins[first]), max(end, self._ends[last - 1])
        self._begins[first:last], self._ends[first:last] = [begin], [end]

    def missing(self, wanted: Iterable[Stretch]) -> list[Stretch]:
        """What of these bytes is not here, in order."""
        found: list[Stretch] = []
        for begin, end in joined(wanted):
            at = bisect_right(self._ends, begin)
            while begin < end:
                here = self._begins[at] if at < len(self._begins) else end
                if begin < here:
                    found.append((begin, min(here, end)))
                if here >= end:
                    break
                begin = self._ends[at]
                at += 1
        return found


BLOCK = 4096
"""Bytes that are asked for at least, where a reader wants a few."""
_LARGEST = 64 * 1024
"""Bytes that are asked for at most ahead of a reader that reads on."""


class ReadAhead:
    """Makes requests of small reads: whole blocks, and more each time while a reader reads on."""

    def __init__(self, size: int) -> None:
        """Take the bytes of the file."""
        self._size = size
        self._end = 0
        self._count = BLOCK

    def of(self, begin: int, end: int) -> Stretch:
        """What to ask for where these bytes are wanted and not here."""
        first = begin // BLOCK * BLOCK
        self._count = min(self._count * 2, _LARGEST) if first == self._end else BLOCK
        self._end = max(-(-end // BLOCK) * BLOCK, first + self._count)
        return first, min(self._end, self._size)
