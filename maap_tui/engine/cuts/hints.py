"""What a reader of HDF5 will want next: the nodes and headers that a part of an index names.

An index is read node by node, and over a network each takes a round trip: those that one names are asked for
together. Nothing depends on it: what is not an index, or not one of these, gives nothing. Layouts are those
of the HDF5 File Format Specification, sections III.A.1 and III.B, with addresses of eight bytes.
"""

from __future__ import annotations

import struct

from maap_tui.engine.cuts.stretches import BLOCK, Stretch

_CHILDREN = 64
"""Children of a node of an index of chunks, unless a file says otherwise, and then nothing is found."""
_MOST_NODE = 16 * 1024
"""Bytes of a node at most."""


def following(data: bytes) -> list[Stretch]:
    """What the bytes of a read name, if they are a node of an index.

    Args:
        data: what was read at once.
    """
    try:
        if data[:5] == b"TREE\1":
            return _nodes(data)
        if data[:4] == b"SNOD":
            (count,) = struct.unpack_from("<H", data, 6)
            headers = [struct.unpack_from("<Q", data, 16 + 40 * at)[0] for at in range(count)]
            # What the headers name in their turn lies close to them.
            return [(begin // BLOCK * BLOCK, (begin // BLOCK + 1) * BLOCK) for begin in headers]
    except struct.error:
        pass  # it is cut short, or something else
    return []


def _nodes(data: bytes) -> list[Stretch]:
    """The nodes below one of an index of chunks; none for a leaf, below which are the chunks."""
    size = len(data)
    key, rest = divmod(size - 24 - 8 * _CHILDREN, _CHILDREN + 1)
    level, count = struct.unpack_from("<BH", data, 5)
    if not level or rest or key < 24 or key % 8 or count > _CHILDREN or size > _MOST_NODE:
        return []
    begins = [struct.unpack_from("<Q", data, 24 + key + at * (key + 8))[0] for at in range(count)]
    return [(begin, begin + size) for begin in begins]
