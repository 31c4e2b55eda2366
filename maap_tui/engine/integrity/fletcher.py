"""The Fletcher-32 sums of the chunks of an HDF5 file, compared without the HDF5 library.

Files may be damaged, so nothing in them is trusted: what does not read as it should is left out. Filters are
those of the HDF5 File Format Specification, section IV.A. Not compared are chunks to which something else
than deflate was applied after the sum.
"""

from __future__ import annotations

import struct
import zlib
from array import array
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from maap_tui.engine.integrity.chunk_index import Chunk, Chunked, chunks_of, read_layout
from maap_tui.engine.integrity.content import HDF5_SIGNATURE
from maap_tui.engine.integrity.hdf5 import UNREADABLE, Broken, HdfFile, headers, messages

_FLETCHER, _DEFLATE = 3, 1
_LAYOUT, _PIPELINE = 0x08, 0x0B
_MOST_UNPACKED = 1 << 30


def fletcher_fault(descriptor: int) -> tuple[int, str]:
    """Compare the sums of the chunks of an HDF5 file.

    Args:
        descriptor: the open file.

    Returns:
        How many were compared, and which one differs, in words; '' when none does.

    Raises:
        OSError: it cannot be read.
    """
    data = HdfFile(descriptor)
    if data[:8] != HDF5_SIGNATURE:
        return 0, ""
    compared = read = 0
    seen: set[int] = set()
    with suppress(*UNREADABLE):
        for address in headers(data):
            dataset = None
            with suppress(*UNREADABLE):
                dataset = _dataset_of(data, address)
            if dataset is None or dataset[0].address in seen:
                continue
            layout, filters = dataset
            seen.add(layout.address)
            with suppress(*UNREADABLE):
                for chunk in chunks_of(data, layout):
                    read += chunk.size
                    if read > len(data):
                        return compared, ""  # chunks that lie upon one another are not what a library wrote
                    verdict = _agrees(data, chunk, layout.size, filters)
                    if verdict is False:
                        return compared, f"a chunk at byte {chunk.address:,} does not have its Fletcher-32"
                    compared += verdict is True
    return compared, ""


def _dataset_of(data: HdfFile, address: int) -> tuple[Chunked, tuple[int, ...]] | None:
    """The dataset of an object header, and its filters; None for another object, or one without such sums."""
    found: dict[int, tuple[int, int]] = {}
    for kind, begin, size in messages(data, address):
        found.setdefault(kind, (begin, size))
    if _LAYOUT not in found or _PIPELINE not in found:
        return None
    filters = _filters_of(data, *found[_PIPELINE])
    layout = read_layout(data, found[_LAYOUT][0])
    return None if layout is None or _FLETCHER not in filters else (layout, filters)


def _filters_of(data: HdfFile, begin: int, size: int) -> tuple[int, ...]:
    """The filters of a pipeline message, in the order of their application."""
    version, count = data[begin], data[begin + 1]
    at, end = begin + (8 if version == 1 else 2), begin + size
    found = []
    for _ in range(count):
        if at + 6 > end:
            raise Broken
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
        raise Broken
    return tuple(found)


def _agrees(data: HdfFile, chunk: Chunk, size: int, filters: tuple[int, ...]) -> bool | None:
    """Whether a chunk has its sum; None where it has none, or where what was applied after it is unknown.

    Args:
        data: the file.
        chunk: where it is.
        size: bytes of a chunk before filters.
        filters: what is applied to a chunk, in order.
    """
    applied = [number for place, number in enumerate(filters) if not chunk.mask >> place & 1]
    if _FLETCHER not in applied:
        return None
    after = applied[applied.index(_FLETCHER) + 1 :]
    content = data[chunk.address : chunk.address + chunk.size]
    for number in reversed(after):
        if number != _DEFLATE or size > _MOST_UNPACKED:
            return None
        try:
            content = zlib.decompressobj().decompress(content, 2 * size + 4096)
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
