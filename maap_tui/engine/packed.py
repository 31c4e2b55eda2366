"""Long lists kept small: addresses and paths of an archive are alike, and packed take a tenth."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, MutableMapping
from typing import Any, Generic, TypeVar

_Item = TypeVar("_Item")

BLOCK = 500
"""Objects that are packed together."""


class Packed(Generic[_Item]):
    """A list that is added to at its end and taken from at its front, some hundred objects at a time.

    Objects come back equal, and are not the same.
    """

    __slots__ = ("_blocks", "_count", "_last")

    def __init__(self, items: Iterable[_Item] = ()) -> None:
        self._blocks: deque[bytes] = deque()
        self._last: list[_Item] = []
        self._count = 0
        for item in items:
            self.append(item)

    def append(self, item: _Item) -> None:
        """Add one at the end."""
        self._last.append(item)
        self._count += 1
        if len(self._last) == BLOCK:
            self._blocks.append(packed(self._last))
            self._last = []

    def take(self) -> list[_Item]:
        """Take some from the front; [] when there is none."""
        if self._blocks:
            found: list[_Item] = unpacked(self._blocks.popleft())
        else:
            found, self._last = self._last, []
        self._count -= len(found)
        return found

    @property
    def blocks(self) -> int:
        """How many pieces it is in."""
        return len(self._blocks) + 1

    def block(self, number: int) -> list[_Item]:
        """One of the pieces, from 0."""
        if number == len(self._blocks):
            return self._last
        found: list[_Item] = unpacked(self._blocks[number])
        return found

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[_Item]:
        for number in range(self.blocks):
            yield from self.block(number)


def packed(value: object) -> bytes:
    """An object as few bytes, for this process alone."""
    import pickle  # most commands pack nothing
    import zlib

    return zlib.compress(pickle.dumps(value), 1)


def unpacked(block: bytes) -> Any:
    """The inverse of `packed`."""
    import pickle
    import zlib

    return pickle.loads(zlib.decompress(block))


class PackedMapping(MutableMapping[str, _Item]):
    """What belongs to texts that are set once each.

    To look them up in the order they came in is quick; looking for any other goes through all of them.
    """

    __slots__ = ("_at", "_items", "_near")

    def __init__(self) -> None:
        self._items: Packed[tuple[str, _Item]] = Packed()
        self._at = -1
        self._near: dict[str, _Item] = {}
        """The piece that was looked into last."""

    def __setitem__(self, key: str, value: _Item) -> None:
        self._items.append((key, value))

    def __getitem__(self, key: str) -> _Item:
        for _ in range(self._items.blocks):
            if key in self._near:
                break
            self._at = (self._at + 1) % self._items.blocks
            self._near = dict(self._items.block(self._at))
        return self._near[key]

    def __delitem__(self, key: str) -> None:
        kept = Packed(one for one in self._items if one[0] != key)
        if len(kept) == len(self._items):
            raise KeyError(key)
        self._items, self._at, self._near = kept, -1, {}

    def __iter__(self) -> Iterator[str]:
        return (name for name, _ in self._items)

    def __len__(self) -> int:
        return len(self._items)
