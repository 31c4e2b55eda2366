"""The objects of an HDF5 file, found without the HDF5 library.

Files may be damaged, so nothing in them is trusted: what does not read as it should is left out. All is as in
the HDF5 File Format Specification, sections II to IV. Not found are objects whose links are in a heap that is
packed, and those that only a soft or an external link leads to.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, overload

UNDEFINED = 0xFFFFFFFFFFFFFFFF
"""The address of what is not there."""

_LINK_INFO, _LINK, _CONTINUATION, _SYMBOLS = 0x02, 0x06, 0x10, 0x11
_LINK_NAMES = 5
"""The B-tree of version 2 that has the links of a group by their names."""
_MOST_MESSAGES = 4096
_MOST_OBJECTS = 100_000
_MOST_DEPTH = 20
_TIMES, _AT_LEAST = 8, 64 << 20
"""Times the bytes of a file that are read of it at most, and bytes more."""


class Broken(Exception):
    """What was found is not what it looked like."""


UNREADABLE = (Broken, struct.error, IndexError, ValueError)


class HdfFile:
    """The bytes of an open file; one that is cut short meanwhile only has fewer."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._left = _TIMES * self._size + _AT_LEAST

    def __len__(self) -> int:
        return self._size

    def _read(self, at: int, count: int) -> bytes:
        # A file can be made so that all its blocks hold one another, and would be read for days.
        if not 0 <= at <= self._size or self._left < 0:
            raise Broken
        found = os.pread(self._descriptor, count, at)
        self._left -= len(found)
        return found

    @overload
    def __getitem__(self, at: int) -> int: ...

    @overload
    def __getitem__(self, at: slice) -> bytes: ...

    def __getitem__(self, at: int | slice) -> int | bytes:
        if isinstance(at, slice):
            begin = at.start or 0
            return self._read(begin, min(at.stop, self._size) - begin if at.stop > begin else 0)
        return self._read(at, 1)[0]

    def unpack(self, form: str, at: int) -> tuple[Any, ...]:
        """What `struct.unpack` makes of the bytes from `at` on."""
        return struct.unpack(form, self._read(at, struct.calcsize(form)))


def headers(data: HdfFile) -> Iterator[int]:
    """Addresses of the object headers that can be reached from the root group."""
    version = data[8]
    if version in (0, 1):
        (root,) = data.unpack("<Q", (64 if version == 0 else 68))
        is_wide = data[13] == data[14] == 8
    else:
        (root,) = data.unpack("<Q", 36)
        is_wide = version in (2, 3) and data[9] == data[10] == 8
    waiting, seen = [root] if is_wide else [], {root}
    while waiting and len(seen) < _MOST_OBJECTS:
        address = waiting.pop()
        yield address
        with suppress(*UNREADABLE):
            members = [one for one in _members(data, address) if one not in seen]
            seen.update(members)
            waiting += members


def _members(data: HdfFile, address: int) -> list[int]:
    """Addresses of the objects of a group; [] for another object."""
    found = []
    for kind, begin, size in messages(data, address):
        if kind == _SYMBOLS and size >= 16:
            found += _symbols(data, data.unpack("<Q", begin)[0], set(), 0)
        elif kind == _LINK and (target := _hard_link(data, begin, size)) is not None:
            found.append(target)
        elif kind == _LINK_INFO:
            found += _links_in_heap(data, begin)
    return found


def _links_in_heap(data: HdfFile, begin: int) -> list[int]:
    """Addresses of the objects of a group with its links in a heap, by its link info message."""
    heap, tree = data.unpack("<QQ", begin + (10 if data[begin + 1] & 1 else 2))
    if UNDEFINED in (heap, tree):
        return []
    opened = _Heap(data, heap)
    found = []
    for kind, record in records(data, tree):
        if kind != _LINK_NAMES:
            raise Broken
        at, size = opened.find(record[4:])
        if (target := _hard_link(data, at, size)) is not None:
            found.append(target)
    return found


def _symbols(data: HdfFile, address: int, seen: set[int], depth: int) -> list[int]:
    """Addresses of the objects below a node of the B-tree of a group."""
    if data[address : address + 4] == b"SNOD":
        (count,) = data.unpack("<H", address + 6)
        entries = range(address + 8, address + 8 + 40 * min(count, _MOST_MESSAGES), 40)
        return [data.unpack("<Q", entry + 8)[0] for entry in entries]
    if address in seen or depth > 20 or data[address : address + 5] != b"TREE\0":
        raise Broken
    seen.add(address)
    (count,) = data.unpack("<H", address + 6)
    found = []
    for number in range(count):
        (child,) = data.unpack("<Q", address + 32 + 16 * number)
        found += _symbols(data, child, seen, depth + 1)
    return found


def _hard_link(data: HdfFile, begin: int, size: int) -> int | None:
    """The address that a link message leads to; None for another kind of link."""
    flags = data[begin + 1]
    at = begin + 2
    if flags & 8:
        if data[at]:
            return None
        at += 1
    at += (8 if flags & 4 else 0) + (1 if flags & 16 else 0)
    width = 1 << (flags & 3)
    at += width + int.from_bytes(data[at : at + width], "little")
    if at + 8 > begin + size:
        raise Broken
    return int(data.unpack("<Q", at)[0])


def messages(data: HdfFile, address: int) -> Iterator[tuple[int, int, int]]:
    """Type, begin and bytes of the messages of an object header."""
    if address + 16 > len(data):
        raise Broken
    is_new = data[address : address + 4] == b"OHDR"
    return _messages_2(data, address) if is_new else _messages_1(data, address)


def _messages_1(data: HdfFile, address: int) -> Iterator[tuple[int, int, int]]:
    """Type, begin and bytes of the messages of an object header of version 1."""
    version, zero, count, _, length = data.unpack("<BBHII", address)
    if version != 1 or zero != 0 or count > _MOST_MESSAGES:
        raise Broken
    blocks = [(address + 16, length)]
    while blocks:
        at, left = blocks.pop(0)
        while left >= 8 and count > 0:
            kind, size, flags = data.unpack("<HHB", at)
            begin = at + 8
            if size > left - 8 or begin + size > len(data):
                raise Broken
            if kind == _CONTINUATION and size >= 16:
                blocks.append(data.unpack("<QQ", begin))
            elif not flags & 2:
                yield kind, begin, size
            at, left, count = begin + size, left - 8 - size, count - 1


def _messages_2(data: HdfFile, address: int) -> Iterator[tuple[int, int, int]]:
    """The same of version 2."""
    flags = data[address + 5]
    at = address + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[at : at + width], "little")
    head = 6 if flags & 4 else 4
    blocks = [(at + width, length)]
    budget = _MOST_MESSAGES
    while blocks:
        at, left = blocks.pop(0)
        while left >= head and budget > 0:
            kind, size, message_flags = data.unpack("<BHB", at)
            begin = at + head
            if size > left - head or begin + size > len(data):
                raise Broken
            if kind == _CONTINUATION and size >= 16:
                where, extent = data.unpack("<QQ", begin)
                if data[where : where + 4] != b"OCHK":
                    raise Broken
                blocks.append((where + 4, extent - 8))
            elif kind and not message_flags & 2:
                yield kind, begin, size
            at, left, budget = begin + size, left - head - size, budget - 1


def records(data: HdfFile, address: int) -> Iterator[tuple[int, bytes]]:
    """The records of a B-tree of version 2, each with the type of the tree."""
    kind, node_size, width, depth = data.unpack("<BIHH", address + 5)
    root, count = data.unpack("<QH", address + 16)
    if data[address : address + 5] != b"BTHD\0" or not 0 < width < node_size or depth > _MOST_DEPTH:
        raise Broken
    if root == UNDEFINED:
        return
    for record in _records(data, root, count, depth, _Shape.of(node_size, width, depth), set()):
        yield kind, record


class _Shape(NamedTuple):
    """How the nodes of a B-tree of version 2 are laid out."""

    width: int
    """Bytes of a record."""
    count_width: int
    """Bytes of the number of records in a child."""
    total_widths: tuple[int, ...]
    """Bytes of the number of records in a child and below it, by the depth of its parent."""

    @classmethod
    def of(cls, node_size: int, width: int, depth: int) -> _Shape:
        most = total = (node_size - 10) // width
        count_width = _bytes_for(most)
        widths = [0, 0]
        for _ in range(depth):
            pointer = 8 + count_width + widths[-1]
            most = (node_size - 10 - pointer) // (width + pointer)
            total += most * (total + 1)
            widths.append(_bytes_for(total))
        return cls(width, count_width, tuple(widths))


def _bytes_for(number: int) -> int:
    """Bytes that the numbers up to this one take."""
    return max(1, -(-number.bit_length() // 8))


def _records(
    data: HdfFile, address: int, count: int, depth: int, shape: _Shape, seen: set[int]
) -> Iterator[bytes]:
    if address in seen or data[address : address + 5] != (b"BTIN\0" if depth else b"BTLF\0"):
        raise Broken
    seen.add(address)
    at = address + 6
    body = data[at : at + count * shape.width]
    if len(body) != count * shape.width:
        raise Broken
    for begin in range(0, len(body), shape.width):
        yield body[begin : begin + shape.width]
    if not depth:
        return
    pointer = 8 + shape.count_width + shape.total_widths[depth]
    at += len(body)
    for begin in range(at, at + (count + 1) * pointer, pointer):
        (child,) = data.unpack("<Q", begin)
        below = int.from_bytes(data[begin + 8 : begin + 8 + shape.count_width], "little")
        yield from _records(data, child, below, depth - 1, shape, seen)


class _Heap:
    """A fractal heap: finds the objects in it that are neither huge nor packed."""

    def __init__(self, data: HdfFile, address: int) -> None:
        self._data = data
        (packed,) = data.unpack("<H", address + 7)
        self._columns, self._smallest, self._largest, bits = data.unpack("<HQQH", address + 110)
        self._root, self._rows = data.unpack("<QH", address + 132)
        self._width = -(-bits // 8)
        if data[address : address + 5] != b"FRHP\0" or packed or not 0 < self._smallest <= self._largest:
            raise Broken

    def find(self, identity: bytes) -> tuple[int, int]:
        """Where an object begins, and its bytes.

        Raises:
            Broken: it is nowhere, or in a way that is not known here.
        """
        if identity[0]:
            raise Broken
        offset = int.from_bytes(identity[1 : 1 + self._width], "little")
        size = int.from_bytes(identity[1 + self._width :], "little")
        block, rows, first = self._root, self._rows, 0
        for _ in range(_MOST_DEPTH):
            if not rows:
                if self._data[block : block + 5] != b"FHDB\0":
                    raise Broken
                return block + offset - first, size
            block, rows, first = self._child(block, rows, first, offset)
        raise Broken

    def _child(self, block: int, rows: int, first: int, offset: int) -> tuple[int, int, int]:
        """The block below an indirect one that has an offset: address, rows, and its own first offset."""
        if self._data[block : block + 5] != b"FHIB\0":
            raise Broken
        at = block + 13 + self._width
        for row in range(rows):
            size = self._smallest << max(0, row - 1)
            if offset < first + size * self._columns:
                column = (offset - first) // size
                (child,) = self._data.unpack("<Q", at + 8 * (row * self._columns + column))
                is_direct = size <= self._largest
                below = 0 if is_direct else (size // (self._smallest * self._columns)).bit_length()
                return child, below, first + column * size
            first += size * self._columns
        raise Broken
