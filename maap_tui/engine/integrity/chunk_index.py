"""Where the chunks of a dataset are: every index that HDF5 has for chunks with filters.

As in the HDF5 File Format Specification, sections III and VII. An implicit index has none: its chunks are
as they are in memory. Left out are datasets whose chunks at the edges are not filtered.
"""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from maap_tui.engine.integrity.hdf5 import UNDEFINED, Broken, HdfFile, records

_B_TREE_1, _SINGLE, _FIXED, _EXTENSIBLE, _B_TREE_2 = 0, 1, 3, 4, 5
"""Kinds of indexes; the first one has no number in a file."""
_OF_FILTERED = 11
"""The B-tree of version 2 that has chunks with filters."""
_STEP = 4096
"""Elements read at a time."""


class Chunk(NamedTuple):
    """A chunk as it is in the file."""

    address: int
    size: int
    """Bytes."""
    mask: int
    """Filters that were left out, a bit each."""


class Chunked(NamedTuple):
    """A dataset in chunks that are filtered."""

    kind: int
    """Of the index."""
    address: int
    """Of the index; of the chunk where there is only one."""
    rank: int
    """Dimensions of a chunk, that of the element's bytes included."""
    size: int
    """Bytes of a chunk before filters."""
    single: tuple[int, int] = (0, 0)
    """Bytes and filter mask of the chunk where there is only one."""


def read_layout(data: HdfFile, begin: int) -> Chunked | None:
    """What a data layout message says; None for a dataset without chunks, or with others than those above."""
    version = data[begin]
    if version not in (3, 4, 5) or data[begin + 1] != 2:
        return None
    if version == 3:
        rank, kind = data[begin + 2], _B_TREE_1
        (address,) = data.unpack("<Q", begin + 3)
        extents = data.unpack(f"<{rank}I", begin + 11)
        single = (0, 0)
    else:
        flags, rank, width = data.unpack("<3B", begin + 2)
        at = begin + 5 + rank * width
        extents = tuple(
            int.from_bytes(data[one : one + width], "little") for one in range(begin + 5, at, width or 1)
        )
        kind = data[at]
        is_filtered = kind != _SINGLE or flags & 2
        parameters = {_SINGLE: 12, _FIXED: 1, _EXTENSIBLE: 5, _B_TREE_2: 6}
        if flags & 1 or not is_filtered or kind not in parameters:
            return None
        single = data.unpack("<QI", at + 1) if kind == _SINGLE else (0, 0)
        (address,) = data.unpack("<Q", at + 1 + parameters[kind])
    if address == UNDEFINED or not 2 <= rank <= 33:
        return None
    size = 1
    for extent in extents:
        size *= extent
    return Chunked(kind, address, rank, size, single)


def chunks_of(data: HdfFile, dataset: Chunked) -> Iterator[Chunk]:
    """The chunks that were written of a dataset.

    Raises:
        Broken: the index does not read as it should.
    """
    address = dataset.address
    if dataset.kind == _SINGLE:
        found: Iterator[Chunk] = iter([Chunk(address, *dataset.single)])
    elif dataset.kind == _FIXED:
        found = _of_fixed_array(data, address)
    elif dataset.kind == _EXTENSIBLE:
        found = _of_extensible_array(data, address)
    elif dataset.kind == _B_TREE_2:
        found = _of_tree_2(data, address, dataset.rank)
    else:
        found = _of_tree_1(data, dataset, address, set(), 0)
    for one in found:
        if one.address == UNDEFINED:
            continue
        if one.address + one.size > len(data):
            raise Broken
        yield one


def _of_tree_1(data: HdfFile, dataset: Chunked, address: int, seen: set[int], depth: int) -> Iterator[Chunk]:
    if address in seen or depth > 20 or data[address : address + 5] != b"TREE\x01":
        raise Broken
    seen.add(address)
    level, count = data.unpack("<BH", address + 5)
    key = 8 + 8 * dataset.rank
    for number in range(count):
        at = address + 24 + number * (key + 8)
        size, mask = data.unpack("<II", at)
        (child,) = data.unpack("<Q", at + key)
        if level:
            yield from _of_tree_1(data, dataset, child, seen, depth + 1)
        else:
            yield Chunk(child, size, mask)


def _of_tree_2(data: HdfFile, address: int, rank: int) -> Iterator[Chunk]:
    for kind, record in records(data, address):
        width = len(record) - 8 * (rank - 1)
        if kind != _OF_FILTERED or width <= 12:
            raise Broken
        yield _chunk(record[:width])


def _chunk(element: bytes) -> Chunk:
    """What an element says: address, size in as many bytes as there are, filter mask."""
    numbers = element[:8], element[8:-4], element[-4:]
    return Chunk(*(int.from_bytes(one, "little") for one in numbers))


def _elements(data: HdfFile, at: int, count: int, width: int) -> Iterator[Chunk]:
    for first in range(0, count, _STEP):
        begin, end = at + first * width, at + min(first + _STEP, count) * width
        block = data[begin:end]
        if len(block) != end - begin:
            raise Broken
        for place in range(0, len(block), width):
            yield _chunk(block[place : place + width])


def _addresses(data: HdfFile, at: int, count: int) -> Iterator[int]:
    for first in range(0, count, _STEP):
        found = array("Q", data[at + 8 * first : at + 8 * min(first + _STEP, count)])
        if sys.byteorder == "big":
            found.byteswap()
        yield from found
        if len(found) < min(_STEP, count - first):
            raise Broken


def _has(bits: bytes, number: int) -> bool:
    """Whether a page was ever written; the first one has the highest bit of the first byte."""
    return bool(bits[number // 8] & 0x80 >> number % 8)


def _width_of(data: HdfFile, address: int, signature: bytes) -> int:
    """Bytes of an element of an array, by its header; 0 where it has chunks without filters."""
    if data[address : address + 5] != signature + b"\0":
        raise Broken
    is_filtered, width = data[address + 5], data[address + 6]
    if is_filtered and width <= 12:
        raise Broken
    return width if is_filtered else 0


def _of_fixed_array(data: HdfFile, address: int) -> Iterator[Chunk]:
    width = _width_of(data, address, b"FAHD")
    bits, count, block = data.unpack("<BQQ", address + 7)
    if not width or block == UNDEFINED:
        return
    if data[block : block + 5] != b"FADB\0" or bits > 64:
        raise Broken
    at, per_page = block + 14, 1 << bits
    if count <= per_page:
        yield from _elements(data, at, count, width)
        return
    pages = -(-count // per_page)
    written = data[at : at + -(-pages // 8)]
    at += -(-pages // 8) + 4
    for number in range(pages):
        if _has(written, number):
            yield from _elements(data, at, min(per_page, count - number * per_page), width)
        at += per_page * width + 4


class _Extensible(NamedTuple):
    """The header of an extensible array."""

    width: int
    """Bytes of an element."""
    bits: int
    """Of the number of elements that it can have."""
    first: int
    """Elements in the index block."""
    smallest: int
    """Elements of the smallest data block."""
    pointers: int
    """Data blocks of the smallest super block that is one of its own."""
    page_bits: int

    @property
    def offset_width(self) -> int:
        """Bytes of an offset in the array."""
        return -(-self.bits // 8)

    def blocks_of(self, level: int) -> tuple[int, int]:
        """Data blocks of a super block, and the elements of each."""
        return 1 << level // 2, self.smallest << (level + 1) // 2


def _of_extensible_array(data: HdfFile, address: int) -> Iterator[Chunk]:
    width = _width_of(data, address, b"EAHD")
    header = _Extensible(width, *data.unpack("<5B", address + 7))
    (block,) = data.unpack("<Q", address + 60)
    if not width or block == UNDEFINED:
        return
    if data[block : block + 5] != b"EAIB\0" or header.bits > 64 or not header.smallest or not header.pointers:
        raise Broken
    at = block + 14
    yield from _elements(data, at, header.first, width)
    at += header.first * width
    seen: set[int] = set()
    # The first super blocks are a part of the index block.
    levels = 1 + header.bits - (header.smallest.bit_length() - 1)
    own = 2 * (header.pointers.bit_length() - 1)
    for level in range(own):
        count, elements = header.blocks_of(level)
        for one in _addresses(data, at, count):
            yield from _of_data_block(data, header, one, elements, b"", 0, seen)
        at += 8 * count
    for level, one in enumerate(_addresses(data, at, levels - own), own):
        if one != UNDEFINED:
            yield from _of_super_block(data, header, one, level, seen)


def _of_super_block(
    data: HdfFile, header: _Extensible, address: int, level: int, seen: set[int]
) -> Iterator[Chunk]:
    if address in seen or data[address : address + 5] != b"EASB\0":
        raise Broken
    seen.add(address)
    count, elements = header.blocks_of(level)
    pages = elements >> header.page_bits if elements > 1 << header.page_bits else 0
    at = address + 14 + header.offset_width
    length = count * -(-pages // 8)
    written = data[at : at + length]
    for number, one in enumerate(_addresses(data, at + length, count)):
        yield from _of_data_block(data, header, one, elements, written, number * pages, seen)


def _of_data_block(
    data: HdfFile,
    header: _Extensible,
    address: int,
    elements: int,
    written: bytes,
    first: int,
    seen: set[int],
) -> Iterator[Chunk]:
    """The chunks of one block; of one in pages those that `written` has, where its own begin at `first`."""
    if address == UNDEFINED:
        return
    if address in seen or data[address : address + 5] != b"EADB\0":
        raise Broken
    seen.add(address)
    at, per_page = address + 14 + header.offset_width, 1 << header.page_bits
    if elements <= per_page:
        yield from _elements(data, at, elements, header.width)
        return
    at += 4
    for number in range(elements // per_page):
        if _has(written, first + number):
            yield from _elements(data, at, per_page, header.width)
        at += per_page * header.width + 4
