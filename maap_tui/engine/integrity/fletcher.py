"""The Fletcher-32 sums of the chunks of an HDF5 file, compared without the HDF5 library.

Files may be damaged, so nothing in them is trusted: what does not read as it should is left out. Layouts and
filters are those of the HDF5 File Format Specification, sections III and IV.A. Not compared are chunks with
another index than a version 1 B-tree, and what is in new groups of so many objects that these are in a heap.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, NamedTuple, overload

from maap_tui.engine.integrity.content import HDF5_SIGNATURE

_UNDEFINED = 0xFFFFFFFFFFFFFFFF
_FLETCHER, _DEFLATE = 3, 1
_LINK, _LAYOUT, _PIPELINE, _CONTINUATION, _SYMBOLS = 0x06, 0x08, 0x0B, 0x10, 0x11
_MOST_MESSAGES = 4096
_MOST_OBJECTS = 100_000
_MOST_UNPACKED = 1 << 30


class _Chunked(NamedTuple):
    """A dataset in chunks with sums."""

    tree: int
    """Address of the B-tree of its chunks."""
    rank: int
    """Dimensions of a chunk, that of the element's bytes included."""
    size: int
    """Bytes of a chunk before filters."""
    filters: tuple[int, ...]
    """What is applied to a chunk, in order."""


class _Broken(Exception):
    """What was found is not what it looked like."""


_UNREADABLE = (_Broken, struct.error, IndexError, ValueError)


class _File:
    """The bytes of an open file; one that is cut short meanwhile only has fewer."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size

    def __len__(self) -> int:
        return self._size

    def _read(self, at: int, count: int) -> bytes:
        if not 0 <= at <= self._size:
            raise _Broken
        return os.pread(self._descriptor, count, at)

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


def fletcher_fault(descriptor: int) -> tuple[int, str]:
    """Compare the sums of the chunks of an HDF5 file.

    Args:
        descriptor: the open file.

    Returns:
        How many were compared, and which one differs, in words; '' when none does.

    Raises:
        OSError: it cannot be read.
    """
    data = _File(descriptor)
    if data[:8] != HDF5_SIGNATURE:
        return 0, ""
    compared = read = 0
    seen: set[int] = set()
    with suppress(*_UNREADABLE):
        for address in _headers(data):
            dataset = None
            with suppress(*_UNREADABLE):
                dataset = _dataset_of(data, address)
            if dataset is None or dataset.tree in seen:
                continue
            seen.add(dataset.tree)
            with suppress(*_UNREADABLE):
                for begin, size, mask in _chunks(data, dataset, dataset.tree, set(), 0):
                    read += size
                    if read > len(data):
                        return compared, ""  # chunks that lie upon one another are not what a library wrote
                    verdict = _agrees(data, dataset, begin, size, mask)
                    if verdict is False:
                        return compared, f"a chunk at byte {begin:,} does not have its Fletcher-32"
                    compared += verdict is True
    return compared, ""


def _headers(data: _File) -> Iterator[int]:
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
        with suppress(*_UNREADABLE):
            members = [one for one in _members(data, address) if one not in seen]
            seen.update(members)
            waiting += members


def _members(data: _File, address: int) -> list[int]:
    """Addresses of the objects of a group; [] for another object."""
    found = []
    for kind, begin, size in _messages(data, address):
        if kind == _SYMBOLS and size >= 16:
            found += _symbols(data, data.unpack("<Q", begin)[0], set(), 0)
        elif kind == _LINK and (target := _hard_link(data, begin, size)) is not None:
            found.append(target)
    return found


def _symbols(data: _File, address: int, seen: set[int], depth: int) -> list[int]:
    """Addresses of the objects below a node of the B-tree of a group."""
    if data[address : address + 4] == b"SNOD":
        (count,) = data.unpack("<H", address + 6)
        entries = range(address + 8, address + 8 + 40 * min(count, _MOST_MESSAGES), 40)
        return [data.unpack("<Q", entry + 8)[0] for entry in entries]
    if address in seen or depth > 20 or data[address : address + 5] != b"TREE\0":
        raise _Broken
    seen.add(address)
    (count,) = data.unpack("<H", address + 6)
    found = []
    for number in range(count):
        (child,) = data.unpack("<Q", address + 32 + 16 * number)
        found += _symbols(data, child, seen, depth + 1)
    return found


def _hard_link(data: _File, begin: int, size: int) -> int | None:
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
        raise _Broken
    return int(data.unpack("<Q", at)[0])


def _messages(data: _File, address: int) -> Iterator[tuple[int, int, int]]:
    """Type, begin and bytes of the messages of an object header."""
    if address + 16 > len(data):
        raise _Broken
    is_new = data[address : address + 4] == b"OHDR"
    return _messages_2(data, address) if is_new else _messages_1(data, address)


def _dataset_of(data: _File, address: int) -> _Chunked | None:
    """The dataset of an object header; None where it is another object, or has no such sums."""
    found: dict[int, tuple[int, int]] = {}
    for kind, begin, size in _messages(data, address):
        found.setdefault(kind, (begin, size))
    if _LAYOUT not in found or _PIPELINE not in found:
        return None
    filters = _filters_of(data, *found[_PIPELINE])
    begin, _ = found[_LAYOUT]
    version, kind, rank = data[begin], data[begin + 1], data[begin + 2]
    if version != 3 or kind != 2 or not 2 <= rank <= 33 or _FLETCHER not in filters:
        return None
    (tree,) = data.unpack("<Q", begin + 3)
    size = 1
    for extent in data.unpack(f"<{rank}I", begin + 11):
        size *= extent
    return None if tree == _UNDEFINED else _Chunked(tree, rank, size, filters)


def _messages_1(data: _File, address: int) -> Iterator[tuple[int, int, int]]:
    """Type, begin and bytes of the messages of an object header of version 1."""
    version, zero, count, _, length = data.unpack("<BBHII", address)
    if version != 1 or zero != 0 or count > _MOST_MESSAGES:
        raise _Broken
    blocks = [(address + 16, length)]
    while blocks:
        at, left = blocks.pop(0)
        while left >= 8 and count > 0:
            kind, size, flags = data.unpack("<HHB", at)
            begin = at + 8
            if size > left - 8 or begin + size > len(data):
                raise _Broken
            if kind == _CONTINUATION and size >= 16:
                blocks.append(data.unpack("<QQ", begin))
            elif not flags & 2:
                yield kind, begin, size
            at, left, count = begin + size, left - 8 - size, count - 1


def _messages_2(data: _File, address: int) -> Iterator[tuple[int, int, int]]:
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
                raise _Broken
            if kind == _CONTINUATION and size >= 16:
                where, extent = data.unpack("<QQ", begin)
                if data[where : where + 4] != b"OCHK":
                    raise _Broken
                blocks.append((where + 4, extent - 8))
            elif kind and not message_flags & 2:
                yield kind, begin, size
            at, left, budget = begin + size, left - head - size, budget - 1


def _filters_of(data: _File, begin: int, size: int) -> tuple[int, ...]:
    """The filters of a pipeline message, in the order of their application."""
    version, count = data[begin], data[begin + 1]
    at, end = begin + (8 if version == 1 else 2), begin + size
    found = []
    for _ in range(count):
        if at + 6 > end:
            raise _Broken
        (number,) = data.unpack("<H", at)
        at += 2
        name = 0
        if version == 1 or number >= 256:
            (name,) = data.unpack("<H", at)
            at += 2
        _, values = data.unpack("<HH", at)
        at += 4
        if version == 1:
            name = -(-name // 8) * 8
            values += values % 2
        at += name + 4 * values
        found.append(number)
    if version not in (1, 2) or at > end:
        raise _Broken
    return tuple(found)


def _chunks(
    data: _File, dataset: _Chunked, address: int, seen: set[int], depth: int
) -> Iterator[tuple[int, int, int]]:
    """Address, bytes and filter mask of the chunks below a node."""
    if address in seen or depth > 20 or data[address : address + 5] != b"TREE\x01":
        raise _Broken
    seen.add(address)
    level, count = data.unpack("<BH", address + 5)
    key = 8 + 8 * dataset.rank
    for number in range(count):
        at = address + 24 + number * (key + 8)
        size, mask = data.unpack("<II", at)
        (child,) = data.unpack("<Q", at + key)
        if level:
            yield from _chunks(data, dataset, child, seen, depth + 1)
        elif child + size > len(data):
            raise _Broken
        else:
            yield child, size, mask


def _agrees(data: _File, dataset: _Chunked, begin: int, size: int, mask: int) -> bool | None:
    """Whether a chunk has its sum; None where it has none, or where what was applied after it is unknown."""
    applied = [number for place, number in enumerate(dataset.filters) if not mask >> place & 1]
    if _FLETCHER not in applied:
        return None
    after = applied[applied.index(_FLETCHER) + 1 :]
    content = data[begin : begin + size]
    for number in reversed(after):
        if number != _DEFLATE or dataset.size > _MOST_UNPACKED:
            return None
        try:
            content = zlib.decompressobj().decompress(content, 2 * dataset.size + 4096)
        except zlib.error:
            return False
    if len(content) < 4:
        return False
    stored = int.from_bytes(content[-4:], "little")
    return any(_same(stored, one) for one in _sums_of(content[:-4]))


class _Halves(NamedTuple):
    first: int
    second: int


def _sums_of(content: bytes) -> Iterator[_Halves]:
    """The sums that the library may have written: of words with the high byte first, or, once, last."""
    words = array("H", content + b"\0" * (len(content) % 2))
    if struct.pack("=H", 1) == struct.pack("<H", 1):
        words.byteswap()
    for _ in range(2):
        yield _fletcher(words)
        words.byteswap()


def _fletcher(words: array[int]) -> _Halves:
    """Sum of the words, and sum of the sums, modulo 65535."""
    modulus = 0xFFFF
    first = sum(words)
    # As 65536 is 1 more than the modulus m, a number with these words as its digits is, modulo m squared,
    # their sum and m times the sum of each times the number of those behind it.
    big = array("H", words)
    if struct.pack("=H", 1) == struct.pack("<H", 1):
        big.byteswap()
    number = int.from_bytes(big.tobytes(), "big") % (modulus * modulus)
    behind = (number - first) // modulus % modulus
    return _Halves(first % modulus, (behind + first) % modulus)


def _same(stored: int, wanted: _Halves) -> bool:
    low, high = stored & 0xFFFF, stored >> 16
    return (low - wanted.first) % 0xFFFF == 0 and (high - wanted.second) % 0xFFFF == 0
